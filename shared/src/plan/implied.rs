//! Contained entities that exist with their parent: what they are until they are written.
//!
//! No item holds such an entity before its first write; what it is follows from its parent and from defaults, and so does
//! its etag. The first write creates the item, under the condition that the parent is still there. Deleting it leads back
//! to what it was before.

use std::sync::Arc;

use crate::{
    edm::{Entity, EntityKey, NavigationProperty, Record, TypeId, Value, Version},
    service::Rule,
    store::Condition,
    uri::{self, Key, Step as PathStep},
};

use super::{
    PlanError,
    overlay::Step,
    place::Collection,
    unit::{Owner, Unit},
    walk::{Spot, Target},
};

impl Unit<'_> {
    /// Follows a single-valued containment. A key behind it may be given, and must be that of the entity.
    pub(super) fn follow_single(
        &mut self,
        parent: &Entity,
        owner: Owner,
        nav: &NavigationProperty,
        step: &PathStep,
    ) -> Step<Target> {
        if !self.is_with_parent(owner.ty, step.nav) {
            return Err(PlanError::Unsupported(format!("the single contained entity '{}'", nav.name)).into());
        }
        let model = &self.service().model;
        let implied = self.implied(parent, nav.target)?;
        let key = EntityKey::of(model, &implied.record).ok_or(PlanError::Internal)?;
        let collection = Collection::contained(self.service(), &parent.incarnation, &nav.name, nav.target, &owner.path);
        let path = format!("{}{}", collection.path, uri::write_key(model, nav.target, &key));
        let given = step.key.as_ref();
        match given {
            Some(Key::Primary(given)) if *given != key => {
                return Err(self.not_found(nav.target, &uri::write_key(model, nav.target, given)).into());
            }
            Some(Key::Alternate { .. }) => return Err(self.not_found(nav.target, "").into()),
            _ => {}
        }
        let item = collection.entity_key(&key).map_err(PlanError::from)?;
        Ok(Target::Entity(Spot {
            collection,
            key: item,
            path,
            entity_key: Some(key),
            parent: Some(owner),
            via: None,
            alternate_path: None,
            implied: Some(implied),
        }))
    }

    /// Whether what a navigation property contains exists with its parent.
    pub(super) fn is_with_parent(&self, parent: TypeId, nav: usize) -> bool {
        let model = &self.service().model;
        self.service().with_parent.iter().any(|with| with.nav == nav && model.is_a(parent, with.parent))
    }

    /// An entity before its first write. It has the parent's incarnation and a version that no write makes.
    fn implied(&self, parent: &Entity, ty: TypeId) -> Result<Arc<Entity>, PlanError> {
        let model = &self.service().model;
        let mut record = Record::new(model, ty);
        for derived in self.service().derived.get(&ty).map(Vec::as_slice).unwrap_or_default() {
            let value = match &derived.rule {
                Rule::Default(value) => value.clone(),
                Rule::CopyFromParent { property } => {
                    parent.record.values.get(*property).cloned().flatten().unwrap_or(Value::Null)
                }
                Rule::ByParent(values) => self.by_parent(parent.record.ty, values),
                _ => continue,
            };
            if let Some(slot) = record.values.get_mut(derived.property) {
                *slot = Some(value);
            }
        }
        self.complete(&mut record)?;
        model.concatenate(&mut record);
        let lookups = vec![None; self.ty(ty).navigation.len()];
        let (incarnation, version) = (parent.incarnation.clone(), Version("0".into()));
        Ok(Arc::new(Entity { record, lookups, incarnation, version, marks: Vec::new() }))
    }

    /// The value that goes with the type of a parent.
    pub(super) fn by_parent(&self, parent: TypeId, values: &[(TypeId, Value)]) -> Value {
        let model = &self.service().model;
        let value = values.iter().find(|(ty, _)| model.is_a(parent, *ty)).map(|(_, value)| value.clone());
        value.unwrap_or(Value::Null)
    }

    /// The entity of a spot: as it is stored, else what it is until it is written.
    pub(super) fn entity_at(&mut self, spot: &Spot) -> Step<Option<Arc<Entity>>> {
        Ok(self.overlay.entity(&spot.key)?.or_else(|| spot.implied.clone()))
    }

    /// The same; the commit happens only if it is still so.
    pub(super) fn observe_at(&mut self, spot: &Spot) -> Step<Option<Arc<Entity>>> {
        Ok(self.overlay.observe(&spot.key)?.or_else(|| spot.implied.clone()))
    }

    /// Makes the first write of an entity depend on its parent.
    pub(super) fn rely_on_parent(&mut self, spot: &Spot) {
        if let Some(Owner { key, incarnation: Some(incarnation), .. }) = &spot.parent {
            self.overlay.rely(key, Condition::Incarnation(incarnation.0.clone()));
        }
    }
}

impl Spot {
    /// Whether an entity of this place is one that nobody has written.
    pub(super) fn is_unwritten(&self, entity: &Arc<Entity>) -> bool {
        self.implied.as_ref().is_some_and(|implied| Arc::ptr_eq(implied, entity))
    }
}
