//! `id` of a JSON request, `Content-ID` of a multipart part, name of an atomicity group.

use std::{fmt, sync::Arc};

/// A request identifier: case-sensitive, compared byte by byte.
///
/// ABNF `request-id = 1*unreserved`; Protocol §11.7.3. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Arc<str>);

/// Why a text is no request identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestIdError {
    /// It has no characters.
    #[error("a request id must not be empty")]
    Empty,
    /// It has a character outside `A-Z a-z 0-9 - . _ ~`.
    #[error("'{0}' is not allowed in a request id")]
    Character(char),
    /// It is longer than [`RequestId::MAX_BYTES`].
    #[error("a request id has at most {max} characters, this one has {got}", max = RequestId::MAX_BYTES)]
    TooLong {
        /// Its length.
        got: usize,
    },
}

impl RequestId {
    /// The longest identifier that is taken.
    pub const MAX_BYTES: usize = 256;

    /// Checks the grammar.
    pub fn new(text: &str) -> Result<Self, RequestIdError> {
        if text.is_empty() {
            return Err(RequestIdError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(RequestIdError::TooLong { got: text.len() });
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~".contains(*c))) {
            Some(c) => Err(RequestIdError::Character(c)),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_grammar_allows() {
        for text in ["1", "100001", "0.0", "First-Insert~Customer_1.1", "a"] {
            assert_eq!(RequestId::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn names_the_offending_character() {
        assert_eq!(RequestId::new("a b"), Err(RequestIdError::Character(' ')));
        assert_eq!(RequestId::new("é"), Err(RequestIdError::Character('é')));
        assert_eq!(RequestId::new(""), Err(RequestIdError::Empty));
        assert_eq!(RequestId::new(&"x".repeat(257)), Err(RequestIdError::TooLong { got: 257 }));
    }
}
