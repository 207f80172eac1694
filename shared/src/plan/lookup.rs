//! Lookups (single-valued navigation), the links that lead back, and what must hold of their targets.

use crate::{
    edm::{
        EntityKey, Model, NavigationProperty, PrimitiveType, Record, SetId, StructuredType, TypeId, TypeKind, Value,
    },
    service::Service,
    store::{ItemKey, Stored},
    uri::{self, Encoding, EntityPath, Last, QueryOptions, Resource},
};

use super::{
    PlanError,
    options::check_custom_options,
    overlay::Step,
    place::{self, Collection},
    prepare::dereference,
    unit::Unit,
    walk::{Spot, Target},
};

/// The encoded key of the entity that a single-valued navigation leads to.
///
/// Of a lookup with several targets ([`crate::edm::StructuredType::alternatives`]) the table keeps which one it leads to
/// as well. Where it does not, the entity was stored when there was one target: the first.
pub(super) fn lookup_sort(
    service: &Service,
    record: &Record,
    lookups: &[Option<String>],
    nav: usize,
) -> Option<String> {
    let navigation = service.model.ty(record.ty).navigation.get(nav)?;
    if navigation.constraints.is_empty() {
        return lookups.get(nav)?.clone();
    }
    let mut others = service.model.ty(record.ty).alternatives(nav).peekable();
    if others.peek().is_some() {
        if let Some(own) = lookups.get(nav)? {
            return Some(own.clone());
        }
        if others.any(|other| other < nav || lookups.get(other).is_some_and(Option::is_some)) {
            return None;
        }
    }
    let key = constrained_key(service, record, navigation)?;
    key.encode().ok()
}

/// The target's key out of the properties that referential constraints tie to it; `None` when it leads nowhere.
fn constrained_key(service: &Service, record: &Record, navigation: &NavigationProperty) -> Option<EntityKey> {
    let positions = &service.model.ty(navigation.target).key;
    let values = positions.iter().map(|position| {
        let (dependent, _) = navigation.constraints.iter().find(|(_, referenced)| referenced == position)?;
        record.values.get(*dependent)?.clone()
    });
    let values: Vec<Value> = values.collect::<Option<_>>()?;
    let empty = |value: &Value| leads_nowhere(service, value);
    (!values.iter().any(empty)).then_some(EntityKey(values))
}

/// Whether a value of a property that follows a lookup says that there is no target.
fn leads_nowhere(service: &Service, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Guid(guid) => service.profile.empty_guid_is_null && guid.is_nil(),
        _ => false,
    }
}

/// The entity set that a navigation property leads to: the bound one, else the only one of that type.
pub(super) fn target_set(model: &Model, from: Option<SetId>, nav: &NavigationProperty) -> Option<SetId> {
    let bound = from.and_then(|set| model.set(set).bindings.get(&nav.name).copied());
    if bound.is_some() {
        return bound;
    }
    let deeper = model.sets().find_map(|(_, set)| {
        let mut paths = set.bindings.iter();
        paths.find(|(path, _)| path.rsplit('/').next() == Some(&nav.name)).map(|(_, target)| *target)
    });
    let deeper = deeper.filter(|set| model.is_a(nav.target, model.set(*set).entity_type));
    if deeper.is_some() {
        return deeper;
    }
    let mut sets = model.sets().filter(|(_, set)| model.is_a(nav.target, set.entity_type));
    match (sets.next(), sets.next()) {
        (Some((set, _)), None) => Some(set),
        _ => None,
    }
}

/// The navigation property that leads back, when it is collection-valued.
pub(super) fn inverse<'m>(model: &'m Model, nav: &NavigationProperty) -> Option<&'m NavigationProperty> {
    let partner = model.ty(nav.target).navigation(nav.partner.as_deref()?)?;
    model.ty(nav.target).navigation.get(partner).filter(|inverse| inverse.collection && !inverse.contains_target)
}

impl Unit<'_> {
    /// The entity that a URL in a body means (`@odata.bind`, `@odata.id`).
    pub(super) fn linked_entity(&mut self, url: &str, nav: &NavigationProperty, company: Option<usize>) -> Step<Spot> {
        let bad = || PlanError::BadTarget { navigation: nav.name.clone(), url: url.chars().take(200).collect() };
        let url_text = dereference(self.context, url, self.references)?.into_owned();
        let located = self.context.locate(&url_text)?;
        let limits = self.service().limits.uri();
        let options = QueryOptions::parse(located.query.unwrap_or_default(), &limits)?;
        check_custom_options(&self.service().profile, &options)?;
        if options.given().next().is_some() {
            return Err(bad().into());
        }
        let segments = uri::parse_path(&located.path, Encoding::Percent, &limits)?;
        let companies = self.service().companies.as_ref();
        let resource = uri::resolve(&self.service().model, &segments, companies.map(|c| c.set))?;
        let Resource::Entities(path) = resource else { return Err(bad().into()) };
        let fits = self.service().model.is_a(path.ty, nav.target) || self.service().model.is_a(nav.target, path.ty);
        if path.collection || !path.property.is_empty() || path.last != Last::None || !fits {
            return Err(bad().into());
        }
        let company = match (&path.company, companies) {
            (Some(key), Some(companies)) => {
                let found = companies.by_key(key);
                Some(found.ok_or_else(|| PlanError::CompanyNotFound(url.chars().take(200).collect()))?)
            }
            _ => company,
        };
        match self.walk(&path, company, path.steps.len())? {
            Target::Entity(spot) => Ok(spot),
            Target::NoAlternate { collection, index, values } => {
                let target = self.no_alternate(&collection, index, &values).to_string();
                Err(PlanError::MissingTarget { navigation: nav.name.clone(), target }.into())
            }
            _ => Err(bad().into()),
        }
    }

    /// Points a single-valued navigation at `target`, or nowhere.
    pub(super) fn set_lookup(
        &mut self,
        record: &mut Record,
        lookups: &mut [Option<String>],
        nav: usize,
        target: Option<&Spot>,
    ) -> Step<()> {
        let navigation = self.navigation(record.ty, nav)?;
        if navigation.constraints.is_empty() {
            if let Some(slot) = lookups.get_mut(nav) {
                *slot = target.map(|spot| spot.key.sort.clone());
            }
            return Ok(());
        }
        let others: Vec<usize> = self.ty(record.ty).alternatives(nav).collect();
        if !others.is_empty() && target.is_none() && lookup_sort(self.service(), record, lookups, nav).is_none() {
            return Ok(());
        }
        for other in &others {
            if let Some(slot) = lookups.get_mut(*other) {
                *slot = None;
            }
        }
        if let Some(slot) = lookups.get_mut(nav).filter(|_| !others.is_empty()) {
            *slot = target.map(|spot| spot.key.sort.clone());
        }
        for (dependent, value) in self.constraint_values(self.ty(record.ty), navigation, target)? {
            if let Some(slot) = record.values.get_mut(dependent) {
                *slot = Some(value);
            }
        }
        Ok(())
    }

    /// A lookup with several targets leads to one entity.
    pub(super) fn check_one_target(&self, ty: TypeId, given: impl Iterator<Item = usize>) -> Result<(), PlanError> {
        let given: Vec<usize> = given.collect();
        for nav in &given {
            if let Some(other) = self.ty(ty).alternatives(*nav).find(|other| given.contains(other)) {
                let name = |nav| self.navigation(ty, nav).map(|nav| nav.name.clone());
                return Err(PlanError::TwoTargets { navigation: name(*nav)?, other: name(other)? });
            }
        }
        Ok(())
    }

    /// Refuses a target that contradicts what is `said` of a property that follows the lookup, if anything.
    pub(super) fn check_dependents<'v>(
        &mut self,
        ty: TypeId,
        nav: usize,
        target: Option<&Spot>,
        said: impl Fn(usize) -> Option<&'v Value>,
    ) -> Step<()> {
        let navigation = self.navigation(ty, nav)?;
        for (dependent, value) in self.constraint_values(self.ty(ty), navigation, target)? {
            let nowhere = |value: &Value| leads_nowhere(self.service(), value);
            let Some(other) = said(dependent).filter(|other| !nowhere(other) && !other.equals(&value)) else {
                continue;
            };
            let property = self.ty(ty).properties.get(dependent).map(|property| property.name.clone());
            return Err(PlanError::Contradiction {
                property: property.unwrap_or_default(),
                value: self.shown(ty, dependent, other),
                made: format!("that of the target of '{}'", navigation.name),
            }
            .into());
        }
        Ok(())
    }

    /// Refuses navigation properties that were `bound` and lead elsewhere by now: others follow the same properties.
    pub(super) fn check_bound<'s>(
        &self,
        record: &Record,
        lookups: &[Option<String>],
        bound: impl Iterator<Item = (usize, &'s Spot)>,
    ) -> Result<(), PlanError> {
        let navigation = &self.ty(record.ty).navigation;
        for (nav, spot) in bound {
            let Some(own) = navigation.get(nav) else { continue };
            if lookup_sort(self.service(), record, lookups, nav).as_ref() == Some(&spot.key.sort) {
                continue;
            }
            let follows = |at: &usize| own.constraints.iter().any(|(dependent, _)| dependent == at);
            let shares = |other: &&NavigationProperty| {
                other.name != own.name && other.constraints.iter().any(|(dependent, _)| follows(dependent))
            };
            let other = navigation.iter().find(shares).map_or_else(String::new, |other| other.name.clone());
            return Err(PlanError::TwoTargets { navigation: own.name.clone(), other });
        }
        Ok(())
    }

    /// What the properties that follow a lookup become: (position, value).
    fn constraint_values(
        &mut self,
        from: &StructuredType,
        nav: &NavigationProperty,
        target: Option<&Spot>,
    ) -> Step<Vec<(usize, Value)>> {
        let Some(spot) = target else {
            let empty = |dependent: usize| {
                let kind = from.properties.get(dependent).map(|property| property.ty.kind);
                let is_guid = kind == Some(TypeKind::Primitive(PrimitiveType::Guid));
                let nil = is_guid && self.service().profile.empty_guid_is_null;
                if nil { Value::Guid(uuid::Uuid::nil()) } else { Value::Null }
            };
            return Ok(nav.constraints.iter().map(|(dependent, _)| (*dependent, empty(*dependent))).collect());
        };
        let key_positions = &self.ty(nav.target).key;
        let from_key = |referenced: &usize| {
            let at = key_positions.iter().position(|p| p == referenced)?;
            spot.entity_key.as_ref()?.0.get(at).cloned()
        };
        let mut values = Vec::with_capacity(nav.constraints.len());
        for (dependent, referenced) in &nav.constraints {
            let value = if let Some(value) = from_key(referenced) {
                value
            } else {
                let entity = self.overlay.observe(&spot.key)?;
                let entity = entity.ok_or_else(|| missing_target(nav, &spot.path))?;
                entity.record.values.get(*referenced).cloned().flatten().unwrap_or(Value::Null)
            };
            values.push((*dependent, value));
        }
        Ok(values)
    }

    /// The place of the entity that a lookup leads to.
    pub(super) fn lookup_target(
        &self,
        from: Option<SetId>,
        record: &Record,
        lookups: &[Option<String>],
        nav: usize,
        company: Option<usize>,
    ) -> Result<Option<(Collection, ItemKey)>, PlanError> {
        let Some(sort) = lookup_sort(self.service(), record, lookups, nav) else { return Ok(None) };
        let navigation = self.navigation(record.ty, nav)?;
        let collection = self.target_collection(from, navigation, company)?;
        let key = collection.key(sort)?;
        Ok(Some((collection, key)))
    }

    /// Refuses values of properties that follow a lookup, where the dialect does.
    pub(super) fn check_lookup_values(&self, record: &Record) -> Result<(), PlanError> {
        let given = record.values.iter().enumerate().filter(|(_, value)| value.is_some());
        given.map(|(at, _)| at).try_for_each(|at| self.check_lookup_value(record.ty, at))
    }

    /// The same for the property that a path leads to.
    pub(super) fn check_lookup_property(&self, path: &EntityPath) -> Result<(), PlanError> {
        path.property.first().map_or(Ok(()), |at| self.check_lookup_value(path.ty, *at))
    }

    fn check_lookup_value(&self, ty: TypeId, at: usize) -> Result<(), PlanError> {
        let ty = self.ty(ty);
        let Some(property) = ty.properties.get(at).filter(|property| property.computed) else { return Ok(()) };
        if !self.service().profile.lookup_values_refused || self.context.trusted {
            return Ok(());
        }
        let follows = |nav: &&NavigationProperty| nav.constraints.iter().any(|(dependent, _)| *dependent == at);
        let navigation: Vec<String> = ty.navigation.iter().filter(follows).map(|nav| nav.name.clone()).collect();
        if navigation.is_empty() {
            return Ok(());
        }
        Err(PlanError::LookupValue { property: property.name.clone(), navigation })
    }

    /// Makes the commit depend on the existence of a lookup's target.
    pub(super) fn require_target(
        &mut self,
        from: Option<SetId>,
        record: &Record,
        lookups: &[Option<String>],
        nav: usize,
        company: Option<usize>,
    ) -> Step<()> {
        let Some((collection, key)) = self.lookup_target(from, record, lookups, nav, company)? else { return Ok(()) };
        if self.overlay.require(&key) {
            return Ok(());
        }
        let navigation = self.navigation(record.ty, nav)?;
        Err(self.missing_entity(navigation, &collection, &key).into())
    }

    /// The error for a lookup whose target does not exist, out of the place where it is missing.
    pub(super) fn missing_entity(
        &self,
        nav: &NavigationProperty,
        collection: &Collection,
        place: &ItemKey,
    ) -> PlanError {
        let model = &self.service().model;
        let key = EntityKey::decode(model, collection.ty, &place.sort);
        let key = key.map(|key| uri::write_key(model, collection.ty, &key)).unwrap_or_default();
        missing_target(nav, &format!("{}{key}", collection.path))
    }

    /// Moves the link that leads back to an entity from `old` to `new` target (encoded keys).
    pub(super) fn relink(
        &mut self,
        entity: &ItemKey,
        from: Option<SetId>,
        ty: TypeId,
        nav: usize,
        (old, new): (Option<String>, Option<String>),
        company: Option<usize>,
    ) -> Step<()> {
        let navigation = self.navigation(ty, nav)?;
        let Some(inverse) = inverse(&self.service().model, navigation) else { return Ok(()) };
        if from.is_none() || old == new {
            return Ok(());
        }
        let collection = self.target_collection(from, navigation, company)?;
        if let Some(old) = old {
            let link = place::link_key(&collection.key(old)?, &inverse.name, entity)?;
            self.overlay.delete(&link);
        }
        if let Some(new) = new {
            let link = place::link_key(&collection.key(new)?, &inverse.name, entity)?;
            self.overlay.put(&link, Stored::Link);
        }
        Ok(())
    }
}

/// The error for a lookup whose target does not exist.
pub(super) fn missing_target(nav: &NavigationProperty, target: &str) -> PlanError {
    PlanError::MissingTarget { navigation: nav.name.clone(), target: target.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::service::Services;

    #[test]
    fn a_lookup_that_was_stored_when_it_had_one_target_leads_to_the_first() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/services");
        let services = Services::load(&folder).unwrap();
        let service = services.iter().find(|service| service.name == "dataverse").unwrap();
        let ty = service.model.type_id("Microsoft.Dynamics.CRM.task").unwrap();
        let nav = |name: &str| service.model.ty(ty).navigation(name).unwrap();
        let navs = ["account", "contact", "opportunity"].map(|of| nav(&format!("regardingobjectid_{of}_task")));
        let leads = |record: &Record, lookups: &[Option<String>]| {
            navs.map(|nav| lookup_sort(service, record, lookups, nav).is_some())
        };
        let mut record = Record::new(&service.model, ty);
        let mut lookups = vec![None; service.model.ty(ty).navigation.len()];
        assert_eq!(leads(&record, &lookups), [false; 3]);
        let value = service.model.ty(ty).property("_regardingobjectid_value").unwrap();
        record.values[value] = Some(Value::Guid(uuid::Uuid::from_u128(7)));
        assert_eq!(leads(&record, &lookups), [true, false, false]);
        lookups[navs[2]] = Some("x".into());
        assert_eq!(leads(&record, &lookups), [false, false, true]);
    }
}
