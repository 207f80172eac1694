//! Whether the body of a request can be read: its encoding, and what it is said to be.

use crate::{
    batch::{Request, takes_body},
    edm::Stream,
};

use super::{PlanError, Prepared, negotiate, stream::check_media_type};

impl Prepared {
    /// The same for a request that came alone: it says itself what its body is, as it has no format of a batch whose
    /// default would say it. A browser sends a body without a media type for any page, without asking first.
    #[must_use]
    pub fn alone(self) -> Self {
        let typed = self.media_type.as_deref().is_some_and(|media_type| !media_type.trim().is_empty());
        if typed || self.body.is_empty() || !takes_body(&self.method) {
            return self;
        }
        Self { body_fault: Some(PlanError::NoMediaType), ..self }
    }
}

/// POST, PATCH and PUT have a body that can be read.
pub(super) fn check_body(request: &Request, stream: Option<&Stream>) -> Result<(), PlanError> {
    if !takes_body(&request.method) {
        return Ok(());
    }
    let empty = request.body.iter().all(u8::is_ascii_whitespace);
    if let Some(encoding) = negotiate::content_encoding(&request.headers) {
        return Err(PlanError::ContentEncoding(encoding.into()));
    }
    if let Some(stream) = stream {
        check_media_type(stream, request.headers.get("content-type"))?;
        return if request.body.is_empty() { Err(PlanError::MissingBody(request.method.to_string())) } else { Ok(()) };
    }
    let media_type = request.headers.get("content-type").unwrap_or("application/json");
    if !empty && !negotiate::is_json(media_type) {
        return Err(PlanError::MediaType(media_type.into()));
    }
    if empty { Err(PlanError::MissingBody(request.method.to_string())) } else { Ok(()) }
}
