//! Which methods a resource takes: those of its kind that the model does not take away.
//!
//! The model takes them away by `Org.OData.Capabilities.V1` and `Core.Permissions` of entity sets and navigation
//! properties, by `Core.Computed` and `Core.Immutable` of properties, and `service.toml` by `read_only`.

use crate::{
    edm::{Capabilities, NavigationProperty, SetId, TypeKind},
    uri::{EntityPath, Last, Resource},
};

use super::{PlanError, lookup::target_set, place::Collection, prepare::Prepared, unit::Unit};

/// A change of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Insert,
    Update,
    Delete,
}

impl Unit<'_> {
    /// The methods that a resource takes, in the order of `Allow`.
    pub(super) fn allowed(&self, path: &EntityPath) -> Vec<&'static str> {
        let capabilities = self.capabilities(path, path.steps.len());
        let readable = if path.collection { capabilities.readable } else { capabilities.readable_by_key };
        let writes: &[(&'static str, bool)] = match path.last {
            Last::Value | Last::Count => &[],
            Last::Ref => {
                let changes = self.can_be_linked(path);
                &[("POST", changes), ("PUT", changes), ("PATCH", changes), ("DELETE", changes)]
            }
            Last::None if !path.property.is_empty() => {
                let changes = capabilities.updatable && !self.is_read_only(path);
                &[("PUT", changes), ("PATCH", changes), ("DELETE", changes)]
            }
            Last::None if path.collection => &[("POST", capabilities.insertable)],
            Last::None => {
                let Capabilities { updatable, deletable, .. } = capabilities;
                &[("PUT", updatable), ("PATCH", updatable), ("DELETE", deletable)]
            }
        };
        let taken = writes.iter().filter(|(_, taken)| *taken).map(|(method, _)| *method);
        readable.then_some("GET").into_iter().chain(taken).collect()
    }

    /// The capabilities of clients with the entities that the first steps of a path lead to.
    fn capabilities(&self, path: &EntityPath, steps: usize) -> Capabilities {
        if self.context.trusted {
            return Capabilities::ALL;
        }
        let model = &self.service().model;
        let mut capabilities = model.set(path.set).capabilities;
        let (mut from, mut way) = (path.set, String::new());
        // Only of an entity that is in a set itself, bindings say where navigation leads.
        let mut bound = Some(path.set);
        let mut ty = model.set(path.set).entity_type;
        for step in path.steps.iter().take(steps) {
            let Some(navigation) = model.ty(ty).navigation.get(step.nav) else { return capabilities };
            if !way.is_empty() {
                way.push('/');
            }
            way.push_str(&navigation.name);
            let stated = model.set(from).navigation.get(&way).copied().unwrap_or(Capabilities::ALL);
            capabilities = stated.and(navigation.capabilities);
            ty = step.ty;
            if navigation.contains_target {
                bound = None;
            } else if let Some(set) = target_set(model, bound, navigation) {
                capabilities = capabilities.and(model.set(set).capabilities);
                (from, bound) = (set, Some(set));
                way.clear();
            }
        }
        capabilities
    }

    /// Whether the entity that a missing one of this request would become may be created.
    pub(super) fn may_insert(&self, request: &Prepared) -> bool {
        match &request.resource {
            Resource::Entities(path) => self.capabilities(path, path.steps.len()).insertable,
            _ => true,
        }
    }

    /// Whether the links of `…/$ref` can be changed: they are part of the entity they start from.
    fn can_be_linked(&self, path: &EntityPath) -> bool {
        let Some((last, before)) = path.steps.split_last() else { return false };
        let model = &self.service().model;
        let owner = before.last().map_or(model.set(path.set).entity_type, |step| step.ty);
        let fixed = model.ty(owner).navigation.get(last.nav).is_some_and(|navigation| navigation.read_only);
        !fixed && self.capabilities(path, before.len()).updatable
    }

    /// Whether a property that a path leads to, or one around it, is not changed by clients.
    fn is_read_only(&self, path: &EntityPath) -> bool {
        let model = &self.service().model;
        let mut ty = path.ty;
        path.property.iter().any(|at| {
            let Some(property) = model.ty(ty).properties.get(*at) else { return false };
            if let TypeKind::Complex(inner) = property.ty.kind {
                ty = inner;
            }
            property.computed || property.immutable
        })
    }

    /// Refuses to create entities inline where they are not created by navigation.
    pub(super) fn check_inline(&self, from: Option<SetId>, navigation: &NavigationProperty) -> Result<(), PlanError> {
        let stated = from.and_then(|set| self.service().model.set(set).navigation.get(&navigation.name));
        let insertable = navigation.capabilities.insertable && stated.is_none_or(|stated| stated.insertable);
        if insertable || self.context.trusted {
            return Ok(());
        }
        Err(PlanError::Restricted { set: navigation.name.clone(), done: "created", allow: "GET".into() })
    }

    /// Refuses to change an entity in a way that its set does not take, however the request came to it.
    pub(super) fn check_access(&self, collection: &Collection, access: Access) -> Result<(), PlanError> {
        let Some(id) = collection.set.filter(|_| !self.context.trusted) else { return Ok(()) };
        let set = self.service().model.set(id);
        let Capabilities { insertable, updatable, deletable, readable, readable_by_key } = set.capabilities;
        let (taken, done) = match access {
            Access::Insert => (insertable, "created"),
            Access::Update => (updatable, "changed"),
            Access::Delete => (deletable, "deleted"),
        };
        if taken {
            return Ok(());
        }
        let methods = match access {
            Access::Insert => vec![("GET", readable)],
            _ => vec![("GET", readable_by_key), ("PUT", updatable), ("PATCH", updatable), ("DELETE", deletable)],
        };
        let methods: Vec<_> = methods.into_iter().filter(|(_, taken)| *taken).map(|(method, _)| method).collect();
        Err(PlanError::Restricted { set: set.name.clone(), done, allow: methods.join(", ") })
    }
}
