//! Why a request is not let in. Nothing of the token is in any of these.

use std::time::Duration;

use super::bearer::MAX_TOKEN;

/// Why it is not known who makes a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no bearer token.
    #[error("a bearer token is needed")]
    Missing,
    /// There is more than one `Authorization` header.
    #[error("there is more than one Authorization header")]
    Repeated,
    /// The token is not accepted.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The keys that the token would have to be verified with cannot be had.
    #[error("the keys of the token issuer are not available")]
    NoKeys {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
}

/// Why a token is not accepted. The texts are plain ASCII without quotes: they go into a header (RFC 6750 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It holds characters that no token has (RFC 6750 §2.1), or nothing.
    #[error("the token is empty or has characters that no token has")]
    Characters,
    /// It is longer than [`MAX_TOKEN`].
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    TooLong,
    /// It is none of the tokens that the host knows.
    #[error("the token is not known")]
    Unknown,
    /// It does not have three parts in base64url, or the first is no header.
    #[error("the token is not a JSON Web Token, or its header names an unknown algorithm")]
    Malformed,
    /// Its header names an algorithm that is not allowed.
    #[error("the algorithm of the token is not allowed")]
    Algorithm,
    /// Its header says that it is made for something else (RFC 8725 §3.11).
    #[error("the typ of the token is not that of an access token")]
    Type,
    /// Its header has extensions that must be understood (RFC 7515 §4.1.11). None is.
    #[error("the token has critical header parameters")]
    Critical,
    /// Its header names no key, and the issuer has several.
    #[error("the token does not name its key")]
    NoKeyId,
    /// Its header names a key that the issuer does not have.
    #[error("the token names a key that its issuer does not have")]
    UnknownKey,
    /// Its key is not made for its algorithm.
    #[error("the algorithm of the token does not fit its key")]
    KeyMismatch,
    /// Its signature is not that of the key.
    #[error("the signature of the token does not match")]
    Signature,
    /// A claim that must be there is not, or has another type than it should.
    #[error("the claim {0} of the token is missing or has the wrong type")]
    Claim(&'static str),
    /// A claim has another type than it should.
    #[error("a claim of the token has the wrong type")]
    Claims,
    /// Somebody else issued it.
    #[error("the issuer of the token is not trusted")]
    Issuer,
    /// It was made for another service.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// None of its claims names the caller.
    #[error("the token names nobody")]
    Nameless,
}
