//! `application/json` batches (JSON Format §19).

mod document;
mod object;
mod read;
mod write;

pub(super) use read::{read_requests, read_responses};
pub(super) use write::{close_responses, open_responses, push_response, write_requests};
