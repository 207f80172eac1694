//! Writing multipart batches. Clients find their way by exact bytes: CRLF, header spelling, one line a body.

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    batch::{BatchItem, BatchRequest, Headers, Request, RequestId, Response},
    wire::{Boundary, text},
};

/// The boundary of an answer; see [`crate::wire::Encoding::Multipart`].
pub(in crate::wire) fn boundary(key: Uuid) -> String {
    format!("batchresponse_{key}")
}

/// The boundary of the n-th change set of an answer, from 1.
pub(in crate::wire) fn set_boundary(key: Uuid, n: u128) -> String {
    format!("changesetresponse_{}", Uuid::from_u128(key.as_u128().wrapping_add(n)))
}

/// Writes a batch.
pub(in crate::wire) fn write_requests(batch: &BatchRequest, boundary: &Boundary) -> Bytes {
    let boundary = boundary.as_str();
    // The change sets' boundaries differ from the batch's.
    let prefix = if boundary.starts_with("changeset_") { "set_" } else { "changeset_" };
    let mut out = Vec::new();
    for (n, item) in batch.items.iter().enumerate() {
        match item {
            BatchItem::Single(one) => request(&mut out, boundary, one),
            BatchItem::Group(group) => {
                let inner = format!("{prefix}{n}");
                open_set(&mut out, boundary, &inner);
                for one in &group.requests {
                    request(&mut out, &inner, one);
                }
                close(&mut out, &inner);
            }
        }
    }
    close(&mut out, boundary);
    out.into()
}

/// Writes the answer to one request.
pub(in crate::wire) fn push_response(out: &mut Vec<u8>, boundary: &str, response: &Response) {
    open_message(out, boundary, response.id.as_ref());
    let reason = response.status.canonical_reason().unwrap_or_default();
    push(out, &["HTTP/1.1 ", response.status.as_str(), " ", reason, "\r\n"]);
    message_rest(out, &response.headers, &response.body);
}

fn request(out: &mut Vec<u8>, boundary: &str, request: &Request) {
    open_message(out, boundary, request.id.as_ref());
    push(out, &[request.method.as_str(), " ", &request.url, " HTTP/1.1\r\n"]);
    message_rest(out, &request.headers, &request.body);
}

fn open_message(out: &mut Vec<u8>, boundary: &str, id: Option<&RequestId>) {
    push(out, &["--", boundary, "\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"]);
    if let Some(id) = id {
        push(out, &["Content-ID: ", id.as_str(), "\r\n"]);
    }
    push(out, &["\r\n"]);
}

/// Headers, the empty line, the body, and the line end that belongs to the next delimiter.
fn message_rest(out: &mut Vec<u8>, headers: &Headers, body: &[u8]) {
    for (name, value) in headers.iter() {
        text::push_canonical(out, name);
        push(out, &[": "]);
        out.extend_from_slice(value.as_bytes());
        push(out, &["\r\n"]);
    }
    push(out, &["\r\n"]);
    out.extend_from_slice(body);
    push(out, &["\r\n"]);
}

/// Begins a change set.
pub(in crate::wire) fn open_set(out: &mut Vec<u8>, boundary: &str, inner: &str) {
    push(out, &["--", boundary, "\r\nContent-Type: multipart/mixed; boundary=", inner, "\r\n\r\n"]);
}

/// Ends a batch or a change set.
pub(in crate::wire) fn close(out: &mut Vec<u8>, boundary: &str) {
    push(out, &["--", boundary, "--\r\n"]);
}

fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}
