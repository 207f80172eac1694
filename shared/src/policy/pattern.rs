//! Texts that are searched for: globs and regular expressions.

use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1_000;
/// The most memory that a compiled expression may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// A glob or a regular expression, compiled. The crate's expressions take time linear in the text.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it was written.
    text: String,
    kind: Kind,
    regex: Regex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Glob,
    Regex,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// It would match nothing, or everything.
    #[error("an empty pattern")]
    Empty,
    /// It is longer than the limit.
    #[error("the pattern has {0} bytes; at most {MAX_PATTERN} are taken")]
    TooLong(usize),
    /// A backslash of a glob before something that needs none.
    #[error("in a glob a '\\' stands before '*', '?' or '\\', to mean that character")]
    Escape,
    /// No regular expression.
    #[error("no regular expression: {0}")]
    Regex(String),
    /// One whose program would be large.
    #[error("the regular expression needs more than {SIZE_LIMIT} bytes when it is compiled")]
    TooBig,
}

impl Pattern {
    /// A glob: `*` is any text, `?` any one character; it is about the whole text, in upper or lower case.
    pub(super) fn glob(text: &str) -> Result<Self, PatternFault> {
        check(text)?;
        let mut expression = String::from(r"(?is)\A");
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '*' => expression.push_str(".*"),
                '?' => expression.push('.'),
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '?' | '\\')) => push_literal(&mut expression, escaped),
                    _ => return Err(PatternFault::Escape),
                },
                other => push_literal(&mut expression, other),
            }
        }
        expression.push_str(r"\z");
        Ok(Self { text: text.to_owned(), kind: Kind::Glob, regex: compile(&expression)? })
    }

    /// A regular expression: it is searched for anywhere in the text, in the case that it is written in.
    pub(super) fn regex(text: &str) -> Result<Self, PatternFault> {
        check(text)?;
        Ok(Self { text: text.to_owned(), kind: Kind::Regex, regex: compile(text)? })
    }

    /// Whether a text is what the pattern describes.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// As people write it: `"month*"` or `/^month/`.
    pub(super) fn shown(&self) -> String {
        match self.kind {
            Kind::Glob => format!("\"{}\"", self.text.escape_debug()),
            Kind::Regex => format!("/{}/", self.text),
        }
    }
}

fn check(text: &str) -> Result<(), PatternFault> {
    match text.len() {
        0 => Err(PatternFault::Empty),
        length if length > MAX_PATTERN => Err(PatternFault::TooLong(length)),
        _ => Ok(()),
    }
}

fn push_literal(expression: &mut String, character: char) {
    expression.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
}

fn compile(expression: &str) -> Result<Regex, PatternFault> {
    let built = RegexBuilder::new(expression).size_limit(SIZE_LIMIT).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternFault::TooBig,
        // The crate draws the expression over several lines; the last one says what is wrong.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            PatternFault::Regex(last.trim().trim_start_matches("error: ").to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_about_the_whole_text() {
        for (glob, text, matches) in [
            ("Month*", "month end closing", true),
            ("month", "month end", false),
            ("*end*", "Month END closing", true),
            ("job ?", "Job 7", true),
            ("job ?", "Job 17", false),
            ("job ?", "Job ü", true),
            ("*", "", true),
            ("a.c (x)", "a.c (x)", true),
            ("a.c", "abc", false),
            (r"50\*\?\\", r"50*?\", true),
            (r"50\*", "500", false),
            ("a*b", "a\nb", true),
            ("ÄRGER*", "ärger heute", true),
        ] {
            assert_eq!(Pattern::glob(glob).unwrap().matches(text), matches, "{glob} {text}");
        }
    }

    #[test]
    fn a_regular_expression_is_searched_for() {
        for (expression, text, matches) in [
            ("dead ?lock", "SQL: deadlock victim", true),
            ("deadlock", "Deadlock", false),
            ("(?i)deadlock", "Deadlock", true),
            (r"^\d+$", "123", true),
            (r"^\d+$", "x123", false),
        ] {
            assert_eq!(Pattern::regex(expression).unwrap().matches(text), matches, "{expression} {text}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        use PatternFault as F;
        assert_eq!(Pattern::glob("").unwrap_err(), F::Empty);
        assert_eq!(Pattern::regex("").unwrap_err(), F::Empty);
        assert_eq!(Pattern::glob(&"x".repeat(1001)).unwrap_err(), F::TooLong(1001));
        assert_eq!(Pattern::regex(&"x".repeat(1001)).unwrap_err(), F::TooLong(1001));
        for glob in [r"C:\temp", r"end\"] {
            assert_eq!(Pattern::glob(glob).unwrap_err(), F::Escape, "{glob}");
        }
        assert_eq!(Pattern::regex("(").unwrap_err(), F::Regex("unclosed group".into()));
        assert!(Pattern::regex(r"(?=x)").unwrap_err().to_string().lines().count() == 1);
        assert_eq!(Pattern::regex(r"((\w{50}){50}){50}").unwrap_err(), F::TooBig);
        assert!(Pattern::glob(&"?".repeat(1000)).is_ok() && Pattern::glob(&"*".repeat(1000)).is_ok());
    }

    #[test]
    fn an_expression_cannot_be_made_slow() {
        let slow = Pattern::regex("(a*)*b").unwrap();
        assert!(!slow.matches(&"a".repeat(100_000)));
    }
}
