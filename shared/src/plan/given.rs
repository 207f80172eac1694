//! Values of a client for properties whose values the service makes: looked up, kept or refused ([`Client`]).
//!
//! A copy that is an alternate key of the entity it is copied from leads to that entity, so `accountNumber` alone fills
//! `accountId`. Nothing that a client gives is overwritten by another value in silence.

use crate::{
    edm::{Entity, PropertyType, Record, SetId, TypeId, Value},
    service::{Client, Copied, CopySource, Derived, Rule, Service},
    store::Stored,
    uri::Key,
};

use super::{
    PlanError,
    lookup::lookup_sort,
    overlay::Step,
    place::{self, Collection},
    unit::Unit,
    update::Change,
    walk::{Spot, Target},
};

/// Longest value in a message, in characters.
const MAX_SHOWN: usize = 100;

/// Positions of properties whose values the service makes, and the values that the client gave for them.
pub(super) type Given = Vec<(usize, Value)>;

/// An entity in the making.
#[derive(Debug)]
pub(super) struct Draft<'d> {
    pub(super) record: &'d mut Record,
    pub(super) lookups: &'d mut [Option<String>],
    /// Its entity set; `None` for a contained one.
    pub(super) set: Option<SetId>,
    pub(super) company: Option<usize>,
}

impl Unit<'_> {
    /// Takes out of a new entity what the client gave for values that the service makes. Null is as good as nothing.
    pub(super) fn take_given(&self, record: &mut Record) -> Given {
        let made = self.rules(record.ty).iter().filter(|derived| derived.rule.makes_value());
        let taken =
            made.filter_map(|derived| Some((derived.property, record.values.get_mut(derived.property)?.take()?)));
        taken.filter(|(_, value)| *value != Value::Null).collect()
    }

    /// The treatment of a client's value for a property whose value the service makes.
    pub(super) fn makes(&self, ty: TypeId, position: usize) -> Option<Client> {
        self.rule(ty, position).filter(|derived| derived.rule.makes_value()).map(|derived| derived.client)
    }

    /// Whether a type has a copy of which that is true.
    pub(super) fn copies(&self, ty: TypeId, is: impl Fn(&Copied) -> bool) -> bool {
        self.rules(ty).iter().any(|derived| matches!(&derived.rule, Rule::CopyFromLookup(copied) if is(copied)))
    }

    /// The value of a property of which the service makes `made`: that, or what the client gave where it is kept.
    pub(super) fn agreed(&self, ty: TypeId, derived: &Derived, given: &Given, made: Value) -> Result<Value, PlanError> {
        match given_for(given, derived.property) {
            None => Ok(made),
            Some(value) if derived.client == Client::Keep || self.is_history(ty, derived) => Ok(value.clone()),
            Some(value) if is_same(value, &made) => Ok(made),
            Some(value) => Err(self.contradiction(ty, derived, value)),
        }
    }

    /// Whether a value is one of the past, which seeds may give. Keys and what is looked up must fit also there.
    fn is_history(&self, ty: TypeId, derived: &Derived) -> bool {
        self.context.trusted && derived.client != Client::Lookup && !self.ty(ty).key.contains(&derived.property)
    }

    /// The error for a value that is not the service's.
    pub(super) fn contradiction(&self, ty: TypeId, derived: &Derived, value: &Value) -> PlanError {
        let model = &self.service().model;
        let name = |ty: TypeId, at: usize| model.ty(ty).properties.get(at).map(|property| property.name.clone());
        let along = |source: &CopySource| {
            let navigation = model.ty(ty).navigation.get(source.nav)?;
            Some(format!("{}/{}", navigation.name, name(navigation.target, source.property)?))
        };
        let made = match &derived.rule {
            Rule::CopyFromLookup(copied) => {
                let paths: Vec<String> = copied.sources.iter().filter_map(along).collect();
                format!("a copy of '{}'", paths.join("' or '"))
            }
            Rule::CopyFromParent { .. } => "a copy of a property of its parent".to_owned(),
            Rule::ByParent(_) => "what goes with the type of its parent".to_owned(),
            _ => "the time of the write".to_owned(),
        };
        let property = name(ty, derived.property).unwrap_or_default();
        PlanError::Contradiction { property, value: self.shown(ty, derived.property, value), made }
    }

    /// A value as a message shows it.
    pub(super) fn shown(&self, ty: TypeId, position: usize, value: &Value) -> String {
        let text = |ty: &PropertyType| value.text(&self.service().model, ty);
        let property = self.ty(ty).properties.get(position).filter(|property| !property.write_only);
        let text = property.and_then(|property| text(&property.ty));
        text.unwrap_or_default().chars().take(MAX_SHOWN).collect()
    }

    /// Points navigation properties to the entities whose alternate keys the client gave. `named` are those of which the
    /// client says otherwise where they lead.
    pub(super) fn look_up(&mut self, draft: &mut Draft<'_>, given: &Given, named: &[usize]) -> Step<()> {
        let mut said = named.to_vec();
        for (derived, source, value) in looked_up(self.rules(draft.record.ty), draft.record, given) {
            if said.contains(&source.nav) {
                continue;
            }
            said.push(source.nav);
            if is_no_key(self.service(), value) {
                if lookup_sort(self.service(), draft.record, draft.lookups, source.nav).is_some() {
                    self.set_lookup(draft.record, draft.lookups, source.nav, None)?;
                }
                continue;
            }
            let spot = self.entity_with(draft, derived, source, value)?;
            self.set_lookup(draft.record, draft.lookups, source.nav, Some(&spot))?;
        }
        Ok(())
    }

    /// The navigation properties of which a change gives a copy anew: everything is copied along them.
    pub(super) fn renewed(&self, record: &Record, news: &Given) -> Vec<usize> {
        looked_up(self.rules(record.ty), record, news).into_iter().map(|(_, source, _)| source.nav).collect()
    }

    /// The entity that a navigation property leads to by the alternate key that was given. It is a condition of the
    /// commit that the key still leads there.
    fn entity_with(&mut self, draft: &Draft<'_>, derived: &Derived, source: &CopySource, value: &Value) -> Step<Spot> {
        let ty = draft.record.ty;
        let (collection, index) = self.alternate_of(ty, source, draft.set, draft.company)?;
        match self.by_key(collection, &Key::Alternate { index, values: vec![value.clone()] }, None)? {
            Target::Entity(spot) => Ok(spot),
            Target::NoAlternate { collection, .. } => {
                let name = |ty: TypeId, at: usize| self.ty(ty).properties.get(at).map(|p| p.name.clone());
                Err(PlanError::NoneWithKey {
                    property: name(ty, derived.property).unwrap_or_default(),
                    set: collection.path.rsplit('/').next().unwrap_or_default().to_owned(),
                    key: name(collection.ty, source.property).unwrap_or_default(),
                    value: self.shown(ty, derived.property, value),
                }
                .into())
            }
            _ => Err(PlanError::Internal.into()),
        }
    }

    /// Asks for what [`Self::look_up`] will read.
    pub(super) fn prefetch_given(
        &mut self,
        record: &Record,
        place: (Option<SetId>, Option<usize>),
        given: &Given,
        named: &[usize],
    ) -> Step<()> {
        for (_, source, value) in looked_up(self.rules(record.ty), record, given) {
            if !named.contains(&source.nav) {
                self.prefetch_key(record.ty, source, value, place)?;
            }
        }
        Ok(())
    }

    /// Asks for what a change looks up while the entity itself still has to be read: by each source that may count.
    pub(super) fn look_ahead_change(&mut self, spot: &Spot, change: &Change, company: Option<usize>) -> Step<()> {
        let ty = spot.collection.ty;
        let new = |at: usize| change.values.iter().rev().find(|(given, _)| *given == at).map(|(_, value)| value);
        for derived in self.rules(ty) {
            let (Rule::CopyFromLookup(copied), Client::Lookup) = (&derived.rule, derived.client) else { continue };
            let Some(value) = given_for(&change.given, derived.property) else { continue };
            let by = copied.by.and_then(new);
            for source in copied.sources.iter().filter(|source| by.is_none() || source.when.as_ref() == by) {
                let constraints = &self.navigation(ty, source.nav)?.constraints;
                if !constraints.iter().any(|(dependent, _)| new(*dependent).is_some()) {
                    self.prefetch_key(ty, source, value, (spot.collection.set, company))?;
                }
            }
        }
        Ok(())
    }

    /// Asks for the item of an alternate key, or for the entity where that is known.
    fn prefetch_key(
        &mut self,
        ty: TypeId,
        source: &CopySource,
        value: &Value,
        (set, company): (Option<SetId>, Option<usize>),
    ) -> Step<()> {
        let (collection, index) = self.alternate_of(ty, source, set, company)?;
        let values = std::slice::from_ref(value);
        let item = place::alternate_key(self.service(), &collection, index, values).map_err(PlanError::from)?;
        let Some(item) = item else { return Ok(()) };
        self.overlay.prefetch(&item);
        if self.overlay.knows(&item)
            && let Some(Stored::AlternateKey(sort)) = self.overlay.peek(&item)?
        {
            self.overlay.prefetch(&collection.key(sort)?);
        }
        Ok(())
    }

    /// Where a source's navigation property leads, and the index of the alternate key that the source is there.
    fn alternate_of(
        &self,
        ty: TypeId,
        source: &CopySource,
        set: Option<SetId>,
        company: Option<usize>,
    ) -> Result<(Collection, usize), PlanError> {
        let collection = self.target_collection(set, self.navigation(ty, source.nav)?, company)?;
        let index = self.ty(collection.ty).alternate_key_of(source.property).ok_or(PlanError::Internal)?;
        Ok((collection, index))
    }

    /// The navigation properties that lead somewhere.
    pub(super) fn leading(&self, record: &Record, lookups: &[Option<String>]) -> Vec<usize> {
        let leads = |nav: &usize| lookup_sort(self.service(), record, lookups, *nav).is_some();
        (0..lookups.len()).filter(leads).collect()
    }

    /// The navigation properties of which a change itself says where they lead: by a bind, or by the value of a
    /// dependent property that leads somewhere.
    pub(super) fn named(&self, change: &Change, new: &Entity) -> Vec<usize> {
        let bound = |nav: usize| change.lookups.iter().any(|(at, _)| *at == nav);
        let given = |nav: usize| {
            let constraints = self.ty(new.record.ty).navigation.get(nav).map_or(&[][..], |nav| &nav.constraints);
            constraints.iter().any(|(dependent, _)| change.values.iter().any(|(at, _)| at == dependent))
        };
        let mut leading = self.leading(&new.record, &new.lookups);
        leading.retain(|nav| given(*nav));
        leading.extend((0..new.lookups.len()).filter(|nav| bound(*nav)));
        leading
    }

    /// The given values that do not only repeat the stored ones: a stored value counts only where something changes that it
    /// comes from. `moved` are navigation properties along which everything is copied anew.
    pub(super) fn news(&self, change: &Change, old: &Entity, new: &Entity, moved: &[usize]) -> Given {
        let is_new = |(position, value): &&(usize, Value)| {
            let stored = old.record.values.get(*position).and_then(Option::as_ref).unwrap_or(&Value::Null);
            let counts = |derived: &Derived| {
                self.source_moves(derived, change, (old, new), moved) || self.leads_nowhere(derived, value, new)
            };
            !is_same(value, stored) || self.rule(new.record.ty, *position).is_some_and(counts)
        };
        change.given.iter().filter(is_new).cloned().collect()
    }

    /// The given values that are looked up: news, and copies that stand alone. A copy that only repeats what is stored may be
    /// older than what it was copied from, and by now lead to another entity.
    pub(super) fn sought(&self, change: &Change, new: &Record, news: Given, named: &[usize]) -> Given {
        let alone = looked_up(self.rules(new.ty), new, &change.given)
            .into_iter()
            .filter(|(derived, source, value)| {
                !named.contains(&source.nav) && !is_empty(value) && given_for(&news, derived.property).is_none()
            })
            .map(|(derived, _, value)| (derived.property, value.clone()))
            .collect::<Given>();
        news.into_iter().chain(alone).collect()
    }

    /// Whether a value that is to lead to an entity leads to none yet.
    fn leads_nowhere(&self, derived: &Derived, value: &Value, entity: &Entity) -> bool {
        let Rule::CopyFromLookup(copied) = &derived.rule else { return false };
        let to = |source: &CopySource| lookup_sort(self.service(), &entity.record, &entity.lookups, source.nav);
        derived.client == Client::Lookup
            && !is_empty(value)
            && copied.source(&entity.record).is_some_and(|source| to(source).is_none())
    }

    /// Whether a change says anew what a value is copied from.
    fn source_moves(
        &self,
        derived: &Derived,
        change: &Change,
        (old, new): (&Entity, &Entity),
        moved: &[usize],
    ) -> bool {
        let Rule::CopyFromLookup(copied) = &derived.rule else { return false };
        let source = copied.source(&new.record);
        let leads = |entity: &Entity, nav| lookup_sort(self.service(), &entity.record, &entity.lookups, nav);
        source != copied.source(&old.record)
            || source.map_or(change.replace, |source| {
                let bound = change.lookups.iter().any(|(nav, _)| *nav == source.nav);
                bound || moved.contains(&source.nav) || leads(old, source.nav) != leads(new, source.nav)
            })
    }

    /// Where another source counts from now on, the navigation property of the former one leads nowhere, unless the
    /// change says where: a line for an account has no item any more.
    pub(super) fn leave_sources(&mut self, old: &Entity, new: &mut Entity, named: &[usize]) -> Step<()> {
        for derived in self.rules(new.record.ty) {
            let Rule::CopyFromLookup(copied) = &derived.rule else { continue };
            let (before, after) = (copied.source(&old.record), copied.source(&new.record));
            if let Some(CopySource { nav, .. }) = before
                && after.is_none_or(|after| after.nav != *nav)
                && !named.contains(nav)
                && lookup_sort(self.service(), &new.record, &new.lookups, *nav).is_some()
            {
                self.set_lookup(&mut new.record, &mut new.lookups, *nav, None)?;
            }
        }
        Ok(())
    }
}

/// The rules by which what was given is looked up, where it is looked up, and what was given.
fn looked_up<'r>(
    rules: &'r [Derived],
    record: &Record,
    given: &'r Given,
) -> Vec<(&'r Derived, &'r CopySource, &'r Value)> {
    let one = |derived: &'r Derived| match &derived.rule {
        Rule::CopyFromLookup(copied) if derived.client == Client::Lookup => {
            Some((derived, copied.source(record)?, given_for(given, derived.property)?))
        }
        _ => None,
    };
    rules.iter().filter_map(one).collect()
}

/// The given value of a property.
pub(super) fn given_for(given: &Given, property: usize) -> Option<&Value> {
    given.iter().rev().find(|(at, _)| *at == property).map(|(_, value)| value)
}

/// Whether a value says that there is no alternate key: null, or what the profile takes for it.
pub(super) fn is_no_key(service: &Service, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() && service.profile.empty_string_is_no_key,
        _ => false,
    }
}

/// Whether two values are equal. What is copied from nowhere is empty, so null and the empty string are.
fn is_same(one: &Value, other: &Value) -> bool {
    one.equals(other) || is_empty(one) && is_empty(other)
}

/// Whether a value is what is copied from nowhere.
fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Null) || *value == Value::String(String::new())
}
