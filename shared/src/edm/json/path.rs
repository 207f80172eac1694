//! The place of a value within a body, and the errors that name it alone.

use std::fmt;

use serde_json::value::RawValue;

use crate::edm::error::shorten;
use crate::edm::{StructuredType, ValueError};

/// The way from the body to a value; a text only when an error needs it.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    outer: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'p> {
    Root,
    Member(&'p str),
    Item(usize),
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Self = Self { outer: None, step: Step::Root };

    pub(super) fn member(&'p self, name: &'p str) -> Self {
        Self { outer: Some(self), step: Step::Member(name) }
    }

    pub(super) fn item(&'p self, at: usize) -> Self {
        Self { outer: Some(self), step: Step::Item(at) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.outer {
            outer.fmt(f)?;
            if !matches!(outer.step, Step::Root) {
                f.write_str("/")?;
            }
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Member(name) => f.write_str(name),
            Step::Item(at) => write!(f, "{at}"),
        }
    }
}

pub(super) fn wrong_type(path: &Path<'_>, expected: &str, raw: &RawValue) -> ValueError {
    ValueError::WrongType { property: path.to_string(), expected: expected.into(), got: shorten(raw.get()) }
}

pub(super) fn unknown(path: &Path<'_>, ty: &StructuredType) -> ValueError {
    ValueError::UnknownProperty { property: path.to_string(), type_name: ty.qualified_name.clone() }
}
