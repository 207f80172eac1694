//! Answers as bytes: those of handlers, and those that the server gives by itself.

use std::sync::Arc;

use ::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;
use shared::{
    batch::Headers,
    exchange::{Outgoing, Unread},
};

use crate::metrics::REFUSED;

use super::{
    budget::Room,
    connection::Connection,
    limits::{Limits, at_rate},
};

const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

/// The answer to a client whose connection is closed before its request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    TooSlow,
    Busy,
}

/// Counts an answer that the host gives before a service has the request.
fn count_refusal(status: StatusCode) {
    metrics::counter!(REFUSED, "status" => status.as_str().to_owned()).increment(1);
}

impl Told {
    /// Counts it.
    pub(super) fn count(self) {
        count_refusal(match self {
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        });
    }

    /// The whole answer.
    pub(super) fn bytes(self) -> Vec<u8> {
        let (status, code, message) = match self {
            Self::TooSlow => ("408 Request Timeout", "408", "the head of the request did not arrive in time"),
            Self::Busy => {
                ("503 Service Unavailable", "503", "the host has too much to do; nothing of the request was done")
            }
        };
        let body = error_body(code, message);
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nodata-version: 4.0\r\nretry-after: 1\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

/// An answer while it is written.
struct Written {
    bytes: Bytes,
    connection: Arc<Connection>,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.connection.answered();
    }
}

/// The answer to a request. `room` is that of its body, `unread` whether the client may still be sending.
pub(super) fn respond(
    outgoing: Outgoing,
    room: Option<Room>,
    unread: bool,
    connection: &Arc<Connection>,
    limits: &Limits,
) -> Response<Full<Bytes>> {
    let mut bytes = outgoing.body;
    connection.answers(limits.answer_time + at_rate(bytes.len(), limits.answer_rate), unread);
    if let Some(room) = room {
        bytes = room.hold(bytes);
    }
    // The server has the bytes until all are written, so their end is that of the answer.
    let body = Bytes::from_owner(Written { bytes, connection: Arc::clone(connection) });
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = outgoing.status;
    response.headers_mut().extend(outgoing.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    if unread {
        // The rest of the body is not read, so nothing can follow it.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The answer to a request whose body was not taken, of a server whose handler says nothing about that.
pub(super) fn unread(why: Unread) -> Outgoing {
    let status = match why {
        Unread::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Unread::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Unread::Broken => StatusCode::BAD_REQUEST,
        Unread::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut answer = plain_error(status, &why.to_string());
    if matches!(why, Unread::TooSlow | Unread::Busy) {
        answer.headers.append(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// An answer of the host before a service has the request; it is counted.
pub(crate) fn refusal(status: StatusCode, message: &str) -> Outgoing {
    count_refusal(status);
    plain_error(status, message)
}

/// The answer where a handler panicked.
pub(super) fn internal() -> Outgoing {
    plain_error(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}

/// An error of the server, not of a service: no profile applies.
fn plain_error(status: StatusCode, message: &str) -> Outgoing {
    let mut headers = Headers::new();
    for (name, value) in [(header::CONTENT_TYPE, "application/json"), (ODATA_VERSION, "4.0")] {
        headers.append(name, HeaderValue::from_static(value));
    }
    Outgoing { status, headers, body: Bytes::from(error_body(status.as_str(), message)) }
}

fn error_body(code: &str, message: &str) -> String {
    serde_json::json!({ "error": { "code": code, "message": message } }).to_string()
}
