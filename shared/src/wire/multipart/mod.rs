//! `multipart/mixed` batches (Protocol §11.7.7, RFC 2046 §5.1).

mod message;
mod parts;
mod read;
mod write;

pub(super) use read::{read_requests, read_responses};
pub(super) use write::{boundary, close, open_set, push_response, set_boundary, write_requests};
