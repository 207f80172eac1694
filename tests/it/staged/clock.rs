//! A clock that a test moves. Each thread has its own.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};

thread_local! {
    static AHEAD: Cell<i64> = const { Cell::new(0) };
}

/// The time.
pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000 + AHEAD.get()).unwrap()
}

/// Ends all leases.
pub(super) fn end_leases() {
    AHEAD.set(AHEAD.get() + SignedDuration::from_hours(1).as_secs());
}
