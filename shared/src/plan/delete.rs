//! Deleting entities (Protocol §11.4.5).

use crate::{batch::Headers, store::Condition, uri::EntityPath};

use super::{
    PlanError,
    allow::Access,
    context::Reference,
    lookup::{inverse, lookup_sort},
    overlay::Step,
    place,
    prepare::{Prepared, Tags},
    unit::{Outcome, Unit, no_content, not_allowed},
    walk::{Spot, Target},
};

impl Unit<'_> {
    /// DELETE of an entity. Its contained children are stored under its incarnation and out of reach from then on.
    pub(super) fn delete(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        if path.collection {
            return Err(not_allowed(request, "GET, POST"));
        }
        let spot = match self.walk(path, request.company, path.steps.len())? {
            Target::Entity(spot) => spot,
            Target::NoAlternate { collection, index, values } => {
                return Err(self.no_alternate(&collection, index, &values).into());
            }
            _ => return Err(not_allowed(request, "GET, POST")),
        };
        self.check_access(&spot.collection, Access::Delete)?;
        if self.can_be_deleted_blindly(request, &spot) {
            match request.if_match.as_ref().and_then(Tags::single) {
                Some(etag) => self.overlay.rely(&spot.key, Condition::Version(etag.clone())),
                None if self.overlay.require(&spot.key) => {}
                None => return Err(self.not_found(spot.collection.ty, &spot.path).into()),
            }
            self.overlay.delete(&spot.key);
        } else if self.observe_and_unlink(request, &spot)? {
            self.overlay.delete(&spot.key);
        }
        self.forget_lookups(&spot.key);
        let mut headers = Headers::new();
        crate::respond::version_header(self.context, request, &mut headers, false);
        Ok(no_content(headers, Reference::Nothing))
    }

    /// Takes an entity out of all that is kept of it elsewhere. False where there is none and nothing to delete.
    fn observe_and_unlink(&mut self, request: &Prepared, spot: &Spot) -> Step<bool> {
        let Some(entity) = self.observe_at(spot)? else {
            return Err(match &request.if_match {
                Some(Tags::List(_)) if self.service().profile.upsert => PlanError::Stale,
                _ => self.not_found(spot.collection.ty, &spot.path),
            }
            .into());
        };
        if let Some(tags) = &request.if_match
            && !tags.matches(&entity.etag())
        {
            return Err(PlanError::Stale.into());
        }
        if let Some(tags) = &request.if_none_match
            && tags.matches(&entity.etag())
        {
            return Err(PlanError::Stale.into());
        }
        if spot.is_unwritten(&entity) {
            return Ok(false);
        }
        if let Some(jobs) = self.jobs_of(spot.collection.set, entity.record.ty) {
            self.note_deletion(jobs, &entity, request.company)?;
        }
        self.claim_alternate_keys(&spot.collection, Some(&entity), None, &spot.key)?;
        for nav in 0..entity.lookups.len() {
            let old = lookup_sort(self.service(), &entity.record, &entity.lookups, nav);
            self.relink(&spot.key, spot.collection.set, entity.record.ty, nav, (old, None), request.company)?;
        }
        if let Some((owner, nav)) = &spot.via
            && let Ok(navigation) = self.navigation(owner.ty, *nav)
            && navigation.collection
        {
            self.overlay.delete(&place::link_key(&owner.key, &navigation.name, &spot.key)?);
        }
        Ok(true)
    }

    /// Nothing of the entity is kept elsewhere, so it need not be read.
    fn can_be_deleted_blindly(&self, request: &Prepared, spot: &Spot) -> bool {
        let ty = self.ty(spot.collection.ty);
        let tags_fit = match &request.if_match {
            None | Some(Tags::Any) => true,
            // An etag is compared with what the unit itself has made of the entity.
            Some(tags) => tags.single().is_some() && !self.overlay.is_patched(&spot.key),
        };
        let linked = ty.navigation.iter().any(|nav| inverse(&self.service().model, nav).is_some());
        tags_fit
            && request.if_none_match.is_none()
            && ty.alternate_keys.is_empty()
            && self.jobs_of(spot.collection.set, spot.collection.ty).is_none()
            && !linked
            && spot.via.is_none()
            && !self.overlay.knows(&spot.key)
    }
}
