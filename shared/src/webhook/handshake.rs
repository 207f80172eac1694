//! `OPTIONS`: whether CloudEvents may be sent here (HTTP 1.1 Web Hooks for Event Delivery 1.0, §4;
//! `reference/microsoft-wire.md` §2.5).
//!
//! The answer is 200 in any case that is a question at all: what gives consent are the headers, not the status. A
//! `WebHook-Request-Callback` is never called: that would let whoever asks make this host send requests to hosts that
//! it can reach and they cannot. The consent is in the answer.

use bytes::Bytes;
use http::StatusCode;

use super::{authenticate::may_ask, error::Refusal};
use crate::{
    batch::Headers,
    exchange::{Incoming, Outgoing},
    policy::Source,
};

/// Answers the question of a sender.
pub(super) fn handshake(source: &Source, incoming: &Incoming) -> Result<Outgoing, Refusal> {
    may_ask(source, incoming)?;
    let origin = incoming.headers.get("webhook-request-origin").map(str::trim).filter(|origin| !origin.is_empty());
    let origin = origin.ok_or(Refusal::NoOrigin)?;
    let mut headers = Headers::new();
    let mut say = |name, value: &str| headers.try_append(name, value).map_err(|_| Refusal::NoOrigin);
    say("allow", "POST")?;
    if allows(&source.allowed_origins, origin) {
        say("webhook-allowed-origin", origin)?;
        say("webhook-allowed-rate", &source.allowed_rate.map_or_else(|| "*".to_owned(), |rate| rate.to_string()))?;
    }
    Ok(Outgoing { status: StatusCode::OK, headers, body: Bytes::new() })
}

/// Origins are host names, which have no case.
fn allows(allowed: &[String], origin: &str) -> bool {
    allowed.is_empty() || allowed.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
}
