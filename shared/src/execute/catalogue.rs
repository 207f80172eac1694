//! The catalogue of business events and the schemas of their payloads, at a URL of the service.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    auth::Permission,
    batch::{Headers, Response},
    events,
    plan::{Context, PlanError},
    uri::{self, QueryOptions, UriError},
};

use super::engine::Call;

/// Answers a request for the catalogue or for a schema; `None` when it is for something else.
pub(super) fn catalogue(call: &Call<'_>, context: &Context<'_>) -> Option<Result<Response, PlanError>> {
    call.service.events.as_ref()?;
    let limits = call.service.limits.uri();
    let segments = uri::parse_path(call.rest, call.incoming.path_encoding, &limits).ok()?;
    let names: Vec<&str> = segments.iter().filter(|s| s.arguments.is_none()).map(|s| s.name.as_str()).collect();
    let id = match names.as_slice() {
        [events::CATALOGUE] if segments.len() == 1 => None,
        [events::CATALOGUE, id] if segments.len() == 2 => Some(*id),
        _ => return None,
    };
    if let Err(error) = context.require(Permission::DataRead) {
        return Some(Err(error));
    }
    if !matches!(call.incoming.method, Method::GET | Method::HEAD) {
        let method = call.incoming.method.to_string();
        return Some(Err(PlanError::MethodNotAllowed { method, allow: "GET".into() }));
    }
    let options = QueryOptions::parse(call.incoming.query.as_deref().unwrap_or_default(), &limits);
    if let Err(error) = options.and_then(|options| refuse_other_options(&options)) {
        return Some(Err(error.into()));
    }
    Some(match id {
        None => Ok(json("application/json", events::catalogue(&context.root_url(call.root)))),
        Some(id) => events::schema(id).map(|schema| json("application/schema+json", schema)).ok_or_else(|| {
            let key = format!("('{}')", id.chars().take(100).collect::<String>());
            PlanError::NotFound { entity_type: events::CATALOGUE.into(), key }
        }),
    })
}

/// `$format` is the only system option.
fn refuse_other_options(options: &QueryOptions) -> Result<(), UriError> {
    match options.given().find(|name| *name != "$format") {
        Some(name) => Err(UriError::BadOption { name: name.into(), reason: "it has no meaning for this request" }),
        None => Ok(()),
    }
}

fn json(media_type: &'static str, body: String) -> Response {
    let mut headers = Headers::new();
    headers.append(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Response { id: None, status: StatusCode::OK, headers, body: Bytes::from(body) }
}
