//! Dates, times of day and durations as text.

use std::fmt::Write;

use jiff::{SignedDuration, civil};

use super::TextError;

/// Digits of a second's fraction that are kept.
pub(crate) const MAX_FRACTION_DIGITS: u8 = 9;

const FRACTION_LIMIT: &str = "at most 9 digits of a fraction of a second";
const DATE_LIMIT: &str = "a day from 0001-01-01 to 9999-12-31";
const TIME_LIMIT: &str = "a time from 00:00 to 23:59:59.999999999";
const DURATION_LIMIT: &str = "Edm.Duration is below 2^63 seconds";
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A time of day with how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) time: civil::Time,
    pub(crate) has_seconds: bool,
    pub(crate) fraction_digits: u8,
}

/// Reads `YYYY-MM-DD`, years 0001 to 9999.
pub(crate) fn date(text: &str) -> Result<civil::Date, TextError> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return Err(TextError::Malformed) };
    let year = digits(&[*y1, *y2, *y3, *y4])?;
    let (month, day) = (two_digits(*m1, *m2)?, two_digits(*d1, *d2)?);
    if year == 0 {
        return Err(TextError::OutOfRange(DATE_LIMIT));
    }
    civil::Date::new(year, month, day).map_err(|_| TextError::OutOfRange(DATE_LIMIT))
}

/// Reads `HH:MM`, `HH:MM:SS` or `HH:MM:SS.f…`.
pub(crate) fn time_of_day(text: &str) -> Result<Clock, TextError> {
    let (hour, minute, rest) = match text.as_bytes() {
        [h1, h2, b':', m1, m2, rest @ ..] => (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?, rest),
        _ => return Err(TextError::Malformed),
    };
    let (second, fraction) = match rest {
        [] => (None, None),
        [b':', s1, s2] => (Some(two_digits(*s1, *s2)?), None),
        [b':', s1, s2, b'.', fraction @ ..] => (Some(two_digits(*s1, *s2)?), Some(fraction)),
        _ => return Err(TextError::Malformed),
    };
    let (nanos, fraction_digits) = fraction.map_or(Ok((0, 0)), nanoseconds)?;
    let time =
        civil::Time::new(hour, minute, second.unwrap_or(0), nanos).map_err(|_| TextError::OutOfRange(TIME_LIMIT))?;
    Ok(Clock { time, has_seconds: second.is_some(), fraction_digits })
}

/// Reads an ISO 8601 duration of days, hours, minutes and seconds: `-P6DT23H59M59.9999S`.
pub(crate) fn duration(text: &str) -> Result<SignedDuration, TextError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text),
    };
    let parts = unsigned.strip_prefix('P').ok_or(TextError::Malformed)?;
    let (days, times) = match parts.split_once('T') {
        Some((_, "")) => return Err(TextError::Malformed),
        Some((days, times)) => (days, times),
        None if parts.is_empty() => return Err(TextError::Malformed),
        None => (parts, ""),
    };
    let (days, rest) = component(days, 'D')?;
    if !rest.is_empty() {
        return Err(TextError::Malformed);
    }
    let (hours, rest) = component(times, 'H')?;
    let (minutes, rest) = component(rest, 'M')?;
    let (seconds, nanos) = seconds(rest)?;
    let whole = i128::from(days) * 86_400 + i128::from(hours) * 3600 + i128::from(minutes) * 60 + i128::from(seconds);
    let total = whole * NANOS_PER_SECOND + i128::from(nanos);
    from_nanoseconds(if negative { -total } else { total }).ok_or(TextError::OutOfRange(DURATION_LIMIT))
}

/// The text of a duration: days, hours, minutes and seconds, parts that are zero left out; `PT0S` for zero.
pub(crate) fn duration_text(duration: SignedDuration) -> String {
    let total = duration.as_nanos();
    let mut text = String::from(if total < 0 { "-P" } else { "P" });
    let (seconds, nanos) = (total.unsigned_abs() / 1_000_000_000, total.unsigned_abs() % 1_000_000_000);
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Writing to a String cannot fail.
    if days > 0 {
        let _ = write!(text, "{days}D");
    }
    if days == 0 && seconds == 0 && nanos == 0 {
        text.push_str("T0S");
    } else if hours + minutes + rest + nanos > 0 {
        text.push('T');
    }
    for (amount, unit) in [(hours, 'H'), (minutes, 'M')] {
        if amount > 0 {
            let _ = write!(text, "{amount}{unit}");
        }
    }
    if nanos > 0 {
        let fraction = format!("{nanos:09}");
        let _ = write!(text, "{rest}.{}S", fraction.trim_end_matches('0'));
    } else if rest > 0 {
        let _ = write!(text, "{rest}S");
    }
    text
}

/// The text of a time of day, with as few fraction digits as it needs.
pub(crate) fn time_text(time: civil::Time) -> String {
    let mut text = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if time.subsec_nanosecond() > 0 {
        let fraction = format!("{:09}", time.subsec_nanosecond());
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

/// The number of two digits.
pub(crate) fn two_digits(tens: u8, ones: u8) -> Result<i8, TextError> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        i8::try_from((tens - b'0') * 10 + (ones - b'0')).map_err(|_| TextError::Malformed)
    } else {
        Err(TextError::Malformed)
    }
}

fn digits(bytes: &[u8]) -> Result<i16, TextError> {
    bytes.iter().try_fold(0_i16, |number, byte| {
        if byte.is_ascii_digit() { Ok(number * 10 + i16::from(byte - b'0')) } else { Err(TextError::Malformed) }
    })
}

/// Nanoseconds and number of digits of a fraction of 1 to 12 digits, those after the ninth zero.
fn nanoseconds(fraction: &[u8]) -> Result<(i32, u8), TextError> {
    if fraction.is_empty() || fraction.len() > 12 || !fraction.iter().all(u8::is_ascii_digit) {
        return Err(TextError::Malformed);
    }
    if fraction.iter().skip(MAX_FRACTION_DIGITS.into()).any(|digit| *digit != b'0') {
        return Err(TextError::OutOfRange(FRACTION_LIMIT));
    }
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(MAX_FRACTION_DIGITS.into());
    let nanos = padded.fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
    let digits = u8::try_from(fraction.len()).unwrap_or(MAX_FRACTION_DIGITS).min(MAX_FRACTION_DIGITS);
    Ok((nanos, digits))
}

/// The number before `unit`, if the text has that unit, and what follows.
fn component(text: &str, unit: char) -> Result<(u64, &str), TextError> {
    match text.split_once(unit) {
        Some((number, rest)) => Ok((whole_number(number)?, rest)),
        None => Ok((0, text)),
    }
}

fn seconds(text: &str) -> Result<(u64, i32), TextError> {
    if text.is_empty() {
        return Ok((0, 0));
    }
    let number = text.strip_suffix('S').ok_or(TextError::Malformed)?;
    match number.split_once('.') {
        Some((whole, fraction)) => Ok((whole_number(whole)?, nanoseconds(fraction.as_bytes())?.0)),
        None => Ok((whole_number(number)?, 0)),
    }
}

fn whole_number(text: &str) -> Result<u64, TextError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TextError::Malformed);
    }
    text.parse().map_err(|_| TextError::OutOfRange(DURATION_LIMIT))
}

fn from_nanoseconds(total: i128) -> Option<SignedDuration> {
    let seconds = i64::try_from(total / NANOS_PER_SECOND).ok()?;
    let nanos = i32::try_from(total % NANOS_PER_SECOND).ok()?;
    Some(SignedDuration::new(seconds, nanos))
}
