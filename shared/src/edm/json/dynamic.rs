//! Types that are stated beside a value, and the dynamic properties that keep them (JSON Format §4.6.3).

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::compact::compact;
use super::control::{Control, Member};
use super::object::{Object, Shape, shape};
use super::path::Path;
use super::read::Reader;
use crate::edm::error::shorten;
use crate::edm::{Dynamic, PrimitiveType, PropertyType, TypeKind, TypedDynamic, Value, ValueError};

/// The types that an object states of its members: `name@odata.type`.
pub(super) type StatedTypes<'o, 'a> = HashMap<&'o str, &'a RawValue>;

/// Collects the types that an object states of its members.
pub(super) fn stated_types<'o, 'a>(
    Object(members): &'o Object<'a>,
    path: &Path<'_>,
) -> Result<StatedTypes<'o, 'a>, ValueError> {
    let mut types = HashMap::new();
    for (name, raw) in members {
        if let Member::Control(target, Control::Type) = Member::of(name, None)
            && !target.is_empty()
            && types.insert(target, *raw).is_some()
        {
            return Err(ValueError::DuplicateMember { property: path.member(name).to_string() });
        }
    }
    Ok(types)
}

impl<'a> Reader<'_, 'a> {
    /// Checks the type that is stated of a declared property: its own, or one that derives from it. A name that the
    /// model does not have may be one of a type definition, which the value itself is checked against.
    pub(super) fn check_type(
        &self,
        declared: &PropertyType,
        stated: &RawValue,
        path: &Path<'_>,
    ) -> Result<(), ValueError> {
        let text = self.text_of(stated, path)?;
        let Some((_, found)) = self.model.value_type(after_hash(&text)) else { return Ok(()) };
        let fits = found.collection == declared.collection
            && match (found.kind, declared.kind) {
                (TypeKind::Primitive(_), TypeKind::Primitive(PrimitiveType::Untyped)) => true,
                (TypeKind::Primitive(found), TypeKind::Primitive(declared)) => {
                    found == declared || found.is_number() && declared.is_number()
                }
                (TypeKind::Complex(found), TypeKind::Complex(declared)) => self.model.is_a(found, declared),
                (found, declared) => found == declared,
            };
        if fits {
            return Ok(());
        }
        let expected = declared.name(self.model);
        Err(ValueError::WrongTypeAnnotation { property: path.to_string(), expected, got: shorten(&text) })
    }

    /// Reads a dynamic property with the type that is stated of it, beside it or within its object.
    pub(super) fn dynamic(
        &self,
        raw: &'a RawValue,
        stated: Option<&RawValue>,
        path: &Path<'_>,
        owner: &str,
        depth: usize,
    ) -> Result<Dynamic, ValueError> {
        let as_json = || Dynamic::Json(compact(raw.get()));
        let ty = match stated {
            Some(stated) => Some(self.known_type(stated, path)?),
            None if shape(raw) == Shape::Object => self.inner_type(raw, path)?,
            None => None,
        };
        let Some((name, ty)) = ty.filter(|_| shape(raw) != Shape::Null) else { return Ok(as_json()) };
        let value = self.value(&ty, raw, path, owner, depth)?;
        if follows_from_json(&ty, &value) {
            return Ok(as_json());
        }
        Ok(Dynamic::Typed(Box::new(TypedDynamic { name: name.into(), ty, value })))
    }

    /// The type that an object states of itself.
    fn inner_type(&self, raw: &'a RawValue, path: &Path<'_>) -> Result<Option<(String, PropertyType)>, ValueError> {
        let Object(members) = self.object(raw, path)?;
        let own = members.iter().find(|(name, _)| Member::of(name, None) == Member::Control("", Control::Type));
        own.map(|(_, stated)| self.known_type(stated, path)).transpose()
    }

    fn known_type(&self, stated: &RawValue, path: &Path<'_>) -> Result<(String, PropertyType), ValueError> {
        let text = self.text_of(stated, path)?;
        let found = self.model.value_type(after_hash(&text));
        found.ok_or_else(|| ValueError::UnknownType { property: path.to_string(), got: shorten(&text) })
    }
}

/// The name in a type's URI.
pub(super) fn after_hash(uri: &str) -> &str {
    uri.rsplit_once('#').map_or(uri, |(_, name)| name)
}

/// Whether a reader of the JSON takes the value for one of this type anyway.
fn follows_from_json(ty: &PropertyType, value: &Value) -> bool {
    use PrimitiveType as P;
    match (ty.kind, value) {
        _ if ty.collection => false,
        (TypeKind::Primitive(P::Double), Value::Double(number)) => number.is_finite(),
        (TypeKind::Primitive(P::String | P::Boolean | P::Untyped), _) => true,
        _ => false,
    }
}
