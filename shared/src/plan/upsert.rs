//! The insert of an upsert: PATCH or PUT of an entity that is not there (Protocol §11.4.4).

use crate::{edm::Value, respond};

use super::{
    PlanError,
    create::{Birth, Created},
    overlay::Step,
    place::{self, Collection},
    prepare::Prepared,
    unit::{Outcome, Owner, Unit},
    walk::Spot,
};

impl Unit<'_> {
    /// The insert of an upsert: the key comes from the URL.
    pub(super) fn upsert(&mut self, request: &Prepared, spot: &Spot) -> Step<Outcome> {
        let positions = self.ty(spot.collection.ty).key.iter().copied();
        let values = spot.entity_key.iter().flat_map(|key| key.0.iter().cloned());
        let given: Vec<(usize, Value)> = positions.zip(values).collect();
        let created = self.insert_by_url(request, &spot.collection, spot.parent.as_ref(), &given)?;
        Ok(respond::upserted(self.context, request, &created, &created.path))
    }

    pub(super) fn insert_by_alternate(
        &mut self,
        request: &Prepared,
        collection: &Collection,
        index: usize,
        values: &[Value],
    ) -> Step<Outcome> {
        self.check_token(request)?;
        if request.if_match.is_some() || !self.service().profile.upsert || !self.may_insert(request) {
            return Err(self.no_alternate(collection, index, values).into());
        }
        if place::alternate_key(self.service(), collection, index, values).map_err(PlanError::from)?.is_none() {
            return Err(PlanError::Unsupported("an empty value in the alternate key of a new entity".into()).into());
        }
        let key = self.ty(collection.ty).alternate_keys.get(index).ok_or(PlanError::Internal)?;
        let given = key.properties.iter().map(|(_, position)| *position).zip(values.iter().cloned());
        let given: Vec<(usize, Value)> = given.collect();
        let created = self.insert_by_url(request, collection, None, &given)?;
        // The body's values win over those of the URL.
        let values = self.alternate_values(collection, index, &created.entity);
        let text = crate::uri::write_alternate_key(&self.service().model, collection.ty, index, &values);
        Ok(respond::upserted(self.context, request, &created, &format!("{}{text}", collection.path)))
    }

    fn insert_by_url(
        &mut self,
        request: &Prepared,
        collection: &Collection,
        parent: Option<&Owner>,
        given: &[(usize, Value)],
    ) -> Step<Created> {
        let birth = Birth { collection, parent, company: request.company, given, lookup: None, depth: 0 };
        self.create(birth, &request.body)
    }
}
