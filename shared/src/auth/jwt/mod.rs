//! JSON Web Tokens: whether one is good, and whom it names. Pure: key set, policy and time are arguments.
//!
//! Sources: RFC 7519 (claims), RFC 7515 (signatures), RFC 7517 (keys), RFC 8725 (what goes wrong with them).

mod claims;
mod key_set;
mod policy;
#[cfg(test)]
mod tests;
mod verify;

pub use key_set::{KeySet, KeySetError};
pub use policy::{Policy, PolicyError};
pub use verify::verify;
