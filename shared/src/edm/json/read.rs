//! Reads JSON as the model says, over raw text so that numbers stay as they are written.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde_json::value::RawValue;

use super::MAX_DEPTH;
use super::compact::compact;
use super::object::{Object, Shape, shape, string};
use crate::edm::error::shorten;
use crate::edm::primitive::{TextError, number};
use crate::edm::{
    Model, NavigationProperty, PrimitiveType, PropertyType, Record, StructuredType, TypeId, TypeKind, Value, ValueError,
};

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
    let record = reader.record(ty, object, &Path::ROOT, 0, Some(&mut links))?;
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
            let record = reader.record(id, object, &path, 0, None)?;
            Ok(Value::Complex(Box::new(record)))
        }
        (Some(_), _) if values.next().is_some() => Err(ValueError::DuplicateMember { property: "value".into() }),
        (Some(raw), _) => reader.value(ty, raw, &path, name, 0),
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
    Err(ValueError::NotAnObject { property: String::new(), got: shorten(raw.get()) })
}

fn is_id(name: &str) -> bool {
    matches!(name, "@odata.id" | "@id")
}

/// Whether an object is a complex value itself and not wrapped into `value`.
fn is_bare(ty: &StructuredType, object: &Object<'_>) -> bool {
    ty.property("value").is_some() || !object.0.iter().any(|(name, _)| name == "value")
}

/// The way from the body to a value; a text only when an error needs it.
#[derive(Clone, Copy)]
struct Path<'p> {
    outer: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Member(&'p str),
    Item(usize),
}

impl<'p> Path<'p> {
    const ROOT: Self = Self { outer: None, step: Step::Root };

    fn member(&'p self, name: &'p str) -> Self {
        Self { outer: Some(self), step: Step::Member(name) }
    }

    fn item(&'p self, at: usize) -> Self {
        Self { outer: Some(self), step: Step::Item(at) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.outer {
            outer.fmt(f)?;
            if !matches!(outer.step, Step::Root) {
                f.write_str("/")?;
            }
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Member(name) => f.write_str(name),
            Step::Item(at) => write!(f, "{at}"),
        }
    }
}

/// What an entity has besides properties.
#[derive(Default)]
struct Links<'a> {
    nested: Vec<(usize, Nested<'a>)>,
    binds: Vec<(usize, Bind<'a>)>,
    etag: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
}

/// A body being read.
struct Reader<'m, 'a> {
    model: &'m Model,
    text: &'a str,
}

impl<'a> Reader<'_, 'a> {
    fn root(&self) -> Result<Object<'a>, ValueError> {
        parse_object(self.text)
    }

    fn string(&self, raw: &'a RawValue) -> Result<Cow<'a, str>, ValueError> {
        string(raw).map_err(|error| json_error(self.text, raw, &error))
    }

    fn object(&self, raw: &'a RawValue, path: &Path<'_>) -> Result<Object<'a>, ValueError> {
        if shape(raw) != Shape::Object {
            return Err(ValueError::NotAnObject { property: path.to_string(), got: shorten(raw.get()) });
        }
        serde_json::from_str(raw.get()).map_err(|error| json_error(self.text, raw, &error))
    }

    fn items(&self, raw: &'a RawValue, expected: &str, path: &Path<'_>) -> Result<Vec<&'a RawValue>, ValueError> {
        if shape(raw) != Shape::Array {
            return Err(wrong_type(path, expected, raw));
        }
        serde_json::from_str(raw.get()).map_err(|error| json_error(self.text, raw, &error))
    }

    /// A string member, for control information and references.
    fn text_of(&self, raw: &'a RawValue, path: &Path<'_>) -> Result<Cow<'a, str>, ValueError> {
        if shape(raw) == Shape::String { self.string(raw) } else { Err(wrong_type(path, "Edm.String", raw)) }
    }

    /// An entity (with `links`) or a complex value (without).
    fn record(
        &self,
        declared: TypeId,
        object: Object<'a>,
        path: &Path<'_>,
        depth: usize,
        mut links: Option<&mut Links<'a>>,
    ) -> Result<Record, ValueError> {
        let id = self.actual_type(declared, &object, path)?;
        let ty = self.model.ty(id);
        if ty.is_abstract && links.is_none() {
            let (expected, got) = ("a type that is not abstract".into(), ty.qualified_name.clone());
            return Err(ValueError::WrongTypeAnnotation { property: path.to_string(), expected, got });
        }
        let mut record = Record::new(self.model, id);
        // Declared properties are found twice by their slot, all other members by this.
        let mut others = HashSet::new();
        for (name, raw) in object.0 {
            let member = path.member(&name);
            if let Some(at) = ty.property(&name) {
                let (Some(slot), Some(property)) = (record.values.get_mut(at), ty.properties.get(at)) else { continue };
                let value = self.value(&property.ty, raw, &member, &ty.name, depth)?;
                if slot.replace(value).is_some() {
                    return Err(ValueError::DuplicateMember { property: member.to_string() });
                }
                continue;
            }
            if !others.insert(name.clone()) {
                return Err(ValueError::DuplicateMember { property: member.to_string() });
            }
            if self.link(ty, &name, raw, &member, links.as_deref_mut())? || name.contains('@') || name.starts_with('#')
            {
                continue;
            }
            if !ty.is_open {
                return Err(unknown(&member, ty));
            }
            record.dynamic.push((name.into_owned(), compact(raw.get())));
        }
        Ok(record)
    }

    /// The type that `@odata.type` names, or the declared one.
    fn actual_type(&self, declared: TypeId, object: &Object<'a>, path: &Path<'_>) -> Result<TypeId, ValueError> {
        let Some((_, raw)) = object.0.iter().find(|(name, _)| matches!(name.as_ref(), "@odata.type" | "@type")) else {
            return Ok(declared);
        };
        let text = self.text_of(raw, &path.member("@odata.type"))?;
        let name = text.rsplit_once('#').map_or(text.as_ref(), |(_, name)| name);
        self.model.type_id(name).filter(|id| self.model.is_a(*id, declared)).ok_or_else(|| {
            let expected = self.model.ty(declared).qualified_name.clone();
            ValueError::WrongTypeAnnotation { property: path.to_string(), expected, got: shorten(&text) }
        })
    }

    /// Reads a member that is a link or control information of an entity. False when it is neither.
    fn link(
        &self,
        ty: &StructuredType,
        name: &str,
        raw: &'a RawValue,
        path: &Path<'_>,
        links: Option<&mut Links<'a>>,
    ) -> Result<bool, ValueError> {
        let Some(links) = links else { return Ok(false) };
        match name {
            "@odata.etag" | "@etag" if shape(raw) != Shape::Null => links.etag = Some(self.text_of(raw, path)?),
            _ if is_id(name) && shape(raw) != Shape::Null => links.id = Some(self.text_of(raw, path)?),
            _ => {
                let (property, is_bind) = match name.split_once('@') {
                    Some((property, "odata.bind" | "bind")) => (property, true),
                    Some(_) => return Ok(false),
                    None => (name, false),
                };
                let found = ty.navigation(property).and_then(|at| Some((at, ty.navigation.get(at)?)));
                match found {
                    Some((at, navigation)) if is_bind => {
                        let bind = self.bind(navigation, raw, path)?;
                        add_bind(links, at, bind, path)?;
                    }
                    Some((at, navigation)) => self.related(at, navigation, raw, path, links)?,
                    None if is_bind => return Err(unknown(path, ty)),
                    None => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    /// `nav@odata.bind`
    fn bind(
        &self,
        navigation: &NavigationProperty,
        raw: &'a RawValue,
        path: &Path<'_>,
    ) -> Result<Bind<'a>, ValueError> {
        if navigation.collection {
            let items = self.items(raw, "Collection(Edm.String)", path)?;
            let links = items.into_iter().enumerate().map(|(at, item)| self.text_of(item, &path.item(at)));
            return Ok(Bind::Many(links.collect::<Result<_, _>>()?));
        }
        match shape(raw) {
            Shape::Null => no_target(navigation, path),
            _ => Ok(Bind::One(self.text_of(raw, path)?)),
        }
    }

    /// Inline entities; those that are entity references only become binds.
    fn related(
        &self,
        at: usize,
        navigation: &NavigationProperty,
        raw: &'a RawValue,
        path: &Path<'_>,
        links: &mut Links<'a>,
    ) -> Result<(), ValueError> {
        if !navigation.collection {
            if shape(raw) == Shape::Null {
                return add_bind(links, at, no_target(navigation, path)?, path);
            }
            match self.reference(raw, path)? {
                Some(reference) => add_bind(links, at, Bind::One(reference), path)?,
                None => links.nested.push((at, Nested::One(raw))),
            }
            return Ok(());
        }
        let expected = format!("Collection({})", self.model.ty(navigation.target).qualified_name);
        let (mut bodies, mut references) = (Vec::new(), Vec::new());
        for (position, item) in self.items(raw, &expected, path)?.into_iter().enumerate() {
            match self.reference(item, &path.item(position))? {
                Some(reference) => references.push(reference),
                None => bodies.push(item),
            }
        }
        if !references.is_empty() {
            add_bind(links, at, Bind::Many(references), path)?;
        }
        if !bodies.is_empty() || shape(raw) == Shape::Array && raw.get().len() == 2 {
            links.nested.push((at, Nested::Many(bodies)));
        }
        Ok(())
    }

    /// The reference, if an object has control information only and an id in it (JSON Format §14).
    fn reference(&self, raw: &'a RawValue, path: &Path<'_>) -> Result<Option<Cow<'a, str>>, ValueError> {
        let Object(members) = self.object(raw, path)?;
        if !members.iter().all(|(name, _)| name.starts_with('@')) {
            return Ok(None);
        }
        let id = members.iter().find(|(name, _)| is_id(name));
        id.map(|(_, raw)| self.text_of(raw, &path.member("@odata.id"))).transpose()
    }

    fn value(
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
                Ok(Value::Complex(Box::new(self.record(id, object, path, depth + 1, None)?)))
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

fn wrong_type(path: &Path<'_>, expected: &str, raw: &RawValue) -> ValueError {
    ValueError::WrongType { property: path.to_string(), expected: expected.into(), got: shorten(raw.get()) }
}

fn unknown(path: &Path<'_>, ty: &StructuredType) -> ValueError {
    ValueError::UnknownProperty { property: path.to_string(), type_name: ty.qualified_name.clone() }
}

fn no_target(navigation: &NavigationProperty, path: &Path<'_>) -> Result<Bind<'static>, ValueError> {
    let null = || ValueError::NotNullable { property: path.to_string() };
    if navigation.nullable { Ok(Bind::Null) } else { Err(null()) }
}

/// Adds a bind. References to many may come from two members, a single one may not.
fn add_bind<'a>(links: &mut Links<'a>, at: usize, bind: Bind<'a>, path: &Path<'_>) -> Result<(), ValueError> {
    match (links.binds.iter_mut().find(|(other, _)| *other == at), bind) {
        (None, bind) => links.binds.push((at, bind)),
        (Some((_, Bind::Many(all))), Bind::Many(more)) => all.extend(more),
        (Some(_), _) => return Err(ValueError::DuplicateMember { property: path.to_string() }),
    }
    Ok(())
}
