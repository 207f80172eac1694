//! Runs requests: reads what planning needs, commits what it decides, answers. The only stage that awaits.

mod answers;
mod batch;
mod catalogue;
mod engine;
mod envelope;
mod failures;
mod fetch;
mod form;
mod health;
mod isolated;
mod one_unit;
mod origin;
mod reads;
mod seed;
mod serves;
mod unit;
mod view;

pub use engine::{Engine, Settings};
pub use seed::SeedError;
pub use serves::Serves;
