//! Lambda function: SetBatchJobToWaiting, which puts a batch job back to waiting.
//!
//! # Its environment
//!
//! | variable | what it is |
//! |---|---|
//! | `TABLE_NAME` | the DynamoDB table. Needed |
//! | `AUTH_MODE` | how callers show who they are: `jwt`, `token`, `none`. Needed |
//! | `AUTH_ISSUER`, `AUTH_AUDIENCE`, `AUTH_JWKS` | `jwt`: issuers and audiences, separated by spaces; where the keys are. Needed then |
//! | `AUTH_ALGORITHMS`, `AUTH_LEEWAY`, `AUTH_JWKS_TTL` | `jwt`: algorithms of signatures; how far clocks may differ, how long keys are used, in seconds |
//! | `AUTH_TOKEN` | `token`: the tokens, separated by spaces. Needed then; a secret |
//! | `SECRET_ID` | name or ARN of the secret that has `AUTH_TOKEN`, where the environment has it not |
//! | `CORS_ORIGINS` | origins of web pages that may call, separated by spaces, or `*`; none without it |
//! | `PUBLIC_URL` | what clients call the root of the API, an absolute URL, when it is not what they send as `Host` |
//! | `SERVICES_DIR` | the folder of services; `services` beside the binary without it |
//! | `RUST_LOG` | what is logged; `info` without it |
//!
//! How a secret is kept and replaced is said where the function `batch` is.

use std::process::ExitCode;

use shared::{
    Serves,
    function::{EngineConfig, LazyEngine, start},
};

fn main() -> ExitCode {
    start(|environment| Ok(LazyEngine::new(EngineConfig::from_vars(Serves::Requeues, environment)?)))
}
