//! Values that the service makes: defaults, sequences, copies, times, keys. Declared in `service.toml`.

use std::sync::Arc;

use crate::{
    edm::{
        self, Bind, DateTimeOffset, Entity, EntityPayload, Incarnation, Nested, PrimitiveType, Property, Record,
        TypeId, TypeKind, Value,
    },
    service::{Client, Copied, CopySource, Derived, Rule},
    store::{Condition, Sequence, Stored},
    uri::EntityPath,
};

use super::{
    PlanError,
    create::Birth,
    given::{Draft, Given, given_for},
    overlay::Step,
    place::{self, Collection},
    prepare::Prepared,
    unit::{Owner, Unit},
    walk::Target,
};

/// Fraction digits of a time that the service makes when the property does not say.
const TIME_DIGITS: u8 = 3;

impl<'a> Unit<'a> {
    /// How the service makes values of a type's properties, in the order that they are made.
    pub(super) fn rules(&self, ty: TypeId) -> &'a [Derived] {
        self.service().derived.get(&ty).map_or(&[], Vec::as_slice)
    }

    /// How the service makes the value of a property, where it does.
    pub(super) fn rule(&self, ty: TypeId, property: usize) -> Option<&'a Derived> {
        self.rules(ty).iter().find(|derived| derived.property == property)
    }

    /// Fills in a new entity, in the order of the rules.
    pub(super) fn derive_new(
        &mut self,
        collection: &Collection,
        parent: Option<&Owner>,
        draft: &mut Draft<'_>,
        given: &Given,
    ) -> Step<()> {
        self.fill_defaults(draft.record);
        let named = self.leading(draft.record, draft.lookups);
        self.prefetch_given(draft.record, (draft.set, draft.company), given, &named)?;
        self.prefetch_sources(collection, parent, draft.record, draft.lookups, draft.company)?;
        self.look_up(draft, given, &named)?;
        let ty = draft.record.ty;
        for derived in self.rules(ty) {
            let property = self.ty(ty).properties.get(derived.property).ok_or(PlanError::Internal)?;
            let own = draft.record.values.get(derived.property).and_then(Option::as_ref);
            let value = match &derived.rule {
                Rule::NewGuid if own.is_none() => Value::Guid(self.fresh()),
                Rule::Sequence { start, step } => {
                    self.next_number((collection, parent), property, own, *start, *step)?
                }
                Rule::CopyFromParent { property } => {
                    let made = self.parent_value(parent, *property)?;
                    self.agreed(ty, derived, given, made)?
                }
                Rule::ByParent(values) => {
                    let made = parent.map_or(Value::Null, |owner| self.by_parent(owner.ty, values));
                    self.agreed(ty, derived, given, made)?
                }
                Rule::CopyFromLookup(copied) => self.copied(draft, derived, copied, given)?,
                Rule::Now { .. } => self.agreed(ty, derived, given, self.now(property))?,
                Rule::Default(_) | Rule::NewGuid | Rule::Concat(_) => continue,
            };
            set(draft.record, derived.property, value);
        }
        Ok(())
    }

    /// Fills in the values that are always the same.
    fn fill_defaults(&self, record: &mut Record) {
        for derived in self.rules(record.ty) {
            if let Rule::Default(value) = &derived.rule
                && let Some(slot) = record.values.get_mut(derived.property)
            {
                slot.get_or_insert_with(|| value.clone());
            }
        }
    }

    /// Fills in what changes with every change, and what is copied along the navigations in `moved`. `given` is what the
    /// client gave and does not only repeat; `replace` says that it replaces the entity.
    pub(super) fn derive_changed(
        &mut self,
        draft: &mut Draft<'_>,
        old: &Record,
        moved: &[usize],
        given: &Given,
        replace: bool,
    ) -> Step<()> {
        let ty = draft.record.ty;
        for derived in self.rules(ty) {
            let property = self.ty(ty).properties.get(derived.property).ok_or(PlanError::Internal)?;
            let value = match &derived.rule {
                Rule::Now { on_update: true } => self.agreed(ty, derived, given, self.now(property))?,
                Rule::CopyFromLookup(copied) if copies_anew(copied, draft.record, old, moved, replace) => {
                    self.copied(draft, derived, copied, given)?
                }
                rule => match given_for(given, derived.property) {
                    Some(value) if derived.client == Client::Keep || is_free(rule, draft.record) => value.clone(),
                    Some(value) => return Err(self.contradiction(ty, derived, value).into()),
                    None => continue,
                },
            };
            set(draft.record, derived.property, value);
        }
        Ok(())
    }

    /// The times that a patch of an entity that is not read sets.
    pub(super) fn derive_patched(&self, record: &Record) -> Vec<(usize, Value)> {
        let rules = self.rules(record.ty).iter().filter(|d| d.rule == Rule::Now { on_update: true });
        let properties = &self.ty(record.ty).properties;
        rules.filter_map(|d| Some((d.property, self.now(properties.get(d.property)?)))).collect()
    }

    /// Asks for what a contained entity will need besides its parent, while the parent still has to be read: its
    /// sequences and the targets of its lookups.
    pub(super) fn look_ahead(&mut self, request: &Prepared, path: &EntityPath) -> Step<()> {
        let Some((last, before)) = path.steps.split_last() else { return Ok(()) };
        let Target::Entity(spot) = self.walk(path, request.company, before.len())? else { return Ok(()) };
        let navigation = self.navigation(spot.collection.ty, last.nav)?;
        if !navigation.contains_target {
            return Ok(());
        }
        let unknown = Incarnation(String::new());
        let collection =
            Collection::contained(self.service(), &unknown, &navigation.name, navigation.target, &spot.path);
        self.look_ahead_body(&collection, Some(&spot.owner()), &request.body, request.company)
    }

    /// Asks for what the entities inline in collections will need, while something else still has to be read.
    pub(super) fn look_ahead_inline(&mut self, birth: Birth<'_>, payload: &EntityPayload<'_>) -> Step<()> {
        for (nav, nested) in &payload.nested {
            let Nested::Many(bodies) = nested else { continue };
            let navigation = self.navigation(payload.record.ty, *nav)?;
            let collection = if navigation.contains_target {
                let unknown = Incarnation(String::new());
                Collection::contained(self.service(), &unknown, &navigation.name, navigation.target, "")
            } else {
                self.target_collection(birth.collection.set, navigation, birth.company)?
            };
            for body in bodies {
                // A fault in one comes up when it is created.
                drop(self.look_ahead_body(&collection, None, body.get().as_bytes(), birth.company));
            }
        }
        Ok(())
    }

    /// Asks for what an entity with that body will need in a collection.
    fn look_ahead_body(
        &mut self,
        collection: &Collection,
        parent: Option<&Owner>,
        body: &[u8],
        company: Option<usize>,
    ) -> Step<()> {
        let model = &self.service().model;
        let Ok(payload) = edm::read_entity(model, collection.ty, body) else { return Ok(()) };
        let mut record = payload.record.clone();
        let given = self.take_given(&mut record);
        self.fill_defaults(&mut record);
        let mut lookups = vec![None; model.ty(record.ty).navigation.len()];
        for (nav, bind) in &payload.binds {
            let Bind::One(url) = bind else { continue };
            let navigation = self.navigation(record.ty, *nav)?;
            if let Ok(target) = self.linked_entity(url, navigation, company) {
                self.set_lookup(&mut record, &mut lookups, *nav, Some(&target))?;
            }
        }
        let named = self.leading(&record, &lookups);
        self.prefetch_given(&record, (collection.set, company), &given, &named)?;
        self.prefetch_sources(collection, parent, &record, &lookups, company)
    }

    /// Asks for everything the rules will read, at once.
    fn prefetch_sources(
        &mut self,
        collection: &Collection,
        parent: Option<&Owner>,
        record: &Record,
        lookups: &[Option<String>],
        company: Option<usize>,
    ) -> Step<()> {
        for derived in self.rules(record.ty) {
            match &derived.rule {
                // That of children is known by their parent.
                Rule::Sequence { .. } if collection.set.is_none() && parent.is_none() => {}
                Rule::Sequence { .. } => {
                    let property = self.ty(record.ty).properties.get(derived.property).ok_or(PlanError::Internal)?;
                    let parent = parent.map(|owner| &owner.key);
                    self.overlay.prefetch(&place::sequence_key(collection, parent, &property.name)?);
                }
                Rule::CopyFromLookup(copied) => {
                    let Some(CopySource { nav, .. }) = copied.source(record) else { continue };
                    if let Some((_, key)) = self.lookup_target(collection.set, record, lookups, *nav, company)? {
                        self.overlay.prefetch(&key);
                    }
                }
                Rule::CopyFromParent { .. } => parent.iter().for_each(|owner| self.overlay.prefetch(&owner.key)),
                Rule::Default(_) | Rule::NewGuid | Rule::ByParent(_) | Rule::Now { .. } | Rule::Concat(_) => {}
            }
        }
        Ok(())
    }

    /// The next number of a sequence; a number that the client gave moves it on.
    fn next_number(
        &mut self,
        (collection, parent): (&Collection, Option<&Owner>),
        property: &Property,
        given: Option<&Value>,
        start: i64,
        step: i64,
    ) -> Step<Value> {
        let key = place::sequence_key(collection, parent.map(|owner| &owner.key), &property.name)?;
        let stored = match self.overlay.peek(&key)? {
            Some(Stored::Sequence(sequence)) => Some(sequence),
            _ => None,
        };
        self.overlay.rely(&key, Condition::Sequence(stored.clone()));
        let last = stored.filter(|sequence| sequence.of == collection.partition).map(|sequence| sequence.number);
        let max = largest(property.ty.kind);
        let number = match (given, last) {
            (Some(Value::Integer(number)), _) => *number,
            (_, None) => start,
            (_, Some(last)) => {
                let next = last.max(start.saturating_sub(step)).checked_add(step).filter(|next| *next <= max);
                next.ok_or_else(|| PlanError::SequenceExhausted(property.name.clone()))?
            }
        };
        // A client's number from the far end of the range must not use up the sequence.
        let counts = given.is_none() || number <= max / 2;
        if counts && last.is_none_or(|last| number > last) {
            let sequence = Sequence { number, of: collection.partition.clone() };
            self.overlay.put(&key, Stored::Sequence(sequence));
        }
        Ok(Value::Integer(number))
    }

    fn parent_value(&mut self, parent: Option<&Owner>, property: usize) -> Step<Value> {
        let owner = parent.ok_or(PlanError::Internal)?;
        let entity = self.overlay.observe(&owner.key)?;
        let entity = entity.ok_or_else(|| self.not_found(owner.ty, &owner.path))?;
        Ok(value_of(&entity, property))
    }

    /// The value that is copied along a navigation property; where no source counts, the client's.
    fn copied(&mut self, draft: &Draft<'_>, derived: &Derived, copied: &Copied, given: &Given) -> Step<Value> {
        let ty = draft.record.ty;
        let property = self.ty(ty).properties.get(derived.property).ok_or(PlanError::Internal)?;
        let Some(source) = copied.source(draft.record) else {
            return Ok(given_for(given, derived.property).cloned().unwrap_or_else(|| empty(property)));
        };
        let target = self.lookup_target(draft.set, draft.record, draft.lookups, source.nav, draft.company)?;
        let made = match target {
            None => empty(property),
            Some((collection, key)) => {
                let navigation = self.navigation(ty, source.nav)?;
                let entity = self.overlay.observe(&key)?;
                let entity = entity.ok_or_else(|| self.missing_entity(navigation, &collection, &key))?;
                value_of(&entity, source.property)
            }
        };
        Ok(self.agreed(ty, derived, given, made)?)
    }

    fn now(&self, property: &Property) -> Value {
        let digits = property.ty.precision.and_then(|p| u8::try_from(p).ok()).unwrap_or(TIME_DIGITS).min(9);
        let time = DateTimeOffset::from_timestamp(self.context.now, digits);
        match property.ty.kind {
            TypeKind::Primitive(PrimitiveType::Date) => Value::Date(time.local().date()),
            TypeKind::Primitive(PrimitiveType::TimeOfDay) => Value::TimeOfDay(time.local().time()),
            _ => Value::DateTimeOffset(time),
        }
    }
}

/// Whether a change is one of what a value is copied from: another source counts, or its navigation moved. What is copied
/// from nowhere is replaced with the entity.
fn copies_anew(copied: &Copied, new: &Record, old: &Record, moved: &[usize], replace: bool) -> bool {
    let source = copied.source(new);
    source != copied.source(old) || source.map_or(replace, |source| moved.contains(&source.nav))
}

/// Whether nothing is copied, so that the value is the client's.
fn is_free(rule: &Rule, record: &Record) -> bool {
    matches!(rule, Rule::CopyFromLookup(copied) if copied.source(record).is_none())
}

/// The largest number of an integer type.
fn largest(kind: TypeKind) -> i64 {
    match kind {
        TypeKind::Primitive(PrimitiveType::Byte) => u8::MAX.into(),
        TypeKind::Primitive(PrimitiveType::SByte) => i8::MAX.into(),
        TypeKind::Primitive(PrimitiveType::Int16) => i16::MAX.into(),
        TypeKind::Primitive(PrimitiveType::Int32) => i32::MAX.into(),
        _ => i64::MAX,
    }
}

/// What a copied property is when there is nothing to copy from.
fn empty(property: &Property) -> Value {
    match property.ty.kind {
        TypeKind::Primitive(PrimitiveType::String) => Value::String(String::new()),
        _ => property.default.clone().unwrap_or(Value::Null),
    }
}

fn value_of(entity: &Arc<Entity>, property: usize) -> Value {
    entity.record.values.get(property).cloned().flatten().unwrap_or(Value::Null)
}

fn set(record: &mut Record, property: usize, value: Value) {
    if let Some(slot) = record.values.get_mut(property) {
        *slot = Some(value);
    }
}
