//! The service in one process: an HTTP server and an embedded DynamoDB around the engine that the Lambda functions run.

pub mod dev_issuer;
pub mod embedded;
pub mod http;
pub mod lock;
pub mod outbox;
pub mod stream;
pub mod work;
