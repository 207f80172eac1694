//! The events of the gateways in front of Lambda functions ⇄ [`exchange`](crate::exchange). Pure.
//!
//! Each kind of gateway has an adapter that takes the request out of its event without a detour over a URI type.

mod answer;
mod function_url;
mod http_api_v2;
mod rest_v1;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::Method;
use serde::{Deserialize, de::IgnoredAny};

pub use self::answer::Answer;
use crate::{
    batch::{Headers, HeadersError},
    exchange::{Incoming, Outgoing},
};

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// API Gateway, HTTP API, payload format 2.0.
    HttpApi,
    /// API Gateway, REST API.
    RestApi,
    /// The function's own URL.
    FunctionUrl,
}

/// An event, read.
#[derive(Debug)]
pub struct Event {
    /// Where it comes from.
    pub kind: Kind,
    /// The request in it, or what is wrong with it.
    pub request: Result<Incoming, RequestError>,
}

/// An event that is no HTTP request of a known kind.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not an HTTP API (payload format 2.0), REST API or function URL.
    #[error("not an event of an HTTP API with payload format 2.0, of a REST API or of a function URL")]
    Unknown,
    /// Of a known kind, but a member is missing or of another type.
    #[error("the event cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl EventError {
    /// What Lambda reports as the type of the error.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "UnknownEvent",
            Self::Malformed(_) => "MalformedEvent",
        }
    }
}

/// A request that its client got wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// `isBase64Encoded` and yet not base64.
    #[error("the body is not base64: {0}")]
    Body(#[from] base64::DecodeError),
    /// Not an HTTP method.
    #[error("'{0}' is not a method")]
    Method(String),
    /// Not an HTTP header.
    #[error(transparent)]
    Header(#[from] HeadersError),
}

impl RequestError {
    /// The 400 that the client gets.
    pub fn into_outgoing(self) -> Outgoing {
        answer::bad_request(&self.to_string())
    }
}

/// What tells the kinds apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    version: Option<String>,
    raw_path: Option<IgnoredAny>,
    http_method: Option<IgnoredAny>,
    request_context: Option<ProbeContext>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProbeContext {
    domain_name: Option<String>,
}

/// Reads an event.
pub fn read(payload: &str) -> Result<Event, EventError> {
    let kind = kind(payload)?;
    let request = match kind {
        Kind::HttpApi => http_api_v2::request(serde_json::from_str(payload)?),
        Kind::FunctionUrl => function_url::request(serde_json::from_str(payload)?),
        Kind::RestApi => rest_v1::request(serde_json::from_str(payload)?),
    };
    Ok(Event { kind, request })
}

fn kind(payload: &str) -> Result<Kind, EventError> {
    let probe: Probe = serde_json::from_str(payload).map_err(|_| EventError::Unknown)?;
    let context = probe.request_context.ok_or(EventError::Unknown)?;
    match probe.version.as_deref() {
        Some("2.0") if probe.raw_path.is_some() => {
            let domain = context.domain_name.unwrap_or_default();
            Ok(if function_url::is_domain(&domain) { Kind::FunctionUrl } else { Kind::HttpApi })
        }
        None if probe.http_method.is_some() => Ok(Kind::RestApi),
        _ => Err(EventError::Unknown),
    }
}

fn method(text: String) -> Result<Method, RequestError> {
    Method::from_bytes(text.as_bytes()).map_err(|_| RequestError::Method(text))
}

fn body(text: Option<String>, base64: bool) -> Result<Bytes, RequestError> {
    let text = text.unwrap_or_default();
    Ok(Bytes::from(if base64 { BASE64_STANDARD.decode(text)? } else { text.into_bytes() }))
}

/// Adds what the gateway took off the path to what proxies before it took off.
fn forward_prefix(headers: &mut Headers, prefix: &str) -> Result<(), RequestError> {
    const NAME: &str = "x-forwarded-prefix";
    let before = headers.get(NAME).unwrap_or_default().trim_end_matches('/').to_owned();
    while headers.take(NAME).is_some() {}
    Ok(headers.try_append(NAME, &format!("{before}{prefix}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::Encoding;
    use serde_json::json;

    fn incoming(event: &serde_json::Value) -> Incoming {
        read(&event.to_string()).unwrap().request.unwrap()
    }

    fn v2(path: &str, stage: &str, domain: &str) -> serde_json::Value {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "$filter=a%20eq%20'b'",
            "cookies": ["a=b"], "headers": { "content-type": "application/json", "host": "h" },
            "requestContext": {
                "domainName": domain, "stage": stage, "http": { "method": "POST", "path": path },
            },
            "body": "e30=", "isBase64Encoded": true,
        })
    }

    const HTTP_API: &str = "id.execute-api.eu-west-1.amazonaws.com";

    #[test]
    fn an_http_api_decodes_the_path_and_puts_the_stage_before_it() {
        let request = incoming(&v2("/live/data/X('a/1 #?%')", "live", HTTP_API));
        assert_eq!((request.path.as_str(), request.path_encoding), ("/data/X('a/1 #?%')", Encoding::Decoded));
        assert_eq!(request.headers.get("x-forwarded-prefix"), Some("/live"));
        assert_eq!(request.query.as_deref(), Some("$filter=a%20eq%20'b'"));
        assert_eq!((request.method, &request.body[..], request.scheme), (Method::POST, &b"{}"[..], "https"));

        for (path, stage, domain) in
            [("/data/X", "$default", HTTP_API), ("/data/X", "data", "api.example.com"), ("/database", "data", HTTP_API)]
        {
            let request = incoming(&v2(path, stage, domain));
            assert_eq!(request.path, path);
            assert_eq!(request.headers.get("x-forwarded-prefix"), None);
        }
        assert_eq!(incoming(&v2("/live", "live", HTTP_API)).path, "/");
    }

    #[test]
    fn a_function_url_keeps_the_path_encoded() {
        let request = incoming(&v2("/data/X('a%2F1')", "$default", "id.lambda-url.eu-west-1.on.aws"));
        assert_eq!((request.path.as_str(), request.path_encoding), ("/data/X('a%2F1')", Encoding::Percent));
    }

    #[test]
    fn a_rest_api_decodes_the_query_but_not_the_path() {
        let request = incoming(&json!({
            "resource": "/{proxy+}", "path": "/data/X('a%2F1')", "httpMethod": "GET",
            "headers": null, "multiValueHeaders": { "Accept": ["a/b", "c/d"], "X-Forwarded-Prefix": ["/outer/"] },
            "multiValueQueryStringParameters": { "$filter": ["a eq 'b&c=100%+é'"], "x": ["1", "2"], "empty": [""] },
            "requestContext": { "path": "/live/data/X('a%2F1')", "stage": "live" },
            "body": null, "isBase64Encoded": false,
        }));
        assert_eq!((request.path.as_str(), request.path_encoding), ("/data/X('a%2F1')", Encoding::Percent));
        assert_eq!(request.query.as_deref(), Some("$filter=a%20eq%20'b%26c%3D100%25%2B%C3%A9'&empty=&x=1&x=2"));
        assert_eq!(request.headers.get_all("accept").collect::<Vec<_>>(), ["a/b", "c/d"]);
        assert_eq!(request.headers.get("x-forwarded-prefix"), Some("/outer/live"));
    }

    #[test]
    fn a_broken_body_is_the_clients_fault() {
        let mut event = v2("/data", "$default", HTTP_API);
        event["body"] = "e30".into();
        assert!(matches!(read(&event.to_string()).unwrap().request, Err(RequestError::Body(_))));
    }

    #[test]
    fn other_events_are_errors() {
        let others = [
            json!({ "Records": [] }),
            json!([]),
            json!({ "version": "1.0", "path": "/", "httpMethod": "GET", "requestContext": {} }),
        ];
        for other in others {
            assert!(matches!(read(&other.to_string()), Err(EventError::Unknown)), "{other}");
        }
        let headless = json!({ "version": "2.0", "rawPath": "/", "requestContext": {} });
        assert!(matches!(read(&headless.to_string()), Err(EventError::Malformed(_))));
    }
}
