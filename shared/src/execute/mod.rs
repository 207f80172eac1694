//! Runs requests: reads what planning needs, commits what it decides, answers. The only stage that awaits.

mod answers;
mod batch;
mod catalogue;
mod commits;
mod engine;
mod envelope;
mod failures;
mod fetch;
mod form;
mod health;
mod isolated;
mod keep;
mod one_unit;
mod permit;
mod picked;
mod reads;
mod ready;
mod reindex;
mod scan;
mod seed;
mod serves;
mod share;
mod turn;
mod unit;
mod view;
mod visit;

pub use engine::{Engine, Settings};
pub use reindex::{DuplicateKey, Reindexed};
pub use seed::SeedError;
pub use serves::Serves;
