//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what goes wrong in the set-up of a test is a failed test"
)]

mod bank;
mod call_budget;
mod edge;
mod faults;
mod kill;
mod lost_answers;
mod rig;
mod soak;
mod too_large;
