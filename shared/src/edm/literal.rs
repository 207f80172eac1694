//! Values in URLs (ABNF §7) and as plain text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::json::{Format, value_from_json, write_value};
use super::primitive::TextError;
use super::{Model, PrimitiveType, PropertyType, TypeKind, Value, ValueError};

/// What is encoded in a path segment: all but unreserved characters and those delimiters that mean nothing to anyone
/// on the way. `+`, `&` and `=` are among the encoded, since not all software tells paths from queries.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b':')
    .remove(b'@');

/// Reads a literal of a URL, percent-decoded, as a value of a type. Facets are not checked: what is too long for a
/// property may still be compared with it.
///
/// Strings are cast to the type (4.01): `'2020-10-20'` is a date where one is expected. Complex values and
/// collections are JSON.
pub fn parse_literal(model: &Model, ty: &PropertyType, text: &str) -> Result<Value, ValueError> {
    if text == "null" {
        return Ok(Value::Null);
    }
    if ty.collection {
        return value_from_json(model, ty, text);
    }
    let fault = |error| ValueError::of_text(error, String::new(), &ty.name(model), text);
    match ty.kind {
        TypeKind::Complex(_) | TypeKind::Primitive(PrimitiveType::Geo | PrimitiveType::Untyped) => {
            value_from_json(model, ty, text)
        }
        TypeKind::Enum(id) => {
            let options = model.enumeration(id);
            let quoted = text.find('\'').map(|at| text.split_at(at));
            let member = quoted.and_then(|(name, quoted)| {
                (name.is_empty() || model.enum_id(name) == Some(id)).then(|| unquote(quoted)).flatten()
            });
            let member = member.ok_or_else(|| fault(TextError::Malformed))?;
            options.parse(&member).map(Value::Enum).ok_or_else(|| options.not_an_option(String::new(), &member))
        }
        TypeKind::Primitive(primitive) => parse_primitive(primitive, text).map_err(fault),
    }
}

fn parse_primitive(primitive: PrimitiveType, text: &str) -> Result<Value, TextError> {
    let prefix = match primitive {
        PrimitiveType::Duration => "duration",
        PrimitiveType::Binary => "binary",
        _ => "",
    };
    let quoted = text.strip_prefix(prefix).unwrap_or(text);
    match unquote(quoted) {
        Some(inner) => primitive.parse_text(&inner),
        None if matches!(primitive, PrimitiveType::String | PrimitiveType::Duration | PrimitiveType::Binary) => {
            Err(TextError::Malformed)
        }
        // Names of values count in any case of letters (ABNF `booleanLiteral`); a payload has small ones.
        None if primitive == PrimitiveType::Boolean => primitive.parse_text(&text.to_ascii_lowercase()),
        None => primitive.parse_text(text),
    }
}

/// The text between quotes, where two quotes stand for one.
fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut plain = String::with_capacity(inner.len());
    let mut parts = inner.split('\'');
    plain.push_str(parts.next()?);
    while let Some(between) = parts.next() {
        // A quote is followed by another one at once, and that by the rest.
        if !between.is_empty() {
            return None;
        }
        plain.push('\'');
        plain.push_str(parts.next()?);
    }
    Some(plain)
}

/// Writes a value as a literal of a URL, percent-encoded for a path segment.
pub fn write_literal(model: &Model, ty: &PropertyType, value: &Value) -> String {
    let literal = match value {
        Value::Null => "null".into(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Complex(_) | Value::Collection(_) | Value::Json(_) => json_text(model, ty, value),
        _ => {
            let text = value.text(model, ty).unwrap_or_default();
            match (value, ty.kind) {
                (Value::Duration(_), _) => format!("duration'{text}'"),
                (Value::Binary(_), _) => format!("binary'{text}'"),
                (Value::Enum(_), TypeKind::Enum(id)) => format!("{}'{text}'", model.enumeration(id).qualified_name),
                _ => text,
            }
        }
    };
    utf8_percent_encode(&literal, SEGMENT).to_string()
}

/// Writes a value as the body of `/$value` (Protocol §11.2.4.1): the bytes of a Binary, the text of everything else.
pub fn write_raw(model: &Model, ty: &PropertyType, value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::Binary(bytes) => bytes.clone(),
        _ => value.text(model, ty).unwrap_or_else(|| json_text(model, ty, value)).into_bytes(),
    }
}

fn json_text(model: &Model, ty: &PropertyType, value: &Value) -> String {
    let mut out = Vec::new();
    write_value(&mut out, model, ty, value, Format::PLAIN);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;
    use crate::edm::sample::{model, property, typed_value};

    #[test]
    fn literals_are_read_as_the_type_says() {
        let model = model();
        let read = |name: &str, text: &str| parse_literal(&model, &property(&model, name), text);
        assert_eq!(read("name", "'O''Bryan'"), Ok(Value::String("O'Bryan".into())));
        assert_eq!(read("name", "''"), Ok(Value::String(String::new())));
        assert_eq!(read("name", "''''"), Ok(Value::String("'".into())));
        assert_eq!(read("name", "null"), Ok(Value::Null));
        assert_eq!(read("big", "5637144576"), Ok(Value::Integer(5_637_144_576)));
        assert_eq!(read("big", "'5637144576'"), Ok(Value::Integer(5_637_144_576)));
        let guid = "0a1b2c3d-0000-4000-8000-00000000abcd";
        assert_eq!(read("id", guid), read("id", &format!("'{guid}'")));
        assert_eq!(read("kind", "N.Kind'Service'"), Ok(Value::Enum(1)));
        assert_eq!(read("kind", "'Non_x002D_Inventory'"), Ok(Value::Enum(2)));
        assert_eq!(read("colors", "N.Colors'Red,2'"), Ok(Value::Enum(3)));
        assert_eq!(read("lasts", "duration'PT1H'"), read("lasts", "'PT60M'"));
        assert_eq!(read("bytes", "binary'AAE'"), Ok(Value::Binary(vec![0, 1])));
        assert_eq!(read("tags", "[\"a\"]"), Ok(Value::Collection(vec![Value::String("a".into())])));
    }

    #[test]
    fn other_literals_are_refused() {
        let model = model();
        for (name, text) in [
            ("name", "plain"),
            ("name", "'"),
            ("name", "'it's'"),
            ("name", "'a'''b'"),
            ("big", "1.5"),
            ("big", "duration'1'"),
            ("id", "guid'0a1b2c3d-0000-4000-8000-00000000abcd'"),
            ("kind", "Service"),
            ("kind", "N.Colors'Red'"),
            ("kind", "'Tool'"),
            ("kind", "'7'"),
            ("colors", "'4'"),
            ("lasts", "PT1H"),
            ("at", "2020-01-01"),
        ] {
            assert!(parse_literal(&model, &property(&model, name), text).is_err(), "{name} {text}");
        }
    }

    #[test]
    fn literals_are_encoded_for_a_path() {
        let model = model();
        let name = property(&model, "name");
        assert_eq!(write_literal(&model, &name, &Value::String("O'B/?#% +ä".into())), "'O''B%2F%3F%23%25%20%2B%C3%A4'");
        assert_eq!(write_raw(&model, &property(&model, "bytes"), &Value::Binary(vec![0, 255])), [0, 255]);
        assert_eq!(write_raw(&model, &property(&model, "colors"), &Value::Enum(3)), b"Red,Blue");
        assert_eq!(write_literal(&model, &property(&model, "kind"), &Value::Enum(2)), "N.Kind'Non_x002D_Inventory'");
    }

    proptest! {
        #[test]
        fn a_written_literal_reads_as_the_same_value((ty, value) in typed_value()) {
            let model = model();
            let literal = write_literal(&model, &ty, &value);
            prop_assert!(!literal.contains(['/', '?', '#', ' ', '+', '&', '"']), "{}", literal);
            let decoded = percent_decode_str(&literal).decode_utf8().unwrap();
            prop_assert_eq!(parse_literal(&model, &ty, &decoded), Ok(value));
        }
    }
}
