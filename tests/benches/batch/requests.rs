//! Batches as clients write them.

use http::Method;
use shared::{
    batch::{BatchItem, BatchRequest, Format, Group, Headers, Request, RequestId},
    wire::{Boundary, Envelope},
};
use uuid::Uuid;

pub(super) fn envelopes() -> [(&'static str, Envelope); 2] {
    let boundary = Boundary::new("batch_bench").unwrap();
    [("json", Envelope::Json), ("multipart", Envelope::Multipart { boundary })]
}

pub(super) fn headers(pairs: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in pairs {
        headers.try_append(name, value).unwrap();
    }
    headers
}

pub(super) fn request(position: usize, method: Method, url: String, body: String) -> Request {
    let headers = if body.is_empty() { Headers::new() } else { headers(&[("content-type", "application/json")]) };
    let id = Some(RequestId::new(&(position + 1).to_string()).unwrap());
    Request { id, method, url, headers, body: body.into(), depends_on: Vec::new(), condition: None, fault: None }
}

pub(super) fn create(position: usize) -> Request {
    let id = Uuid::new_v4();
    let body = format!(
        "{{\"contactid\":\"{id}\",\"firstname\":\"Ada {position}\",\"lastname\":\"Lovelace\",\
         \"emailaddress1\":\"ada{position}@example.com\"}}"
    );
    request(position, Method::POST, "contacts".into(), body)
}

pub(super) fn creates(count: usize) -> Vec<Request> {
    (0..count).map(create).collect()
}

/// A batch of single requests, written as a client would.
pub(super) fn singles(requests: Vec<Request>, format: Format) -> BatchRequest {
    BatchRequest { format, items: requests.into_iter().map(BatchItem::Single).collect() }
}

/// A batch of one change set.
pub(super) fn change_set(requests: Vec<Request>, format: Format) -> BatchRequest {
    let name = (format == Format::Json).then(|| RequestId::new("g").unwrap());
    BatchRequest { format, items: vec![BatchItem::Group(Group { name, requests })] }
}

pub(super) fn format_of(envelope: &Envelope) -> Format {
    match envelope {
        Envelope::Json => Format::Json,
        Envelope::Multipart { .. } => Format::Multipart,
    }
}
