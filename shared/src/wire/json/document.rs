//! The outer object of a JSON batch, cut into members that point into its text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// `{"requests":[…]}`, or the same with `responses`.
pub(super) struct Document<'a> {
    /// The list's objects, up to the limit.
    pub(super) objects: Vec<Members<'a>>,
    /// How many it has.
    pub(super) total: usize,
}

/// Members an object may have, so that a body of tiny members takes no multiple of its size; more than any that is
/// valid has.
const MAX_MEMBERS: usize = 1_000;

/// Members of an object in order, their values unread. Annotations are left out.
#[derive(Default)]
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

/// Reads a [`Document`] in one pass.
#[derive(Clone, Copy)]
pub(super) struct Outer {
    /// `requests` or `responses`.
    pub(super) list: &'static str,
    /// Objects to keep.
    pub(super) max: usize,
}

/// Whether a member is an annotation: `@a.b` or `member@a.b`.
fn is_annotation(name: &str) -> bool {
    name.contains('@')
}

impl<'de> DeserializeSeed<'de> for Outer {
    type Value = Document<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Outer {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the array '{}'", self.list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut document = None;
        while let Some(Name(name)) = map.next_key()? {
            if name == self.list {
                if document.is_some() {
                    return Err(A::Error::custom(format_args!("'{name}' is given twice")));
                }
                document = Some(map.next_value_seed(List(self))?);
            } else if name.eq_ignore_ascii_case(self.list) {
                // To ignore it as others would lose whole requests.
                return Err(A::Error::custom(format_args!("'{name}' is not a member of a batch, '{}' is", self.list)));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        document.ok_or_else(|| A::Error::custom(format_args!("'{}' is missing", self.list)))
    }
}

struct List(Outer);

impl<'de> DeserializeSeed<'de> for List {
    type Value = Document<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the array '{}'", self.0.list)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        while objects.len() < self.0.max {
            let Some(object) = seq.next_element()? else { break };
            objects.push(object);
        }
        let mut total = objects.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            total += 1;
        }
        Ok(Document { objects, total })
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    if is_annotation(&name) {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    if members.len() == MAX_MEMBERS {
                        return Err(A::Error::custom(format_args!("an object has at most {MAX_MEMBERS} members")));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A string, borrowed unless it has escapes.
pub(super) struct Name<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.into())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
