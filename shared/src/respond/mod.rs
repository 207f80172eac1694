//! From outcomes to answers: status, headers and bodies of single requests; the table of errors.

mod body;
mod challenge;
mod document;
mod error;
mod failure;
mod headers;
mod listing;
mod requeue;
mod stream;

pub(crate) use body::{count, created, entity, not_modified, property, property_changed, reference, updated, upserted};
pub(crate) use document::{metadata, service_document};
pub use error::{ErrorContext, error_code, error_response};
pub use failure::{BatchError, Failure};
pub(crate) use headers::{accepted, vary, version_header};
pub(crate) use listing::{Listing, collection};
pub use requeue::Refused;
pub(crate) use requeue::requeued;
