//! Values that conditions work on.

use std::borrow::Cow;

use super::predicate::Condition;
use crate::edm::{Entity, Value};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    /// A literal, typed; already folded when case is ignored.
    Literal(Value),
    /// Positions: a property, then properties nested in complex values.
    Property(Vec<usize>),
    /// The encoded key that a navigation property (by position) leads to.
    Lookup(usize),
    /// The outcome of a condition.
    Condition(Box<Condition>),
}

const NULL: Value = Value::Null;

impl Operand {
    /// The value for an entity; null where nothing is given.
    pub(super) fn value<'v>(&'v self, entity: &'v Entity, ignore_case: bool) -> Cow<'v, Value> {
        match self {
            Self::Literal(value) => Cow::Borrowed(value),
            Self::Property(path) => match property(entity, path) {
                Some(Value::String(text)) if ignore_case => Cow::Owned(Value::String(text.to_lowercase())),
                Some(value) => Cow::Borrowed(value),
                None => Cow::Borrowed(&NULL),
            },
            Self::Lookup(nav) => match entity.lookups.get(*nav) {
                Some(Some(key)) => Cow::Owned(Value::String(key.clone())),
                _ => Cow::Borrowed(&NULL),
            },
            Self::Condition(condition) => {
                Cow::Owned(condition.test(entity, ignore_case).map_or(Value::Null, Value::Boolean))
            }
        }
    }
}

fn property<'e>(entity: &'e Entity, path: &[usize]) -> Option<&'e Value> {
    let (first, nested) = path.split_first()?;
    let mut value = entity.record.values.get(*first)?.as_ref()?;
    for position in nested {
        let Value::Complex(record) = value else { return None };
        value = record.values.get(*position)?.as_ref()?;
    }
    Some(value)
}
