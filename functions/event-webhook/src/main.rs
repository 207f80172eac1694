//! Lambda function: where events of batch jobs come in, `POST /events/{source}`.
//!
//! # Its environment
//!
//! | variable | what it is |
//! |---|---|
//! | `TABLE_NAME` | the DynamoDB table. Needed |
//! | `POLICY_FILE` | sources, rules and targets; `policy.toml` beside the binary without it |
//! | what `{ env = "…" }` names in the policy's sources | their secrets. Those of its targets are not looked at |
//! | `SECRET_ID` | name or ARN of the secret that has those, where the environment has them not |
//! | `SERVICES_DIR` | the folder of services; `services` beside the binary without it |
//! | `RUST_LOG` | what is logged; `info` without it |
//!
//! The secret is a JSON object of texts in AWS Secrets Manager. It is read once, when an instance of the function starts. A
//! source can have several secrets in the policy, so that both are good while one is being replaced.

use std::process::ExitCode;

use shared::function::{LazyWebhook, WebhookConfig, start};

fn main() -> ExitCode {
    start(|environment| Ok(LazyWebhook::new(WebhookConfig::from_vars(environment)?)))
}
