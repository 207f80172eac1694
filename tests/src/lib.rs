//! What the integration tests stand on: DynamoDB with its refusals and accidents, and the real binaries.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "support of tests: what goes wrong here is a failed test"
)]

pub mod actions;
pub mod binaries;
pub mod dynamodb_server;
pub mod environment;
pub mod explore;
pub mod fixtures;
pub mod functions;
pub mod fuzz;
pub mod golden;
pub mod host;
pub mod http;
pub mod issuer;
pub mod lossy;
pub mod readme;
pub mod receiver;
pub mod runtime_api;
pub mod secrets_manager;
pub mod service;
pub mod siege;
pub mod strict;
