//! What a sender is told.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{batch::Headers, events::id_text, exchange::Outgoing, ledger::Recorded};

/// The answer to Event Grid's question. Only a 200 with the code is consent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Validation<'a> {
    validation_response: &'a str,
}

#[derive(Serialize)]
struct Events<'a> {
    events: Vec<Decided<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decided<'a> {
    event_id: String,
    decision: &'static str,
    rule: Option<&'a str>,
    reason: &'a str,
    /// Whether it had come before. What is decided is then what was decided at that time.
    duplicate: bool,
}

/// An error as OData has it (JSON Format §21.1).
#[derive(Serialize)]
struct Error<'a> {
    error: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    code: &'a str,
    message: &'a str,
}

/// 200 with the code that Event Grid sent.
pub(super) fn validation(code: &str) -> Outgoing {
    json(StatusCode::OK, &Validation { validation_response: code })
}

/// 200 with what was decided about the events of a request, in their order.
pub(super) fn recorded(events: &[Recorded]) -> Outgoing {
    let events = events.iter().map(|recorded| Decided {
        event_id: id_text(recorded.event_id),
        decision: recorded.decision.name(),
        rule: recorded.rule.as_deref(),
        reason: &recorded.reason,
        duplicate: recorded.duplicate,
    });
    json(StatusCode::OK, &Events { events: events.collect() })
}

/// An error, with the header that goes with it.
pub(super) fn error(
    status: StatusCode,
    code: &str,
    message: &str,
    extra: Option<(HeaderName, HeaderValue)>,
) -> Outgoing {
    let mut answer = json(status, &Error { error: Message { code, message } });
    if let Some((name, value)) = extra {
        answer.headers.append(name, value);
    }
    answer
}

fn json(status: StatusCode, value: &impl Serialize) -> Outgoing {
    let mut headers = Headers::new();
    headers.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    // Texts in structs: there is nothing that cannot be written.
    let body = serde_json::to_vec(value).map_or_else(|_| Bytes::new(), Bytes::from);
    Outgoing { status, headers, body }
}
