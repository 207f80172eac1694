//! What can go wrong at the table.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

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

/// What an error of a call says, cause after cause. The SDK's own text for logs has whole answers in it, secrets of
/// endpoints among them.
pub(super) fn told<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> String {
    if let Some(error) = error.as_service_error() {
        return said(error);
    }
    let causes = std::iter::successors(Some(error as &dyn Error), |&cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What DynamoDB says about a request that it refuses.
pub(super) fn said(error: &impl ProvideErrorMetadata) -> String {
    let id = error.meta().extra("aws_request_id").map(|id| format!(" (request {id})"));
    let (code, message) = (error.code().unwrap_or("no code"), error.message().unwrap_or("no message"));
    format!("{code}: {message}{}", id.unwrap_or_default())
}
