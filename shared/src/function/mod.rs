//! What the Lambda functions share: one way to run, what their environment says, and engine, webhook and outbox that are
//! ready in time.
//!
//! | file | what |
//! |---|---|
//! | `run`, `invocation` | from events to answers, for as long as Lambda wants it |
//! | `environment`, `config` | what a function is told |
//! | `with_secrets` | what of it may be in Secrets Manager |
//! | `pending` | what is read from files |
//! | `engine`, `webhook`, `outbox` | what a function is made of |
//! | `answer` | from a gateway's event to its answer |
//!
//! # The start
//!
//! A wrong environment ends the start with one line. All else is made while the first event is on its way: services are
//! read on a thread, a secret is fetched where one is needed, the client of the table comes with the first request. A
//! service that is wrong ends the function. What can come right, a secret that cannot be read, fails the invocations that
//! need it, and each of them tries again.

mod answer;
mod config;
mod engine;
mod environment;
mod invocation;
mod outbox;
mod pending;
mod run;
mod webhook;
mod with_secrets;

pub use answer::InvocationError;
pub use config::{ConfigError, EngineConfig, OutboxConfig, WebhookConfig};
pub use engine::LazyEngine;
pub use environment::Environment;
pub use invocation::Invocation;
pub use outbox::{LazyOutbox, SetupError};
pub use pending::LoadError;
pub use run::{Handler, start};
pub use webhook::LazyWebhook;
