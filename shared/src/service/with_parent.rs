//! Contained entities that exist as soon as their parent does, declared in `with_parent` of a `service.toml`.

use std::collections::HashMap;

use super::{Derived, Problem, Rule, config::ServiceConfig, derived::Located};
use crate::edm::{Model, Property, TypeId};

/// A single-valued containment whose entity is there with its parent: until it is written, no item holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithParent {
    /// Type of the parent.
    pub parent: TypeId,
    /// Position of the navigation property.
    pub nav: usize,
}

/// Reads the declarations and checks that all such an entity is follows from its parent and from defaults.
pub(super) fn with_parent(
    model: &Model,
    namespace: &str,
    config: &ServiceConfig,
    derived: &HashMap<TypeId, Vec<Derived>>,
) -> Result<Vec<WithParent>, Located> {
    let read = |path: &toml::Spanned<String>| {
        declared(model, namespace, path.as_ref(), derived).map_err(|problem| (path.span().start, problem))
    };
    config.with_parent.iter().map(read).collect()
}

fn declared(
    model: &Model,
    namespace: &str,
    path: &str,
    derived: &HashMap<TypeId, Vec<Derived>>,
) -> Result<WithParent, Problem> {
    let (ty, navigation) = path.split_once('/').ok_or_else(|| Problem::WithParentPath(path.into()))?;
    let parent = model.type_id(ty).or_else(|| model.type_id(&format!("{namespace}.{ty}")));
    let parent = parent.ok_or_else(|| Problem::UnknownType(ty.into()))?;
    let owner = model.ty(parent);
    let nav = owner.navigation(navigation).and_then(|nav| Some((nav, owner.navigation.get(nav)?)));
    let (nav, property) =
        nav.ok_or_else(|| Problem::UnknownNavigation { ty: owner.qualified_name.clone(), name: navigation.into() })?;
    if property.collection || !property.contains_target {
        return Err(Problem::NotContained(navigation.into()));
    }
    let child = model.ty(property.target);
    let rules = derived.get(&property.target).map(Vec::as_slice).unwrap_or_default();
    for (at, property) in child.properties.iter().enumerate() {
        let rule = rules.iter().find(|derived| derived.property == at).map(|derived| &derived.rule);
        if !is_known(property, child.key.contains(&at), rule) {
            return Err(Problem::Unknowable { ty: child.qualified_name.clone(), property: property.name.clone() });
        }
    }
    Ok(WithParent { parent, nav })
}

/// Whether the value of a property that nobody has written is the same at every read.
fn is_known(property: &Property, key: bool, rule: Option<&Rule>) -> bool {
    match rule {
        Some(Rule::CopyFromParent { .. }) => true,
        Some(Rule::Default(_) | Rule::ByParent(_) | Rule::Concat(_)) => !key,
        Some(Rule::NewGuid | Rule::Sequence { .. } | Rule::CopyFromLookup { .. } | Rule::Now { .. }) => false,
        None => !key && (property.ty.nullable || property.ty.collection || property.default.is_some()),
    }
}
