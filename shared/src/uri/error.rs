//! Why an address was refused.

use crate::edm::ValueError;

/// Why a path or a query string was refused. Positions are byte offsets, from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UriError {
    /// The model has nothing of this name here (404).
    #[error("Resource not found for the segment '{segment}'")]
    NotFound {
        /// The segment's name, decoded.
        segment: String,
    },
    /// A segment that exists, in a place where it means nothing (400).
    #[error("'{segment}' cannot follow {after}")]
    Misplaced {
        /// The segment's name.
        segment: String,
        /// What stands before it.
        after: &'static str,
    },
    /// Not OData (400).
    #[error("at position {position}: expected {expected}, found '{found}'")]
    Syntax {
        /// Offset in the path (of its segment), or in the decoded value of the query option.
        position: usize,
        /// What may stand there.
        expected: &'static str,
        /// What stands there, shortened; empty at the end.
        found: String,
    },
    /// A `%` that begins no byte, or bytes that are no UTF-8 (400).
    #[error("at position {position}: not percent-encoded UTF-8")]
    Encoding {
        /// Offset in the text as sent.
        position: usize,
    },
    /// Parentheses after a segment that name no entity: wrong names, missing parts (400).
    #[error("the key of '{segment}' is not valid: {reason}")]
    BadKey {
        /// The segment's name.
        segment: String,
        /// What is wrong.
        reason: String,
    },
    /// A value in a key that its property does not take (400).
    #[error("the key of '{segment}' is not valid: '{property}': {source}")]
    BadKeyValue {
        /// The segment's name.
        segment: String,
        /// The key property.
        property: String,
        /// Why its value was refused.
        source: Box<ValueError>,
    },
    /// Legal OData that this service does not do (501).
    #[error("{what} is not supported")]
    Unsupported {
        /// The construct, by name.
        what: String,
    },
    /// A query option with a wrong name or value (400).
    #[error("query option '{name}': {reason}")]
    BadOption {
        /// Its name as sent.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Above a limit (414 for a path or query, 400 inside a batch).
    #[error("{what}: {got} is more than the {max} allowed")]
    TooLong {
        /// What was counted, with its unit.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        max: usize,
    },
    /// An expression nested deeper than allowed (400).
    #[error("at position {position}: nested more than {max} deep")]
    TooDeep {
        /// Offset in the decoded expression.
        position: usize,
        /// The limit.
        max: usize,
    },
}

impl UriError {
    /// Whether the address is fine but names nothing (404).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the address is legal OData beyond this service (501).
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }

    /// Whether a limit on length was exceeded.
    pub fn is_too_long(&self) -> bool {
        matches!(self, Self::TooLong { .. })
    }

    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    pub(super) fn syntax(position: usize, expected: &'static str, rest: &str) -> Self {
        Self::Syntax { position, expected, found: rest.chars().take(20).collect() }
    }

    /// Refuses what is above a limit.
    pub(super) fn check(what: &'static str, got: usize, max: usize) -> Result<(), Self> {
        if got > max { Err(Self::TooLong { what, got, max }) } else { Ok(()) }
    }
}
