//! What the Lambda functions behind a gateway share: what their environment says, and an engine or a webhook that is ready
//! in time.

mod config;
mod invocation;
mod lazy;
mod pending;
mod webhook;

pub use config::{Config, ConfigError};
pub use invocation::time_left;
pub use lazy::LazyEngine;
pub use pending::LoadError;
pub use webhook::{LazyWebhook, PolicyError, WebhookConfig};
