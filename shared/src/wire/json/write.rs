//! Writing JSON batches. Member order is that of the services clients know.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::{
    batch::{BatchItem, BatchRequest, Headers, Request, RequestId, Response},
    wire::HeaderCase,
    wire::{
        envelope::BodyForm,
        text::{push_canonical, push_json_string, value_text},
    },
};

/// How an answer begins.
const OPENING: &[u8] = b"{\"responses\":[";

/// Begins an answer.
pub(in crate::wire) fn open_responses(out: &mut Vec<u8>) {
    out.extend_from_slice(OPENING);
}

/// Ends an answer.
pub(in crate::wire) fn close_responses(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}");
}

/// Writes a batch. A group without a name is given one.
pub(in crate::wire) fn write_requests(batch: &BatchRequest) -> Bytes {
    let mut out = b"{\"requests\":[".to_vec();
    let mut comma = Comma::default();
    for (n, item) in batch.items.iter().enumerate() {
        let (group, requests) = match item {
            BatchItem::Single(one) => (None, std::slice::from_ref(one)),
            BatchItem::Group(group) => {
                let name = group.name.as_ref().map_or_else(|| format!("group-{n}"), ToString::to_string);
                (Some(name), group.requests.as_slice())
            }
        };
        for one in requests {
            comma.push(&mut out);
            request(&mut out, one, group.as_deref());
        }
    }
    out.extend_from_slice(b"]}");
    out.into()
}

/// Writes the answer to one request.
pub(in crate::wire) fn push_response(
    out: &mut Vec<u8>,
    response: &Response,
    group: Option<&RequestId>,
    case: HeaderCase,
) {
    if out.len() > OPENING.len() {
        out.push(b',');
    }
    out.extend_from_slice(b"{\"id\":");
    match &response.id {
        Some(id) => push_json_string(out, id.as_str()),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(group) = group {
        string_member(out, "atomicityGroup", group.as_str());
    }
    out.extend_from_slice(b",\"status\":");
    out.extend_from_slice(response.status.as_str().as_bytes());
    out.extend_from_slice(b",\"headers\":");
    header_object(out, &response.headers, case);
    body_member(out, &response.headers, &response.body);
    out.push(b'}');
}

fn request(out: &mut Vec<u8>, request: &Request, group: Option<&str>) {
    out.extend_from_slice(b"{\"method\":");
    push_json_string(out, request.method.as_str());
    string_member(out, "url", &request.url);
    if let Some(id) = &request.id {
        string_member(out, "id", id.as_str());
    }
    if let Some(group) = group {
        string_member(out, "atomicityGroup", group);
    }
    if !request.depends_on.is_empty() {
        out.extend_from_slice(b",\"dependsOn\":[");
        let mut comma = Comma::default();
        for name in &request.depends_on {
            comma.push(out);
            push_json_string(out, name.as_str());
        }
        out.push(b']');
    }
    if let Some(condition) = &request.condition {
        string_member(out, "if", condition);
    }
    if !request.headers.is_empty() {
        out.extend_from_slice(b",\"headers\":");
        header_object(out, &request.headers, HeaderCase::Lower);
    }
    body_member(out, &request.headers, &request.body);
    out.push(b'}');
}

fn string_member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    push_json_string(out, name);
    out.push(b':');
    push_json_string(out, value);
}

/// An object cannot repeat a name: the values of a repeated header are joined by commas (RFC 9110 §5.3).
fn header_object(out: &mut Vec<u8>, headers: &Headers, case: HeaderCase) {
    out.push(b'{');
    let mut comma = Comma::default();
    for (n, (name, value)) in headers.iter().enumerate() {
        if headers.iter().take(n).any(|(earlier, _)| earlier == name) {
            continue;
        }
        comma.push(out);
        header_name(out, name, case);
        let others = headers.iter().skip(n + 1).filter(|(other, _)| *other == name).map(|(_, value)| value);
        header_value(out, value, others);
    }
    out.push(b'}');
}

fn header_name(out: &mut Vec<u8>, name: &HeaderName, case: HeaderCase) {
    out.push(b'"');
    match case {
        HeaderCase::Lower => out.extend_from_slice(name.as_str().as_bytes()),
        HeaderCase::Canonical => push_canonical(out, name),
    }
    out.extend_from_slice(b"\":");
}

fn header_value<'a>(out: &mut Vec<u8>, first: &HeaderValue, others: impl Iterator<Item = &'a HeaderValue>) {
    let mut text = value_text(first);
    for value in others {
        text = format!("{text}, {}", value_text(value)).into();
    }
    push_json_string(out, &text);
}

fn body_member(out: &mut Vec<u8>, headers: &Headers, body: &[u8]) {
    if body.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"body\":");
    match BodyForm::of(headers.get("content-type")) {
        BodyForm::Json => out.extend_from_slice(body),
        BodyForm::Text => push_json_string(out, &String::from_utf8_lossy(body)),
        BodyForm::Base64 => {
            let start = out.len() + 1;
            out.push(b'"');
            out.resize(start + base64::encoded_len(body.len(), false).unwrap_or_default(), 0);
            // The room is exactly the encoded length, so all of it is written.
            let written = out.get_mut(start..).and_then(|room| URL_SAFE_NO_PAD.encode_slice(body, room).ok());
            out.truncate(start + written.unwrap_or_default());
            out.push(b'"');
        }
    }
}

/// Writes a comma before every element but the first.
#[derive(Default)]
struct Comma {
    needed: bool,
}

impl Comma {
    fn push(&mut self, out: &mut Vec<u8>) {
        if self.needed {
            out.push(b',');
        }
        self.needed = true;
    }
}
