//! Lookups (single-valued navigation), the links that lead back, and what must hold of their targets.

use crate::{
    edm::{
        EntityKey, Model, NavigationProperty, PrimitiveType, Record, SetId, StructuredType, TypeId, TypeKind, Value,
    },
    service::Service,
    store::{ItemKey, Stored},
    uri::{self, Encoding, Last, Resource},
};

use super::{
    PlanError,
    overlay::Step,
    place::{self, Collection},
    prepare::dereference,
    unit::Unit,
    walk::{Spot, Target},
};

/// The encoded key of the entity that a single-valued navigation leads to.
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
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Guid(guid) => service.profile.empty_guid_is_null && guid.is_nil(),
        _ => false,
    };
    (!values.iter().any(empty)).then_some(EntityKey(values))
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
        for (dependent, value) in self.constraint_values(self.ty(record.ty), navigation, target)? {
            if let Some(slot) = record.values.get_mut(dependent) {
                *slot = Some(value);
            }
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
        Err(missing_target(navigation, &format!("{}({})", collection.path, key.sort)).into())
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
