//! One invocation of a function.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use lambda_runtime::Context;

/// The longest a function can run.
const MAX_TIME: Duration = Duration::from_mins(15);

/// What Lambda says of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Its id.
    pub id: String,
    ends: Instant,
}

impl Invocation {
    pub(super) fn of(context: &Context, now: Timestamp) -> Self {
        Self { id: context.request_id.clone(), ends: Instant::now() + time_left(context.deadline, now) }
    }

    /// How long it goes on until it is stopped.
    pub fn time_left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }
}

/// How long it goes on; `deadline` is when the function is stopped, in milliseconds since 1970.
fn time_left(deadline: u64, now: Timestamp) -> Duration {
    let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Duration::from_millis(deadline.saturating_sub(now)).min(MAX_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_as_far_away_as_a_function_can_run_at_most() {
        let now = Timestamp::from_second(1_000).unwrap();
        assert_eq!(time_left(1_060_000, now), Duration::from_mins(1));
        assert_eq!(time_left(999_000, now), Duration::ZERO);
        assert_eq!(time_left(u64::MAX, now), MAX_TIME);
    }
}
