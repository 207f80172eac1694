//! Alternate keys: an item for each, which leads to the entity that has it (`Org.OData.Core.V1.AlternateKeys`).

use crate::{
    edm::{Entity, Value},
    store::{ItemKey, Stored},
};

use super::{
    PlanError,
    overlay::Step,
    place::{self, Collection},
    unit::Unit,
};

impl Unit<'_> {
    /// Alternate keys are unique: those of `new` are claimed, those of `old` that differ are given up.
    pub(super) fn claim_alternate_keys(
        &mut self,
        collection: &Collection,
        old: Option<&Entity>,
        new: Option<&Entity>,
        item: &ItemKey,
    ) -> Step<()> {
        for index in 0..self.ty(collection.ty).alternate_keys.len() {
            let place = |unit: &Self, entity: &Entity| -> Result<_, PlanError> {
                let values = unit.alternate_values(collection, index, entity);
                let item = place::alternate_key(unit.service(), collection, index, &values)?;
                Ok(item.map(|item| (item, values)))
            };
            let before = old.map(|old| place(self, old)).transpose()?.flatten();
            let after = new.map(|new| place(self, new)).transpose()?.flatten();
            let same = before.as_ref().map(|(key, _)| key) == after.as_ref().map(|(key, _)| key);
            if same {
                continue;
            }
            // An entity that is older than the alternate key has no item, and another one may have taken the key since.
            if let Some((key, _)) = before
                && self.overlay.leads_to(&key, &item.sort)
            {
                self.overlay.delete(&key);
            }
            if let Some((key, values)) = after {
                if !self.overlay.claim(&key) {
                    let set = collection.path.rsplit('/').next().unwrap_or_default().to_owned();
                    let model = &self.service().model;
                    let key = crate::uri::write_alternate_key(model, collection.ty, index, &values);
                    return Err(PlanError::Duplicate { set, key, alternate: true }.into());
                }
                self.overlay.put(&key, Stored::AlternateKey(item.sort.clone()));
            }
        }
        Ok(())
    }

    pub(super) fn alternate_values(&self, collection: &Collection, index: usize, entity: &Entity) -> Vec<Value> {
        let alternate = self.ty(collection.ty).alternate_keys.get(index);
        let positions = alternate.into_iter().flat_map(|key| &key.properties).map(|(_, position)| *position);
        positions.map(|p| entity.record.values.get(p).cloned().flatten().unwrap_or(Value::Null)).collect()
    }
}
