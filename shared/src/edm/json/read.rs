//! Reads JSON as the model says, over raw text so that numbers stay as they are written.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use super::control::{Control, Member, refuse_changes};
use super::dynamic::{after_hash, stated_types};
use super::links::Links;
use super::object::{Object, Shape, shape, string};
use super::path::{Path, unknown, wrong_type};
use crate::edm::error::shorten;
use crate::edm::{Model, PropertyType, Record, StructuredType, TypeId, TypeKind, Value, ValueError};

/// The longest name of an undeclared property, in bytes: DynamoDB takes no longer one in an expression.
const MAX_DYNAMIC_NAME: usize = 255;

/// An entity as a client sent it.
#[derive(Debug)]
pub struct EntityPayload<'a> {
    /// Its properties, computed ones among them; the type is the one `@odata.type` names.
    pub record: Record,
    /// Inline related entities: position of the navigation property, and the bodies.
    pub nested: Vec<(usize, Nested<'a>)>,
    /// References to related entities: position of the navigation property, and the references.
    pub binds: Vec<(usize, Bind<'a>)>,
    /// `@odata.etag`
    pub etag: Option<Cow<'a, str>>,
    /// `@odata.id`
    pub id: Option<Cow<'a, str>>,
}

/// Related entities within a payload, each to be read with [`read_entity`].
#[derive(Debug)]
pub enum Nested<'a> {
    /// Of a single-valued navigation property.
    One(&'a RawValue),
    /// Of a collection-valued navigation property.
    Many(Vec<&'a RawValue>),
}

/// References to related entities within a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind<'a> {
    /// Of a single-valued navigation property.
    One(Cow<'a, str>),
    /// Of a collection-valued navigation property.
    Many(Vec<Cow<'a, str>>),
    /// A single-valued navigation property that is to have no target.
    Null,
}

/// Reads an entity (JSON Format §6). Which properties must be there is not checked: that depends on the request.
pub fn read_entity<'a>(model: &Model, ty: TypeId, body: &'a [u8]) -> Result<EntityPayload<'a>, ValueError> {
    let reader = Reader { model, text: text(body)? };
    let object = reader.root()?;
    let mut links = Links::default();
    let record = reader.record(ty, &object, &Path::ROOT, 0, Some(&mut links))?;
    let Links { nested, binds, etag, id } = links;
    Ok(EntityPayload { record, nested, binds, etag, id })
}

/// Reads an individual property: `{"value": …}`, or the object itself if it is a complex value (JSON Format §11).
pub fn read_property(model: &Model, ty: &PropertyType, name: &str, body: &[u8]) -> Result<Value, ValueError> {
    let reader = Reader { model, text: text(body)? };
    let object = reader.root()?;
    let path = Path::ROOT.member(name);
    let mut values = object.0.iter().filter(|(name, _)| name == "value").map(|(_, raw)| *raw);
    let complex = match ty.kind {
        TypeKind::Complex(id) if !ty.collection => Some(id),
        _ => None,
    };
    match (values.next(), complex) {
        (_, Some(id)) if values.next().is_none() && is_bare(model.ty(id), &object) => {
            let record = reader.record(id, &object, &path, 0, None)?;
            Ok(Value::Complex(Box::new(record)))
        }
        (Some(_), _) if values.next().is_some() => Err(ValueError::DuplicateMember { property: "value".into() }),
        (Some(raw), _) => {
            reader.beside_value(ty, name, &object)?;
            reader.value(ty, raw, &path, name, 0)
        }
        (None, _) => {
            let expected = format!("{} in a member 'value'", ty.name(model));
            Err(ValueError::WrongType { property: name.into(), expected, got: shorten(reader.text) })
        }
    }
}

/// Reads an entity reference: `{"@odata.id": …}` or `{"@id": …}` (JSON Format §14).
pub fn read_reference(body: &[u8]) -> Result<Cow<'_, str>, ValueError> {
    let text = text(body)?;
    let Object(members) = parse_object(text)?;
    for (name, raw) in &members {
        let path = Path::ROOT.member(name);
        refuse_changes(name, raw, &path)?;
        if Member::of(name, None) == Member::Plain {
            return Err(ValueError::UnknownProperty { property: path.to_string(), type_name: "$ref".into() });
        }
    }
    let mut ids = members.iter().filter(|(name, _)| is_id(name)).map(|(_, raw)| *raw);
    let wrong =
        || ValueError::WrongType { property: "@odata.id".into(), expected: "Edm.String".into(), got: shorten(text) };
    match (ids.next(), ids.next()) {
        (Some(raw), None) if shape(raw) == Shape::String => string(raw).map_err(|error| json_error(text, raw, &error)),
        (Some(_), Some(_)) => Err(ValueError::DuplicateMember { property: "@odata.id".into() }),
        _ => Err(wrong()),
    }
}

/// Reads a value from JSON text: complex values and collections in URLs.
pub(crate) fn value_from_json(model: &Model, ty: &PropertyType, json: &str) -> Result<Value, ValueError> {
    let reader = Reader { model, text: json };
    let raw: &RawValue = serde_json::from_str(json).map_err(|error| syntax_error(&error))?;
    reader.value(ty, raw, &Path::ROOT, "", 0)
}

/// The text of a body.
fn text(body: &[u8]) -> Result<&str, ValueError> {
    match std::str::from_utf8(body) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let (valid, _) = body.split_at(error.valid_up_to());
            let (line, column) = position(&String::from_utf8_lossy(valid));
            Err(ValueError::Json { line, column, message: "invalid UTF-8".into() })
        }
    }
}

/// Line and column, from 1, of what follows a text.
fn position(before: &str) -> (usize, usize) {
    let last = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, last.chars().count() + 1)
}

fn syntax_error(error: &serde_json::Error) -> ValueError {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    ValueError::Json { line: error.line(), column: error.column(), message: message.into() }
}

/// The error of a string that is well-formed but for its escapes.
fn json_error(text: &str, raw: &RawValue, error: &serde_json::Error) -> ValueError {
    let offset = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let (line, column) = position(text.get(..offset).unwrap_or_default());
    match syntax_error(error) {
        ValueError::Json { message, .. } => ValueError::Json { line, column, message },
        other => other,
    }
}

fn parse_object(text: &str) -> Result<Object<'_>, ValueError> {
    if text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return serde_json::from_str(text).map_err(|error| syntax_error(&error));
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| syntax_error(&error))?;
    let got = match shape(raw) {
        Shape::Null => "null",
        Shape::Boolean => "a Boolean",
        Shape::Number => "a number",
        Shape::String => "a string",
        Shape::Array => "an array",
        Shape::Object => "an object",
    };
    Err(ValueError::NotAnObject { property: String::new(), got: got.into() })
}

pub(super) fn is_id(name: &str) -> bool {
    matches!(name, "@odata.id" | "@id")
}

/// Whether an object is a complex value itself and not wrapped into `value`.
fn is_bare(ty: &StructuredType, object: &Object<'_>) -> bool {
    ty.property("value").is_some() || !object.0.iter().any(|(name, _)| name == "value")
}

/// A body being read.
pub(super) struct Reader<'m, 'a> {
    pub(super) model: &'m Model,
    text: &'a str,
}

impl<'a> Reader<'_, 'a> {
    fn root(&self) -> Result<Object<'a>, ValueError> {
        parse_object(self.text)
    }

    pub(super) fn string(&self, raw: &'a RawValue) -> Result<Cow<'a, str>, ValueError> {
        string(raw).map_err(|error| json_error(self.text, raw, &error))
    }

    pub(super) fn object(&self, raw: &'a RawValue, path: &Path<'_>) -> Result<Object<'a>, ValueError> {
        if shape(raw) != Shape::Object {
            return Err(ValueError::NotAnObject { property: path.to_string(), got: shorten(raw.get()) });
        }
        serde_json::from_str(raw.get()).map_err(|error| json_error(self.text, raw, &error))
    }

    pub(super) fn items(
        &self,
        raw: &'a RawValue,
        expected: &str,
        path: &Path<'_>,
    ) -> Result<Vec<&'a RawValue>, ValueError> {
        if shape(raw) != Shape::Array {
            return Err(wrong_type(path, expected, raw));
        }
        serde_json::from_str(raw.get()).map_err(|error| json_error(self.text, raw, &error))
    }

    /// A string member, for control information and references.
    pub(super) fn text_of<'r>(&self, raw: &'r RawValue, path: &Path<'_>) -> Result<Cow<'r, str>, ValueError> {
        if shape(raw) != Shape::String {
            return Err(wrong_type(path, "Edm.String", raw));
        }
        string(raw).map_err(|error| json_error(self.text, raw, &error))
    }

    /// Checks what stands beside the `value` of an individual property.
    fn beside_value(&self, ty: &PropertyType, name: &str, Object(members): &Object<'a>) -> Result<(), ValueError> {
        for (member, raw) in members.iter().filter(|(member, _)| member != "value") {
            let path = Path::ROOT.member(member);
            refuse_changes(member, raw, &path)?;
            match Member::of(member, None) {
                Member::Control("" | "value", Control::Type) => self.check_type(ty, raw, &Path::ROOT.member(name))?,
                Member::Plain => {
                    let type_name = ty.name(self.model);
                    return Err(ValueError::UnknownProperty { property: path.to_string(), type_name });
                }
                Member::Control(..) | Member::Information => {}
            }
        }
        Ok(())
    }

    /// An entity (with `links`) or a complex value (without).
    pub(super) fn record(
        &self,
        declared: TypeId,
        object: &Object<'a>,
        path: &Path<'_>,
        depth: usize,
        mut links: Option<&mut Links<'a>>,
    ) -> Result<Record, ValueError> {
        let id = self.actual_type(declared, object, path)?;
        let stated = stated_types(object, path)?;
        let ty = self.model.ty(id);
        if ty.is_abstract && links.is_none() {
            let (expected, got) = ("a type that is not abstract".into(), ty.qualified_name.clone());
            return Err(ValueError::WrongTypeAnnotation { property: path.to_string(), expected, got });
        }
        let mut record = Record::new(self.model, id);
        // Declared properties are found twice by their slot, all other members by this.
        let mut others = HashSet::new();
        for (name, raw) in &object.0 {
            let (name, raw) = (name.as_ref(), *raw);
            let member = path.member(name);
            if let Some(at) = ty.property(name) {
                let (Some(slot), Some(property)) = (record.values.get_mut(at), ty.properties.get(at)) else { continue };
                if property.stream.is_some() {
                    return Err(ValueError::Stream { property: member.to_string() });
                }
                if let Some(stated) = stated.get(name) {
                    self.check_type(&property.ty, stated, &member)?;
                }
                let value = self.value(&property.ty, raw, &member, &ty.name, depth);
                let value = value.map_err(|error| if property.write_only { error.without_value() } else { error })?;
                if slot.replace(value).is_some() {
                    return Err(ValueError::DuplicateMember { property: member.to_string() });
                }
                continue;
            }
            if !others.insert(name) {
                return Err(ValueError::DuplicateMember { property: member.to_string() });
            }
            if self.link(ty, name, raw, &member, links.as_deref_mut())? {
                continue;
            }
            if !ty.is_open || name.is_empty() || name.len() > MAX_DYNAMIC_NAME {
                return Err(unknown(&member, ty));
            }
            let value = self.dynamic(raw, stated.get(name).copied(), &member, &ty.name, depth)?;
            record.dynamic.push((name.to_owned(), value));
        }
        Ok(record)
    }

    /// The type that `@odata.type` names, or the declared one.
    fn actual_type(&self, declared: TypeId, object: &Object<'a>, path: &Path<'_>) -> Result<TypeId, ValueError> {
        let Some((_, raw)) = object.0.iter().find(|(name, _)| matches!(name.as_ref(), "@odata.type" | "@type")) else {
            return Ok(declared);
        };
        let text = self.text_of(raw, &path.member("@odata.type"))?;
        self.model.type_id(after_hash(&text)).filter(|id| self.model.is_a(*id, declared)).ok_or_else(|| {
            let expected = self.model.ty(declared).qualified_name.clone();
            ValueError::WrongTypeAnnotation { property: path.to_string(), expected, got: shorten(&text) }
        })
    }
}
