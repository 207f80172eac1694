//! The catalogue of business events and the schemas of their payloads, at a URL of the service.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    auth::Permission,
    batch::{Headers, Response},
    events,
    plan::{Context, PlanError},
};

use super::engine::Call;

/// Answers a request for the catalogue or for a schema; `None` when it is for something else.
pub(super) fn catalogue(call: &Call<'_>, context: &Context<'_>) -> Option<Result<Response, PlanError>> {
    call.service.events.as_ref()?;
    let id = match call.rest.strip_prefix(events::CATALOGUE)?.trim_end_matches('/') {
        "" => None,
        rest => Some(rest.strip_prefix('/')?),
    };
    if let Err(error) = context.require(Permission::DataRead) {
        return Some(Err(error));
    }
    if !matches!(call.incoming.method, Method::GET | Method::HEAD) {
        let method = call.incoming.method.to_string();
        return Some(Err(PlanError::MethodNotAllowed { method, allow: "GET".into() }));
    }
    Some(match id {
        None => Ok(json("application/json", events::catalogue(&context.root_url(call.root)))),
        Some(id) => events::schema(id).map(|schema| json("application/schema+json", schema)).ok_or_else(|| {
            let key = format!("('{}')", id.chars().take(100).collect::<String>());
            PlanError::NotFound { entity_type: events::CATALOGUE.into(), key }
        }),
    })
}

fn json(media_type: &'static str, body: String) -> Response {
    let mut headers = Headers::new();
    headers.append(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Response { id: None, status: StatusCode::OK, headers, body: Bytes::from(body) }
}
