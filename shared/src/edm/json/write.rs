//! Writes values as JSON: the hot path of every answer.

use std::io::Write;

use super::super::primitive::number;
use crate::edm::{Model, PrimitiveType, Property, PropertyType, Record, TypeKind, Value};

/// How `Edm.Int64` and `Edm.Decimal` are written (JSON Format §3.2, `IEEE754Compatible`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// As JSON numbers.
    Plain,
    /// As JSON strings, for clients whose numbers are not exact.
    Text,
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
    numbers: Numbers,
) -> bool {
    let start = out.len();
    let mut first = first;
    let ty = model.ty(record.ty);
    let mut member = |out: &mut Vec<u8>, at: usize| {
        let written = |property: &&Property| !property.write_only && property.stream.is_none();
        let Some(property) = ty.properties.get(at).filter(written) else { return };
        name(out, &property.name, &mut first);
        match record.values.get(at) {
            Some(Some(value)) => write_value(out, model, &property.ty, value, numbers),
            _ if property.ty.collection => out.extend_from_slice(b"[]"),
            _ => out.extend_from_slice(b"null"),
        }
    };
    match select {
        Some(positions) => positions.iter().for_each(|at| member(out, *at)),
        None => (0..ty.properties.len()).for_each(|at| member(out, at)),
    }
    if dynamic {
        for (property, json) in &record.dynamic {
            if !first {
                out.push(b',');
            }
            first = false;
            string(out, property);
            out.push(b':');
            out.extend_from_slice(json.as_bytes());
        }
    }
    out.len() > start
}

/// Appends a value (JSON Format §7). A Decimal is written in plain notation with the decimals of its `Scale`.
pub fn write_value(out: &mut Vec<u8>, model: &Model, ty: &PropertyType, value: &Value, numbers: Numbers) {
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
        Value::Complex(record) => complex(out, model, ty, record, numbers),
        Value::Collection(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(out, model, ty, item, numbers);
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
fn complex(out: &mut Vec<u8>, model: &Model, ty: &PropertyType, record: &Record, numbers: Numbers) {
    out.push(b'{');
    let derived = ty.kind != TypeKind::Complex(record.ty);
    if derived {
        out.extend_from_slice(b"\"@odata.type\":\"#");
        out.extend_from_slice(model.ty(record.ty).qualified_name.as_bytes());
        out.push(b'"');
    }
    write_record(out, model, record, None, true, !derived, numbers);
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
