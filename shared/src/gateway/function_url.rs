//! A function URL: the payload of an HTTP API, but the path stays percent-encoded and there are no stages.

use super::{RequestError, http_api_v2::Event};
use crate::{exchange::Incoming, uri::Encoding};

/// Whether a domain is that of a function URL: `<id>.lambda-url.<region>.on.aws`.
pub(super) fn is_domain(domain: &str) -> bool {
    domain.contains(".lambda-url.") && domain.ends_with(".on.aws")
}

/// The request.
pub(super) fn request(event: Event) -> Result<Incoming, RequestError> {
    event.into_incoming(Encoding::Percent)
}
