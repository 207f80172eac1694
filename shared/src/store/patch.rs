//! What a patch makes of an entity that is known.

use crate::edm::{Entity, Model, Value, Version};

use super::Patch;

impl Patch {
    /// The entity as the table would leave it.
    pub fn applied(&self, model: &Model, entity: &Entity) -> Entity {
        let mut new = entity.clone();
        let ty = model.ty(new.record.ty);
        let values = &mut new.record.values;
        for (name, value) in &self.properties {
            if let Some(slot) = ty.property(name).and_then(|at| values.get_mut(at)) {
                *slot = Some(value.clone());
            }
        }
        for (name, by) in &self.increments {
            if let Some(slot) = ty.property(name).and_then(|at| values.get_mut(at)) {
                let before = if let Some(Value::Integer(before)) = slot { *before } else { 0 };
                *slot = Some(Value::Integer(before.saturating_add(*by)));
            }
        }
        for (name, value) in &self.dynamic {
            new.record.dynamic.retain(|(other, _)| other != name);
            new.record.dynamic.push((name.clone(), value.clone()));
        }
        new.record.dynamic.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (name, target) in &self.lookups {
            let at = ty.navigation.iter().position(|nav| nav.name == *name);
            if let Some(slot) = at.and_then(|at| new.lookups.get_mut(at)) {
                slot.clone_from(target);
            }
        }
        model.concatenate(&mut new.record);
        new.marks.extend(self.mark.clone());
        new.version = Version(self.version.clone());
        new
    }
}
