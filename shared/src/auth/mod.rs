//! Who calls, and what they may do.
//!
//! An [`Authenticator`] finds the [`Caller`] of a request by its bearer token (RFC 6750). A token is one that the host
//! knows ([`Tokens`]), or a JSON Web Token (RFC 7519) that an issuer has signed: [`verify`] checks it against the
//! issuer's [`KeySet`] and a [`Policy`]. Everything is pure but for `jwks`, which fetches the keys and keeps them.

mod authenticator;
mod bearer;
mod caller;
mod config;
mod error;
mod jwks;
mod jwt;
mod permissions;
mod tokens;

pub use authenticator::{Authenticator, Jwt};
pub use bearer::{MAX_TOKEN, has_bearer};
pub use caller::{Caller, Grants, Permission};
pub use config::{AuthConfigError, JwtConfig};
pub use error::{AuthError, TokenError};
pub use jwks::SourceError;
pub use jwt::{KeySet, KeySetError, Policy, PolicyError, verify};
pub use permissions::Permissions;
pub use tokens::{MIN_TOKEN, Tokens, TokensError};
