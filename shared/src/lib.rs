//! OData batches, models and units of work over DynamoDB.

pub mod batch;
pub mod edm;
pub mod exchange;
pub mod execute;
pub mod plan;
pub mod query;
pub mod respond;
pub mod service;
pub mod store;
pub mod uri;
pub mod wire;

pub use execute::{Engine, SeedError, Settings};
