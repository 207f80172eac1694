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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_2xx_is_delivered_and_410_disables() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(verdict(Some(status), None), Verdict::Delivered, "{status}");
        }
        assert_eq!(verdict(Some(410), Some(SECOND)), Verdict::Disable);
        for status in [100, 199, 300, 301, 302, 307, 308, 400, 401, 403, 404, 408, 409, 413, 429, 500, 502, 503, 599] {
            assert_eq!(verdict(Some(status), None), Verdict::Retry { after: None }, "{status}");
        }
        assert_eq!(verdict(Some(429), Some(SECOND)), Verdict::Retry { after: Some(SECOND) });
        assert_eq!(verdict(None, None), Verdict::Retry { after: None });
    }

    #[test]
    fn attempts_spread_over_a_day() {
        let waits: Vec<u64> = (0..=11).map_while(|made| Some(next_attempt(made, 0.5, None)?.as_secs())).collect();
        assert_eq!(waits, [0, 5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800]);
        assert_eq!(waits.iter().sum::<u64>(), 85_355);
        assert_eq!((next_attempt(11, 0.5, None), next_attempt(u32::MAX, 0.5, Some(SECOND))), (None, None));
    }

    #[test]
    fn a_wait_is_a_quarter_shorter_or_longer() {
        for (jitter, millis) in [(0.0, 3_750), (0.5, 5_000), (0.999_999, 6_249), (f64::NAN, 5_000), (-7.0, 5_000)] {
            assert_eq!(next_attempt(1, jitter, None).unwrap().as_millis(), millis, "{jitter}");
        }
    }

    #[test]
    fn an_endpoint_may_ask_for_a_longer_wait_of_a_day_at_most() {
        let after = |seconds| next_attempt(2, 0.5, Some(Duration::from_secs(seconds))).unwrap().as_secs();
        assert_eq!([0, 29, 31, 86_400, 86_401, u64::MAX].map(after), [30, 30, 31, 86_400, 86_400, 86_400]);
        assert_eq!(next_attempt(0, 0.5, Some(SECOND)), Some(Duration::ZERO));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "1994-11-06T08:49:07.5Z".parse().unwrap();
        let seconds = |value: &str| retry_after(value, now).map(|wait| wait.as_secs_f64());
        for (value, expected) in [
            ("0", Some(0.0)),
            (" 120 ", Some(120.0)),
            ("86401", Some(86_400.0)),
            ("99999999999999999999999", Some(86_400.0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(29.5)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(29.5)),
            ("Sun Nov  6 08:49:37 1994", Some(29.5)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0.0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None),
            ("Thu, 30 Dec 9999 21:59:59 GMT", Some(86_400.0)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ] {
            assert_eq!(seconds(value), expected, "{value}");
        }
    }
}
