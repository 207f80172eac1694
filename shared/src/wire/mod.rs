//! Bytes of a batch ⇄ [`crate::batch`], in both formats (OData 4.01 Protocol §11.7, JSON Format §19).
//!
//! Liberal in what is read, exact in what is written. Reading is linear in the size of the body, copies no inner body
//! that stands in it as it is, and checks the whole batch before anything of it can run.
//!
//! # A batch, or one request of it
//!
//! Where the headers of a batch are right its answer is 200, whatever is wrong with its requests (Protocol §11.7.1). Where
//! a service keeps to that ([`Limits::faulty_request_fails_alone`]), a request that cannot be read becomes one with a
//! [`crate::batch::Request::fault`] in its place: it fails with its change set or group, and the others run. What makes the
//! answers, their order or the limits uncertain refuses the batch as a whole:
//!
//! | | alone | the batch as a whole |
//! |---|---|---|
//! | multipart | headers, type or `Content-ID` of a part; line or headers of its request; a change set in a change set; an id that an earlier part has (references mean the first) | delimiters that are missing, of the batch or of a change set; no parts |
//! | JSON | `method`, `url`, `headers`, `body`, `if` | no JSON; `id`, `atomicityGroup` or `dependsOn`: malformed, given twice, split, forward, circular or unknown |
//! | both | the length of a URL, the headers of a request | bytes, operations, operations of a change set |

mod envelope;
mod error;
mod json;
mod limits;
mod multipart;
mod names;
mod text;
mod writer;

use bytes::Bytes;
use serde::Deserialize;
use uuid::Uuid;

pub use envelope::{Boundary, BoundaryError, Envelope};
pub use error::{DecodeError, DependencyFault, Fault, Position};
pub use limits::Limits;
pub use writer::{Mark, Writer};

use crate::batch::{BatchRequest, BatchResponse};

/// Spelling of header names in JSON answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderCase {
    /// `content-type`
    Lower,
    /// `Content-Type`
    Canonical,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    Json {
        /// Spelling of header names.
        header_case: HeaderCase,
    },
    /// `multipart/mixed`
    Multipart {
        /// A fresh key: the batch's boundary has it, those of the change sets the ones after it.
        key: Uuid,
        /// Members of groups stand among the others, as the answer to a JSON batch wants it (Protocol §11.7.7.5).
        flat: bool,
    },
}

/// A written batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Value of `Content-Type`.
    pub content_type: String,
    /// Body.
    pub body: Bytes,
}

/// Reads a batch and checks it as a whole: structure, limits, ids, groups, dependencies.
pub fn decode(envelope: &Envelope, body: &Bytes, limits: &Limits) -> Result<BatchRequest, DecodeError> {
    if body.len() > limits.body_bytes {
        return Err(DecodeError::BodyBytes { got: body.len(), max: limits.body_bytes });
    }
    match envelope {
        Envelope::Json => json::read_requests(body, limits),
        Envelope::Multipart { boundary } => multipart::read_requests(boundary, body, limits),
    }
}

/// Reads the answer to a batch, as a client does. Limits do not apply.
pub fn decode_response(envelope: &Envelope, body: &Bytes) -> Result<BatchResponse, DecodeError> {
    match envelope {
        Envelope::Json => json::read_responses(body),
        Envelope::Multipart { boundary } => multipart::read_responses(boundary, body),
    }
}

/// Writes the answer to a batch as a whole.
pub fn encode(response: &BatchResponse, encoding: Encoding) -> Encoded {
    let mut writer = Writer::new(encoding, response.items.len());
    response.items.iter().for_each(|item| writer.item(item));
    writer.finish()
}

/// Writes a batch, as a client does.
///
/// Multipart has no place for group names, dependencies and conditions; they are left out. The bodies must not hold a
/// line that is a delimiter, and in JSON must be what their `content-type` says.
pub fn write_request(batch: &BatchRequest, envelope: &Envelope) -> Bytes {
    match envelope {
        Envelope::Json => json::write_requests(batch),
        Envelope::Multipart { boundary } => multipart::write_requests(batch, boundary),
    }
}

#[cfg(test)]
mod tests;
