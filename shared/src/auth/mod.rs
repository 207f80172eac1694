//! Who calls, and what they may do.

mod caller;

mod permissions;

pub use caller::{Caller, Grants, Permission};
pub use permissions::Permissions;
