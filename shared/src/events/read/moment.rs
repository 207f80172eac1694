//! When an event happened: the times that its members tell, and the one that counts.
//!
//! A payload tells its time twice, its envelope once more. The first one that can be read counts; where none has an offset,
//! the first of them is taken as UTC. Nothing is wrong with an event as long as there is one.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{Fault, error::MemberFault};

/// 0001-01-01, in seconds since 1970: the empty date of .NET. Nothing that is written down is older.
const FIRST: i64 = -62_135_596_800;
/// 1900-01-01, in seconds since 1970: the empty date of Finance & Operations.
const EMPTY_DATE: i64 = -2_208_988_800;
/// Length of a date without a time.
const DATE: usize = "0001-01-01".len();

/// The time that a member tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Moment {
    /// None: it is not there.
    #[default]
    Absent,
    /// None: it is an empty date.
    Empty,
    /// An instant.
    At(Timestamp),
    /// A time without offset: that instant if it is in UTC.
    Local(Timestamp),
    /// The text is no time.
    Wrong(Fault),
}

/// A member and its time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) member: &'static str,
    pub(super) moment: Moment,
}

impl Moment {
    /// Reads a time of RFC 3339, with an offset or without one, or `/Date(milliseconds since 1970)/`.
    pub(super) fn read(text: &str) -> Self {
        let local = || Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
        if let Some(at) = text.parse().ok().or_else(|| date(text)) {
            Self::of(at, Self::At)
        } else if let Some(at) = local().filter(|_| text.len() > DATE) {
            Self::of(at, Self::Local)
        } else {
            Self::Wrong(Fault::NoTime)
        }
    }

    fn of(at: Timestamp, kind: fn(Timestamp) -> Self) -> Self {
        // Compared as instants: seconds before 1970 are cut towards it.
        if Timestamp::from_second(FIRST).is_ok_and(|first| at < first) {
            return Self::Wrong(Fault::NoTime);
        }
        if [FIRST, EMPTY_DATE].contains(&at.as_second()) { Self::Empty } else { kind(at) }
    }
}

/// The time that counts among those told, and how it was found where that is not the first one. An error where there are
/// some, and none can be read.
pub(super) fn chosen(told: &[Told]) -> Result<(Option<Timestamp>, Option<String>), MemberFault> {
    let with_offset = told.iter().position(|told| matches!(told.moment, Moment::At(_)));
    let local = || told.iter().position(|told| matches!(told.moment, Moment::Local(_)));
    let Some(at) = with_offset.or_else(local) else {
        let wrong = |told: &Told| match told.moment {
            Moment::Wrong(what) => Some(MemberFault { member: told.member, what }),
            _ => None,
        };
        return told.iter().find_map(wrong).map_or(Ok((None, None)), Err);
    };
    let mut passed: Vec<String> = told.iter().take(at).filter_map(Told::why_not).collect();
    match told.get(at).map(|told| (told.member, told.moment)) {
        Some((_, Moment::At(at))) if passed.is_empty() => Ok((Some(at), None)),
        Some((member, Moment::At(at))) => {
            Ok((Some(at), Some(format!("{}: the time is that of {member}", passed.join(", ")))))
        }
        Some((member, Moment::Local(at))) => {
            passed.push(format!("{member} has no offset: it is taken as UTC"));
            Ok((Some(at), Some(passed.join(", "))))
        }
        _ => Ok((None, None)),
    }
}

impl Told {
    /// Why a time that is there does not count.
    fn why_not(&self) -> Option<String> {
        let Self { member, moment } = self;
        match moment {
            Moment::Absent | Moment::At(_) => None,
            Moment::Empty => Some(format!("{member} is the empty date")),
            Moment::Local(_) => Some(format!("{member} has no offset")),
            Moment::Wrong(what) => Some(format!("{member} {what}")),
        }
    }
}

/// The milliseconds are those since 1970 in UTC. An offset may follow; it only says where the sender was.
fn date(text: &str) -> Option<Timestamp> {
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    // The first character may be the sign of the number.
    let sign = inner.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at);
    let (number, offset) = inner.split_at_checked(sign.unwrap_or(inner.len()))?;
    let digits = offset.get(1..).unwrap_or_default();
    if !(offset.is_empty() || digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit())) {
        return None;
    }
    Timestamp::from_millisecond(number.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_milliseconds_since_1970_with_or_without_an_offset() {
        let at = |text: &str| date(text).map(|at| at.to_string());
        assert_eq!(at("/Date(1672408275000)/").unwrap(), "2022-12-30T13:51:15Z");
        assert_eq!(at("/Date(1672408275294+0000)/").unwrap(), "2022-12-30T13:51:15.294Z");
        assert_eq!(at("/Date(1672408275294-0800)/").unwrap(), "2022-12-30T13:51:15.294Z");
        assert_eq!(at("/Date(-1-0100)/").unwrap(), "1969-12-31T23:59:59.999Z");
        for text in [
            "",
            "/Date()/",
            "/Date(-)/",
            "/Date(1)",
            "Date(1)",
            "/Date(1.5)/",
            "/Date(1+1)/",
            "/Date(1+00:00)/",
            "/Date(99999999999999999)/",
            "/Date(1)//",
            "/Date(é)/",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_an_offset_or_not_or_are_empty_or_none() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let wrong = Moment::Wrong(Fault::NoTime);
        for (text, moment) in [
            ("2026-11-30T23:59:58Z", Moment::At(at("2026-11-30T23:59:58Z"))),
            ("2026-11-30T23:59:58.1234567+01:00", Moment::At(at("2026-11-30T22:59:58.1234567Z"))),
            ("2026-11-30T23:59:58", Moment::Local(at("2026-11-30T23:59:58Z"))),
            ("2026-11-30 23:59:58.5", Moment::Local(at("2026-11-30T23:59:58.5Z"))),
            ("0001-01-01T00:00:00", Moment::Empty),
            ("0001-01-01T00:00:00Z", Moment::Empty),
            ("1900-01-01T00:00:00", Moment::Empty),
            ("1900-01-01T00:00:00Z", Moment::Empty),
            ("/Date(-2208988800000)/", Moment::Empty),
            ("/Date(-62135596800000)/", Moment::Empty),
            ("/Date(1000)/", Moment::At(at("1970-01-01T00:00:01Z"))),
            ("2026-11-30", wrong),
            ("2026-11-31T00:00:00", wrong),
            ("1796083198", wrong),
            ("yesterday", wrong),
        ] {
            assert_eq!(Moment::read(text), moment, "{text}");
        }
    }
}
