//! API Gateway, REST API.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{RequestError, body, forward_prefix, method};
use crate::{batch::Headers, exchange::Incoming, uri::Encoding};

/// The members that are read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    path: String,
    http_method: String,
    headers: Option<BTreeMap<String, String>>,
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    query_string_parameters: Option<BTreeMap<String, String>>,
    multi_value_query_string_parameters: Option<BTreeMap<String, Vec<String>>>,
    request_context: Context,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    path: Option<String>,
    #[serde(default)]
    request_id: String,
}

/// What a query string may hold as it is (RFC 3986 §3.4), without what separates its parts.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'@')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b':')
    .remove(b'/')
    .remove(b'!');

/// The request: its path stays percent-encoded, its query has been taken apart and decoded.
pub(super) fn request(event: Event) -> Result<Incoming, RequestError> {
    let mut headers = Headers::new();
    for (name, values) in &several(event.multi_value_headers, event.headers) {
        for value in values {
            headers.try_append(name, value)?;
        }
    }
    // The context has the path with the stage, or with what a custom domain maps to it.
    let prefix = event.request_context.path.as_deref().and_then(|path| path.strip_suffix(&event.path));
    if let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) {
        forward_prefix(&mut headers, prefix)?;
    }
    let parameters = several(event.multi_value_query_string_parameters, event.query_string_parameters);
    Ok(Incoming {
        method: method(event.http_method)?,
        path: event.path,
        path_encoding: Encoding::Percent,
        query: query(&parameters),
        headers,
        body: body(event.body, event.is_base64_encoded)?,
        scheme: "https",
        id: event.request_context.request_id,
        time_left: None,
    })
}

/// The map with all values, or the one with the last value of each name, or none.
fn several(
    all: Option<BTreeMap<String, Vec<String>>>,
    last: Option<BTreeMap<String, String>>,
) -> BTreeMap<String, Vec<String>> {
    all.unwrap_or_else(|| last.unwrap_or_default().into_iter().map(|(name, value)| (name, vec![value])).collect())
}

fn query(parameters: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let escape = |text| utf8_percent_encode(text, ESCAPED);
    let pairs: Vec<String> = parameters
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| format!("{}={}", escape(name), escape(value))))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}
