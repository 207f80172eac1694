mod faulty;
mod json;
mod multipart;
mod properties;
mod responses;
mod samples;

use bytes::Bytes;

use super::*;
use crate::batch::{BatchItem, Request};

fn boundary(text: &str) -> Envelope {
    Envelope::Multipart { boundary: Boundary::new(text).unwrap() }
}

fn multipart(text: &str) -> Result<BatchRequest, DecodeError> {
    decode(&boundary("b"), &Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
}

fn json(text: &str) -> Result<BatchRequest, DecodeError> {
    decode(&Envelope::Json, &Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
}

/// The requests, those of groups in their place.
fn requests(batch: &BatchRequest) -> Vec<&Request> {
    batch.items.iter().flat_map(BatchItem::requests).collect()
}

fn header_pairs(request: &Request) -> Vec<(&str, &str)> {
    request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[test]
fn a_body_over_the_limit_is_refused_unread() {
    let limits = Limits { body_bytes: 3, ..Limits::default() };
    let error = decode(&Envelope::Json, &Bytes::from_static(b"full"), &limits).unwrap_err();
    assert_eq!(error, DecodeError::BodyBytes { got: 4, max: 3 });
    assert_eq!(error.status(), 413);
}
