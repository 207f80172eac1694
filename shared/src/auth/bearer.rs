//! The token of a request (RFC 6750 §2.1).

use http::header;

use crate::batch::Headers;

use super::{AuthError, TokenError};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 << 10;

/// The bearer token of a request. Other schemes count as none: they are not offered.
pub(super) fn bearer(headers: &Headers) -> Result<&str, AuthError> {
    let mut values = headers.iter().filter(|(name, _)| **name == header::AUTHORIZATION).map(|(_, value)| value);
    let value = values.next().ok_or(AuthError::Missing)?.as_bytes();
    if values.next().is_some() {
        return Err(AuthError::Repeated);
    }
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(AuthError::Missing);
    }
    let token = token.trim_ascii();
    if token.len() > MAX_TOKEN {
        return Err(TokenError::TooLong.into());
    }
    let token = std::str::from_utf8(token).ok().filter(|token| is_token(token));
    Ok(token.ok_or(TokenError::Characters)?)
}

/// Whether a request has what can be a bearer token. Whether it is a good one is another question.
pub fn has_bearer(headers: &Headers) -> bool {
    bearer(headers).is_ok()
}

/// Whether a text can be a token.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<String, AuthError> {
        let mut headers = Headers::new();
        for value in values {
            headers.try_append("Authorization", value).unwrap();
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for value in ["Bearer a.b-c", "bearer a.b-c", "BEARER   a.b-c"] {
            assert_eq!(of(&[value]).unwrap(), "a.b-c");
        }
    }

    #[test]
    fn no_token_and_no_usable_token_are_told_apart() {
        let too_long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        let cases: [(&[&str], AuthError); 9] = [
            (&[], AuthError::Missing),
            (&["Basic YTpi"], AuthError::Missing),
            (&["Bearera"], AuthError::Missing),
            (&["Bearer a", "Bearer a"], AuthError::Repeated),
            (&["Bearer"], TokenError::Characters.into()),
            (&["Bearer a,Bearer b"], TokenError::Characters.into()),
            (&["Bearer a b"], TokenError::Characters.into()),
            (&["Bearer \u{e4}"], TokenError::Characters.into()),
            (&[&too_long], TokenError::TooLong.into()),
        ];
        for (values, error) in cases {
            assert_eq!(of(values), Err(error), "{values:?}");
        }
    }
}
