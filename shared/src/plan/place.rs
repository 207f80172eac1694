//! Where entities are: collections, their partitions, the keys of entities, links, alternate keys and sequences.

use crate::{
    edm::{EntityKey, Incarnation, KeyError, SetId, TypeId, Value},
    service::Service,
    store::{ItemKey, KeyTooLong},
};

use super::given::is_no_key;

/// A collection of entities that live together: an entity set of a company, or the contained children of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// Partition key, without the shard.
    pub partition: String,
    /// Over how many partitions it is spread; 1 = not.
    pub shards: u16,
    /// Declared type of its entities.
    pub ty: TypeId,
    /// The entity set; `None` for contained children.
    pub set: Option<SetId>,
    /// Canonical path from the service root, percent-encoded: `companies(…)/journals(…)/journalLines`.
    pub path: String,
}

impl Collection {
    /// An entity set, in a company where the service has companies.
    pub fn of_set(service: &Service, set: SetId, company: Option<usize>) -> Self {
        let entity_set = service.model.set(set);
        let (company_sort, prefix) = match (&service.companies, company) {
            (Some(companies), Some(company)) => {
                let key = companies.key(company);
                let company_set = service.model.set(companies.set);
                let text = crate::uri::write_key(&service.model, company_set.entity_type, key);
                (key.encode().unwrap_or_default(), format!("{}{text}/", company_set.name))
            }
            _ => (String::new(), String::new()),
        };
        Self {
            partition: format!("E|{}|{company_sort}|{}", service.name, entity_set.name),
            shards: service.shards.get(&set).copied().unwrap_or(1),
            ty: entity_set.entity_type,
            set: Some(set),
            path: prefix + &entity_set.name,
        }
    }

    /// The contained children of an entity. They are stored under the parent's incarnation, so that they are out of
    /// reach once the parent is deleted.
    pub fn contained(service: &Service, parent: &Incarnation, nav: &str, ty: TypeId, parent_path: &str) -> Self {
        Self {
            partition: format!("C|{}|{}|{nav}", service.name, parent.0),
            shards: 1,
            ty,
            set: None,
            path: format!("{parent_path}/{nav}"),
        }
    }

    /// The key of the entity with that encoded key.
    pub fn key(&self, sort: String) -> Result<ItemKey, KeyTooLong> {
        let partition = match self.shards {
            0 | 1 => self.partition.clone(),
            n => format!("{}|{}", self.partition, fnv1a(&sort) % u64::from(n)),
        };
        ItemKey::new(partition, sort)
    }

    /// The key of an entity.
    pub fn entity_key(&self, key: &EntityKey) -> Result<ItemKey, PlaceError> {
        Ok(self.key(key.encode()?)?)
    }

    /// All its partitions.
    pub fn partitions(&self) -> Vec<String> {
        match self.shards {
            0 | 1 => vec![self.partition.clone()],
            n => (0..n).map(|shard| format!("{}|{shard}", self.partition)).collect(),
        }
    }

    /// Whether an item is one of its entities.
    pub fn holds(&self, key: &ItemKey) -> bool {
        key.partition.strip_prefix(&self.partition).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
    }
}

/// Why an entity has no place.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlaceError {
    /// The key cannot be encoded.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key is too long.
    #[error(transparent)]
    TooLong(#[from] KeyTooLong),
}

impl From<PlaceError> for super::PlanError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Key(e) => e.into(),
            PlaceError::TooLong(e) => e.into(),
        }
    }
}

/// The partition of the links that lead from an entity by a navigation property.
pub(super) fn link_partition(owner: &ItemKey, nav: &str) -> String {
    format!("L|{}|{}|{nav}", owner.partition, owner.sort)
}

/// The key of one link.
pub(super) fn link_key(owner: &ItemKey, nav: &str, target: &ItemKey) -> Result<ItemKey, KeyTooLong> {
    ItemKey::new(link_partition(owner, nav), target.sort.clone())
}

/// The key of an alternate key's item; `None` when one of its values is missing.
pub(crate) fn alternate_key(
    service: &Service,
    collection: &Collection,
    index: usize,
    values: &[Value],
) -> Result<Option<ItemKey>, PlaceError> {
    if values.iter().any(|value| is_no_key(service, value)) {
        return Ok(None);
    }
    let sort = EntityKey(values.to_vec()).encode()?;
    Ok(Some(ItemKey::new(format!("A{}|{index}", collection.partition.trim_start_matches('E')), sort)?))
}

/// The key of a sequence. That of contained entities follows from their parent's key, not from its incarnation: it
/// can be read together with the parent.
pub(super) fn sequence_key(
    collection: &Collection,
    parent: Option<&ItemKey>,
    property: &str,
) -> Result<ItemKey, KeyTooLong> {
    let partition = match parent {
        None => format!("S|{}", collection.partition),
        Some(parent) => {
            let nav = collection.path.rsplit('/').next().unwrap_or_default();
            format!("S|{}|{}|{nav}", parent.partition, parent.sort)
        }
    };
    ItemKey::new(partition, property.to_owned())
}

/// FNV-1a, which stays what it is: a changed hash would lose entities.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_a_key_never_changes() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }
}
