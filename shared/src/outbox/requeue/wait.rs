//! How long until the next attempt. Pure.

use std::time::Duration;

use crate::events::{MAX_RETRY_AFTER, next_attempt};

/// After the first attempt: most of what passes has passed by then.
const FIRST: Duration = Duration::from_secs(1);

/// How long to wait after so many attempts; `None` when there have been enough, after 24 hours. From the second on, the
/// waits are those of deliveries after the first. `jitter` is a random number from 0 up to 1; `asked` is what the target
/// wants.
pub(super) fn next_call(made: u32, jitter: f64, asked: Option<Duration>) -> Option<Duration> {
    match made {
        0 | 1 => Some(FIRST.mul_f64(0.75 + jitter / 2.0).max(asked.unwrap_or_default().min(MAX_RETRY_AFTER))),
        more => next_attempt(more - 1, jitter, asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_spread_over_a_day_and_begin_with_a_second() {
        let waits: Vec<u64> = (1..=12).map_while(|made| Some(next_call(made, 0.5, None)?.as_secs())).collect();
        assert_eq!(waits, [1, 5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800]);
        assert_eq!((next_call(12, 0.5, None), next_call(u32::MAX, 0.5, None)), (None, None));
        let asked = |made, seconds| next_call(made, 0.5, Some(Duration::from_secs(seconds))).unwrap().as_secs();
        assert_eq!([asked(1, 7), asked(1, u64::MAX), asked(3, 7), asked(3, 70)], [7, 86_400, 30, 70]);
    }
}
