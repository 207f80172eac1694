//! Values that the service makes: defaults, sequences, copies, times, keys. Declared in `service.toml`.

use std::sync::Arc;

use crate::{
    edm::{
        self, Bind, DateTimeOffset, Entity, Incarnation, PrimitiveType, Property, Record, SetId, TypeId, TypeKind,
        Value,
    },
    service::{Derived, Rule},
    store::{Condition, Sequence, Stored},
    uri::EntityPath,
};

use super::{
    PlanError,
    overlay::Step,
    place::{self, Collection},
    prepare::Prepared,
    unit::{Owner, Unit},
    walk::Target,
};

/// Fraction digits of a time that the service makes when the property does not say.
const TIME_DIGITS: u8 = 3;

impl<'a> Unit<'a> {
    fn rules(&self, record: &Record) -> &'a [Derived] {
        self.service().derived.get(&record.ty).map_or(&[], Vec::as_slice)
    }

    /// How the service makes the value of a property, where it does.
    pub(super) fn rule(&self, ty: TypeId, property: usize) -> Option<&'a Rule> {
        let derived = self.service().derived.get(&ty)?;
        derived.iter().find(|derived| derived.property == property).map(|derived| &derived.rule)
    }

    /// Fills in a new entity, in the order of the rules.
    pub(super) fn derive_new(
        &mut self,
        collection: &Collection,
        parent: Option<&Owner>,
        record: &mut Record,
        lookups: &[Option<String>],
        company: Option<usize>,
    ) -> Step<()> {
        self.prefetch_sources(collection, parent, record, lookups, company)?;
        for derived in self.rules(record) {
            let property = self.ty(record.ty).properties.get(derived.property).ok_or(PlanError::Internal)?;
            let given = record.values.get(derived.property).is_some_and(Option::is_some);
            if given && self.context.trusted && derived.rule.overrules_client() {
                continue;
            }
            let value = match &derived.rule {
                Rule::Default(value) if !given => value.clone(),
                Rule::NewGuid if !given => Value::Guid(self.fresh()),
                Rule::Sequence { start, step } => {
                    let given = record.values.get(derived.property).and_then(Option::as_ref);
                    self.next_number((collection, parent), property, given, *start, *step)?
                }
                Rule::CopyFromParent { property } => self.parent_value(parent, *property)?,
                Rule::ByParent(values) => parent.map_or(Value::Null, |owner| self.by_parent(owner.ty, values)),
                Rule::CopyFromLookup { nav, property: source } => {
                    self.looked_up(collection.set, record, lookups, *nav, *source, property, company)?
                }
                Rule::Now { .. } => self.now(property),
                Rule::Default(_) | Rule::NewGuid | Rule::Concat(_) => continue,
            };
            set(record, derived.property, value);
        }
        Ok(())
    }

    /// Fills in what changes with every change, and what is copied along the navigations in `moved`.
    pub(super) fn derive_changed(
        &mut self,
        set_id: Option<SetId>,
        record: &mut Record,
        lookups: &[Option<String>],
        moved: &[usize],
        company: Option<usize>,
    ) -> Step<()> {
        for derived in self.rules(record) {
            let property = self.ty(record.ty).properties.get(derived.property).ok_or(PlanError::Internal)?;
            let value = match &derived.rule {
                Rule::Now { on_update: true } => self.now(property),
                Rule::CopyFromLookup { nav, property: source } if moved.contains(nav) => {
                    self.looked_up(set_id, record, lookups, *nav, *source, property, company)?
                }
                _ => continue,
            };
            set(record, derived.property, value);
        }
        Ok(())
    }

    /// The times that a patch of an entity that is not read sets.
    pub(super) fn derive_patched(&self, record: &Record) -> Vec<(usize, Value)> {
        let rules = self.rules(record).iter().filter(|d| d.rule == Rule::Now { on_update: true });
        let properties = &self.ty(record.ty).properties;
        rules.filter_map(|d| Some((d.property, self.now(properties.get(d.property)?)))).collect()
    }

    /// Asks for what a contained entity will need besides its parent, while the parent still has to be read: its
    /// sequences and the targets of its lookups.
    pub(super) fn look_ahead(&mut self, request: &Prepared, path: &EntityPath) -> Step<()> {
        let Some((last, before)) = path.steps.split_last() else { return Ok(()) };
        let Target::Entity(spot) = self.walk(path, request.company, before.len())? else { return Ok(()) };
        let navigation = self.navigation(spot.collection.ty, last.nav)?;
        let model = &self.service().model;
        let Ok(payload) = edm::read_entity(model, navigation.target, &request.body) else { return Ok(()) };
        if !navigation.contains_target {
            return Ok(());
        }
        let unknown = Incarnation(String::new());
        let collection =
            Collection::contained(self.service(), &unknown, &navigation.name, navigation.target, &spot.path);
        let mut record = payload.record.clone();
        let mut lookups = vec![None; model.ty(record.ty).navigation.len()];
        for (nav, bind) in &payload.binds {
            let Bind::One(url) = bind else { continue };
            let navigation = self.navigation(record.ty, *nav)?;
            if let Ok(target) = self.linked_entity(url, navigation, request.company) {
                self.set_lookup(&mut record, &mut lookups, *nav, Some(&target))?;
            }
        }
        self.prefetch_sources(&collection, Some(&spot.owner()), &record, &lookups, request.company)
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
        for derived in self.rules(record) {
            match &derived.rule {
                Rule::Sequence { .. } => {
                    let property = self.ty(record.ty).properties.get(derived.property).ok_or(PlanError::Internal)?;
                    let parent = parent.map(|owner| &owner.key);
                    self.overlay.prefetch(&place::sequence_key(collection, parent, &property.name)?);
                }
                Rule::CopyFromLookup { nav, .. } => {
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

    #[expect(clippy::too_many_arguments, reason = "a lookup is known by all of these; a struct would only rename them")]
    fn looked_up(
        &mut self,
        from: Option<SetId>,
        record: &Record,
        lookups: &[Option<String>],
        nav: usize,
        source: usize,
        property: &Property,
        company: Option<usize>,
    ) -> Step<Value> {
        let Some((collection, key)) = self.lookup_target(from, record, lookups, nav, company)? else {
            return Ok(empty(property));
        };
        let navigation = self.navigation(record.ty, nav)?;
        let entity = self.overlay.observe(&key)?;
        let entity = entity.ok_or_else(|| self.missing_entity(navigation, &collection, &key))?;
        Ok(value_of(&entity, source))
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
