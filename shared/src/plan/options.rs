//! Which query options a request may have (Protocol §11.2, §11.4, §11.5; URL Conventions §5.1, §5.2).
//!
//! An option that has no meaning where it stands is refused (400), one that has a meaning and is not carried out as well
//! (501): nothing is ignored that asks for another answer.

use http::Method;

use crate::{
    edm::{Model, TypeKind},
    service::profile::Profile,
    uri::{EntityPath, Last, QueryOptions, Resource, UriError},
};

use super::prepare::Prepared;

/// Options of answers that hold no entity.
const FORMAT: &[&str] = &["$format"];
/// Options of one entity, and of one complex value.
const ENTITY: &[&str] = &["$select", "$format"];
/// Options of a page of entities.
const ENTITIES: &[&str] = &["$select", "$filter", "$top", "$skip", "$count", "$skiptoken", "$format"];
/// Options of a page of references. `$select` has nothing to choose from.
const REFERENCES: &[&str] = &["$filter", "$top", "$skip", "$count", "$skiptoken", "$format"];
/// Options of a number of entities. All but `$filter` have no effect on it, and clients send them (Protocol 4.0 §11.2.9).
const COUNT: &[&str] = &["$filter", "$top", "$skip", "$count", "$format"];
/// Options that a collection of values may have in OData.
const VALUES: &[&str] = &["$filter", "$top", "$skip", "$count"];

/// Refuses system query options that the request cannot have.
pub(super) fn check_options(model: &Model, request: &Prepared) -> Result<(), UriError> {
    let (has, lacks) = match &request.resource {
        Resource::Entities(path) if request.method == Method::GET => readable(model, path),
        Resource::Entities(path) => (writable(&request.method, path), &[][..]),
        _ => (FORMAT, &[][..]),
    };
    let Some(name) = request.options.given().find(|name| !has.contains(name)) else { return Ok(()) };
    if lacks.contains(&name) {
        return Err(UriError::Unsupported { what: format!("'{name}' of a collection of values") });
    }
    Err(UriError::BadOption { name: name.into(), reason: "it has no meaning for this request" })
}

/// Refuses custom options that the dialect gives a meaning to and this service does not carry out.
pub fn check_custom_options(profile: &Profile, options: &QueryOptions) -> Result<(), UriError> {
    let is_known = |name: &str| profile.unsupported_options.iter().any(|known| known.eq_ignore_ascii_case(name));
    match options.custom.iter().find(|(name, _)| is_known(name)) {
        Some((name, _)) => Err(UriError::Unsupported { what: format!("the query option '{name}'") }),
        None => Ok(()),
    }
}

/// The options that a read has, and those that it lacks of what OData gives it.
fn readable(model: &Model, path: &EntityPath) -> (&'static [&'static str], &'static [&'static str]) {
    let value = path.value_type(model);
    match (path.last, value) {
        (Last::Count, None) => (COUNT, &[]),
        (Last::Count, Some(_)) => (&[], &["$filter"]),
        (Last::Ref, _) if path.collection => (REFERENCES, &[]),
        (Last::Ref | Last::Value, _) => (FORMAT, &[]),
        (Last::None, None) if path.collection => (ENTITIES, &[]),
        (Last::None, None) => (ENTITY, &[]),
        (Last::None, Some(ty)) => match (ty.collection, matches!(ty.kind, TypeKind::Complex(_))) {
            (true, true) => (FORMAT, &["$select", "$filter", "$top", "$skip", "$count"]),
            (true, false) => (FORMAT, VALUES),
            (false, true) => (ENTITY, &[]),
            (false, false) => (FORMAT, &[]),
        },
    }
}

/// The options that a write has: those of its answer.
fn writable(method: &Method, path: &EntityPath) -> &'static [&'static str] {
    match path.last {
        Last::Ref if *method == Method::DELETE && path.collection => &["$id", "$format"],
        Last::None if *method != Method::DELETE && path.property.is_empty() => ENTITY,
        _ => FORMAT,
    }
}
