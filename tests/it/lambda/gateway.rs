//! Requests as each gateway hands them to a function.

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// A gateway as it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gateway {
    /// HTTP API with its `$default` stage.
    HttpApi,
    /// HTTP API with a stage of this name.
    HttpApiStage(&'static str),
    /// REST API, which always has a stage.
    RestApi,
    /// The function's own URL.
    FunctionUrl,
}

/// One of each.
pub(super) const GATEWAYS: [Gateway; 4] =
    [Gateway::HttpApi, Gateway::HttpApiStage("live"), Gateway::RestApi, Gateway::FunctionUrl];

/// A request as its client sent it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: &'static str,
    /// Percent-encoded, without the stage.
    pub(super) path: String,
    /// Percent-encoded, without `?`.
    pub(super) query: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Sent {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), query: "", headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn post(path: impl Into<String>, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Self { method: "POST", path: path.into(), query: "", headers, body: body.into() }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Gateway {
    /// The host that clients call.
    pub(super) fn host(self) -> &'static str {
        match self {
            Self::HttpApi | Self::HttpApiStage(_) => "a1b2c3.execute-api.eu-west-1.amazonaws.com",
            Self::RestApi => "d4e5f6.execute-api.eu-west-1.amazonaws.com",
            Self::FunctionUrl => "g7h8i9.lambda-url.eu-west-1.on.aws",
        }
    }

    /// What stands before the path.
    pub(super) fn prefix(self) -> String {
        match self {
            Self::HttpApi | Self::FunctionUrl => String::new(),
            Self::HttpApiStage(stage) => format!("/{stage}"),
            Self::RestApi => "/prod".to_owned(),
        }
    }

    /// What clients call the root of the host.
    pub(super) fn url(self) -> String {
        format!("https://{}{}", self.host(), self.prefix())
    }

    /// The event, its body in base64 or as text.
    pub(super) fn event(self, sent: &Sent, base64: bool) -> Value {
        let mut event = match self {
            Self::HttpApi => v2(sent, self.host(), "$default", &decoded(&sent.path)),
            Self::HttpApiStage(stage) => v2(sent, self.host(), stage, &format!("/{stage}{}", decoded(&sent.path))),
            Self::FunctionUrl => v2(sent, self.host(), "$default", &sent.path),
            Self::RestApi => v1(sent, self.host()),
        };
        if !sent.body.is_empty() {
            let text = || String::from_utf8(sent.body.clone()).unwrap();
            event["body"] = if base64 { BASE64_STANDARD.encode(&sent.body) } else { text() }.into();
            event["isBase64Encoded"] = base64.into();
        }
        event
    }

    /// A header of an answer.
    pub(super) fn header(self, answer: &Value, name: &str) -> Option<String> {
        let value = match self {
            Self::RestApi => &answer["multiValueHeaders"][name][0],
            _ => &answer["headers"][name],
        };
        value.as_str().map(str::to_owned)
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// Names in lower case and one value each, as payload format 2.0 has them.
fn v2(sent: &Sent, host: &str, stage: &str, path: &str) -> Value {
    let mut headers = json!({ "host": host, "x-forwarded-proto": "https", "x-forwarded-port": "443" });
    for (name, value) in &sent.headers {
        headers[name.to_ascii_lowercase()] = value.as_str().into();
    }
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": sent.query, "headers": headers,
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1b2c3", "domainName": host, "requestId": "JKJaXmPLvHcESHA=",
            "stage": stage, "time": "10/Mar/2026:05:16:23 +0000", "timeEpoch": 1_773_119_783_220_u64,
            "http": {
                "method": sent.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "t",
            },
        },
        "isBase64Encoded": false,
    })
}

/// Names as sent and lists of values, the query taken apart and decoded, the path not.
fn v1(sent: &Sent, host: &str) -> Value {
    let mut headers = json!({ "Host": [host], "X-Forwarded-Proto": ["https"] });
    for (name, value) in &sent.headers {
        headers[name] = json!([value]);
    }
    let mut query = json!({});
    for pair in sent.query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        query[decoded(name)] = json!([decoded(value)]);
    }
    json!({
        "resource": "/{proxy+}", "path": sent.path, "httpMethod": sent.method,
        "headers": null, "multiValueHeaders": headers,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": if sent.query.is_empty() { Value::Null } else { query },
        "pathParameters": { "proxy": sent.path.trim_start_matches('/') }, "stageVariables": null,
        "requestContext": {
            "resourcePath": "/{proxy+}", "httpMethod": sent.method, "path": format!("/prod{}", sent.path),
            "stage": "prod", "domainName": host, "protocol": "HTTP/1.1",
        },
        "body": null, "isBase64Encoded": false,
    })
}
