//! What is logged, and what never is.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Libraries that write whole requests, answers and events below this level, secrets among them.
const TALKATIVE: [&str; 6] = [
    "aws_smithy_runtime=info",
    "aws_smithy_runtime_api=info",
    "aws_smithy_http_client=info",
    "aws_sdk_dynamodb=info",
    "aws_sdk_secretsmanager=info",
    "lambda_runtime=info",
];

/// What `RUST_LOG` asks for, `default` where it asks for nothing, and from these libraries nothing that could hold a secret.
pub fn filter(default: LevelFilter) -> EnvFilter {
    let filter = EnvFilter::builder().with_default_directive(default.into()).from_env_lossy();
    TALKATIVE.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive)
}
