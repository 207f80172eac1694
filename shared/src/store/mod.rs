//! The table: items, keys, conditions, reads and commits. With `secrets` the only module that names the AWS SDK.
//!
//! One DynamoDB table holds everything. What an item is follows from its partition key:
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | entity of a set | `E\|service\|company\|set[\|shard]` | encoded key |
//! | contained entity | `C\|service\|parent's incarnation\|navigation` | encoded key |
//! | link | `L\|owner's partition\|owner's sort key\|navigation` | encoded key of the target |
//! | alternate key | `A\|service\|company\|set\|position of the key` | encoded values |
//! | sequence of a set | `S\|partition of the set` | property |
//! | sequence of contained entities | `S\|parent's partition\|parent's sort key\|navigation` | property |
//! | claims on the retries of a job | `R\|service\|target\|job` | `claims` |
//! | what is kept of a request that may be repeated | `X\|service\|hash of caller and id` | `request`; `unit/` and its position in a batch |
//! | a further part of that | the same | its sort key, its writer, position of the part |
//! | note of the service for itself | `B\|kind\|service\|…` | what it is about |
//! | unit of work that one transaction cannot hold | `U\|unit` | `-` its record, `000001` … its parts |
//!
//! Entities that wait for a time are in the index `due` as well, and the table has a stream of all its changes.

mod attribute;
mod claims;
mod client;
mod commit;
mod due;
mod error;
mod guard;
mod item;
mod kept;
mod meter;
mod patch;
mod read;
mod record;
mod row;
mod size;
mod staged;
mod table;
mod write;

use std::sync::Arc;

use meter::Meter;

pub use claims::{ClaimChange, Claims};
pub use client::*;
pub use commit::{Commit, Deadline};
pub use due::{Due, DuePage, Schedule};
pub use error::StoreError;
pub use guard::MAX_MARKS;
pub use item::{Item, ItemKey, KeyTooLong, Sequence, Stored};
pub use kept::{Kept, Part, Progress};
pub use meter::{CALL_SECONDS, Capacity, Usage};
pub use read::Page;
pub use record::StreamRecord;
pub use staged::{Sight, Stage, Staging, SweptUnits};
pub use write::{Condition, Patch, Requirement, TRANSACTION_ITEMS, TooLarge, UNIT_ITEMS, Write, WriteKind, check_size};

/// The table, through the SDK's client, and the counters of calls to it. Cheap to clone; clones share the counters.
#[derive(Clone, Debug)]
pub struct Store {
    client: aws_sdk_dynamodb::Client,
    table: Arc<str>,
    meter: Arc<Meter>,
    staging: Staging,
    /// What reads that belong together know of undecided units.
    sight: Option<Arc<Sight>>,
}

impl Store {
    /// A store over the table of that name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<Arc<str>>) -> Self {
        Self { client, table: table.into(), meter: Arc::default(), staging: Staging::default(), sight: None }
    }
}
