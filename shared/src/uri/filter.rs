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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Expr, UriError> {
        parse_filter(text, &UriLimits::default())
    }

    /// The tree with every group in brackets.
    fn shape(expr: &Expr) -> String {
        let list = |parts: &[Expr], word: &str| format!("[{}]", parts.iter().map(shape).collect::<Vec<_>>().join(word));
        match expr {
            Expr::Literal(text) => text.clone(),
            Expr::Member(path) => path.join("/"),
            Expr::Compare { operator, left, right } => format!("[{} {operator:?} {}]", shape(left), shape(right)),
            Expr::And(parts) => list(parts, " and "),
            Expr::Or(parts) => list(parts, " or "),
            Expr::Not(part) => format!("not {}", shape(part)),
            Expr::Call { function, args } => format!("{function:?}{}", list(args, ",")),
        }
    }

    #[test]
    fn operators_bind_as_the_standard_says() {
        for (text, expected) in [
            ("a", "a"),
            ("a eq 1 or b eq 2 and c eq 3", "[[a Eq 1] or [[b Eq 2] and [c Eq 3]]]"),
            ("(a eq 1 or b eq 2) and c eq 3", "[[[a Eq 1] or [b Eq 2]] and [c Eq 3]]"),
            ("a or b or c", "[a or b or c]"),
            ("not a eq b", "[not a Eq b]"),
            ("not (a eq b)", "not [a Eq b]"),
            ("not(a) and not not b", "[not a and not not b]"),
            ("a EQ 'x' AND b Lt 2", "[[a Eq 'x'] and [b Lt 2]]"),
            ("contains(n,'x') and STARTSWITH( n , 'y' )", "[Contains[n,'x'] and StartsWith[n,'y']]"),
            ("endswith(tolowered,'it''s') eq true", "[EndsWith[tolowered,'it''s'] Eq true]"),
            ("and eq or", "[and Eq or]"),
            ("\t a  ne\tnull ", "[a Ne null]"),
        ] {
            assert_eq!(parse(text).map(|expr| shape(&expr)), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn literals_and_names_are_told_apart() {
        for literal in [
            "1",
            "-1",
            "+1.5",
            "2e3",
            "-2.5E-3",
            "INF",
            "-INF",
            "NaN",
            "null",
            "true",
            "FALSE",
            "'it''s'",
            "''",
            "2026-01-31",
            "-0001-01-01",
            "12:30",
            "12:30:00.5",
            "2026-01-31T12:30:00Z",
            "2026-01-31T12:30+02:00",
            "duration'PT1S'",
            "binary'AA'",
            "NS.Enum'A,B'",
            "01234567-89ab-cdef-0123-456789abcdef",
            "a1234567-89ab-cdef-0123-456789abcdef",
        ] {
            let parsed = parse(&format!("x eq {literal}")).unwrap();
            assert_eq!(shape(&parsed), format!("[x Eq {literal}]"));
            let Expr::Compare { right, .. } = parsed else { panic!("{literal}") };
            assert_eq!(*right, Expr::Literal(literal.to_owned()));
        }
        for name in ["a1234567", "nullable", "null/x", "INFO", "Null", "größe", "nav/key"] {
            let path = name.split('/').map(str::to_owned).collect();
            assert_eq!(parse(name), Ok(Expr::Member(path)), "{name}");
        }
    }

    #[test]
    fn what_is_legal_elsewhere_is_named() {
        for (text, what) in [
            ("a add 1 eq 2", "the operator 'add'"),
            ("a eq b mul 2", "the operator 'mul'"),
            ("a in ('x','y')", "the operator 'in'"),
            ("a has NS.E'X'", "the operator 'has'"),
            ("-a gt 1", "negation"),
            ("tolower(a) eq 'x'", "the function 'tolower'"),
            ("geo.length(a) eq 1", "the function 'geo.length'"),
            ("items/any(i:i/x eq 1)", "'any' behind a path in an expression"),
            ("items/$count gt 1", "'/$count' in an expression"),
            ("$it/a eq 1", "'$it'"),
            ("@p eq 1", "'@p' in an expression"),
            ("a eq [1]", "a JSON literal in an expression"),
            ("NS.T/a eq 1", "the type or function 'NS.T' in an expression"),
            ("nav/NS.T/a eq 1", "'NS' behind a path in an expression"),
            ("a eq 1 eq true", "a comparison of a comparison without parentheses"),
        ] {
            assert_eq!(parse(text), Err(UriError::unsupported(what)), "{text}");
        }
    }

    #[test]
    fn errors_say_where() {
        for (text, position) in [
            ("", 0),
            ("a eq", 2),
            ("a eq ", 5),
            ("a eq 'x", 5),
            ("(a eq 1", 7),
            ("a eq 1)", 6),
            ("a foo 1", 2),
            ("a eq'x'", 2),
            ("contains(a)", 10),
            ("contains(a,b,c)", 12),
            ("a eq 1x", 5),
            ("a eq 1 and", 7),
            ("a eq \"x\"", 5),
            ("a/", 2),
            ("a eq .x", 5),
            ("x'1'", 0),
            ("a eq guid'1'", 5),
            ("a  b", 3),
            ("$x", 0),
            ("a..b", 0),
            ("not ", 4),
            ("é §", 3),
        ] {
            let Err(UriError::Syntax { position: at, .. }) = parse(text) else { panic!("{text}: {:?}", parse(text)) };
            assert_eq!(at, position, "{text}");
        }
    }

    #[test]
    fn length_costs_no_depth_and_depth_is_limited() {
        let long = vec!["a eq 1"; 10_000].join(" or ");
        assert!(matches!(parse(&long), Ok(Expr::Or(parts)) if parts.len() == 10_000));
        for (open, close) in [("(", ")"), ("not ", ""), ("not(", ")"), ("contains(", ",b)")] {
            let nested = |depth: usize| format!("{}a{}", open.repeat(depth), close.repeat(depth));
            assert!(parse(&nested(30)).is_ok(), "{open}");
            assert!(matches!(parse(&nested(100_000)), Err(UriError::TooDeep { .. })), "{open}");
        }
        assert!(matches!(parse(&"a/".repeat(100_000)), Err(UriError::TooDeep { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(
            text in "(\\(|\\)| |'|a|not | and | or | eq |,|/|1|-|\\$|@|contains\\(|é|x\\.y){0,30}|.{0,30}"
        ) {
            let _ = parse(&text);
        }
    }
}
