//! Writes resource paths, percent-encoded.

use super::{EntityPath, Key, Last};
use crate::edm::{EntityKey, Model, PropertyType, SetId, TypeId, TypeKind, Value, write_literal};

/// The parentheses that name an entity by its key: `(1)`, `(a='x',b=1)`, percent-encoded.
pub fn write_key(model: &Model, ty: TypeId, key: &EntityKey) -> String {
    let ty = model.ty(ty);
    let properties = ty.key.iter().filter_map(|at| ty.properties.get(*at));
    let parts: Vec<_> = properties.zip(&key.0).map(|(p, value)| (p.name.as_str(), &p.ty, value)).collect();
    match parts.as_slice() {
        [(_, ty, value)] => format!("({})", write_literal(model, ty, value)),
        _ => write_named(model, &parts),
    }
}

/// The parentheses that name an entity by an alternate key, parts always named: `(a='x')`, percent-encoded.
///
/// `index` is the position of the key in its type; `values` are in its declared order.
pub fn write_alternate_key(model: &Model, ty: TypeId, index: usize, values: &[Value]) -> String {
    let ty = model.ty(ty);
    let aliases = ty.alternate_keys.get(index).into_iter().flat_map(|key| &key.properties);
    let typed = aliases.filter_map(|(alias, at)| ty.properties.get(*at).map(|p| (alias.as_str(), &p.ty)));
    let parts: Vec<_> = typed.zip(values).map(|((alias, ty), value)| (alias, ty, value)).collect();
    write_named(model, &parts)
}

/// The path relative to the service root, percent-encoded, as [`super::parse_path`] and [`super::resolve`] read it.
///
/// `companies` is the set whose navigation leads to the other sets, as given to [`super::resolve`].
pub fn path_text(model: &Model, path: &EntityPath, companies: Option<SetId>) -> String {
    let mut text = String::new();
    if let (Some(key), Some(companies)) = (&path.company, companies) {
        let set = model.set(companies);
        let navigation = set.bindings.iter().filter(|(_, bound)| **bound == path.set).map(|(name, _)| name).min();
        text = format!(
            "{}{}/{}",
            set.name,
            write_key(model, set.entity_type, key),
            navigation.unwrap_or(&model.set(path.set).name)
        );
    } else {
        text.push_str(&model.set(path.set).name);
    }
    let mut ty = model.set(path.set).entity_type;
    push_key(&mut text, model, ty, path.key.as_ref());
    for step in &path.steps {
        push_name(&mut text, model.ty(ty).navigation.get(step.nav).map(|nav| nav.name.as_str()));
        ty = step.ty;
        push_key(&mut text, model, ty, step.key.as_ref());
    }
    let mut owner = Some(ty);
    for at in &path.property {
        let property = owner.and_then(|owner| model.ty(owner).properties.get(*at));
        push_name(&mut text, property.map(|property| property.name.as_str()));
        owner = property.and_then(|property| complex_type(&property.ty));
    }
    push_name(&mut text, suffix(path.last));
    text
}

fn complex_type(ty: &PropertyType) -> Option<TypeId> {
    match ty.kind {
        TypeKind::Complex(id) => Some(id),
        _ => None,
    }
}

fn suffix(last: Last) -> Option<&'static str> {
    match last {
        Last::None => None,
        Last::Value => Some("$value"),
        Last::Count => Some("$count"),
        Last::Ref => Some("$ref"),
    }
}

fn push_name(text: &mut String, name: Option<&str>) {
    if let Some(name) = name {
        text.push('/');
        text.push_str(name);
    }
}

fn push_key(text: &mut String, model: &Model, ty: TypeId, key: Option<&Key>) {
    match key {
        None => {}
        Some(Key::Primary(key)) => text.push_str(&write_key(model, ty, key)),
        Some(Key::Alternate { index, values }) => text.push_str(&write_alternate_key(model, ty, *index, values)),
    }
}

fn write_named(model: &Model, parts: &[(&str, &PropertyType, &Value)]) -> String {
    let parts: Vec<_> =
        parts.iter().map(|(name, ty, value)| format!("{name}={}", write_literal(model, ty, value))).collect();
    format!("({})", parts.join(","))
}
