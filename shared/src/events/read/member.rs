//! Members of JSON objects, read as what they should be. A null is no member, and neither is an empty text.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Fault, error::MemberFault, kind_of};

/// 0001-01-01, in seconds since 1970: nothing that is written down is older.
const FIRST: i64 = -62_135_596_800;
/// 1900-01-01, in seconds since 1970: the empty date of Finance & Operations.
const EMPTY_DATE: i64 = -2_208_988_800;

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'j>(pub(super) &'j Map<String, Value>);

impl<'j> Members<'j> {
    /// A member that is there.
    pub(super) fn get(self, name: &str) -> Option<&'j Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(self, member: &'static str) -> Result<Option<&'j str>, MemberFault> {
        let Some(value) = self.get(member) else { return Ok(None) };
        let text = value.as_str().ok_or(MemberFault { member, what: Fault::NoText { found: kind_of(value) } })?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    pub(super) fn needed_text(self, member: &'static str) -> Result<&'j str, MemberFault> {
        self.text(member)?.ok_or(MemberFault { member, what: Fault::Missing })
    }

    /// A text, cut to so many characters.
    pub(super) fn short_text(self, member: &'static str, max: usize) -> Result<String, MemberFault> {
        Ok(cut(self.text(member)?.unwrap_or_default(), max))
    }

    /// A number, or its digits as text.
    pub(super) fn integer(self, member: &'static str) -> Result<Option<i64>, MemberFault> {
        let number = match self.get(member) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_i64(),
        };
        number.map(Some).ok_or(MemberFault { member, what: Fault::NoInteger })
    }

    /// An instant in the text of RFC 3339.
    pub(super) fn time(self, member: &'static str) -> Result<Option<Timestamp>, MemberFault> {
        let Some(text) = self.text(member)? else { return Ok(None) };
        instant(member, text.parse().ok())
    }

    /// An instant as `/Date(milliseconds since 1970)/`.
    pub(super) fn date(self, member: &'static str) -> Result<Option<Timestamp>, MemberFault> {
        let Some(text) = self.text(member)? else { return Ok(None) };
        instant(member, date(text))
    }
}

/// An instant that was read; the empty date is none.
pub(super) fn instant(member: &'static str, read: Option<Timestamp>) -> Result<Option<Timestamp>, MemberFault> {
    // Compared as instants: seconds before 1970 are cut towards it.
    let writable = |at: &Timestamp| Timestamp::from_second(FIRST).is_ok_and(|first| *at >= first);
    let at = read.filter(writable).ok_or(MemberFault { member, what: Fault::NoTime })?;
    Ok(Some(at).filter(|at| at.as_second() != EMPTY_DATE))
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

/// The first characters of a text.
pub(super) fn cut(text: &str, max: usize) -> String {
    let end = text.char_indices().nth(max).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default().to_owned()
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
    fn texts_are_cut_between_characters() {
        assert_eq!(
            (cut("Zürich", 2), cut("Zürich", 6), cut("Zürich", 99)),
            ("Zü".into(), "Zürich".into(), "Zürich".into())
        );
        assert_eq!(cut("a", 0), "");
    }
}
