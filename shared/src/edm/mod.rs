//! The entity data model of a service: types, entity sets, typed values.
//!
//! OData CSDL 4.01. Built once at start from a CSDL document ([`Model::from_csdl`]) and immutable from then on;
//! everything refers to types by index, so a request touches no string table.

mod csdl;
mod date_time;
mod entity;
mod error;
mod json;
mod key;
mod literal;
mod model;
mod primitive;
#[cfg(test)]
mod sample;
mod value;

pub use csdl::{CsdlError, CsdlProblem};
pub use date_time::DateTimeOffset;
pub use entity::{ETag, Entity, Incarnation, Version};
pub use error::ValueError;
pub(crate) use json::Object;
pub use json::{
    Bind, EntityPayload, Format, Nested, Numbers, Types, read_entity, read_property, read_reference, write_dynamic,
    write_record, write_value,
};
pub use key::{EntityKey, KeyError};
pub use literal::{parse_literal, write_literal, write_raw};
pub use model::{
    Action, AlternateKey, Capabilities, EntitySet, EnumId, EnumMember, EnumType, Model, NavigationProperty, Property,
    PropertyType, SetId, Stream, StructuredType, TypeId, TypeKind,
};
pub(crate) use primitive::number::integral;
pub use primitive::{PrimitiveType, TextError};
pub use value::{Dynamic, Record, TypedDynamic, Value};
