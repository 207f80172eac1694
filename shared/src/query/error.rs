//! Why a query has no meaning for a type.

use crate::edm::{KeyError, ValueError};

/// Why `$filter` or `$select` was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The type has no such property (400).
    #[error("Could not find a property named '{name}' on type '{ty}'.")]
    BadProperty {
        /// The name as sent.
        name: String,
        /// Qualified name of the type.
        ty: String,
    },
    /// Nothing can be asked about a property that only writes may name (400).
    #[error("'{0}' is write-only")]
    WriteOnly(String),
    /// Nothing can be asked about the bytes of a stream (400).
    #[error("'{0}' is a stream, which no filter looks into")]
    Stream(String),
    /// A literal that the other side of the comparison does not take (400).
    #[error("'{text}' cannot be compared here: {source}")]
    BadLiteral {
        /// The literal as sent, percent-decoded.
        text: String,
        /// Why it was refused.
        source: ValueError,
    },
    /// Both sides are fine, not together (400).
    #[error("{left} and {right} cannot be compared")]
    Incompatible {
        /// Type of the left side.
        left: String,
        /// Type of the right side.
        right: String,
    },
    /// Only `eq` and `ne` compare it (400).
    #[error("{what} has no order: only 'eq' and 'ne' compare it")]
    NoOrder {
        /// The operand.
        what: String,
    },
    /// Only null can be compared with it (400).
    #[error("{ty} can be compared with null only")]
    OnlyNull {
        /// Its type.
        ty: String,
    },
    /// Something stands where a condition is expected (400).
    #[error("{what} is not a condition")]
    NotBoolean {
        /// What stands there.
        what: String,
    },
    /// An argument of a string function that is no string (400).
    #[error("{what} is not a string")]
    NotString {
        /// What stands there.
        what: String,
    },
    /// A value that no key can have (400).
    #[error("'{text}' is no key: {source}")]
    BadKey {
        /// The literal as sent, percent-decoded.
        text: String,
        /// Why it was refused.
        source: KeyError,
    },
    /// Legal OData that this service does not do (501).
    #[error("{what} is not supported")]
    Unsupported {
        /// The construct, by name.
        what: String,
    },
}

impl QueryError {
    /// Whether the query is legal OData beyond this service (501).
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }

    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}
