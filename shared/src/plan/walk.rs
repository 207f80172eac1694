//! From a resolved resource path to places in the table.

use std::sync::Arc;

use crate::{
    edm::{Entity, EntityKey, NavigationProperty, SetId, TypeId, Value},
    store::{Condition, Stored},
    uri::{self, EntityPath, Key},
};

use super::{
    PlanError,
    lookup::{lookup_sort, target_set},
    overlay::Step,
    place::{self, Collection},
    unit::{Owner, Unit},
};
use crate::store::ItemKey;

/// What a path leads to.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and most are the large one")]
pub(super) enum Target {
    /// An entity set, or the contained children of an entity.
    Collection {
        collection: Collection,
        /// The entity that contains it.
        parent: Option<Owner>,
    },
    /// The targets of a navigation property that contains nothing.
    Linked {
        owner: Owner,
        /// Position of the navigation property in the owner's type.
        nav: usize,
        collection: Collection,
    },
    /// An entity, which may not exist.
    Entity(Spot),
    /// No entity has this alternate key.
    NoAlternate { collection: Collection, index: usize, values: Vec<Value> },
}

/// The place of one entity.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) collection: Collection,
    pub(super) key: ItemKey,
    /// Canonical path from the service root.
    pub(super) path: String,
    /// The key as given in the URL.
    pub(super) entity_key: Option<EntityKey>,
    /// The entity that contains it.
    pub(super) parent: Option<Owner>,
    /// The link that the URL went along last: owner and position of the navigation property.
    pub(super) via: Option<(Owner, usize)>,
    /// The path as the client addressed it by an alternate key.
    pub(super) alternate_path: Option<String>,
    /// The entity that exists with its parent, while no item holds it.
    pub(super) implied: Option<Arc<Entity>>,
}

impl Spot {
    pub(super) fn owner(&self) -> Owner {
        Owner {
            key: self.key.clone(),
            ty: self.collection.ty,
            path: self.path.clone(),
            set: self.collection.set,
            incarnation: None,
        }
    }
}

impl<'a> Unit<'a> {
    /// Walks a path of entities, up to but not including `$ref`, properties and the like. `steps` says how many of
    /// the path's navigation steps are taken.
    pub(super) fn walk(&mut self, path: &EntityPath, company: Option<usize>, steps: usize) -> Step<Target> {
        let start = Collection::of_set(self.service(), path.set, company);
        let mut target = match &path.key {
            None => return Ok(Target::Collection { collection: start, parent: None }),
            Some(key) => self.by_key(start, key, None)?,
        };
        for step in path.steps.iter().take(steps) {
            let spot = match target {
                Target::Entity(spot) => spot,
                Target::NoAlternate { collection, index, values } => {
                    return Err(self.no_alternate(&collection, index, &values).into());
                }
                other => return Ok(other),
            };
            target = self.follow(&spot, step, company)?;
        }
        Ok(target)
    }

    /// Takes one navigation step from an entity.
    fn follow(&mut self, spot: &Spot, step: &uri::Step, company: Option<usize>) -> Step<Target> {
        let nav = self.navigation(spot.collection.ty, step.nav)?;
        if nav.contains_target {
            return self.follow_contained(spot, nav, step);
        }
        let collection = self.target_collection(spot.collection.set, nav, company)?;
        let owner = spot.owner();
        if !nav.collection {
            let entity =
                if self.writing { self.overlay.observe(&spot.key)? } else { self.overlay.entity(&spot.key)? };
            let entity = entity.ok_or_else(|| self.not_found(spot.collection.ty, &spot.path))?;
            let service = self.service();
            let Some(sort) = lookup_sort(service, &entity.record, &entity.lookups, step.nav) else {
                return Err(PlanError::NoTarget(nav.name.clone()).into());
            };
            let target = collection.key(sort)?;
            return self.spot_of(collection, target, None, Some((owner, step.nav))).map(Target::Entity);
        }
        let Some(key) = &step.key else {
            return Ok(Target::Linked { owner, nav: step.nav, collection });
        };
        let target = self.by_key(collection, key, None)?;
        if let Target::Entity(mut spot) = target {
            let link = place::link_key(&owner.key, &nav.name, &spot.key)?;
            if self.overlay.peek(&link)?.is_none() {
                return Err(self.not_found(spot.collection.ty, &spot.path).into());
            }
            spot.via = Some((owner, step.nav));
            return Ok(Target::Entity(spot));
        }
        Ok(target)
    }

    fn follow_contained(&mut self, spot: &Spot, nav: &NavigationProperty, step: &uri::Step) -> Step<Target> {
        let Some(parent) = self.entity_at(spot)? else {
            return Err(self.not_found(spot.collection.ty, &spot.path).into());
        };
        let owner = Owner { ty: parent.record.ty, incarnation: Some(parent.incarnation.clone()), ..spot.owner() };
        if !nav.collection {
            return self.follow_single(&parent, owner, nav, step);
        }
        let service = self.service();
        let collection = Collection::contained(service, &parent.incarnation, &nav.name, nav.target, &spot.path);
        match &step.key {
            Some(key) => self.by_key(collection, key, Some(owner)),
            None => Ok(Target::Collection { collection, parent: Some(owner) }),
        }
    }

    /// The entity of a key predicate in a collection.
    pub(super) fn by_key(&mut self, collection: Collection, key: &Key, parent: Option<Owner>) -> Step<Target> {
        let model = &self.service().model;
        let (index, values) = match key {
            Key::Primary(entity_key) => {
                let item = collection.entity_key(entity_key).map_err(PlanError::from)?;
                let path = format!("{}{}", collection.path, uri::write_key(model, collection.ty, entity_key));
                let entity_key = Some(entity_key.clone());
                let alternate_path = None;
                return Ok(Target::Entity(Spot {
                    collection,
                    key: item,
                    path,
                    entity_key,
                    parent,
                    via: None,
                    alternate_path,
                    implied: None,
                }));
            }
            Key::Alternate { index, values } => (*index, values),
        };
        let service = self.service();
        let Some(item) = place::alternate_key(service, &collection, index, values).map_err(PlanError::from)? else {
            if values.contains(&Value::Null) {
                return Err(PlanError::Unsupported("null in an alternate key".into()).into());
            }
            return Ok(Target::NoAlternate { collection, index, values: values.clone() });
        };
        match self.overlay.peek(&item)? {
            Some(Stored::AlternateKey(sort)) => {
                let target = collection.key(sort.clone())?;
                let entity = self.overlay.entity(&target)?;
                // Between the two reads the key may have gone to another entity.
                if entity.is_none_or(|entity| self.alternate_values(&collection, index, &entity) != *values) {
                    return Ok(Target::NoAlternate { collection, index, values: values.clone() });
                }
                if self.writing {
                    self.overlay.rely(&item, Condition::AlternateKey(sort));
                }
                let alternate = uri::write_alternate_key(model, collection.ty, index, values);
                let alternate_path = Some(format!("{}{alternate}", collection.path));
                let spot = self.spot_of(collection, target, parent, None)?;
                Ok(Target::Entity(Spot { alternate_path, ..spot }))
            }
            _ => Ok(Target::NoAlternate { collection, index, values: values.clone() }),
        }
    }

    /// The spot of an entity that only its place in the table is known of.
    fn spot_of(
        &mut self,
        collection: Collection,
        key: ItemKey,
        parent: Option<Owner>,
        via: Option<(Owner, usize)>,
    ) -> Step<Spot> {
        let Some(entity) = self.overlay.entity(&key)? else {
            return Err(PlanError::NoTarget(via.map_or(collection.path, |(owner, _)| owner.path)).into());
        };
        let path = format!("{}{}", collection.path, self.key_text(&entity));
        let entity_key = EntityKey::of(&self.service().model, &entity.record);
        Ok(Spot { collection, key, path, entity_key, parent, via, alternate_path: None, implied: None })
    }

    /// The error for an alternate key that no entity has.
    pub(super) fn no_alternate(&self, collection: &Collection, index: usize, values: &[Value]) -> PlanError {
        let key = uri::write_alternate_key(&self.service().model, collection.ty, index, values);
        PlanError::NotFound { entity_type: self.ty(collection.ty).name.clone(), key }
    }

    pub(super) fn navigation(&self, ty: TypeId, nav: usize) -> Result<&'a NavigationProperty, PlanError> {
        self.ty(ty).navigation.get(nav).ok_or(PlanError::Internal)
    }

    /// The collection that a navigation property leads to: the bound entity set, else the only set of that type.
    pub(super) fn target_collection(
        &self,
        from: Option<SetId>,
        nav: &NavigationProperty,
        company: Option<usize>,
    ) -> Result<Collection, PlanError> {
        let set = target_set(&self.service().model, from, nav);
        let set = set.ok_or_else(|| PlanError::Unsupported(format!("navigation to '{}'", nav.name)))?;
        Ok(Collection::of_set(self.service(), set, company))
    }
}
