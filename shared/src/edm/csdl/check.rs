//! Rules that a model keeps as a whole.

use super::CsdlProblem;
use super::source::Fault;
use crate::edm::{EntitySet, StructuredType, TypeId};

/// Entities of a set, and those of a collection that another entity contains, have keys.
pub(super) fn keys(sets: &[EntitySet], types: &[StructuredType]) -> Result<(), Fault> {
    let without = |id: TypeId, of: &dyn Fn() -> String| match types.get(id.0 as usize) {
        Some(ty) if ty.key.is_empty() => {
            let problem = CsdlProblem::NoKey { type_name: ty.qualified_name.clone(), of: of() };
            Err(Fault { offset: ty.offset, problem })
        }
        _ => Ok(()),
    };
    for set in sets {
        without(set.entity_type, &|| format!("entity set '{}'", set.name))?;
    }
    for ty in types {
        for navigation in ty.navigation.iter().filter(|navigation| navigation.contains_target && navigation.collection)
        {
            let of = || format!("collection '{}/{}'", ty.qualified_name, navigation.name);
            without(navigation.target, &of)?;
        }
    }
    Ok(())
}
