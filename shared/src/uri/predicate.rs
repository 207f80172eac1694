//! The parenthesised part of a segment: a key, or the arguments of a function.

use super::{UriError, literal::quoted_length};

/// What stands in the parentheses of a segment, decoded. Values are literal text, quotes and all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPredicate {
    /// `()`
    Empty,
    /// `(1)`, `('x')`
    Single(String),
    /// `(a=1,b='x')`, in the order sent.
    Named(Vec<(String, String)>),
}

impl KeyPredicate {
    /// Reads what follows the opening parenthesis of the segment `name`, up to and with the closing one.
    pub(super) fn parse(name: &str, text: &str, offset: usize) -> Result<Self, UriError> {
        let mut items = Vec::new();
        let mut rest = text.trim_start();
        if rest.starts_with(')') {
            return end(name, rest, offset).map(|()| Self::Empty);
        }
        loop {
            let (key, value, after) = item(rest, offset)?;
            items.push((key, value));
            let Some(more) = after.strip_prefix(',') else {
                end(name, after, offset)?;
                return Self::of(items, offset);
            };
            rest = more.trim_start();
        }
    }

    fn of(items: Vec<(Option<&str>, &str)>, offset: usize) -> Result<Self, UriError> {
        if let [(None, value)] = items.as_slice() {
            return Ok(Self::Single((*value).to_owned()));
        }
        let named = items.into_iter().map(|(key, value)| match key {
            Some(key) => Ok((key.to_owned(), value.to_owned())),
            None => Err(UriError::syntax(offset, "a name and '=' before each value of several", value)),
        });
        named.collect::<Result<_, _>>().map(Self::Named)
    }
}

/// `[name =] value`, and what follows.
fn item(text: &str, offset: usize) -> Result<(Option<&str>, &str, &str), UriError> {
    let (word, rest) = word(text);
    if let Some(rest) = rest.strip_prefix('=') {
        if word.is_empty() {
            return Err(UriError::syntax(offset, "a name before '='", text));
        }
        let (value, rest) = value(rest, offset)?;
        return Ok((Some(word), value, rest));
    }
    let (value, rest) = value(text, offset)?;
    Ok((None, value, rest))
}

/// A literal: unquoted characters, then at most one quoted part (`guid`, `'x'`, `NS.Enum'A'`).
fn value(text: &str, offset: usize) -> Result<(&str, &str), UriError> {
    let (plain, rest) = word(text);
    let length = if rest.starts_with('\'') {
        let quoted = quoted_length(rest).ok_or_else(|| UriError::syntax(offset, "a closing quote", text))?;
        plain.len() + quoted
    } else {
        plain.len()
    };
    let (literal, rest) = text.split_at_checked(length).unwrap_or((text, ""));
    if literal.is_empty() {
        return Err(UriError::syntax(offset, "a value", text));
    }
    Ok((literal, rest.trim_start()))
}

/// The characters up to one that separates.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || "'\"(),;=/[]{}".contains(c));
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""))
}

fn end(name: &str, text: &str, offset: usize) -> Result<(), UriError> {
    match text.strip_prefix(')') {
        Some("") => Ok(()),
        // `Function(a=1)(2)`: a key behind arguments.
        Some(more) if more.starts_with('(') && more.ends_with(')') => {
            Err(UriError::unsupported(format!("a key behind the arguments of '{name}'")))
        }
        _ => Err(UriError::syntax(offset, "',' or ')' at the end of the segment", text)),
    }
}
