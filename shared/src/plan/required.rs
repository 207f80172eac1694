//! Required navigation properties (CSDL 4.01 §8.3), and properties that are never changed (`Core.Immutable`).
//!
//! A required lookup may be set by a later request of the same unit, so it is checked when all have been evaluated, and
//! the request that left it without target fails. Entities that lacked a target before stay as they are: a model may
//! become stricter than the rows that are there. So does a lookup whose target is deleted later, required or not: who
//! refers to an entity is not known without reading all who could.

use indexmap::IndexMap;

use crate::{
    edm::{Entity, NavigationProperty, Property, Record, TypeId, Value},
    store::ItemKey,
};

use super::{
    PlanError,
    lookup::lookup_sort,
    unit::{Job, Unit},
};

/// Required lookups without target: the entity and the position of the navigation property, and its type and the index
/// of the request that left it so.
pub(super) type Unset = IndexMap<(ItemKey, usize), (TypeId, usize)>;

impl Unit<'_> {
    /// Notes the required lookups that an entity has lost, or lacks from its beginning.
    pub(super) fn note_lookups(&mut self, key: &ItemKey, old: Option<&Entity>, new: &Entity) {
        let (service, ty) = (self.service(), self.ty(new.record.ty));
        for (nav, _) in ty.navigation.iter().enumerate().filter(|(_, nav)| nav.is_required()) {
            let leads = |entity: &Entity| lookup_sort(service, &entity.record, &entity.lookups, nav).is_some();
            let leads_now = leads(new);
            if leads_now || old.is_none_or(leads) {
                self.note_lookup(key, new.record.ty, nav, leads_now);
            }
        }
    }

    /// Notes whether a required lookup has a target from now on.
    pub(super) fn note_lookup(&mut self, key: &ItemKey, ty: TypeId, nav: usize, leads: bool) {
        let required = self.ty(ty).navigation.get(nav).is_some_and(NavigationProperty::is_required);
        let place = (key.clone(), nav);
        if leads {
            self.unset.swap_remove(&place);
        } else if required {
            self.unset.entry(place).or_insert((ty, self.index));
        }
    }

    /// A deleted entity requires nothing.
    pub(super) fn forget_lookups(&mut self, key: &ItemKey) {
        self.unset.retain(|(other, _), _| other != key);
    }

    /// The first of these requests that leaves a required lookup without target: its position, and why it fails.
    pub(super) fn first_unset(&self, jobs: &[Job<'_>]) -> Option<(usize, PlanError)> {
        let position = |index: usize| jobs.iter().position(|job| job.index == index);
        let unset = self.unset.iter().filter_map(|((_, nav), (ty, index))| Some((position(*index)?, *nav, *ty)));
        let (position, nav, ty) = unset.min_by_key(|(position, nav, _)| (*position, *nav))?;
        let ty = self.ty(ty);
        let navigation = ty.navigation.get(nav).map(|navigation| navigation.name.clone()).unwrap_or_default();
        Some((position, PlanError::RequiredTarget { navigation, entity_type: ty.name.clone() }))
    }

    /// Refuses another value for a property that keeps the one it was created with.
    pub(super) fn check_immutable(&self, old: &Record, new: &Record) -> Result<(), PlanError> {
        match self.changed_immutable(old, new) {
            Some(property) => Err(PlanError::Immutable(property)),
            None => Ok(()),
        }
    }

    fn changed_immutable(&self, old: &Record, new: &Record) -> Option<String> {
        let values = old.values.iter().zip(&new.values);
        self.ty(new.ty).properties.iter().zip(values).find_map(|(property, (old, new))| {
            let (old, new) = (old.as_ref().unwrap_or(&Value::Null), new.as_ref().unwrap_or(&Value::Null));
            match (old, new) {
                _ if property.immutable => (!old.equals(new)).then(|| property.name.clone()),
                (Value::Complex(old), Value::Complex(new)) if old.ty == new.ty => {
                    self.changed_immutable(old, new).map(|inner| format!("{}/{inner}", property.name))
                }
                _ => None,
            }
        })
    }

    /// Whether a value of this property may hold an immutable one.
    pub(super) fn gives_immutable(&self, property: &Property, value: &Value) -> bool {
        property.immutable
            || match value {
                Value::Complex(record) => {
                    let given = self.ty(record.ty).properties.iter().zip(&record.values);
                    given.filter_map(|(p, v)| Some((p, v.as_ref()?))).any(|(p, v)| self.gives_immutable(p, v))
                }
                _ => false,
            }
    }
}
