//! Items and their keys.

use std::{fmt, sync::Arc};

use crate::edm::{Entity, Model};

use super::{Claims, Kept, Part, StoreError, attribute};

/// DynamoDB's limit for a partition key, in bytes.
const PARTITION_KEY_BYTES: usize = 2048;
/// DynamoDB's limit for a sort key, in bytes.
const SORT_KEY_BYTES: usize = 1024;

/// The primary key of an item.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemKey {
    /// Partition key (attribute `pk`).
    pub partition: String,
    /// Sort key (attribute `sk`).
    pub sort: String,
}

/// A key is longer than DynamoDB takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key needs {got} bytes in the table, at most {max} are possible")]
pub struct KeyTooLong {
    /// Its bytes.
    pub got: usize,
    /// The limit.
    pub max: usize,
}

impl ItemKey {
    /// Checks both lengths.
    pub fn new(partition: String, sort: String) -> Result<Self, KeyTooLong> {
        if partition.len() > PARTITION_KEY_BYTES {
            return Err(KeyTooLong { got: partition.len(), max: PARTITION_KEY_BYTES });
        }
        if sort.len() > SORT_KEY_BYTES {
            return Err(KeyTooLong { got: sort.len(), max: SORT_KEY_BYTES });
        }
        Ok(Self { partition, sort })
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.partition, self.sort)
    }
}

/// An item as DynamoDB returns it.
pub type Item = std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>;

/// What an item means.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// An entity.
    Entity(Arc<Entity>),
    /// A link: its sort key is the target's.
    Link,
    /// An alternate key: the sort key of the entity that has it.
    AlternateKey(String),
    /// A sequence.
    Sequence(Sequence),
    /// Claims below a limit.
    Claims(Claims),
    /// What is kept of a request that may be repeated.
    Kept(Kept),
    /// A further part of that.
    Part(Part),
}

/// How far a sequence has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Its last number.
    pub number: i64,
    /// Partition of the collection that it counts in. A parent that is deleted and created again begins anew.
    pub of: String,
}

impl Stored {
    /// Reads an item; its attributes tell which kind it is.
    pub fn from_item(model: &Model, item: &Item) -> Result<Self, StoreError> {
        if item.contains_key(attribute::INCARNATION) {
            return attribute::entity_from_item(model, item).map(|entity| Self::Entity(Arc::new(entity)));
        }
        if let Some(target) = item.get(attribute::TARGET) {
            return attribute::text(target).map(|t| Self::AlternateKey(t.to_owned()));
        }
        if let Some(number) = item.get(attribute::NUMBER) {
            let of = item.get(attribute::COUNTED).map(attribute::text).transpose()?.unwrap_or_default().to_owned();
            return Ok(Self::Sequence(Sequence { number: attribute::integer(number)?, of }));
        }
        if let Some(kept) = Kept::from_item(item)? {
            return Ok(Self::Kept(kept));
        }
        if let Some(part) = Part::from_item(item)? {
            return Ok(Self::Part(part));
        }
        Ok(Claims::from_item(item)?.map_or(Self::Link, Self::Claims))
    }
}
