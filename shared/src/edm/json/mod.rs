//! JSON bodies of entities, properties and references (OData JSON Format 4.01), both ways.

mod compact;
mod control;
mod dynamic;
mod links;
mod object;
mod path;
mod read;
mod value;
mod write;

pub(crate) use object::Object;
pub(crate) use read::value_from_json;
pub use read::{Bind, EntityPayload, Nested, read_entity, read_property, read_reference};
pub use write::{Format, Numbers, Types, write_dynamic, write_record, write_value};

/// Deepest nesting of complex values.
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests;
