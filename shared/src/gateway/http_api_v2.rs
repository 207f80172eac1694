//! API Gateway, HTTP API, payload format 2.0.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{RequestError, body, forward_prefix, method};
use crate::{batch::Headers, exchange::Incoming, uri::Encoding};

/// The members that are read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: Context,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    #[serde(default)]
    domain_name: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    request_id: String,
    http: Http,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: String,
}

/// The request: the gateway has decoded its path, and a stage other than `$default` stands before it.
pub(super) fn request(event: Event) -> Result<Incoming, RequestError> {
    let prefix = event.stage_prefix();
    let mut incoming = event.into_incoming(Encoding::Decoded)?;
    if let Some(prefix) = prefix {
        let rest = incoming.path.split_off(prefix.len());
        incoming.path = if rest.is_empty() { "/".to_owned() } else { rest };
        forward_prefix(&mut incoming.headers, &prefix)?;
    }
    Ok(incoming)
}

impl Event {
    /// `/stage`, when the path starts with it. A custom domain maps its paths to stages without naming them.
    fn stage_prefix(&self) -> Option<String> {
        let Context { domain_name, stage, .. } = &self.request_context;
        if stage.is_empty() || stage == "$default" || !domain_name.contains(".execute-api.") {
            return None;
        }
        let prefix = format!("/{stage}");
        let rest = self.raw_path.strip_prefix(&prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(prefix)
    }

    /// The request with its path as it stands in the event.
    pub(super) fn into_incoming(self, path_encoding: Encoding) -> Result<Incoming, RequestError> {
        let mut headers = Headers::new();
        for (name, value) in &self.headers {
            headers.try_append(name, value)?;
        }
        Ok(Incoming {
            method: method(self.request_context.http.method)?,
            path: self.raw_path,
            path_encoding,
            query: Some(self.raw_query_string).filter(|query| !query.is_empty()),
            headers,
            body: body(self.body, self.is_base64_encoded)?,
            scheme: "https",
            id: self.request_context.request_id,
            time_left: None,
        })
    }
}
