//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what goes wrong in the set-up of a test is a failed test"
)]

mod fuzz;
mod host;
mod lambda;
mod strict;
