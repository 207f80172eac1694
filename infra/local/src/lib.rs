//! The service in one process: an HTTP server and an embedded DynamoDB around the engine that the Lambda functions run.

pub mod authority;
pub mod dev_issuer;
pub mod embedded;
pub mod http;
pub mod lock;
pub mod metrics;
pub mod outbox;
pub mod own_names;
pub mod stream;
pub mod work;
