//! Gives segments their meaning in a model (URL Conventions §4).

use super::{KeyPredicate, Segment, UriError};
use crate::edm::{
    EntityKey, Model, NavigationProperty, Property, SetId, StructuredType, TypeId, TypeKind, Value, parse_literal,
};

/// What a path addresses.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// The root itself.
    ServiceDocument,
    /// `$metadata`
    Metadata,
    /// `$batch`
    Batch,
    /// Something in an entity set.
    Entities(EntityPath),
}

/// A path that begins at an entity set.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityPath {
    /// The key of the company, when the path began with `companies(<key>)/` and went on to another entity set;
    /// everything below starts at that set.
    pub company: Option<EntityKey>,
    /// The entity set.
    pub set: SetId,
    /// Key of the entity in the set; `None` for the whole set.
    pub key: Option<Key>,
    /// Navigation from there, in order.
    pub steps: Vec<Step>,
    /// Positions: a property of the last entity type, then properties nested in complex types. Empty for none.
    pub property: Vec<usize>,
    /// What is asked of the above.
    pub last: Last,
    /// Type of the entity or entities that the path leads to before `property`.
    pub ty: TypeId,
    /// Whether that is a collection.
    pub collection: bool,
}

/// How an entity is named.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// By its key.
    Primary(EntityKey),
    /// By an alternate key.
    Alternate {
        /// Position in [`StructuredType::alternate_keys`].
        index: usize,
        /// Values in the declared order of that key.
        values: Vec<Value>,
    },
}

/// A navigation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Position in [`StructuredType::navigation`] of the type before.
    pub nav: usize,
    /// The type it leads to.
    pub ty: TypeId,
    /// Key of one of many; `None` for all of them, or for a single-valued navigation.
    pub key: Option<Key>,
}

/// The suffix of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// No suffix.
    None,
    /// `$value`: the raw value of a primitive property.
    Value,
    /// `$count`: how many.
    Count,
    /// `$ref`: references instead of entities.
    Ref,
}

/// Finds what the segments of a path mean.
///
/// `companies` is the entity set whose navigation leads to the other sets, where a service has one. Qualified names
/// (type casts, bound operations) and function calls are [`UriError::Unsupported`].
pub fn resolve(model: &Model, segments: &[Segment], companies: Option<SetId>) -> Result<Resource, UriError> {
    let Some((first, rest)) = segments.split_first() else { return Ok(Resource::ServiceDocument) };
    let alone = match first.name.as_str() {
        "$metadata" => Resource::Metadata,
        "$batch" => Resource::Batch,
        _ => return Walk::begin(model, first, companies)?.finish(rest).map(Resource::Entities),
    };
    match rest.first() {
        Some(next) => Err(not_found(next)),
        None => Ok(alone),
    }
}

/// A path as far as it was read.
struct Walk<'a> {
    model: &'a Model,
    path: EntityPath,
    /// The path is `companies(<key>)` so far, and this is the key.
    company: Option<EntityKey>,
    /// The property that was read last.
    property: Option<&'a Property>,
}

impl<'a> Walk<'a> {
    fn begin(model: &'a Model, first: &Segment, companies: Option<SetId>) -> Result<Self, UriError> {
        let Some(set) = model.set_id(&first.name) else { return Err(unknown(first)) };
        let ty = model.set(set).entity_type;
        let key = key(model, ty, first)?;
        let company = match &key {
            Some(Key::Primary(key)) if companies == Some(set) => Some(key.clone()),
            _ => None,
        };
        let collection = key.is_none();
        let (steps, property) = (Vec::new(), Vec::new());
        let path = EntityPath { company: None, set, key, steps, property, last: Last::None, ty, collection };
        Ok(Self { model, path, company, property: None })
    }

    fn finish(mut self, segments: &[Segment]) -> Result<EntityPath, UriError> {
        for segment in segments {
            if self.path.last != Last::None {
                return Err(UriError::Misplaced { segment: segment.name.clone(), after: "the end of a path" });
            }
            match segment.name.as_str() {
                "$count" | "$ref" | "$value" => self.suffix(segment)?,
                name if name.contains('.') || name.starts_with(['$', '@']) => return Err(unknown(segment)),
                _ => self.member(segment)?,
            }
        }
        Ok(self.path)
    }

    fn suffix(&mut self, segment: &Segment) -> Result<(), UriError> {
        let after = self.place();
        let last = match (segment.name.as_str(), after) {
            ("$count", COLLECTION | COLLECTION_PROPERTY) => Last::Count,
            ("$ref", COLLECTION | ENTITY) => Last::Ref,
            ("$value", PRIMITIVE) => Last::Value,
            ("$value", ENTITY) => return Err(UriError::unsupported("the media stream '$value' of an entity")),
            _ => return Err(UriError::Misplaced { segment: segment.name.clone(), after }),
        };
        no_arguments(segment)?;
        self.path.last = last;
        Ok(())
    }

    fn member(&mut self, segment: &Segment) -> Result<(), UriError> {
        match self.place() {
            ENTITY => {}
            COMPLEX => return self.nested_property(segment),
            COLLECTION_PROPERTY if segment.name.parse::<i64>().is_ok() => {
                return Err(UriError::unsupported("the position of an item in a collection"));
            }
            _ => return Err(unknown(segment)),
        }
        let ty = self.model.ty(self.path.ty);
        if let Some((nav, property)) = named(ty.navigation(&segment.name), &ty.navigation) {
            return self.navigate(nav, property, segment);
        }
        self.property_of(ty, segment)
    }

    fn nested_property(&mut self, segment: &Segment) -> Result<(), UriError> {
        let Some(TypeKind::Complex(ty)) = self.property.map(|property| property.ty.kind) else {
            return Err(unknown(segment));
        };
        let ty = self.model.ty(ty);
        if ty.navigation(&segment.name).is_some() {
            return Err(UriError::unsupported(format!("the navigation '{}' of a complex value", segment.name)));
        }
        self.property_of(ty, segment)
    }

    fn property_of(&mut self, ty: &'a StructuredType, segment: &Segment) -> Result<(), UriError> {
        let Some((position, property)) = named(ty.property(&segment.name), &ty.properties) else {
            if ty.is_open && segment.arguments.is_none() {
                return Err(UriError::unsupported(format!("the undeclared property '{}' in a path", segment.name)));
            }
            return Err(unknown(segment));
        };
        no_arguments(segment)?;
        self.path.property.push(position);
        self.property = Some(property);
        Ok(())
    }

    fn navigate(&mut self, nav: usize, property: &NavigationProperty, segment: &Segment) -> Result<(), UriError> {
        let ty = property.target;
        if !property.collection {
            no_arguments(segment)?;
        }
        let key = key(self.model, ty, segment)?;
        let collection = property.collection && key.is_none();
        let bound = self.model.set(self.path.set).bindings.get(&segment.name).copied();
        match (self.company.take(), bound) {
            (Some(company), Some(set)) if property.collection && !property.contains_target => {
                let (steps, property) = (Vec::new(), Vec::new());
                let company = Some(company);
                self.path = EntityPath { company, set, key, steps, property, last: Last::None, ty, collection };
            }
            _ => {
                self.path.steps.push(Step { nav, ty, key });
                self.path.ty = ty;
                self.path.collection = collection;
            }
        }
        Ok(())
    }

    /// What the path addresses so far.
    fn place(&self) -> &'static str {
        match self.property.map(|property| &property.ty) {
            Some(ty) if ty.collection => COLLECTION_PROPERTY,
            Some(ty) if matches!(ty.kind, TypeKind::Complex(_)) => COMPLEX,
            Some(_) => PRIMITIVE,
            None if self.path.collection => COLLECTION,
            None => ENTITY,
        }
    }
}

const ENTITY: &str = "an entity";
const COLLECTION: &str = "a collection of entities";
const COMPLEX: &str = "a complex value";
const PRIMITIVE: &str = "a primitive value";
const COLLECTION_PROPERTY: &str = "a collection of values";

fn named<T>(position: Option<usize>, items: &[T]) -> Option<(usize, &T)> {
    position.and_then(|at| items.get(at).map(|item| (at, item)))
}

fn not_found(segment: &Segment) -> UriError {
    UriError::NotFound { segment: segment.name.clone() }
}

/// A name the model does not have here: legal OData beyond this service, or nothing at all.
fn unknown(segment: &Segment) -> UriError {
    let name = segment.name.as_str();
    let what = match name {
        "$all" | "$entity" | "$crossjoin" | "$each" | "$filter" | "$query" | "$root" => format!("'{name}'"),
        _ if name.starts_with(['$', '@']) => return not_found(segment),
        _ if name.contains('.') => format!("the type or operation '{name}'"),
        _ if segment.arguments == Some(KeyPredicate::Empty) => format!("the function call '{name}()'"),
        _ => return not_found(segment),
    };
    UriError::Unsupported { what }
}

fn no_arguments(segment: &Segment) -> Result<(), UriError> {
    match segment.arguments {
        None => Ok(()),
        Some(_) => Err(bad_key(segment, "there is nothing to choose from")),
    }
}

fn bad_key(segment: &Segment, reason: impl Into<String>) -> UriError {
    UriError::BadKey { segment: segment.name.clone(), reason: reason.into() }
}

/// The key in the parentheses of a segment; `None` without parentheses.
fn key(model: &Model, id: TypeId, segment: &Segment) -> Result<Option<Key>, UriError> {
    let ty = model.ty(id);
    let value = |position: &usize, text: &str| key_value(model, ty, *position, text, segment);
    match &segment.arguments {
        None => Ok(None),
        Some(KeyPredicate::Empty) => Err(bad_key(segment, "it is empty")),
        Some(KeyPredicate::Single(text)) => match ty.key.as_slice() {
            [only] => Ok(Some(Key::Primary(EntityKey(vec![value(only, text)?])))),
            _ => Err(bad_key(segment, format!("{} parts must be named", ty.key.len()))),
        },
        Some(KeyPredicate::Named(parts)) => named_key(ty, parts, segment, value).map(Some),
    }
}

/// A key with named parts: the primary key when all the names are its, else the alternate key that has just them.
fn named_key(
    ty: &StructuredType,
    parts: &[(String, String)],
    segment: &Segment,
    value: impl Fn(&usize, &str) -> Result<Value, UriError>,
) -> Result<Key, UriError> {
    let text = |wanted: &str| parts.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.as_str());
    let property = |position: &usize| ty.properties.get(*position).map_or("", |property| property.name.as_str());

    let primary: Option<Vec<_>> = ty.key.iter().map(|at| Some((at, text(property(at))?))).collect();
    if let Some(primary) = primary.filter(|found| found.len() == parts.len()) {
        let values: Result<_, _> = primary.into_iter().map(|(at, text)| value(at, text)).collect();
        return values.map(EntityKey).map(Key::Primary);
    }
    for (index, alternate) in ty.alternate_keys.iter().enumerate() {
        let of_part = |(alias, at): &'_ (String, usize)| Some((*at, text(alias).or_else(|| text(property(at)))?));
        let found: Option<Vec<_>> = alternate.properties.iter().map(of_part).collect();
        if let Some(found) = found.filter(|found| found.len() == parts.len()) {
            let values: Result<_, _> = found.into_iter().map(|(at, text)| value(&at, text)).collect();
            return values.map(|values| Key::Alternate { index, values });
        }
    }
    Err(bad_key(segment, format!("its names are not those of a key of '{}'", ty.name)))
}

fn key_value(
    model: &Model,
    ty: &StructuredType,
    position: usize,
    text: &str,
    segment: &Segment,
) -> Result<Value, UriError> {
    if text.starts_with('@') {
        return Err(UriError::unsupported(format!("the parameter alias '{text}'")));
    }
    let Some(property) = ty.properties.get(position) else { return Err(bad_key(segment, "its type has no key")) };
    match parse_literal(model, &property.ty, text) {
        Ok(Value::Null) => Err(bad_key(segment, format!("'{}' is null", property.name))),
        Ok(value) => Ok(value),
        Err(source) => {
            let (segment, property) = (segment.name.clone(), property.name.clone());
            Err(UriError::BadKeyValue { segment, property, source })
        }
    }
}
