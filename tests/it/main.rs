//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what goes wrong in the set-up of a test is a failed test"
)]

mod bank;
mod batch_json;
mod batch_multipart;
mod call_budget;
mod captures;
mod documents;
mod envelope;
mod equivalence;
mod faults;
mod fuzz;
mod host;
mod kill;
mod lambda;
mod lost_answers;
mod requests;
mod rig;
mod soak;
mod strict;
mod too_large;
mod units;
mod writes;
