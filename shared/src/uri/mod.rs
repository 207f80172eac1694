//! Addresses of an OData service: resource paths and query options.
//!
//! OData 4.01 URL Conventions and its ABNF. Two steps: syntax, which needs no model ([`parse_path`],
//! [`QueryOptions::parse`], [`parse_filter`]), and meaning, which does ([`resolve`], and `query` for filters).
//! What the standard allows and this service lacks is [`UriError::Unsupported`], never misread.

mod address;
mod error;
mod expression;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
mod literal;
mod options;
mod path;
mod predicate;
mod resolve;

pub use address::{path_text, write_alternate_key, write_key};
pub use error::UriError;
pub use expression::{Expr, Function, Operator};
pub use filter::parse_filter;
pub(crate) use literal::LiteralShape;
pub use options::QueryOptions;
pub use path::{Segment, decode_segment, is_batch, parse_path};
pub use predicate::KeyPredicate;
pub use resolve::{EntityPath, Key, Last, Resource, Step, resolve};

/// Whether a path is still percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As sent: `%2F` is data and `/` separates.
    Percent,
    /// Decoded on the way here (an HTTP API of API Gateway does so): only quotes tell data from separators.
    Decoded,
}

/// Upper bounds for what a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriLimits {
    /// Length of a path, in bytes.
    pub path: usize,
    /// Segments of a path.
    pub segments: usize,
    /// Length of a query string, in bytes.
    pub query: usize,
    /// Options of a query string.
    pub options: usize,
    /// Nesting of a filter: parentheses, `not`, calls, path segments.
    pub depth: usize,
}

impl Default for UriLimits {
    fn default() -> Self {
        Self { path: 16 * 1024, segments: 64, query: 64 * 1024, options: 100, depth: 64 }
    }
}

#[cfg(test)]
mod conformance;
