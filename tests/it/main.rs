//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what goes wrong in the set-up of a test is a failed test"
)]

mod call_budget;
mod edge;
mod rig;
