//! From a request to its caller.

use std::sync::Arc;

use jiff::Timestamp;

use super::{AuthError, Caller, Grants, KeySet, Policy, TokenError, Tokens, bearer::bearer, jwks::Keys, jwt::verify};
use crate::batch::Headers;

/// How a host finds out who calls. Cheap to clone; clones share the keys that were fetched.
#[derive(Clone, Debug, Default)]
pub enum Authenticator {
    /// Not at all: everybody is anonymous and may do everything.
    #[default]
    Open,
    /// By tokens that the host knows. Who has one may do everything.
    Token(Tokens),
    /// By tokens that an issuer has signed. What their owners may do is in them.
    Jwt(Arc<Jwt>),
}

/// An issuer of tokens: what its tokens must say, and the keys that they are signed with.
#[derive(Debug)]
pub struct Jwt {
    policy: Policy,
    keys: Keys,
}

impl Authenticator {
    /// Tokens that are signed with one of these keys, which never change.
    pub fn with_keys(policy: Policy, keys: KeySet) -> Self {
        Self::Jwt(Arc::new(Jwt { policy, keys: Keys::Fixed(Arc::new(keys)) }))
    }

    /// Tokens that are signed with the keys at this place.
    pub(super) fn with_source(policy: Policy, keys: Keys) -> Self {
        Self::Jwt(Arc::new(Jwt { policy, keys }))
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// The caller whose token is among the headers of a request.
    pub async fn authenticate(&self, headers: &Headers, now: Timestamp) -> Result<Caller, AuthError> {
        match self {
            Self::Open => Ok(Caller::anonymous()),
            Self::Token(tokens) if tokens.contain(bearer(headers)?) => {
                Ok(Caller { name: "token".into(), object_id: None, grants: Grants::All })
            }
            Self::Token(_) => Err(TokenError::Unknown.into()),
            Self::Jwt(jwt) => jwt.authenticate(bearer(headers)?, now).await,
        }
    }
}

impl Jwt {
    async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Caller, AuthError> {
        let keys = self.keys.current(now).await?;
        let result = verify(token, &keys, &self.policy, now);
        if result != Err(TokenError::UnknownKey) {
            return Ok(result?);
        }
        // The issuer may have a new key. Whether it has is not for the token to say more than so often.
        let keys = self.keys.other_than(&keys, now).await.ok_or(TokenError::UnknownKey)?;
        Ok(verify(token, &keys, &self.policy, now)?)
    }
}
