//! What the Lambda functions behind a gateway share: what their environment says, and an engine that is ready in time.

mod config;
mod lazy;

pub use config::{Config, ConfigError};
pub use lazy::{LazyEngine, LoadError};
