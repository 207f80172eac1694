//! Members of JSON objects, read as what they should be. A null is no member, and neither is an empty text.

use serde_json::{Map, Value};

use super::{Fault, error::MemberFault, kind_of, moment::Moment};
use crate::edm::{Object, PrimitiveType, integral};

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'j> {
    members: &'j Map<String, Value>,
    /// The object as it was sent: a number with a fraction or an exponent is exact there alone.
    text: &'j str,
}

impl<'j> Members<'j> {
    /// The members of an object, and its text.
    pub(super) fn new(members: &'j Map<String, Value>, text: &'j str) -> Self {
        Self { members, text }
    }

    /// Whether there is a member of that name, be it null.
    pub(super) fn has(self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A member that is there.
    pub(super) fn get(self, name: &str) -> Option<&'j Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// The text of a member. Of several with one name the last counts.
    pub(super) fn sent(self, name: &str) -> Option<&'j str> {
        let Object(members) = serde_json::from_str(self.text).ok()?;
        members.into_iter().rfind(|(other, _)| other == name).map(|(_, sent)| sent.get())
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

    /// A whole number, or the text of one; `5637144576.0` and `5.637144576e9` are one, too.
    pub(super) fn integer(self, member: &'static str) -> Result<Option<i64>, MemberFault> {
        let exact = |text: &str| integral(text, PrimitiveType::Int64).ok();
        let number = match self.get(member) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => exact(text),
            Some(Value::Number(number)) => number.as_i64().or_else(|| exact(self.sent(member)?)),
            Some(_) => None,
        };
        number.map(Some).ok_or(MemberFault { member, what: Fault::NoInteger })
    }

    /// A time, however it is written.
    pub(super) fn moment(self, member: &'static str) -> Moment {
        match self.text(member) {
            Ok(None) => Moment::Absent,
            Ok(Some(text)) => Moment::read(text),
            Err(MemberFault { what, .. }) => Moment::Wrong(what),
        }
    }
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
    fn texts_are_cut_between_characters() {
        assert_eq!(
            (cut("Zürich", 2), cut("Zürich", 6), cut("Zürich", 99)),
            ("Zü".into(), "Zürich".into(), "Zürich".into())
        );
        assert_eq!(cut("a", 0), "");
    }
}
