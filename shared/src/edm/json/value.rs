//! Values of properties.

use serde_json::value::RawValue;

use super::MAX_DEPTH;
use super::compact::compact;
use super::object::{Shape, shape};
use super::path::{Path, wrong_type};
use super::read::Reader;
use crate::edm::error::shorten;
use crate::edm::primitive::{TextError, number};
use crate::edm::{PrimitiveType, PropertyType, TypeKind, Value, ValueError};

impl<'a> Reader<'_, 'a> {
    /// A property's value; `owner` is the name of the type that has the property.
    pub(super) fn value(
        &self,
        ty: &PropertyType,
        raw: &'a RawValue,
        path: &Path<'_>,
        owner: &str,
        depth: usize,
    ) -> Result<Value, ValueError> {
        if !ty.collection {
            return self.single(ty, raw, path, owner, depth);
        }
        if shape(raw) == Shape::Null {
            return Err(ValueError::NotNullable { property: path.to_string() });
        }
        let items = self.items(raw, &ty.name(self.model), path)?.into_iter().enumerate();
        let values = items.map(|(at, item)| self.single(ty, item, &path.item(at), owner, depth));
        Ok(Value::Collection(values.collect::<Result<_, _>>()?))
    }

    fn single(
        &self,
        ty: &PropertyType,
        raw: &'a RawValue,
        path: &Path<'_>,
        owner: &str,
        depth: usize,
    ) -> Result<Value, ValueError> {
        if shape(raw) == Shape::Null {
            let null = || ValueError::NotNullable { property: path.to_string() };
            return if ty.nullable { Ok(Value::Null) } else { Err(null()) };
        }
        match ty.kind {
            TypeKind::Primitive(primitive) => self.primitive(primitive, ty, raw, path, owner),
            TypeKind::Enum(id) => {
                let options = self.model.enumeration(id);
                if shape(raw) != Shape::String {
                    return Err(wrong_type(path, &options.qualified_name, raw));
                }
                let text = self.string(raw)?;
                options.parse(&text).map(Value::Enum).ok_or_else(|| options.not_an_option(path.to_string(), &text))
            }
            TypeKind::Complex(id) => {
                if depth >= MAX_DEPTH {
                    return Err(ValueError::TooDeep { property: path.to_string(), max: MAX_DEPTH });
                }
                let object = self.object(raw, path)?;
                Ok(Value::Complex(Box::new(self.record(id, &object, path, depth + 1, None)?)))
            }
        }
    }

    fn primitive(
        &self,
        primitive: PrimitiveType,
        ty: &PropertyType,
        raw: &'a RawValue,
        path: &Path<'_>,
        owner: &str,
    ) -> Result<Value, ValueError> {
        use PrimitiveType as P;
        let text = raw.get();
        let as_text = |error: TextError| ValueError::of_text(error, path.to_string(), primitive.name(), text);
        match (primitive, shape(raw)) {
            (P::Geo, Shape::Object) | (P::Untyped, _) => Ok(Value::Json(compact(text))),
            (P::Boolean, Shape::Boolean) | (P::Double | P::Single, Shape::Number) => {
                primitive.parse_text(text).map_err(as_text)
            }
            (P::Byte | P::SByte | P::Int16 | P::Int32 | P::Int64, Shape::Number) => {
                number::integral(text, primitive).map(Value::Integer).map_err(as_text)
            }
            (P::Decimal, Shape::Number) => decimal(text, ty, path),
            (P::Decimal, Shape::String) => decimal(&self.string(raw)?, ty, path),
            (P::Double | P::Single, Shape::String) => match self.string(raw)?.as_ref() {
                special @ ("INF" | "-INF" | "NaN") => primitive.parse_text(special).map_err(as_text),
                _ => Err(wrong_type(path, primitive.name(), raw)),
            },
            (P::Int64, Shape::String) => primitive.parse_text(&self.string(raw)?).map_err(as_text),
            (P::String, Shape::String) => {
                let text = self.string(raw)?;
                check_length(ty, path, owner, || text.chars().count(), text.len())?;
                Ok(Value::String(text.into_owned()))
            }
            (P::Binary | P::Guid | P::Date | P::DateTimeOffset | P::TimeOfDay | P::Duration, Shape::String) => {
                let value = primitive.parse_text(&self.string(raw)?).map_err(as_text)?;
                if let Value::Binary(bytes) = &value {
                    check_length(ty, path, owner, || bytes.len(), bytes.len())?;
                }
                Ok(value)
            }
            _ => Err(wrong_type(path, primitive.name(), raw)),
        }
    }
}

fn decimal(text: &str, ty: &PropertyType, path: &Path<'_>) -> Result<Value, ValueError> {
    let exact = number::decimal(text)
        .map_err(|error| ValueError::of_text(error, path.to_string(), PrimitiveType::Decimal.name(), text))?;
    number::fit(exact, ty.precision, ty.scale).map(Value::Decimal).map_err(|limit| ValueError::OutOfRange {
        property: path.to_string(),
        limit,
        got: shorten(text),
    })
}

/// Checks `MaxLength`; `bytes`, never less than the length, saves the count for most values.
fn check_length(
    ty: &PropertyType,
    path: &Path<'_>,
    owner: &str,
    length: impl Fn() -> usize,
    bytes: usize,
) -> Result<(), ValueError> {
    match ty.max_length {
        Some(max) if bytes > max && length() > max => {
            Err(ValueError::TooLong { property: path.to_string(), max, got: length(), type_name: owner.into() })
        }
        _ => Ok(()),
    }
}
