//! Typed values, exact: nothing passes through a type that could change it.

use std::cmp::Ordering;

use bigdecimal::{BigDecimal, ToPrimitive};
use jiff::{SignedDuration, civil};
use uuid::Uuid;

use super::primitive::{binary_text, number, time};
use super::{DateTimeOffset, Model, PropertyType, TypeId, TypeKind};

/// A value of a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `Edm.Boolean`
    Boolean(bool),
    /// `Edm.SByte`, `Byte`, `Int16`, `Int32`, `Int64`
    Integer(i64),
    /// `Edm.Decimal`, with the scale it was given
    Decimal(BigDecimal),
    /// `Edm.Double` and `Edm.Single`
    Double(f64),
    /// `Edm.String`
    String(String),
    /// `Edm.Guid`
    Guid(Uuid),
    /// `Edm.Date`
    Date(civil::Date),
    /// `Edm.DateTimeOffset`
    DateTimeOffset(DateTimeOffset),
    /// `Edm.TimeOfDay`
    TimeOfDay(civil::Time),
    /// `Edm.Duration`
    Duration(SignedDuration),
    /// `Edm.Binary`
    Binary(Vec<u8>),
    /// An enumeration value: its number (flags are or-ed).
    Enum(i64),
    /// An instance of a complex type.
    Complex(Box<Record>),
    /// A collection.
    Collection(Vec<Value>),
    /// Geo and untyped values, values of undeclared properties: the JSON text.
    Json(Box<str>),
}

/// The values of a structured type's properties.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The type, which may derive from the declared one.
    pub ty: TypeId,
    /// One slot a property, in the type's order; `None` = not given.
    pub values: Vec<Option<Value>>,
    /// Undeclared properties of an open type: names and values, in the order given.
    pub dynamic: Vec<(String, Dynamic)>,
}

/// The value of an undeclared property of an open type.
#[derive(Clone, Debug, PartialEq)]
pub enum Dynamic {
    /// JSON text, whose type follows from what it is.
    Json(Box<str>),
    /// A value of a type that was stated.
    Typed(Box<TypedDynamic>),
}

/// A value with its type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedDynamic {
    /// Name of the type: `Edm.Date`, `Collection(NS.Color)`.
    pub name: Box<str>,
    /// The type.
    pub ty: PropertyType,
    /// The value.
    pub value: Value,
}

impl Record {
    /// A record of a type with no value given.
    pub fn new(model: &Model, ty: TypeId) -> Self {
        Self { ty, values: vec![None; model.ty(ty).properties.len()], dynamic: Vec::new() }
    }

    /// A record of a type with these values; names that the type does not have are left out.
    pub fn of<'n>(model: &Model, ty: TypeId, values: impl IntoIterator<Item = (&'n str, Value)>) -> Self {
        let mut record = Self::new(model, ty);
        for (name, value) in values {
            let at = model.ty(ty).property(name);
            if let Some(slot) = at.and_then(|at| record.values.get_mut(at)) {
                *slot = Some(value);
            }
        }
        record
    }

    /// The value of a declared property, if given.
    pub fn get(&self, model: &Model, name: &str) -> Option<&Value> {
        self.values.get(model.ty(self.ty).property(name)?)?.as_ref()
    }
}

impl Value {
    /// Order of two values of the same kind; numbers of any kind are compared exactly, except that a Double makes the
    /// other side a Double. `None` for null, NaN, values without order and values of different kinds.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) | (Self::Enum(a), Self::Enum(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Decimal(b)) => Some(BigDecimal::from(*a).cmp(b)),
            (Self::Decimal(a), Self::Integer(b)) => Some(a.cmp(&BigDecimal::from(*b))),
            (Self::Decimal(a), Self::Decimal(b)) => Some(a.cmp(b)),
            (Self::Double(_), _) | (_, Self::Double(_)) => self.to_double()?.partial_cmp(&other.to_double()?),
            (Self::String(a), Self::String(b)) => Some(a.cmp(b)),
            (Self::Guid(a), Self::Guid(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::DateTimeOffset(a), Self::DateTimeOffset(b)) => Some(a.cmp(b)),
            (Self::TimeOfDay(a), Self::TimeOfDay(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Binary(a), Self::Binary(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// `eq` of OData (URL Conventions §5.1.1.1.1): null equals null, complex values and collections are equal member
    /// by member, everything else as [`Self::compare`] says.
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Json(a), Self::Json(b)) => a == b,
            (Self::Complex(a), Self::Complex(b)) => a.equals(b),
            (Self::Collection(a), Self::Collection(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// A number as a Double, rounded to the nearest.
    #[expect(clippy::cast_precision_loss, reason = "the other side is a Double already")]
    pub fn to_double(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Decimal(number) => number.to_f64(),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// The text of a primitive or enumeration value without quotes and prefixes: what the `…Value` rules of the ABNF
    /// describe. `None` for null, complex values, collections and JSON.
    pub fn text(&self, model: &Model, ty: &PropertyType) -> Option<String> {
        Some(match self {
            Self::Null | Self::Complex(_) | Self::Collection(_) | Self::Json(_) => return None,
            Self::Boolean(flag) => flag.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Decimal(exact) => number::decimal_text(exact, ty.scale),
            Self::Double(number) => number::double_text(*number, ty.is_single()),
            Self::String(text) => text.clone(),
            Self::Guid(guid) => guid.hyphenated().to_string(),
            Self::Date(date) => date.to_string(),
            Self::DateTimeOffset(at) => at.to_string(),
            Self::TimeOfDay(time) => time::time_text(*time),
            Self::Duration(duration) => time::duration_text(*duration),
            Self::Binary(bytes) => binary_text(bytes),
            Self::Enum(number) => match ty.kind {
                TypeKind::Enum(id) => model.enumeration(id).text(*number),
                _ => number.to_string(),
            },
        })
    }
}

impl Record {
    fn equals(&self, other: &Self) -> bool {
        let same = |a: &Option<Value>, b: &Option<Value>| {
            a.as_ref().unwrap_or(&Value::Null).equals(b.as_ref().unwrap_or(&Value::Null))
        };
        self.ty == other.ty
            && self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|(a, b)| same(a, b))
            && self.dynamic == other.dynamic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_exactly() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let big = Value::Integer(i64::MAX);
        assert_eq!(big.compare(&decimal("9223372036854775807.0")), Some(Ordering::Equal));
        assert_eq!(decimal("9223372036854775807.1").compare(&big), Some(Ordering::Greater));
        assert_eq!(decimal("1.50").compare(&decimal("1.5")), Some(Ordering::Equal));
        assert_eq!(Value::Double(0.5).compare(&decimal("0.5")), Some(Ordering::Equal));
        assert_eq!(Value::Integer(1).compare(&Value::Double(f64::NAN)), None);
    }

    #[test]
    fn null_equals_null_and_has_no_order() {
        assert!(Value::Null.equals(&Value::Null));
        assert!(!Value::Null.equals(&Value::Integer(0)));
        assert_eq!(Value::Null.compare(&Value::Null), None);
    }

    #[test]
    fn values_of_different_kinds_have_no_order() {
        assert_eq!(Value::String("1".into()).compare(&Value::Integer(1)), None);
        assert!(!Value::Boolean(true).equals(&Value::Integer(1)));
    }

    #[test]
    fn collections_are_equal_item_by_item() {
        let one = Value::Collection(vec![Value::Integer(1), Value::Null]);
        let same = Value::Collection(vec![Value::Double(1.0), Value::Null]);
        assert!(one.equals(&same));
        assert!(!one.equals(&Value::Collection(vec![Value::Integer(1)])));
    }
}
