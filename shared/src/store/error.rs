//! What can go wrong at the table.

/// Why the table gave no answer, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The outcome of a write is not known at the end of the time budget. It may have happened.
    #[error("the outcome of the write is not known: {0}")]
    OutcomeUnknown(String),
    /// Nothing was written; trying again later may help.
    #[error("the table is not available: {0}")]
    Unavailable(String),
    /// Nothing was written, or asked: no time was left to.
    #[error("the time for this request ran out; the operation was not run")]
    OutOfTime,
    /// Nothing was written: other writers kept changing the same items.
    #[error("other writers changed the same entities {attempts} times in a row")]
    Contention {
        /// How often the unit was run.
        attempts: usize,
    },
    /// Nothing was written: an entity would become larger than an item can be.
    #[error("the entity would become larger than an item of the table can be")]
    ItemTooLarge,
    /// An item does not have the form that this service writes.
    #[error("an item of the table cannot be read: {0}")]
    Corrupt(String),
    /// DynamoDB refused the request as such: the table or the permissions are not what the service expects.
    #[error("the table refused the request: {0}")]
    Refused(String),
    /// DynamoDB does not take what the request says, and never will.
    #[error("the table does not take the request: {0}")]
    Invalid(String),
}
