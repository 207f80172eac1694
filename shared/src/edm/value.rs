//! Typed values, exact: nothing passes through a type that could change it.

use bigdecimal::BigDecimal;
use jiff::{SignedDuration, civil};
use uuid::Uuid;

use super::{DateTimeOffset, TypeId};

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
    /// Undeclared properties of an open type: name and JSON text, in the order given.
    pub dynamic: Vec<(String, Box<str>)>,
}
