//! What `$filter` and `$select` mean for entities of a model.
//!
//! Everything is bound to a type once ([`bind`], [`select`]); entities are then tested without looking up a name.

mod bind;
mod error;
mod operand;
mod predicate;
mod selection;
mod wildcard;

pub use bind::bind;
pub use error::QueryError;
pub use predicate::Predicate;
pub use selection::{Selection, select};
pub(crate) use wildcard::wildcards;
