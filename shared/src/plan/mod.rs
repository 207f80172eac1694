//! From requests to writes: what each request means, and what a unit of work has to commit. Pure.
//!
//! [`evaluate`] runs a unit against a [`Snapshot`] of the store and says what it needs to know, why it fails, or what
//! to answer and to commit. A [`Sequence`] runs the items of a batch against one. `execute` does the reading and the
//! committing around it.

mod action;
mod allow;
mod alternate;
mod context;
mod create;
mod delete;
mod derive;
mod ending;
mod endpoint;
mod error;
mod given;
mod implied;
mod job;
mod lookup;
mod negotiate;
mod options;
mod overlay;
mod payload;
mod permit;
mod place;
mod prepare;
mod reference;
mod repeat;
mod required;
mod rerun;
mod retrieve;
mod sequence;
mod snapshot;
mod stream;
mod unit;
mod update;
mod upsert;
mod walk;

pub use crate::service::profile::OdataVersion;
pub use context::{Context, Fresh, Reference, References, operation_id};
pub(crate) use create::Created;
pub use ending::Ending;
pub use error::PlanError;
pub use negotiate::{Metadata, content_encoding, isolation, version, version_number};
pub use options::check_custom_options;
pub use place::Collection;
pub(crate) use place::alternate_key;
pub use prepare::{Place, Prepared, Tags, prepare_at, reference, refers};
pub use repeat::{Answered, BatchRepeat};
pub use rerun::RerunFault;
pub use sequence::{Sequence, Sum};
pub use snapshot::{Needs, Rows, Snapshot, Source, Wanted};
pub(crate) use stream::OCTETS;
pub use unit::{End, Evaluation, Job, Outcome, evaluate};
pub(crate) use update::Updated;
