//! How long a retry waits.

use std::time::Duration;

use jiff::Timestamp;

/// Retry 1 waits `initial`, and each further one `factor` times as long as the one before, up to `cap`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Backoff {
    pub(super) initial: Duration,
    /// 1 or more.
    pub(super) factor: f64,
    pub(super) cap: Duration,
    /// The part of a wait, 0 to 1, that chance adds or takes away.
    pub(super) jitter: f64,
}

impl Backoff {
    /// Factor, cap and jitter where a rule does not say them.
    pub(super) const FACTOR: f64 = 2.0;
    pub(super) const CAP: Duration = Duration::from_hours(1);
    pub(super) const JITTER: f64 = 0.2;

    /// No wait at all.
    pub(super) const NONE: Self =
        Self { initial: Duration::ZERO, factor: Self::FACTOR, cap: Self::CAP, jitter: Self::JITTER };

    /// When retry number `retry` (1 is the first) is due. `chance` is a number from 0 (the shortest wait) to 1.
    pub(super) fn due(&self, retry: u32, from: Timestamp, chance: f64) -> Timestamp {
        let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = (self.initial.as_secs_f64() * self.factor.powi(exponent)).min(self.cap.as_secs_f64());
        let chance = if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.5 };
        let wait = wait * (1.0 + self.jitter * (2.0 * chance - 1.0));
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(self.cap);
        from.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HALF: f64 = 0.5;

    fn seconds(backoff: Backoff, retry: u32, chance: f64) -> i64 {
        backoff.due(retry, Timestamp::UNIX_EPOCH, chance).as_second()
    }

    #[test]
    fn waits_grow_up_to_the_cap() {
        let backoff = Backoff { initial: Duration::from_mins(1), ..Backoff::NONE };
        let waits = [1, 2, 3, 6, 7, 100, u32::MAX].map(|retry| seconds(backoff, retry, HALF));
        assert_eq!(waits, [60, 120, 240, 1920, 3600, 3600, 3600]);
        assert_eq!(seconds(backoff, 0, HALF), 60);
    }

    #[test]
    fn chance_moves_a_wait_by_its_part() {
        let backoff = Backoff { initial: Duration::from_secs(100), ..Backoff::NONE };
        assert_eq!([0.0, HALF, 1.0, 7.0, -1.0].map(|c| seconds(backoff, 1, c)), [80, 100, 120, 120, 80]);
        assert_eq!(seconds(backoff, 1, f64::NAN), 100);
    }

    #[test]
    fn without_a_wait_a_retry_is_due_at_once() {
        assert_eq!([1, 2, 50].map(|retry| seconds(Backoff::NONE, retry, 1.0)), [0, 0, 0]);
        assert_eq!(Backoff::NONE.due(1, Timestamp::MAX, HALF), Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_negative_and_never_far_over_the_cap(
            initial in 0..604_800_u64, factor in 1.0..10.0_f64, retry in any::<u32>(), chance in 0.0..1.0_f64,
        ) {
            let cap = Duration::from_secs(initial.max(60));
            let backoff = Backoff { initial: Duration::from_secs(initial), factor, cap, jitter: 1.0 };
            let wait = seconds(backoff, retry, chance);
            prop_assert!(wait >= 0 && wait <= 2 * i64::try_from(cap.as_secs()).unwrap(), "{}", wait);
        }
    }
}
