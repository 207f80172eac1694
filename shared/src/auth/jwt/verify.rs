//! Whether a token is good.

use jiff::Timestamp;
use jsonwebtoken::{
    Header, decode, decode_header,
    errors::{Error, ErrorKind},
};

use super::{KeySet, Policy, claims::Claims};
use crate::auth::{Caller, TokenError};

/// `typ` of access tokens, with or without `application/` (RFC 9068 §2.1; Entra ID and most others say `JWT`).
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// The caller that a token names. Its header only says which of our keys and algorithms to use: keys that it brings
/// along (`jwk`, `jku`, `x5c`, `x5u`) mean nothing.
pub fn verify(token: &str, keys: &KeySet, policy: &Policy, now: Timestamp) -> Result<Caller, TokenError> {
    let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
    let validation = policy.validation(header.alg).ok_or(TokenError::Algorithm)?;
    check(&header)?;
    let key = keys.find(header.kid.as_deref(), header.alg)?;
    let claims: Claims = decode(token, key, validation).map_err(|error| refused(&error))?.claims;
    claims.check_times(now, policy.leeway)?;
    claims.into_caller()
}

fn check(header: &Header) -> Result<(), TokenError> {
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    let Some(typ) = &header.typ else { return Ok(()) };
    let prefix = "application/";
    let short = match typ.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => typ.get(prefix.len()..).unwrap_or_default(),
        _ => typ,
    };
    if TYPES.iter().any(|known| known.eq_ignore_ascii_case(short)) { Ok(()) } else { Err(TokenError::Type) }
}

fn refused(error: &Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidToken | ErrorKind::Base64(_) => TokenError::Malformed,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::MissingRequiredClaim(name) => match name.as_str() {
            "iss" => TokenError::Claim("iss"),
            "aud" => TokenError::Claim("aud"),
            _ => TokenError::Claim("exp"),
        },
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => TokenError::Claims,
        _ => TokenError::Signature,
    }
}
