//! The entity sets of a model.

use std::collections::{HashMap, HashSet};

use super::CsdlProblem;
use super::declared::Set;
use super::resolve::{Names, index};
use super::source::Fault;
use crate::edm::{Capabilities, EntitySet, SetId};

/// The sets with their bindings, and their names.
pub(super) fn entity_sets(
    declared: Vec<Set>,
    singletons: &[(usize, String)],
    names: &Names,
) -> Result<(Vec<EntitySet>, HashMap<String, SetId>), Fault> {
    let mut ids = HashMap::new();
    for (at, set) in declared.iter().enumerate() {
        if ids.insert(set.name.clone(), SetId(index(at))).is_some() {
            return Err(Fault { offset: set.offset, problem: CsdlProblem::Duplicate(set.name.clone()) });
        }
    }
    let mut single = HashSet::new();
    for (offset, name) in singletons {
        if ids.contains_key(name) || !single.insert(name) {
            return Err(Fault { offset: *offset, problem: CsdlProblem::Duplicate(name.clone()) });
        }
    }
    let mut sets = Vec::with_capacity(declared.len());
    for set in declared {
        let mut bindings = HashMap::new();
        let mut bound = HashSet::new();
        for (offset, path, target) in set.bindings {
            if !bound.insert(path.clone()) {
                return Err(Fault { offset, problem: CsdlProblem::Duplicate(format!("{}/{path}", set.name)) });
            }
            // The target is a set, or a set of a container; deeper paths lead to contained entities.
            let name = target.rsplit_once('/').map_or(target.as_str(), |(_, name)| name);
            match ids.get(name) {
                Some(id) => {
                    bindings.insert(path, *id);
                }
                None if target.contains('/') || single.iter().any(|singleton| *singleton == name) => {}
                None => return Err(Fault { offset, problem: CsdlProblem::UnknownSet(target) }),
            }
        }
        let entity_type = names.structured(&set.type_name, set.offset)?;
        let mut navigation: HashMap<String, Capabilities> = HashMap::new();
        for (path, capabilities) in set.facts.stated.navigation() {
            let known = navigation.entry(path.to_owned()).or_insert(Capabilities::ALL);
            *known = known.and(capabilities);
        }
        let capabilities = set.facts.capabilities();
        sets.push(EntitySet { name: set.name, entity_type, bindings, capabilities, navigation });
    }
    Ok((sets, ids))
}
