//! The table of refusals: what each is over HTTP.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{answer, authenticate::Denied};
use crate::{
    auth::AuthError,
    cors::ForeignOrigin,
    events::{EventFault, ReadError},
    exchange::{Outgoing, Unread},
    store::StoreError,
};

/// One token is good for all that a host offers.
const REALM: &str = "Bearer realm=\"rebatch\"";
/// How soon a sender may come again when the table did not answer.
const SOON: Duration = Duration::from_secs(1);
/// Faults that are named to a sender none of whose events can be read.
const NAMED: usize = 5;

/// Why nothing of a request is kept, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is no source of this name")]
    NoSource,
    #[error("this host takes no events from this source, because its authentication is \"none\"")]
    LeftOut,
    #[error(transparent)]
    Foreign(#[from] ForeignOrigin),
    #[error("events are sent by POST, and whether they may be is asked by OPTIONS")]
    Method,
    #[error("WebHook-Request-Origin is needed: who asks whether it may send events?")]
    NoOrigin,
    #[error(transparent)]
    Unread(#[from] Unread),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{}", named(.0))]
    NoEvents(Vec<EventFault>),
    /// The text for the sender says nothing of the table.
    #[error("the events are not written down: send them again")]
    Store(#[from] StoreError),
    #[error("the events were not written down in time: send them again")]
    Late,
}

impl Refusal {
    pub(super) fn to_outgoing(&self) -> Outgoing {
        let (status, code) = self.row();
        answer::error(status, code, &self.to_string(), self.header())
    }

    pub(super) fn status(&self) -> StatusCode {
        self.row().0
    }

    /// What the answer and the log call it.
    pub(super) fn code(&self) -> &'static str {
        self.row().1
    }

    /// What the log says about it besides. All others are told by their code, or may quote the sender.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.to_string()),
            Self::Denied(_) | Self::NoEvents(_) | Self::Late => Some(self.to_string()),
            _ => None,
        }
    }

    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unread(Unread::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
            Self::NoSource | Self::LeftOut => (StatusCode::NOT_FOUND, "NotFound"),
            Self::Foreign(_) => (StatusCode::FORBIDDEN, "ForeignOrigin"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::NoOrigin
            | Self::NoEvents(_)
            | Self::Unread(Unread::Broken)
            | Self::Read(ReadError::NotJson { .. } | ReadError::NoEvent { .. }) => {
                (StatusCode::BAD_REQUEST, "BadRequest")
            }
            Self::Unread(Unread::TooLong { .. }) | Self::Read(ReadError::TooMany { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "TooLarge")
            }
            Self::Read(ReadError::UnsupportedType(_) | ReadError::UnsupportedCoding(_)) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType")
            }
            Self::Denied(Denied::Bearer(AuthError::NoKeys { .. }))
            | Self::Unread(Unread::Busy)
            | Self::Store(_)
            | Self::Late => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::Denied(_) => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        }
    }

    /// The header that a status needs.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let after = |wait: Duration| Some((header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1))));
        match self {
            Self::Method => Some((header::ALLOW, HeaderValue::from_static("POST, OPTIONS"))),
            Self::Unread(Unread::TooSlow | Unread::Busy) | Self::Store(_) | Self::Late => after(SOON),
            Self::Denied(Denied::Bearer(AuthError::NoKeys { retry_after })) => after(*retry_after),
            Self::Denied(denied) => Some((header::WWW_AUTHENTICATE, challenge(denied)?)),
            _ => None,
        }
    }
}

/// What a sender with a bearer token has to do to be let in (RFC 6750 §3).
fn challenge(denied: &Denied) -> Option<HeaderValue> {
    let text = match denied {
        Denied::Bearer(AuthError::Missing) => REALM.to_owned(),
        Denied::Bearer(error @ AuthError::Repeated) => described("invalid_request", error),
        Denied::Bearer(error) => described("invalid_token", error),
        Denied::Caller => described("invalid_token", denied),
        Denied::Unsigned(_) | Denied::Id(_) | Denied::Signature { .. } | Denied::Secret => return None,
    };
    HeaderValue::try_from(text).ok()
}

/// The texts have no quotes.
fn described(error: &str, description: &dyn std::error::Error) -> String {
    format!("{REALM}, error=\"{error}\", error_description=\"{description}\"")
}

/// The first faults of a request.
fn named(faults: &[EventFault]) -> String {
    let mut texts: Vec<String> = faults.iter().take(NAMED).map(ToString::to_string).collect();
    if let Some(more @ 1..) = faults.len().checked_sub(NAMED) {
        texts.push(format!("and {more} more"));
    }
    format!("the request has no event that can be read: {}", texts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TokenError;

    fn shown(refusal: impl Into<Refusal>) -> (u16, Vec<String>, String) {
        let answer = refusal.into().to_outgoing();
        let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        (answer.status.as_u16(), headers.skip(1).collect(), String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let bearer = |error| Denied::Bearer(AuthError::Token(error));
        let cases: [(Refusal, u16, &str); 8] = [
            (Refusal::Method, 405, "allow: POST, OPTIONS"),
            (StoreError::Unavailable("throttled".into()).into(), 503, "retry-after: 1"),
            (Refusal::Late, 503, "retry-after: 1"),
            (Denied::Bearer(AuthError::Missing).into(), 401, "www-authenticate: Bearer realm=\"rebatch\""),
            (
                bearer(TokenError::Expired).into(),
                401,
                "www-authenticate: Bearer realm=\"rebatch\", error=\"invalid_token\", \
                 error_description=\"the token has expired\"",
            ),
            (
                Denied::Caller.into(),
                401,
                "www-authenticate: Bearer realm=\"rebatch\", error=\"invalid_token\", \
                 error_description=\"the caller is none of those of the source\"",
            ),
            (Denied::Bearer(AuthError::NoKeys { retry_after: Duration::from_secs(7) }).into(), 503, "retry-after: 7"),
            (Denied::Secret.into(), 401, ""),
        ];
        for (refusal, status, header) in cases {
            let (got, headers, _) = shown(refusal);
            assert_eq!((got, headers.join("")), (status, header.to_owned()));
        }
    }

    #[test]
    fn nothing_of_the_table_is_told() {
        let (_, _, body) = shown(StoreError::Refused("arn:aws:dynamodb".into()));
        assert_eq!(
            body,
            r#"{"error":{"code":"ServiceUnavailable","message":"the events are not written down: send them again"}}"#
        );
    }
}
