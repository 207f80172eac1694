//! OData batches, models and units of work over DynamoDB.
pub mod batch;
pub mod service {
    //! Service settings.
    pub mod profile;
}
pub mod wire;
