//! Updating entities and their properties: PATCH, PUT, DELETE of a property (Protocol §11.4.3, §11.4.4, §11.4.9).

use std::sync::Arc;

use http::Method;

use crate::{
    edm::{self, Bind, Dynamic, Entity, Record, Value},
    respond,
    service::{Client, Rule, profile::Returned},
    store::{Condition, Patch, Stored},
    uri::EntityPath,
};

use super::{
    PlanError,
    allow::Access,
    given::{Draft, Given},
    lookup::{inverse, lookup_sort, missing_target},
    overlay::Step,
    prepare::{Prepared, Tags},
    unit::{Outcome, Unit, not_allowed},
    walk::{Spot, Target},
};

/// A patch of more properties than this reads the entity first: an update expression has a limit.
const BLIND_PROPERTIES: usize = 100;

/// What an update does to an entity.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of the request of its own")]
pub(super) struct Change {
    /// Positions and values of properties.
    pub(super) values: Vec<(usize, Value)>,
    /// Undeclared properties.
    pub(super) dynamic: Vec<(String, Dynamic)>,
    /// Values that the client gave for what the service makes.
    pub(super) given: Given,
    /// Lookups: position of the navigation property, target.
    pub(super) lookups: Vec<(usize, Option<Spot>)>,
    /// The etag that the body gives.
    pub(super) etag: Option<Tags>,
    /// Complex values are merged with what is there.
    pub(super) merge: bool,
    /// The payload says a type that derives from the declared one.
    pub(super) derived: bool,
    /// Undeclared properties that are not given are removed.
    pub(super) replace: bool,
    /// `If-Match` names the version that is changed.
    pub(super) with_etag: bool,
}

/// An entity after an update.
#[derive(Clone, Debug)]
pub(crate) enum Updated {
    /// It was read, and is this now.
    Known(Arc<Entity>),
    /// It was not read; its etag is known where the client gave the old one.
    Blind(Option<edm::ETag>),
}

impl<'a> Unit<'a> {
    /// PATCH or PUT of an entity.
    pub(super) fn update(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        if path.collection {
            return Err(not_allowed(request, "GET, POST"));
        }
        let spot = match self.walk(path, request.company, path.steps.len())? {
            Target::Entity(spot) => spot,
            Target::NoAlternate { collection, index, values } => {
                return self.insert_by_alternate(request, &collection, index, &values);
            }
            _ => return Err(not_allowed(request, "GET, POST")),
        };
        self.check_token(request)?;
        let change = self.read_change(request, &spot)?;
        let representation = request.update_returns(&self.service().profile) == Returned::Representation;
        match self.modify(request, &spot, change, representation)? {
            Some(updated) => Ok(respond::updated(self.context, request, &spot.path_for_client(), &spot.path, &updated)),
            None => self.upsert(request, &spot),
        }
    }

    /// PATCH or PUT of a property: `{"value": …}`.
    pub(super) fn update_property(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        let spot = self.property_owner(request, path)?;
        self.check_token(request)?;
        let property = self.property_of(&spot, path)?;
        let values = match (&property.stream, path.property.first()) {
            (Some(stream), Some(position)) => Self::stream_written(request, *position, stream),
            (_, position) => {
                let value = edm::read_property(&self.service().model, &property.ty, &property.name, &request.body);
                let value = value.map_err(|error| if property.write_only { error.without_value() } else { error })?;
                position.map(|position| (*position, value)).into_iter().collect()
            }
        };
        self.set_property(request, &spot, values)
    }

    /// DELETE of a property: it becomes null.
    pub(super) fn delete_property(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        let spot = self.property_owner(request, path)?;
        let property = self.property_of(&spot, path)?;
        if !property.ty.nullable || property.ty.collection {
            return Err(edm::ValueError::NotNullable { property: property.name.clone() }.into());
        }
        let values = match (&property.stream, path.property.first()) {
            (Some(stream), Some(position)) => self.stream_deleted(spot.collection.ty, *position, stream),
            (_, position) => position.map(|position| (*position, Value::Null)).into_iter().collect(),
        };
        self.set_property(request, &spot, values)
    }

    fn property_owner(&mut self, request: &Prepared, path: &EntityPath) -> Step<Spot> {
        match self.walk(path, request.company, path.steps.len())? {
            Target::Entity(spot) => Ok(spot),
            Target::NoAlternate { collection, index, values } => {
                Err(self.no_alternate(&collection, index, &values).into())
            }
            _ => Err(not_allowed(request, "GET")),
        }
    }

    /// The property that a path names, when it can be changed by itself.
    fn property_of(&self, spot: &Spot, path: &EntityPath) -> Result<&'a edm::Property, PlanError> {
        let [position] = path.property.as_slice() else {
            return Err(PlanError::Unsupported("changing a property of a complex property by its URL".into()));
        };
        let ty = self.ty(spot.collection.ty);
        let property = ty.properties.get(*position).ok_or(PlanError::Internal)?;
        if ty.key.contains(position) {
            return Err(PlanError::KeyChange(property.name.clone()));
        }
        let made = self.makes(spot.collection.ty, *position).is_some_and(|client| client == Client::Refuse);
        if property.computed || property.immutable || made {
            return Err(PlanError::Unsupported(format!("changing the read-only property '{}'", property.name)));
        }
        Ok(property)
    }

    fn set_property(&mut self, request: &Prepared, spot: &Spot, values: Vec<(usize, Value)>) -> Step<Outcome> {
        let ty = spot.collection.ty;
        let (given, values) = values.into_iter().partition(|(position, _)| self.makes(ty, *position).is_some());
        let change = Change { values, given, merge: request.method == Method::PATCH, ..Change::default() };
        match self.modify(request, spot, change, false)? {
            Some(updated) => Ok(respond::property_changed(self.context, request, &spot.path, &updated)),
            None => Err(self.not_found(spot.collection.ty, &spot.path).into()),
        }
    }

    /// Where the profile asks for `If-Match`, there has to be one.
    pub(super) fn check_token(&self, request: &Prepared) -> Result<(), PlanError> {
        if self.service().profile.if_match_required && request.if_match.is_none() {
            return Err(PlanError::TokenRequired);
        }
        Ok(())
    }

    /// Reads the body of a PATCH or PUT.
    fn read_change(&mut self, request: &Prepared, spot: &Spot) -> Step<Change> {
        let model = &self.service().model;
        let payload = edm::read_entity(model, spot.collection.ty, &request.body)?;
        self.check_lookup_values(&payload.record)?;
        let ty = self.ty(payload.record.ty);
        let put = request.method == Method::PUT;
        if !payload.nested.is_empty() {
            return Err(PlanError::Unsupported("updating related entities inline".into()).into());
        }
        let mut change = Change {
            merge: !put,
            replace: put,
            derived: payload.record.ty != spot.collection.ty,
            dynamic: payload.record.dynamic.clone(),
            etag: payload.etag.as_deref().filter(|_| request.body_etags).map(body_tag),
            ..Change::default()
        };
        for (nav, bind) in &payload.binds {
            let navigation = self.navigation(payload.record.ty, *nav)?;
            let target = match bind {
                Bind::Null if navigation.contains_target => {
                    return Err(PlanError::Unsupported(format!("removing '{}' with null", navigation.name)).into());
                }
                Bind::Null => None,
                Bind::One(url) => Some(self.linked_entity(url, navigation, request.company)?),
                Bind::Many(_) => {
                    return Err(PlanError::Unsupported(format!("binding the collection '{}'", navigation.name)).into());
                }
            };
            change.lookups.push((*nav, target));
        }
        for (position, (property, slot)) in ty.properties.iter().zip(payload.record.values).enumerate() {
            let key = ty.key.contains(&position);
            if key {
                self.check_same_key(spot, position, slot.as_ref())?;
            }
            if key || property.computed {
                continue;
            }
            if self.makes(payload.record.ty, position).is_some() {
                // In what replaces an entity, null is as good as nothing.
                let value = slot.filter(|value| !put || *value != Value::Null);
                change.given.extend(value.map(|value| (position, value)));
                continue;
            }
            match (slot, self.rule(payload.record.ty, position).map(|derived| &derived.rule)) {
                (Some(value), _) => change.values.push((position, value)),
                // A payload cannot hold the bytes of a stream.
                (None, _) if property.stream.is_some() => {}
                // Nobody can repeat what nobody can read.
                (None, _) if property.write_only || property.immutable || self.counts_retries(spot, position) => {}
                (None, Some(Rule::Default(default))) if put => change.values.push((position, default.clone())),
                (None, None) if put => change.values.push((position, replaced(ty, property)?)),
                (None, _) => {}
            }
        }
        Ok(change)
    }

    fn check_same_key(&self, spot: &Spot, position: usize, given: Option<&Value>) -> Result<(), PlanError> {
        let (Some(given), Some(key)) = (given, &spot.entity_key) else { return Ok(()) };
        let ty = self.ty(spot.collection.ty);
        let at = ty.key.iter().position(|p| *p == position);
        let own = at.and_then(|at| key.0.get(at));
        if own.is_some_and(|own| !own.equals(given)) {
            let name = ty.properties.get(position).map(|p| p.name.clone()).unwrap_or_default();
            return Err(PlanError::KeyChange(name));
        }
        Ok(())
    }

    /// Applies a change; `None` when the entity does not exist and may be created.
    pub(super) fn modify(
        &mut self,
        request: &Prepared,
        spot: &Spot,
        mut change: Change,
        representation: bool,
    ) -> Step<Option<Updated>> {
        change.with_etag = matches!(request.if_match, Some(Tags::List(_)));
        let given = |at: usize| change.values.iter().rev().find(|(given, _)| *given == at).map(|(_, value)| value);
        self.check_endpoint(spot.collection.set, spot.collection.ty, given)?;
        self.revive_endpoint(spot, &mut change);
        if !representation && self.can_be_blind(request, spot, &change) {
            return self.patch_blindly(request, spot, change).map(Some);
        }
        self.look_ahead_change(spot, &change, request.company)?;
        let Some(old) = self.observe_at(spot)? else {
            self.absent(request, spot)?;
            return if change.etag.is_some() { Err(PlanError::Stale.into()) } else { Ok(None) };
        };
        let stale = |tags: &Tags| !tags.matches(&old.etag());
        if request.if_match.as_ref().is_some_and(stale) || change.etag.as_ref().is_some_and(stale) {
            return Err(PlanError::Stale.into());
        }
        if self.is_repeat(request, spot, &old) {
            return Ok(Some(Updated::Known(old)));
        }
        match &request.if_none_match {
            Some(Tags::Any) => return Err(PlanError::AlreadyThere.into()),
            Some(tags) if tags.matches(&old.etag()) => return Err(PlanError::Stale.into()),
            _ => {}
        }
        self.apply(spot, &old, &change, request.company).map(|entity| Some(Updated::Known(entity)))
    }

    /// Whether a missing entity may be created by this request; an error when not.
    fn absent(&self, request: &Prepared, spot: &Spot) -> Result<(), PlanError> {
        let missing = self.not_found(spot.collection.ty, &spot.path);
        match &request.if_match {
            Some(Tags::List(_)) if self.service().profile.upsert => Err(PlanError::Stale),
            None if self.service().profile.upsert && self.may_insert(request) => Ok(()),
            _ => Err(missing),
        }
    }

    /// Whether the change can be written without knowing what is there.
    fn can_be_blind(&self, request: &Prepared, spot: &Spot, change: &Change) -> bool {
        let tags_fit = match &request.if_match {
            None | Some(Tags::Any) => true,
            // An etag is compared with what the unit itself has made of the entity.
            Some(tags) => tags.single().is_some() && !self.overlay.is_patched(&spot.key),
        };
        tags_fit
            && request.if_none_match.is_none()
            && change.etag.is_none()
            && !self.overlay.knows(&spot.key)
            && !change.derived
            && !change.replace
            && change.given.is_empty()
            && change.values.len() + change.dynamic.len() <= BLIND_PROPERTIES
            && !self.job_needs_old(spot, change)
            && !change.values.iter().any(|(position, value)| self.needs_old(spot, change, *position, value))
            && !change.lookups.iter().any(|(nav, _)| self.lookup_needs_old(spot, *nav))
    }

    /// Whether setting a property has to know its old value: it is part of something kept elsewhere, or is merged.
    fn needs_old(&self, spot: &Spot, change: &Change, position: usize, value: &Value) -> bool {
        let ty = self.ty(spot.collection.ty);
        let in_alternate = ty.alternate_keys.iter().any(|k| k.properties.iter().any(|(_, p)| *p == position));
        let mut navigation = ty.navigation.iter().enumerate();
        let in_lookup = navigation.any(|(_, nav)| nav.constraints.iter().any(|(dependent, _)| *dependent == position));
        let immutable = ty.properties.get(position).is_some_and(|property| self.gives_immutable(property, value));
        in_alternate
            || in_lookup
            || immutable
            || self.copies(spot.collection.ty, |copied| copied.by == Some(position))
            || change.merge && matches!(value, Value::Complex(_))
    }

    fn lookup_needs_old(&self, spot: &Spot, nav: usize) -> bool {
        let Ok(navigation) = self.navigation(spot.collection.ty, nav) else { return true };
        let copied = self.copies(spot.collection.ty, |copied| copied.sources.iter().any(|source| source.nav == nav));
        copied || inverse(&self.service().model, navigation).is_some() || !navigation.constraints.is_empty()
    }

    /// Writes only what changes; the commit checks that the entity is there.
    fn patch_blindly(&mut self, request: &Prepared, spot: &Spot, change: Change) -> Step<Updated> {
        self.check_access(&spot.collection, Access::Update)?;
        let etag = request.if_match.as_ref().and_then(Tags::single);
        match etag {
            Some(etag) => self.overlay.rely(&spot.key, Condition::Version(etag.clone())),
            None if self.overlay.require(&spot.key) => {}
            None => return Err(self.not_found(spot.collection.ty, &spot.path).into()),
        }
        let status = self.status_given(&change);
        let ty = self.ty(spot.collection.ty);
        let record = Record::new(&self.service().model, spot.collection.ty);
        let values = change.values.into_iter().chain(self.derive_patched(&record));
        let mut patch = Patch { version: self.version().0, dynamic: change.dynamic, ..Patch::default() };
        for (position, value) in values {
            patch.properties.extend(ty.properties.get(position).map(|p| (p.name.clone(), value)));
        }
        for (nav, target) in change.lookups {
            let navigation = self.navigation(spot.collection.ty, nav)?;
            if let Some(target) = &target
                && !self.overlay.require(&target.key)
            {
                return Err(missing_target(navigation, &target.path).into());
            }
            self.note_lookup(&spot.key, spot.collection.ty, nav, target.is_some());
            patch.lookups.push((navigation.name.clone(), target.map(|t| t.key.sort)));
        }
        if let Some(jobs) = self.jobs_of(spot.collection.set, spot.collection.ty) {
            self.guard_job(jobs, status, &mut patch);
        }
        self.overlay.patch(&spot.key, patch);
        let version = self.version();
        Ok(Updated::Blind(etag.map(|etag| edm::ETag { incarnation: etag.incarnation.clone(), version })))
    }

    /// Points navigation properties where a change says, unless it says otherwise of the properties that follow them.
    fn bind(&mut self, change: &Change, new: &mut Entity) -> Step<()> {
        let mut said = Vec::new();
        for (nav, target) in &change.lookups {
            let given = |at: usize| change.values.iter().chain(&said).rev().find(|(position, _)| *position == at);
            let last = |at: usize| given(at).map(|(_, value)| value);
            self.check_dependents(new.record.ty, *nav, target.as_ref(), last)?;
            self.set_lookup(&mut new.record, &mut new.lookups, *nav, target.as_ref())?;
            let follow = &self.navigation(new.record.ty, *nav)?.constraints;
            let now = |at: usize| Some((at, new.record.values.get(at)?.clone()?));
            said.extend(follow.iter().filter_map(|(dependent, _)| now(*dependent)));
        }
        Ok(())
    }

    /// Applies a change to an entity that was read.
    pub(super) fn apply(
        &mut self,
        spot: &Spot,
        old: &Arc<Entity>,
        change: &Change,
        company: Option<usize>,
    ) -> Step<Arc<Entity>> {
        self.check_access(&spot.collection, Access::Update)?;
        let claims = !change.with_etag && self.status_given(change).is_some();
        let mut new = Entity::clone(old);
        if spot.is_unwritten(old) {
            new.incarnation = self.new_incarnation();
            self.rely_on_parent(spot);
        }
        change.write(&mut new.record);
        self.check_immutable(&old.record, &new.record)?;
        let given = change.lookups.iter().filter(|(_, target)| target.is_some()).map(|(nav, _)| *nav);
        self.check_one_target(new.record.ty, given)?;
        self.bind(change, &mut new)?;
        let set = spot.collection.set;
        let named = self.named(change, &new);
        self.leave_sources(old, &mut new, &named)?;
        let news = self.news(change, old, &new, &[]);
        let renewed = self.renewed(&new.record, &news);
        let given = self.sought(change, &new.record, news, &named);
        self.prefetch_given(&new.record, (set, company), &given, &named)?;
        let mut draft = Draft { record: &mut new.record, lookups: &mut new.lookups, set, company };
        self.look_up(&mut draft, &given, &named)?;
        let bound = change.lookups.iter().filter_map(|(nav, target)| Some((*nav, target.as_ref()?)));
        self.check_bound(&new.record, &new.lookups, bound)?;
        let mut moved = Vec::new();
        for nav in 0..new.lookups.len() {
            let before = lookup_sort(self.service(), &old.record, &old.lookups, nav);
            let after = lookup_sort(self.service(), &new.record, &new.lookups, nav);
            // A bind says that its target is there, also when the link was there before.
            if before != after || change.lookups.iter().any(|(bound, _)| *bound == nav) || renewed.contains(&nav) {
                self.require_target(set, &new.record, &new.lookups, nav, company)?;
                moved.push(nav);
            }
            if before != after {
                self.relink(&spot.key, set, new.record.ty, nav, (before, after), company)?;
            }
        }
        let given = self.news(change, old, &new, &moved);
        let mut draft = Draft { record: &mut new.record, lookups: &mut new.lookups, set, company };
        self.derive_changed(&mut draft, &old.record, &moved, &given, change.replace)?;
        self.note_lookups(&spot.key, Some(old), &new);
        if let Some(jobs) = self.jobs_of(set, new.record.ty)
            && !self.change_job(jobs, &spot.key, old, &mut new, claims)?
        {
            return Ok(Arc::clone(old));
        }
        self.claim_alternate_keys(&spot.collection, Some(old), Some(&new), &spot.key)?;
        self.service().model.concatenate(&mut new.record);
        new.version = self.version();
        let new = Arc::new(new);
        self.overlay.put(&spot.key, Stored::Entity(new.clone()));
        Ok(new)
    }
}

impl Change {
    /// Writes the values of the change.
    fn write(&self, record: &mut Record) {
        if self.replace {
            record.dynamic.clear();
        }
        for (name, value) in &self.dynamic {
            record.dynamic.retain(|(n, _)| n != name);
            record.dynamic.push((name.clone(), value.clone()));
        }
        for (position, value) in &self.values {
            if let Some(slot) = record.values.get_mut(*position) {
                *slot = Some(if self.merge { merged(slot.take(), value.clone()) } else { value.clone() });
            }
        }
    }
}

impl Spot {
    /// The path as the client addressed the entity.
    pub(super) fn path_for_client(&self) -> String {
        self.alternate_path.clone().unwrap_or_else(|| self.path.clone())
    }
}

/// An etag of a body (`@etag`): `*` or one tag.
fn body_tag(text: &str) -> Tags {
    if text == "*" { Tags::Any } else { Tags::List(vec![edm::ETag::parse(text)]) }
}

/// What a property becomes when a PUT leaves it out.
fn replaced(ty: &edm::StructuredType, property: &edm::Property) -> Result<Value, PlanError> {
    match &property.default {
        Some(default) => Ok(default.clone()),
        None if property.ty.collection => Ok(Value::Collection(Vec::new())),
        None if property.ty.nullable => Ok(Value::Null),
        None => Err(PlanError::Required { property: property.name.clone(), entity_type: ty.name.clone() }),
    }
}

/// PATCH merges complex values and replaces all others (Protocol §11.4.3).
fn merged(old: Option<Value>, new: Value) -> Value {
    match (old, new) {
        (Some(Value::Complex(mut old)), Value::Complex(new)) if old.ty == new.ty => {
            let new = *new;
            for (slot, value) in old.values.iter_mut().zip(new.values) {
                if let Some(value) = value {
                    *slot = Some(merged(slot.take(), value));
                }
            }
            for (name, value) in new.dynamic {
                old.dynamic.retain(|(n, _)| *n != name);
                old.dynamic.push((name, value));
            }
            Value::Complex(old)
        }
        (_, new) => new,
    }
}
