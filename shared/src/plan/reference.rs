//! Links between entities: `…/$ref` (Protocol §11.4.6).

use std::sync::Arc;

use crate::{
    batch::Headers,
    edm::{self, Entity, NavigationProperty},
    respond,
    store::Stored,
    uri::EntityPath,
};

use super::{
    PlanError,
    context::Reference,
    lookup::{lookup_sort, missing_target},
    overlay::Step,
    place,
    prepare::Prepared,
    unit::{Outcome, Owner, Unit, no_content, not_allowed},
    update::Change,
    walk::{Spot, Target},
};

impl Unit<'_> {
    /// POST, PUT or DELETE of `…/$ref`.
    pub(super) fn change_reference(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        let Some(last) = path.steps.last() else { return Err(not_allowed(request, "GET")) };
        let Target::Entity(spot) = self.walk(path, request.company, path.steps.len() - 1)? else {
            return Err(not_allowed(request, "GET"));
        };
        let owner = spot.owner();
        let navigation = self.navigation(owner.ty, last.nav)?;
        if navigation.contains_target {
            return Err(PlanError::Unsupported(format!("links of the containment '{}'", navigation.name)).into());
        }
        if navigation.collection {
            self.check_owner(request, &spot)?;
        }
        match (request.method.as_str(), navigation.collection, &last.key) {
            ("PUT" | "POST", false, _) => self.set_reference(request, &spot, last.nav, navigation)?,
            ("DELETE", false, _) => self.modify_lookup(request, &spot, last.nav, None)?,
            ("POST", true, None) => {
                let url = edm::read_reference(&request.body)?;
                let target = self.linked_entity(&url, navigation, request.company)?;
                self.link(&owner, last.nav, &target, request.company)?;
            }
            ("DELETE", true, _) => self.remove_from_collection(request, path, &owner, last.nav)?,
            ("PUT", true, None) => {
                return Err(PlanError::Unsupported("replacing all links of a collection".into()).into());
            }
            _ => {
                return Err(not_allowed(
                    request,
                    if navigation.collection { "GET, POST, DELETE" } else { "GET, PUT, DELETE" },
                ));
            }
        }
        let mut headers = Headers::new();
        respond::version_header(self.context, request, &mut headers, false);
        Ok(no_content(headers, Reference::Nothing))
    }

    /// `If-Match` on the links of a collection is about the entity they start from.
    fn check_owner(&mut self, request: &Prepared, spot: &Spot) -> Step<()> {
        if request.if_match.is_none() && request.if_none_match.is_none() {
            return Ok(());
        }
        let Some(owner) = self.overlay.observe(&spot.key)? else {
            return Err(self.not_found(spot.collection.ty, &spot.path).into());
        };
        let stale = request.if_match.as_ref().is_some_and(|tags| !tags.matches(&owner.etag()))
            || request.if_none_match.as_ref().is_some_and(|tags| tags.matches(&owner.etag()));
        if stale { Err(PlanError::Stale.into()) } else { Ok(()) }
    }

    fn set_reference(
        &mut self,
        request: &Prepared,
        spot: &Spot,
        nav: usize,
        navigation: &NavigationProperty,
    ) -> Step<()> {
        let url = edm::read_reference(&request.body)?;
        let target = self.linked_entity(&url, navigation, request.company)?;
        self.modify_lookup(request, spot, nav, Some(target))
    }

    /// Points a single-valued navigation of an entity elsewhere.
    fn modify_lookup(&mut self, request: &Prepared, spot: &Spot, nav: usize, target: Option<Spot>) -> Step<()> {
        let change = Change { lookups: vec![(nav, target)], ..Change::default() };
        match self.modify(request, spot, change, false)? {
            Some(_) => Ok(()),
            None => Err(self.not_found(spot.collection.ty, &spot.path).into()),
        }
    }

    /// Adds `target` to a collection-valued navigation of `owner`. Twice is as good as once.
    pub(super) fn link(&mut self, owner: &Owner, nav: usize, target: &Spot, company: Option<usize>) -> Step<()> {
        let navigation = self.navigation(owner.ty, nav)?;
        if !self.overlay.require(&owner.key) {
            return Err(self.not_found(owner.ty, &owner.path).into());
        }
        if let Some(back) = self.single_partner(navigation) {
            return self.point_back(owner, back, target, company);
        }
        if !self.overlay.require(&target.key) {
            return Err(missing_target(navigation, &target.path).into());
        }
        self.overlay.put(&place::link_key(&owner.key, &navigation.name, &target.key)?, Stored::Link);
        if let Some(inverse) = super::lookup::inverse(&self.service().model, navigation) {
            self.overlay.put(&place::link_key(&target.key, &inverse.name, &owner.key)?, Stored::Link);
        }
        Ok(())
    }

    /// Sets the target's own lookup to the owner of the collection.
    fn point_back(&mut self, owner: &Owner, back: usize, target: &Spot, company: Option<usize>) -> Step<()> {
        let owner_spot = self.owner_spot(owner, company).ok_or(PlanError::Internal)?;
        let Some(old) = self.overlay.observe(&target.key)? else {
            return Err(self.not_found(target.collection.ty, &target.path).into());
        };
        let change = Change { lookups: vec![(back, Some(owner_spot))], ..Change::default() };
        self.apply(target, &old, &change, company).map(|_| ())
    }

    /// Takes the target out of the owner's collection, when it still is in it.
    fn point_nowhere(
        &mut self,
        owner: &Owner,
        nav: &str,
        back: usize,
        target: &Spot,
        company: Option<usize>,
    ) -> Step<()> {
        let old = self.overlay.observe(&target.key)?;
        let linked = |old: &Arc<Entity>| {
            lookup_sort(self.service(), &old.record, &old.lookups, back).as_deref() == Some(owner.key.sort.as_str())
        };
        let Some(old) = old.filter(linked) else {
            return Err(PlanError::NoTarget(format!("{}/{nav}", owner.path)).into());
        };
        let change = Change { lookups: vec![(back, None)], ..Change::default() };
        self.apply(target, &old, &change, company).map(|_| ())
    }

    /// The navigation property of the targets that leads back to one owner.
    fn single_partner(&self, navigation: &NavigationProperty) -> Option<usize> {
        let target = self.ty(navigation.target);
        let back = target.navigation(navigation.partner.as_deref()?)?;
        target.navigation.get(back).filter(|nav| !nav.collection).map(|_| back)
    }

    /// DELETE `Coll(key)/$ref` or `Coll/$ref?$id=url`.
    fn remove_from_collection(&mut self, request: &Prepared, path: &EntityPath, owner: &Owner, nav: usize) -> Step<()> {
        let navigation = self.navigation(owner.ty, nav)?;
        let keyed = path.steps.last().is_some_and(|step| step.key.is_some());
        let target = match (&request.options.id, keyed) {
            (Some(url), false) => self.linked_entity(url, navigation, request.company)?,
            (None, true) => match self.walk(path, request.company, path.steps.len())? {
                Target::Entity(spot) => spot,
                _ => return Err(PlanError::NoTarget(navigation.name.clone()).into()),
            },
            _ => return Err(PlanError::Unsupported("removing all links of a collection".into()).into()),
        };
        if let Some(back) = self.single_partner(navigation) {
            return self.point_nowhere(owner, &navigation.name, back, &target, request.company);
        }
        let link = place::link_key(&owner.key, &navigation.name, &target.key)?;
        if self.overlay.peek(&link)?.is_none() {
            return Err(PlanError::NoTarget(format!("{}/{}", owner.path, navigation.name)).into());
        }
        self.overlay.delete(&link);
        if let Some(inverse) = super::lookup::inverse(&self.service().model, navigation) {
            self.overlay.delete(&place::link_key(&target.key, &inverse.name, &owner.key)?);
        }
        Ok(())
    }
}
