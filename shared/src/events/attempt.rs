//! Attempts to deliver: what an answer means, and when to try again (`reference/microsoft-wire.md` §2.7).

use std::time::Duration;

use jiff::Timestamp;

/// The longest wait that an endpoint may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Waits after the first attempt, the second and so on, in seconds: nearly 24 hours in all. A wait may be a quarter
/// shorter or longer.
const WAITS: [u64; 10] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800];

/// What an attempt means for the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Delivered,
    /// It is to be tried again.
    Retry {
        /// Not before, if the endpoint said so.
        after: Option<Duration>,
    },
    /// The endpoint is gone for good (410): it is to be switched off.
    Disable,
}

/// Judges an attempt: the status of the answer, `None` without an answer, and its [`retry_after`]. Only 2xx is success;
/// a redirection is none, for it is not followed.
pub fn verdict(status: Option<u16>, retry_after: Option<Duration>) -> Verdict {
    match status {
        Some(200..=299) => Verdict::Delivered,
        Some(410) => Verdict::Disable,
        _ => Verdict::Retry { after: retry_after },
    }
}

/// How long to wait for the next attempt after so many; `None` when there have been enough. `jitter` is a random number
/// from 0 up to 1; `retry_after` is what the last answer asked for, and is cut to [`MAX_RETRY_AFTER`].
pub fn next_attempt(attempts_made: u32, jitter: f64, retry_after: Option<Duration>) -> Option<Duration> {
    let Some(before) = attempts_made.checked_sub(1) else { return Some(Duration::ZERO) };
    let wait = Duration::from_secs(*WAITS.get(usize::try_from(before).ok()?)?);
    // What is outside, or no number, is the middle.
    let jitter = if (0.0..1.0).contains(&jitter) { jitter } else { 0.5 };
    let wait = wait.mul_f64(0.75 + jitter / 2.0);
    Some(wait.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)))
}

/// Reads `Retry-After`, a number of seconds or an HTTP date (RFC 9110 §10.2.3), cut to [`MAX_RETRY_AFTER`]. A date that
/// has passed is no wait; other texts are `None`.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a long time.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let date = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
        Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}
