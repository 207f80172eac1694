//! Creating entities: POST, deep insert, and the insert of an upsert (Protocol §11.4.2, §11.4.4).

use std::sync::Arc;

use crate::{
    edm::{self, Bind, Entity, EntityKey, EntityPayload, Nested, PrimitiveType, Record, TypeKind, Value},
    respond,
    store::{Condition, ItemKey, Stored, TooLarge, UNIT_ITEMS},
    uri::EntityPath,
};

use super::{
    PlanError,
    allow::Access,
    given::Draft,
    lookup::{inverse, lookup_sort, missing_target},
    overlay::{Halt, Step},
    place::{self, Collection},
    prepare::Prepared,
    unit::{Outcome, Owner, Unit, not_allowed},
    walk::{Spot, Target},
};

/// How deep a deep insert may nest.
const MAX_DEPTH: usize = 16;

/// An entity that the unit created.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    pub(crate) entity: Arc<Entity>,
    pub(crate) key: ItemKey,
    /// Canonical path from the service root.
    pub(crate) path: String,
    /// What was created inline with it: position of the navigation property, entities.
    pub(crate) inline: Inline,
}

/// Where and how an entity is created.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth<'b> {
    pub(super) collection: &'b Collection,
    /// The entity that contains it.
    pub(super) parent: Option<&'b Owner>,
    pub(super) company: Option<usize>,
    /// Values that the URL gives: positions and values.
    pub(super) given: &'b [(usize, Value)],
    /// A lookup that the place implies: position of the navigation property and its target.
    pub(super) lookup: Option<(usize, &'b Spot)>,
    pub(super) depth: usize,
}

/// What was created inline: position of the navigation property, its entities (one for a single-valued one).
pub(crate) type Inline = Vec<(usize, Vec<Created>)>;

/// A single-valued navigation and where it leads.
type Lookup = (usize, Spot);

impl Unit<'_> {
    /// POST to a collection.
    pub(super) fn create_in(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        if !path.collection {
            return Err(not_allowed(request, "GET, PUT, PATCH, DELETE"));
        }
        let company = request.company;
        let target = self.walk(path, company, path.steps.len());
        if matches!(target, Err(Halt::Need)) {
            // What is wrong with the body comes up once the parent is known.
            drop(self.look_ahead(request, path));
        }
        let created = match target? {
            Target::Collection { collection, parent } => {
                let parent = parent.as_ref();
                let birth = Birth { collection: &collection, parent, company, given: &[], lookup: None, depth: 0 };
                self.create(birth, &request.body)?
            }
            Target::Linked { owner, nav, collection } => self.create_linked(request, &owner, nav, &collection)?,
            _ => return Err(not_allowed(request, "GET, PUT, PATCH, DELETE")),
        };
        Ok(respond::created(self.context, request, &created))
    }

    /// POST to a navigation that contains nothing: creates in the target set and links.
    fn create_linked(
        &mut self,
        request: &Prepared,
        owner: &Owner,
        nav: usize,
        collection: &Collection,
    ) -> Step<Created> {
        let company = request.company;
        let navigation = self.navigation(owner.ty, nav)?;
        if !self.overlay.require(&owner.key) {
            return Err(self.not_found(owner.ty, &owner.path).into());
        }
        let back = navigation.partner.as_deref().and_then(|name| self.ty(navigation.target).navigation(name));
        let back = back.filter(|at| self.ty(navigation.target).navigation.get(*at).is_some_and(|n| !n.collection));
        let spot = self.owner_spot(owner, company);
        let lookup = back.zip(spot.as_ref());
        let birth = Birth { collection, parent: None, company, given: &[], lookup, depth: 0 };
        let created = self.create(birth, &request.body)?;
        if lookup.is_none() {
            self.overlay.put(&place::link_key(&owner.key, &navigation.name, &created.key)?, Stored::Link);
        }
        Ok(created)
    }

    /// The spot of an owner that is in an entity set.
    pub(super) fn owner_spot(&self, owner: &Owner, company: Option<usize>) -> Option<Spot> {
        let collection = Collection::of_set(self.service(), owner.set?, company);
        Some(Spot {
            collection,
            key: owner.key.clone(),
            path: owner.path.clone(),
            entity_key: None,
            parent: None,
            via: None,
            alternate_path: None,
            implied: None,
        })
    }

    /// Creates an entity from its JSON.
    pub(super) fn create(&mut self, birth: Birth<'_>, body: &[u8]) -> Step<Created> {
        if birth.depth > MAX_DEPTH {
            return Err(PlanError::TooDeep(MAX_DEPTH).into());
        }
        let model = &self.service().model;
        let payload = edm::read_entity(model, birth.collection.ty, body)?;
        let mut record = payload.record.clone();
        if let Some(id) = payload.id.as_ref().filter(|_| birth.depth > 0) {
            let shown: String = id.chars().take(200).collect();
            return Err(PlanError::Unsupported(format!("changing the entity '{shown}' inline")).into());
        }
        if model.ty(record.ty).is_abstract {
            return Err(PlanError::Unsupported(format!("an entity of exactly '{}'", model.ty(record.ty).name)).into());
        }
        if !self.context.trusted {
            self.check_lookup_values(&record)?;
            self.drop_computed(&mut record);
        }
        for (position, value) in birth.given {
            if let Some(slot) = record.values.get_mut(*position) {
                slot.get_or_insert_with(|| value.clone());
            }
        }
        let mut lookups = vec![None; model.ty(record.ty).navigation.len()];
        let given = self.take_given(&mut record);
        let (targets, inline) = self.lookup_targets(birth, &payload)?;
        self.check_one_target(record.ty, targets.iter().map(|(nav, _)| *nav))?;
        for (nav, spot) in &targets {
            self.check_dependents(record.ty, *nav, Some(spot), |at| record.values.get(at)?.as_ref())?;
            self.set_lookup(&mut record, &mut lookups, *nav, Some(spot))?;
        }
        let (set, company) = (birth.collection.set, birth.company);
        let mut draft = Draft { record: &mut record, lookups: &mut lookups, set, company };
        let derived = self.derive_new(birth.collection, birth.parent, &mut draft, &given);
        if matches!(derived, Err(Halt::Need)) {
            self.look_ahead_inline(birth, &payload)?;
        }
        derived?;
        self.check_bound(&record, &lookups, targets.iter().map(|(nav, spot)| (*nav, spot)))?;
        let key = self.complete_key(birth.collection, &mut record)?;
        self.complete(&mut record)?;
        self.check_endpoint(birth.collection.set, record.ty, |at| record.values.get(at)?.as_ref())?;
        if let Some(jobs) = self.jobs_of(birth.collection.set, record.ty) {
            self.create_job(jobs, &mut record)?;
        }
        let created = Created { inline, ..self.insert(birth, record, lookups, &key)? };
        self.create_inline(birth, &payload, created)
    }

    /// A client's values for computed properties do not count; keys do.
    fn drop_computed(&self, record: &mut Record) {
        let ty = self.ty(record.ty);
        for (position, (property, slot)) in ty.properties.iter().zip(&mut record.values).enumerate() {
            if property.computed && !ty.key.contains(&position) {
                *slot = None;
            }
        }
    }

    /// Where the new entity's lookups lead: binds, inline entities (created first), the place itself.
    fn lookup_targets(&mut self, birth: Birth<'_>, payload: &EntityPayload<'_>) -> Step<(Vec<Lookup>, Inline)> {
        let (mut targets, mut inline) = (Vec::new(), Vec::new());
        targets.extend(birth.lookup.map(|(nav, spot)| (nav, spot.clone())));
        for (nav, bind) in &payload.binds {
            if let Bind::One(url) = bind {
                let navigation = self.navigation(payload.record.ty, *nav)?;
                if navigation.collection {
                    continue;
                }
                let spot = self.linked_entity(url, navigation, birth.company)?;
                if !self.overlay.require(&spot.key) {
                    return Err(missing_target(navigation, &spot.path).into());
                }
                targets.push((*nav, spot));
            }
        }
        for (nav, nested) in &payload.nested {
            let navigation = self.navigation(payload.record.ty, *nav)?;
            let Nested::One(body) = nested else { continue };
            self.check_inline(birth.collection.set, navigation)?;
            // The contained entity needs its parent, which comes first.
            if self.is_with_parent(payload.record.ty, *nav) {
                continue;
            }
            if navigation.contains_target {
                return Err(PlanError::Unsupported(format!("inserting '{}' inline", navigation.name)).into());
            }
            let collection = self.target_collection(birth.collection.set, navigation, birth.company)?;
            let inner = Birth {
                collection: &collection,
                parent: None,
                given: &[],
                lookup: None,
                depth: birth.depth + 1,
                ..birth
            };
            let created = self.create(inner, body.get().as_bytes())?;
            let entity_key = EntityKey::of(&self.service().model, &created.entity.record);
            let (key, path) = (created.key.clone(), created.path.clone());
            targets.push((
                *nav,
                Spot {
                    collection,
                    key,
                    path,
                    entity_key,
                    parent: None,
                    via: None,
                    alternate_path: None,
                    implied: None,
                },
            ));
            inline.push((*nav, vec![created]));
        }
        Ok((targets, inline))
    }

    /// The key: as given, or a fresh Guid.
    fn complete_key(&mut self, collection: &Collection, record: &mut Record) -> Step<EntityKey> {
        let ty = self.ty(record.ty);
        if let [position] = ty.key.as_slice()
            && let Some(slot @ (None | Some(Value::Null))) = record.values.get_mut(*position)
            && ty.properties.get(*position).is_some_and(|p| p.ty.kind == TypeKind::Primitive(PrimitiveType::Guid))
        {
            *slot = Some(Value::Guid(self.fresh()));
        }
        EntityKey::of(&self.service().model, record).ok_or_else(|| {
            let missing = ty.key.iter().find(|p| record.values.get(**p).is_none_or(Option::is_none));
            let property = missing.or(ty.key.first()).and_then(|p| ty.properties.get(*p));
            let property = property.map(|p| p.name.clone()).unwrap_or_default();
            PlanError::Required { property, entity_type: self.ty(collection.ty).name.clone() }.into()
        })
    }

    /// Declared defaults; then everything that must have a value has one.
    pub(super) fn complete(&self, record: &mut Record) -> Result<(), PlanError> {
        let ty = self.ty(record.ty);
        for (property, slot) in ty.properties.iter().zip(&mut record.values) {
            if slot.is_some() {
                continue;
            }
            *slot = match &property.default {
                Some(default) => Some(default.clone()),
                None if property.ty.collection => Some(Value::Collection(Vec::new())),
                None if property.ty.nullable => None,
                None if property.computed => Some(zero(property.ty.kind)),
                None => {
                    let (property, entity_type) = (property.name.clone(), ty.name.clone());
                    return Err(PlanError::Required { property, entity_type });
                }
            };
        }
        Ok(())
    }

    /// Lays the new entity into the overlay: itself, its alternate keys, the links that lead back to it.
    fn insert(
        &mut self,
        birth: Birth<'_>,
        mut record: Record,
        lookups: Vec<Option<String>>,
        key: &EntityKey,
    ) -> Step<Created> {
        let collection = birth.collection;
        self.check_access(collection, Access::Insert)?;
        if self.overlay.len() > UNIT_ITEMS {
            return Err(TooLarge::Items { got: self.overlay.len(), max: UNIT_ITEMS }.into());
        }
        let item = collection.entity_key(key).map_err(PlanError::from)?;
        let key_text = crate::uri::write_key(&self.service().model, collection.ty, key);
        if !self.overlay.claim(&item) {
            let set = collection.path.rsplit('/').next().unwrap_or_default().to_owned();
            return Err(PlanError::Duplicate { set, key: key_text, alternate: false }.into());
        }
        if let Some(Owner { key, incarnation: Some(incarnation), .. }) = birth.parent {
            self.overlay.rely(key, Condition::Incarnation(incarnation.0.clone()));
        }
        let (incarnation, version) = (self.new_incarnation(), self.version());
        self.service().model.concatenate(&mut record);
        let entity = Entity { record, lookups, incarnation, version, marks: Vec::new() };
        self.claim_alternate_keys(collection, None, Some(&entity), &item)?;
        for nav in 0..entity.lookups.len() {
            self.require_target(collection.set, &entity.record, &entity.lookups, nav, birth.company)?;
            let new = lookup_sort(self.service(), &entity.record, &entity.lookups, nav);
            self.relink(&item, collection.set, entity.record.ty, nav, (None, new), birth.company)?;
        }
        self.note_lookups(&item, None, &entity);
        let entity = Arc::new(entity);
        self.overlay.put(&item, Stored::Entity(entity.clone()));
        let path = format!("{}{key_text}", collection.path);
        Ok(Created { entity, key: item, path, inline: Vec::new() })
    }

    /// What comes with an entity and needs it to exist: contained and linked collections, binds of collections.
    fn create_inline(&mut self, birth: Birth<'_>, payload: &EntityPayload<'_>, mut created: Created) -> Step<Created> {
        let owner = Owner {
            key: created.key.clone(),
            ty: created.entity.record.ty,
            path: created.path.clone(),
            set: birth.collection.set,
            incarnation: None,
        };
        for (nav, nested) in &payload.nested {
            let bodies = match nested {
                Nested::Many(bodies) => bodies.as_slice(),
                Nested::One(body) if self.is_with_parent(owner.ty, *nav) => std::slice::from_ref(body),
                Nested::One(_) => continue,
            };
            let mut entities = Vec::with_capacity(bodies.len());
            let mut halted = false;
            for body in bodies {
                match self.create_member(birth, &owner, &created, *nav, body.get().as_bytes()) {
                    Ok(entity) => entities.push(entity),
                    // The others are still looked at, to ask for all that they need at once.
                    Err(Halt::Need) => halted = true,
                    Err(Halt::Fail(_)) if halted => {}
                    Err(fail) => return Err(fail),
                }
            }
            if halted {
                return Err(Halt::Need);
            }
            created.inline.push((*nav, entities));
        }
        for (nav, bind) in &payload.binds {
            let navigation = self.navigation(owner.ty, *nav)?;
            let Bind::Many(urls) = bind else { continue };
            for url in urls {
                let spot = self.linked_entity(url, navigation, birth.company)?;
                self.link(&owner, *nav, &spot, birth.company)?;
            }
        }
        Ok(created)
    }

    /// One member of a collection that comes inline with its owner.
    fn create_member(
        &mut self,
        birth: Birth<'_>,
        owner: &Owner,
        created: &Created,
        nav: usize,
        body: &[u8],
    ) -> Step<Created> {
        let navigation = self.navigation(owner.ty, nav)?;
        self.check_inline(birth.collection.set, navigation)?;
        let depth = birth.depth + 1;
        let company = birth.company;
        if navigation.contains_target {
            let incarnation = &created.entity.incarnation;
            let collection =
                Collection::contained(self.service(), incarnation, &navigation.name, navigation.target, &owner.path);
            let inner =
                Birth { collection: &collection, parent: Some(owner), company, given: &[], lookup: None, depth };
            return self.create(inner, body);
        }
        let collection = self.target_collection(birth.collection.set, navigation, company)?;
        let spot = self.owner_spot(owner, company);
        let back = navigation.partner.as_deref().and_then(|name| self.ty(navigation.target).navigation(name));
        let back = match (back, inverse(&self.service().model, navigation)) {
            (Some(back), None) => Some(back),
            _ => None,
        };
        let lookup = back.zip(spot.as_ref());
        let inner = Birth { collection: &collection, parent: None, company, given: &[], lookup, depth };
        let member = self.create(inner, body)?;
        if lookup.is_none() {
            self.overlay.put(&place::link_key(&owner.key, &navigation.name, &member.key)?, Stored::Link);
        }
        Ok(member)
    }
}

/// What a computed property without a rule starts as.
fn zero(kind: TypeKind) -> Value {
    use PrimitiveType as P;
    match kind {
        TypeKind::Primitive(P::Byte | P::SByte | P::Int16 | P::Int32 | P::Int64) | TypeKind::Enum(_) => {
            Value::Integer(0)
        }
        TypeKind::Primitive(P::String) => Value::String(String::new()),
        TypeKind::Primitive(P::Boolean) => Value::Boolean(false),
        TypeKind::Primitive(P::Guid) => Value::Guid(uuid::Uuid::nil()),
        _ => Value::Null,
    }
}
