//! OData batches, models and units of work over DynamoDB.
pub mod batch;
pub mod edm;
