//! Writes values as JSON: the hot path of every answer.

use std::io::Write;

use super::super::primitive::number;
use crate::edm::{Dynamic, Model, PrimitiveType, Property, PropertyType, Record, TypeKind, Value};

/// How `Edm.Int64` and `Edm.Decimal` are written (JSON Format §3.2, `IEEE754Compatible`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// As JSON numbers.
    Plain,
    /// As JSON strings, for clients whose numbers are not exact.
    Text,
}

/// How the type of a value is written that does not follow from the model (JSON Format §4.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// Not at all.
    Omitted,
    /// As in 4.0: `@odata.type`, each type after a `#`.
    V40,
    /// As in 4.01: `@type`, a primitive type by its name alone.
    V401,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Numbers of 64 bits and decimals.
    pub numbers: Numbers,
    /// Types.
    pub types: Types,
}

impl Format {
    /// Numbers as numbers, types as in 4.0.
    pub const PLAIN: Self = Self { numbers: Numbers::Plain, types: Types::V40 };
}

/// Appends the members of a record, `"name":value` separated by commas, without braces.
///
/// `select` holds the positions of the declared properties to write, in the order to write them (`None`: all); a
/// property without value is null, or `[]`; a write-only one and a stream are left out. `dynamic` also writes the undeclared ones. `first` says that no member
/// stands before. Returns whether anything was written.
pub fn write_record(
    out: &mut Vec<u8>,
    model: &Model,
    record: &Record,
    select: Option<&[usize]>,
    dynamic: bool,
    first: bool,
    format: Format,
) -> bool {
    let start = out.len();
    let mut first = first;
    let ty = model.ty(record.ty);
    let mut member = |out: &mut Vec<u8>, at: usize| {
        let written = |property: &&Property| !property.write_only && property.stream.is_none();
        let Some(property) = ty.properties.get(at).filter(written) else { return };
        name(out, &property.name, &mut first);
        match record.values.get(at) {
            Some(Some(value)) => write_value(out, model, &property.ty, value, format),
            _ if property.ty.collection => out.extend_from_slice(b"[]"),
            _ => out.extend_from_slice(b"null"),
        }
    };
    match select {
        Some(positions) => positions.iter().for_each(|at| member(out, *at)),
        None => (0..ty.properties.len()).for_each(|at| member(out, at)),
    }
    if dynamic {
        for (property, value) in &record.dynamic {
            write_dynamic(out, model, property, value, &mut first, format);
        }
    }
    out.len() > start
}

/// Appends an undeclared property, its type before it where that does not follow from the value.
pub fn write_dynamic(out: &mut Vec<u8>, model: &Model, name: &str, value: &Dynamic, first: &mut bool, format: Format) {
    let mut member = |out: &mut Vec<u8>, name: &str| {
        if !*first {
            out.push(b',');
        }
        *first = false;
        string(out, name);
        out.push(b':');
    };
    let typed = match value {
        Dynamic::Json(json) => {
            member(out, name);
            return out.extend_from_slice(json.as_bytes());
        }
        Dynamic::Typed(typed) => typed,
    };
    if matches!(typed.value, Value::Complex(_)) {
        // An object states its type itself.
        let any = PropertyType::of(TypeKind::Primitive(PrimitiveType::Untyped));
        member(out, name);
        return write_value(out, model, &any, &typed.value, format);
    }
    if let Some(control) = format.types.control() {
        member(out, &format!("{name}{control}"));
        string(out, &format.types.uri(&typed.name));
    }
    member(out, name);
    write_value(out, model, &typed.ty, &typed.value, format);
}

impl Types {
    /// The suffix of a name of which a member states the type.
    fn control(self) -> Option<&'static str> {
        match self {
            Self::Omitted => None,
            Self::V40 => Some("@odata.type"),
            Self::V401 => Some("@type"),
        }
    }

    /// The URI of a type of this qualified name: `#Date`, `#Collection(NS.Color)`.
    fn uri(self, name: &str) -> String {
        let item = name.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')'));
        let single = item.unwrap_or(name);
        let primitive = single.strip_prefix("Edm.");
        let hash = if primitive.is_some() && self == Self::V401 { "" } else { "#" };
        let short = primitive.unwrap_or(single);
        if item.is_some() { format!("{hash}Collection({short})") } else { format!("{hash}{short}") }
    }
}

/// Appends a value (JSON Format §7). A Decimal is written in plain notation with the decimals of its `Scale`.
pub fn write_value(out: &mut Vec<u8>, model: &Model, ty: &PropertyType, value: &Value, format: Format) {
    let numbers = format.numbers;
    match value {
        Value::Integer(number) if numbers == Numbers::Text && ty.kind == TypeKind::Primitive(PrimitiveType::Int64) => {
            quoted(out, &number.to_string());
        }
        Value::Decimal(exact) if numbers == Numbers::Text => quoted(out, &number::decimal_text(exact, ty.scale)),
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Integer(number) => json(out, number),
        Value::Decimal(exact) => out.extend_from_slice(number::decimal_text(exact, ty.scale).as_bytes()),
        Value::Double(number) if number.is_finite() => {
            if ty.is_single() {
                json(out, &number::to_single(*number));
            } else {
                json(out, number);
            }
        }
        Value::String(text) => string(out, text),
        Value::Guid(guid) => {
            let mut buffer = uuid::Uuid::encode_buffer();
            quoted(out, guid.hyphenated().encode_lower(&mut buffer));
        }
        Value::DateTimeOffset(at) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "\"{at}\"");
        }
        Value::Complex(record) => complex(out, model, ty, record, format),
        Value::Collection(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(out, model, ty, item, format);
            }
            out.push(b']');
        }
        Value::Json(json) => out.extend_from_slice(json.as_bytes()),
        Value::Double(_)
        | Value::Date(_)
        | Value::TimeOfDay(_)
        | Value::Duration(_)
        | Value::Binary(_)
        | Value::Enum(_) => quoted(out, &value.text(model, ty).unwrap_or_default()),
    }
}

/// A complex value, with its type where that is not the declared one (JSON Format §4.6.3).
fn complex(out: &mut Vec<u8>, model: &Model, ty: &PropertyType, record: &Record, format: Format) {
    out.push(b'{');
    let derived = ty.kind != TypeKind::Complex(record.ty);
    let control = format.types.control().filter(|_| derived);
    if let Some(control) = control {
        quoted(out, control);
        out.push(b':');
        quoted(out, &format.types.uri(&model.ty(record.ty).qualified_name));
    }
    write_record(out, model, record, None, true, control.is_none(), format);
    out.push(b'}');
}

/// A name that the model declares: an identifier, so nothing in it is escaped.
fn name(out: &mut Vec<u8>, name: &str, first: &mut bool) {
    if !*first {
        out.push(b',');
    }
    *first = false;
    quoted(out, name);
    out.push(b':');
}

fn quoted(out: &mut Vec<u8>, plain: &str) {
    out.push(b'"');
    out.extend_from_slice(plain.as_bytes());
    out.push(b'"');
}

fn string(out: &mut Vec<u8>, text: &str) {
    json(out, text);
}

fn json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Numbers and strings always have a JSON form, and writing to a Vec cannot fail.
    let _ = serde_json::to_writer(out, value);
}
