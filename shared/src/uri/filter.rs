//! Reads `$filter` (ABNF `boolCommonExpr`): recursive descent over the decoded text, in one pass.
//!
//! From weak to strong: `or`, `and`, comparison, `not`, primary.

use super::{
    Expr, Function, LiteralShape, Operator, UriError, UriLimits,
    literal::{begins_identifier, begins_with_guid, continues_identifier, quoted_length},
};

/// Operators of the standard that this service lacks.
const OTHER_OPERATORS: [&str; 8] = ["add", "sub", "mul", "div", "divby", "mod", "has", "in"];

/// Reads a filter expression: the value of `$filter`, percent-decoded.
pub fn parse_filter(text: &str, limits: &UriLimits) -> Result<Expr, UriError> {
    let mut parser = Parser { text, at: 0, depth: 0, max_depth: limits.depth };
    let expr = parser.disjunction()?;
    parser.skip_space();
    if parser.rest().is_empty() { Ok(expr) } else { Err(parser.expected("an operator or the end")) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    max_depth: usize,
}

impl<'a> Parser<'a> {
    fn disjunction(&mut self) -> Result<Expr, UriError> {
        self.list("or", Self::conjunction, Expr::Or)
    }

    fn conjunction(&mut self) -> Result<Expr, UriError> {
        self.list("and", Self::comparison, Expr::And)
    }

    /// `item *( word item )`; one item stays itself.
    fn list(
        &mut self,
        word: &str,
        item: fn(&mut Self) -> Result<Expr, UriError>,
        make: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, UriError> {
        let first = item(self)?;
        if !self.take_operator(word) {
            return Ok(first);
        }
        let mut items = vec![first, item(self)?];
        while self.take_operator(word) {
            items.push(item(self)?);
        }
        Ok(make(items))
    }

    fn comparison(&mut self) -> Result<Expr, UriError> {
        let left = self.unary()?;
        let Some(operator) = self.operator()? else { return Ok(left) };
        let right = self.unary()?;
        if self.operator()?.is_some() {
            return Err(UriError::unsupported("a comparison of a comparison without parentheses"));
        }
        Ok(Expr::Compare { operator, left: Box::new(left), right: Box::new(right) })
    }

    fn unary(&mut self) -> Result<Expr, UriError> {
        self.skip_space();
        let word = self.peek_word();
        let after = self.rest().get(word.len()..).unwrap_or_default();
        if word.eq_ignore_ascii_case("not") && after.starts_with([' ', '\t', '(']) {
            self.at += word.len();
            return self.nested(Self::unary).map(|inner| Expr::Not(Box::new(inner)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr, UriError> {
        let rest = self.rest();
        if begins_with_guid(rest) {
            return self.literal(36);
        }
        match rest.chars().next() {
            Some('(') => {
                self.at += 1;
                let inner = self.nested(Self::disjunction)?;
                self.close()?;
                Ok(inner)
            }
            Some('\'') => self.quoted(0),
            Some('0'..='9' | '+' | '-') => self.number(),
            Some('[' | '{') => Err(UriError::unsupported("a JSON literal in an expression")),
            Some('@') => Err(UriError::unsupported(format!("'@{}' in an expression", self.word_after(1)))),
            Some('$') => self.variable(),
            Some(c) if begins_identifier(c) => self.word(),
            _ => Err(self.expected("an expression")),
        }
    }

    /// `$it`, `$this`, `$root/…`.
    fn variable(&self) -> Result<Expr, UriError> {
        match self.word_after(1) {
            name @ ("it" | "this" | "root") => Err(UriError::unsupported(format!("'${name}'"))),
            _ => Err(self.expected("an expression")),
        }
    }

    /// What begins with a digit or a sign: a number, date, time; or a negation.
    fn number(&mut self) -> Result<Expr, UriError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.:".contains(c))).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        if LiteralShape::of(text).is_some() {
            return self.literal(end);
        }
        let operand = rest.strip_prefix('-').map(str::trim_start).and_then(|operand| operand.chars().next());
        if operand.is_some_and(|c| begins_identifier(c) || "(@$".contains(c)) {
            return Err(UriError::unsupported("negation"));
        }
        Err(self.expected("a literal"))
    }

    /// What begins with a letter: a keyword, a quoted literal with a prefix, a call, a property path.
    fn word(&mut self) -> Result<Expr, UriError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(continues_identifier(c) || c == '.')).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if name.ends_with('.') || name.contains("..") {
            return Err(self.expected("a name"));
        }
        if after.starts_with('\'') {
            return self.prefixed(name);
        }
        if after.starts_with('(') {
            return self.call(name);
        }
        if name.contains('.') {
            return Err(UriError::unsupported(format!("the type or function '{name}' in an expression")));
        }
        if !after.starts_with('/') && LiteralShape::of(name).is_some() {
            return self.literal(end);
        }
        self.member()
    }

    fn prefixed(&mut self, prefix: &str) -> Result<Expr, UriError> {
        if ["geography", "geometry"].iter().any(|geo| prefix.eq_ignore_ascii_case(geo)) {
            return Err(UriError::unsupported(format!("a {prefix} literal")));
        }
        self.quoted(prefix.len())
    }

    fn quoted(&mut self, prefix: usize) -> Result<Expr, UriError> {
        let quoted = self.rest().get(prefix..).and_then(quoted_length);
        let length = prefix + quoted.ok_or_else(|| self.expected("a literal with a closing quote"))?;
        if self.rest().get(..length).and_then(LiteralShape::of).is_none() {
            return Err(self.expected("a literal"));
        }
        self.literal(length)
    }

    fn literal(&mut self, length: usize) -> Result<Expr, UriError> {
        let text = self.rest().get(..length).ok_or_else(|| self.expected("a literal"))?;
        self.at += length;
        Ok(Expr::Literal(text.to_owned()))
    }

    fn call(&mut self, name: &str) -> Result<Expr, UriError> {
        let Some(function) = Function::of(name) else {
            return Err(UriError::unsupported(format!("the function '{name}'")));
        };
        self.at += name.len() + 1;
        let first = self.nested(Self::disjunction)?;
        self.skip_space();
        if !self.rest().starts_with(',') {
            return Err(self.expected("',' and a second argument"));
        }
        self.at += 1;
        let second = self.nested(Self::disjunction)?;
        self.close()?;
        Ok(Expr::Call { function, args: vec![first, second] })
    }

    fn member(&mut self) -> Result<Expr, UriError> {
        let mut path = vec![self.take_word()?];
        while self.rest().starts_with('/') {
            self.at += 1;
            if path.len() >= self.max_depth {
                return Err(UriError::TooDeep { position: self.at, max: self.max_depth });
            }
            if self.rest().starts_with(['$', '@']) {
                return Err(UriError::unsupported(format!("'/{}' in an expression", self.sigil_word())));
            }
            path.push(self.take_word()?);
            if self.rest().starts_with(['(', '.']) {
                let name = path.last().map_or("", String::as_str);
                return Err(UriError::unsupported(format!("'{name}' behind a path in an expression")));
            }
        }
        Ok(Expr::Member(path))
    }

    /// `$count`, `$filter`, `@Term` with their sigil.
    fn sigil_word(&self) -> &'a str {
        let length = 1 + self.word_after(1).len();
        self.rest().get(..length).unwrap_or_default()
    }

    fn take_word(&mut self) -> Result<String, UriError> {
        let word = self.peek_word();
        if word.is_empty() {
            return Err(self.expected("a name"));
        }
        if word.chars().nth(128).is_some() {
            return Err(self.expected("a name of at most 128 characters"));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }

    /// A comparison operator between two operands, if one is next.
    fn operator(&mut self) -> Result<Option<Operator>, UriError> {
        let Some((word, end)) = self.next_operator() else { return Ok(None) };
        if OTHER_OPERATORS.iter().any(|other| word.eq_ignore_ascii_case(other)) {
            return Err(UriError::unsupported(format!("the operator '{word}'")));
        }
        let operator = Operator::of(word);
        if operator.is_some() {
            self.at = end;
        }
        Ok(operator)
    }

    fn take_operator(&mut self, wanted: &str) -> bool {
        match self.next_operator() {
            Some((word, end)) if word.eq_ignore_ascii_case(wanted) => {
                self.at = end;
                true
            }
            _ => false,
        }
    }

    /// A word with space on both sides, and where it ends.
    fn next_operator(&self) -> Option<(&'a str, usize)> {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t']);
        let word = leading_word(trimmed);
        let after = trimmed.get(word.len()..).unwrap_or_default();
        let spaced = trimmed.len() < rest.len() && after.starts_with([' ', '\t']);
        (spaced && !word.is_empty()).then(|| (word, self.text.len() - after.len()))
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Expr, UriError>) -> Result<Expr, UriError> {
        if self.depth >= self.max_depth {
            return Err(UriError::TooDeep { position: self.at, max: self.max_depth });
        }
        self.depth += 1;
        let expr = inner(self)?;
        self.depth -= 1;
        Ok(expr)
    }

    fn close(&mut self) -> Result<(), UriError> {
        self.skip_space();
        if !self.rest().starts_with(')') {
            return Err(self.expected("an operator or ')'"));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek_word(&self) -> &'a str {
        leading_word(self.rest())
    }

    fn word_after(&self, bytes: usize) -> &'a str {
        leading_word(self.rest().get(bytes..).unwrap_or_default())
    }

    fn expected(&self, expected: &'static str) -> UriError {
        UriError::syntax(self.at, expected, self.rest())
    }
}

/// The identifier a text begins with; empty when it begins with none.
fn leading_word(text: &str) -> &str {
    if !text.starts_with(begins_identifier) {
        return "";
    }
    let end = text.find(|c| !continues_identifier(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}
