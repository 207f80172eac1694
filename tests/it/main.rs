//! The integration tests, in one binary.
#![expect(clippy::unwrap_used, reason = "what goes wrong in the set-up of a test is a failed test")]

mod batch_json;
mod batch_multipart;
mod captures;
mod documents;
mod edge;
mod envelope;
mod equivalence;
mod requests;
mod units;
mod writes;
