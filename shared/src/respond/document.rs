//! The service document and `$metadata` (Protocol §11.1).

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::{
    batch::{Headers, Response},
    plan::{Context, Metadata, Prepared},
};

use super::headers::{self, version_header};

/// The list of entity sets.
pub(crate) fn service_document(context: &Context<'_>, request: &Prepared) -> Response {
    let mut body = Vec::with_capacity(1024);
    body.push(b'{');
    if request.metadata == Metadata::Minimal {
        let url = format!("{}/$metadata", context.root_url(&request.root));
        body.extend_from_slice(format!("\"{}context\":\"{url}\",", request.version.prefix()).as_bytes());
    }
    body.extend_from_slice(b"\"value\":[");
    for (position, (_, set)) in context.service.model.sets().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        let name = &set.name;
        body.extend_from_slice(format!("{{\"name\":\"{name}\",\"kind\":\"EntitySet\",\"url\":\"{name}\"}}").as_bytes());
    }
    body.extend_from_slice(b"]}");
    let mut all = Headers::new();
    headers::json(request, &mut all);
    version_header(context, request, &mut all, true);
    Response { id: None, status: StatusCode::OK, headers: all, body: body.into() }
}

/// The model, as it was loaded.
pub(crate) fn metadata(context: &Context<'_>, request: &Prepared) -> Response {
    let mut all = Headers::new();
    all.append(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    version_header(context, request, &mut all, true);
    let body = Bytes::clone(context.service.model.document());
    Response { id: None, status: StatusCode::OK, headers: all, body }
}
