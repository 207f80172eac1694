//! `Edm.DateTimeOffset`: a point in time as its sender wrote it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use jiff::{Timestamp, ToSpan, civil, tz::Offset};

use super::primitive::TextError;
use super::primitive::time::{self, MAX_FRACTION_DIGITS};

const LIMIT: &str = "Edm.DateTimeOffset is from 0001-01-01T00:00Z to 9999-12-31T23:59:59Z";

/// Seconds from 0001-01-01 to 1970-01-01.
const SECONDS_TO_1970: i64 = 62_135_596_800;

/// A date, a time and an offset from UTC, with the precision they were written with.
///
/// Equality and order are those of the instant: `13:00+01:00` equals `12:00Z`. The text form is kept exactly.
#[derive(Clone, Copy, Debug)]
pub struct DateTimeOffset {
    local: civil::DateTime,
    /// Minutes ahead of UTC; `None` is `Z`.
    offset: Option<i16>,
    fraction_digits: u8,
    has_seconds: bool,
}

impl DateTimeOffset {
    /// Reads the rule `dateTimeOffsetValue`: years 0001 to 9999, up to 9 fraction digits (up to 12 when the last are
    /// zero). A leap second has no place on the time scale used here and is out of range.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let (date, rest) = text.split_once('T').ok_or(TextError::Malformed)?;
        let date = time::date(date)?;
        let sign = rest.find(['Z', '+', '-']).ok_or(TextError::Malformed)?;
        let (clock, offset_text) = rest.split_at(sign);
        let clock = time::time_of_day(clock)?;
        Ok(Self {
            local: date.to_datetime(clock.time),
            offset: offset(offset_text)?,
            fraction_digits: clock.fraction_digits,
            has_seconds: clock.has_seconds,
        })
    }

    /// An instant in UTC, cut to a number of fraction digits (at most 9).
    pub fn from_timestamp(instant: Timestamp, fraction_digits: u8) -> Self {
        let fraction_digits = fraction_digits.min(MAX_FRACTION_DIGITS);
        let local = Offset::UTC.to_datetime(instant);
        let unit = 10_i32.pow(u32::from(MAX_FRACTION_DIGITS - fraction_digits));
        let nanos = local.subsec_nanosecond() / unit * unit;
        let local = local.with().subsec_nanosecond(nanos).build().unwrap_or(local);
        Self { local, offset: None, fraction_digits, has_seconds: true }
    }

    /// The instant. [`Timestamp`] ends on 9999-12-30T22:00Z: later ones give its greatest value.
    pub fn instant(&self) -> Timestamp {
        let (seconds, nanos) = self.order();
        Timestamp::new(seconds - SECONDS_TO_1970, nanos).unwrap_or(Timestamp::MAX)
    }

    /// Date and time as written, without regard to the offset.
    pub fn local(&self) -> civil::DateTime {
        self.local
    }

    /// Minutes the written time is ahead of UTC.
    pub fn offset_minutes(&self) -> i16 {
        self.offset.unwrap_or(0)
    }

    /// Digits of the fraction of a second as written, 0 to 9.
    pub fn fraction_digits(&self) -> u8 {
        self.fraction_digits
    }

    /// Date and time in UTC; `None` past the year 9999.
    pub fn utc(&self) -> Option<civil::DateTime> {
        self.local.checked_sub(i64::from(self.offset_minutes()).minutes()).ok()
    }

    /// Seconds since 0001-01-01T00:00Z and nanoseconds: also for instants that [`Timestamp`] does not reach.
    fn order(&self) -> (i64, i32) {
        let (date, time) = (self.local.date(), self.local.time());
        let years = i64::from(date.year()) - 1;
        let days = years * 365 + years / 4 - years / 100 + years / 400 + i64::from(date.day_of_year()) - 1;
        let minutes = i64::from(time.hour()) * 60 + i64::from(time.minute()) - i64::from(self.offset_minutes());
        (days * 86_400 + minutes * 60 + i64::from(time.second()), time.subsec_nanosecond())
    }
}

/// Reads `Z`, `+HH:MM` or `-HH:MM`.
fn offset(text: &str) -> Result<Option<i16>, TextError> {
    match text.as_bytes() {
        [b'Z'] => Ok(None),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (time::two_digits(*h1, *h2)?, time::two_digits(*m1, *m2)?);
            if hours > 23 || minutes > 59 {
                return Err(TextError::OutOfRange(LIMIT));
            }
            let total = i16::from(hours) * 60 + i16::from(minutes);
            Ok(Some(if *sign == b'-' { -total } else { total }))
        }
        _ => Err(TextError::Malformed),
    }
}

impl std::str::FromStr for DateTimeOffset {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::parse(text)
    }
}

impl fmt::Display for DateTimeOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.local.date(), self.local.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())?;
        write!(f, "T{:02}:{:02}", time.hour(), time.minute())?;
        if self.has_seconds {
            write!(f, ":{:02}", time.second())?;
        }
        if self.fraction_digits > 0 {
            let unit = 10_i32.pow(u32::from(MAX_FRACTION_DIGITS - self.fraction_digits));
            write!(f, ".{:0width$}", time.subsec_nanosecond() / unit, width = self.fraction_digits.into())?;
        }
        let Some(offset) = self.offset else { return f.write_str("Z") };
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl PartialEq for DateTimeOffset {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for DateTimeOffset {}

impl PartialOrd for DateTimeOffset {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DateTimeOffset {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl Hash for DateTimeOffset {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.order().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_exactly() {
        for text in [
            "2020-12-17T13:20:26.873Z",
            "2020-12-17T13:20:26.8730000+02:00",
            "2012-09-03T13:52Z",
            "2012-09-03T14:53+00:00",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.9999999Z",
            "1999-12-31T23:59:59-23:59",
        ] {
            assert_eq!(DateTimeOffset::parse(text).map(|at| at.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn fractions_are_cut_after_nine_digits_when_the_rest_is_zero() {
        let at = DateTimeOffset::parse("2020-01-01T00:00:00.123456789000Z").unwrap();
        assert_eq!(at.to_string(), "2020-01-01T00:00:00.123456789Z");
        let error = DateTimeOffset::parse("2020-01-01T00:00:00.1234567891Z").unwrap_err();
        assert_eq!(error.to_string(), "out of range: at most 9 digits of a fraction of a second");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "2011-12-31T24:00Z",
            "2012-09-03T24:00-03:00",
            "INF",
            "2012-09-03T23%3A59Z",
            "2012-09-03T23:59+01%3A00",
            "2012-09-03T23:59+0100",
            "2012-09-03T23:59",
            "2012-09-03T23:59z",
            "2012-09-03 23:59Z",
            "0000-01-01T00:00Z",
            "-0001-01-01T00:00Z",
            "2023-02-29T00:00Z",
            "1972-06-30T23:59:60Z",
            "2012-09-03T23:59:59.Z",
            "2012-09-03T23:59+24:00",
        ] {
            assert!(DateTimeOffset::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn order_and_equality_are_those_of_the_instant() {
        let parse = |text| DateTimeOffset::parse(text).unwrap();
        assert_eq!(parse("2020-01-01T13:00:00+01:00"), parse("2020-01-01T12:00Z"));
        assert!(parse("2020-01-01T13:00:00+01:00") < parse("2020-01-01T12:00:00.001Z"));
        assert!(parse("9999-12-31T23:59:59Z") < parse("9999-12-31T23:59:59-01:00"));
        assert_eq!(parse("9999-12-31T23:59:59Z").instant(), Timestamp::MAX);
        let text = "2020-12-17T13:20:26.873+02:00";
        assert_eq!(parse(text).instant(), text.parse().unwrap());
    }

    #[test]
    fn a_timestamp_is_cut_to_the_digits() {
        let instant: Timestamp = "2020-12-17T13:20:26.8739Z".parse().unwrap();
        assert_eq!(DateTimeOffset::from_timestamp(instant, 3).to_string(), "2020-12-17T13:20:26.873Z");
        assert_eq!(DateTimeOffset::from_timestamp(instant, 0).to_string(), "2020-12-17T13:20:26Z");
    }
}
