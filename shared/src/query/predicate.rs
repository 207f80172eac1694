//! Tests entities: three-valued logic over bound operands.

use super::operand::Operand;
use crate::{
    edm::{Entity, Value},
    uri::{Function, Operator},
};

/// A `$filter` bound to a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    pub(super) condition: Condition,
    pub(super) ignore_case: bool,
}

/// A part of a filter that is true, false or unknown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare {
        operator: Operator,
        left: Operand,
        right: Operand,
    },
    Text {
        function: Function,
        text: Operand,
        part: Operand,
    },
    /// A Boolean value by itself.
    Value(Operand),
}

impl Predicate {
    /// Whether an entity of the type (or of one derived from it) is in. Unknown counts as not.
    pub fn matches(&self, entity: &Entity) -> bool {
        self.condition.test(entity, self.ignore_case) == Some(true)
    }
}

impl Condition {
    /// `None` is unknown (URL Conventions §5.1.1.1, logical operators and null).
    pub(super) fn test(&self, entity: &Entity, ignore_case: bool) -> Option<bool> {
        match self {
            Self::All(parts) => decide(parts, false, entity, ignore_case),
            Self::Any(parts) => decide(parts, true, entity, ignore_case),
            Self::Not(part) => part.test(entity, ignore_case).map(|is| !is),
            Self::Compare { operator, left, right } => {
                let (left, right) = (left.value(entity, ignore_case), right.value(entity, ignore_case));
                Some(compare(*operator, &left, &right))
            }
            Self::Text { function, text, part } => {
                let (text, part) = (text.value(entity, ignore_case), part.value(entity, ignore_case));
                let (Value::String(text), Value::String(part)) = (&*text, &*part) else { return None };
                Some(match function {
                    Function::Contains => text.contains(part),
                    Function::StartsWith => text.starts_with(part),
                    Function::EndsWith => text.ends_with(part),
                })
            }
            Self::Value(operand) => match &*operand.value(entity, ignore_case) {
                Value::Boolean(is) => Some(*is),
                _ => None,
            },
        }
    }
}

/// The value that one part is enough for; else unknown if any part is; else the opposite.
fn decide(parts: &[Condition], enough: bool, entity: &Entity, ignore_case: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match part.test(entity, ignore_case) {
            Some(is) if is == enough => return Some(enough),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!enough)
}

/// Comparisons are never unknown: null equals null alone and has no order.
fn compare(operator: Operator, left: &Value, right: &Value) -> bool {
    let order = || match (left, right) {
        (Value::Null, _) | (_, Value::Null) => None,
        _ => left.compare(right),
    };
    match operator {
        Operator::Eq => left.equals(right),
        Operator::Ne => !left.equals(right),
        Operator::Gt => order().is_some_and(std::cmp::Ordering::is_gt),
        Operator::Ge => order().is_some_and(std::cmp::Ordering::is_ge),
        Operator::Lt => order().is_some_and(std::cmp::Ordering::is_lt),
        Operator::Le => order().is_some_and(std::cmp::Ordering::is_le),
    }
}
