//! What the function returns to the gateway.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::Kind;
use crate::{
    batch::Headers,
    exchange::{self, Outgoing},
};

/// An answer in the shape that every kind of gateway takes: the format 1.0 of headers for a REST API, 2.0 for the others.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    multi_value_headers: BTreeMap<String, Vec<String>>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    /// Text stays text: base64 would cost a third of the size limit. Anything else is base64.
    pub fn new(kind: Kind, outgoing: Outgoing) -> Self {
        let (body, is_base64_encoded) = encode_body(&outgoing.headers, outgoing.body);
        let mut multi_value_headers = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in outgoing.headers.iter() {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            multi_value_headers.entry(name.as_str().to_owned()).or_default().push(value);
        }
        let mut answer = Self {
            status_code: outgoing.status.as_u16(),
            headers: BTreeMap::new(),
            multi_value_headers,
            body,
            is_base64_encoded,
        };
        if kind != Kind::RestApi {
            // Format 2.0 has one value a header (RFC 9110 §5.3 lets them be joined).
            answer.headers = std::mem::take(&mut answer.multi_value_headers)
                .into_iter()
                .map(|(name, values)| (name, values.join(", ")))
                .collect();
        }
        answer
    }
}

/// The 400 for a request that could not be taken out of its event.
pub(super) fn bad_request(message: &str) -> Outgoing {
    let body = serde_json::json!({ "error": { "code": "BadRequest", "message": message } });
    let headers = [("content-type", "application/json"), ("odata-version", "4.0")]
        .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
    Outgoing {
        status: StatusCode::BAD_REQUEST,
        headers: headers.into_iter().collect(),
        body: Bytes::from(body.to_string()),
    }
}

fn encode_body(headers: &Headers, body: Bytes) -> (String, bool) {
    if !exchange::is_text(headers) {
        return (BASE64_STANDARD.encode(&body), true);
    }
    match String::from_utf8(Vec::from(body)) {
        Ok(text) => (text, false),
        Err(error) => (BASE64_STANDARD.encode(error.as_bytes()), true),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn answer(kind: Kind, headers: &[(&str, &str)], body: &'static [u8]) -> serde_json::Value {
        let mut list = Headers::new();
        for (name, value) in headers {
            list.try_append(name, value).unwrap();
        }
        let outgoing = Outgoing { status: StatusCode::OK, headers: list, body: Bytes::from_static(body) };
        serde_json::to_value(Answer::new(kind, outgoing)).unwrap()
    }

    #[test]
    fn a_batch_is_answered_as_text() {
        let answer = answer(Kind::HttpApi, &[("Content-Type", "multipart/mixed; boundary=b")], b"--b--\r\n");
        assert_eq!(
            answer,
            serde_json::json!({
                "statusCode": 200, "body": "--b--\r\n", "isBase64Encoded": false,
                "headers": { "content-type": "multipart/mixed; boundary=b" },
            })
        );
    }

    #[test]
    fn a_picture_is_answered_in_base64() {
        let picture = answer(Kind::HttpApi, &[("content-type", "image/png")], b"\x89P");
        assert_eq!((&picture["body"], &picture["isBase64Encoded"]), (&"iVA=".into(), &true.into()));
        let mislabelled = answer(Kind::HttpApi, &[("content-type", "application/json")], b"\xff");
        assert_eq!(mislabelled["isBase64Encoded"], true);
    }

    proptest! {
        /// The document of a function, byte by byte: nothing that was weighed as fitting can be too large.
        #[test]
        fn an_answer_is_never_larger_than_it_weighs(
            headers in vec(("x-[a-c]", "[ -~é]{0,20}"), 0..6),
            media_type in select(vec!["application/json", "multipart/mixed", "image/png", "text/plain; charset=utf-8"]),
            body in prop_oneof![any::<String>().prop_map(String::into_bytes), vec(any::<u8>(), 0..200)],
            kind in select(vec![Kind::HttpApi, Kind::RestApi, Kind::FunctionUrl]),
        ) {
            let mut list = Headers::new();
            list.try_append("content-type", media_type).unwrap();
            for (name, value) in &headers {
                list.try_append(name, value).unwrap();
            }
            let size = |outgoing| serde_json::to_string(&Answer::new(kind, outgoing)).unwrap().len();
            let outgoing = |headers, body| Outgoing { status: StatusCode::OK, headers, body };
            let full = size(outgoing(list.clone(), body.clone().into()));
            let empty = size(outgoing(Headers::new(), Bytes::new()));
            let most = empty + exchange::weigh(&list, &body) + "'multiValueHeaders':{},".len();
            prop_assert!(full <= most, "{full} > {most}");
            let without = size(outgoing(list.clone(), Bytes::new()));
            let weight = exchange::weigh(&list, &body) - exchange::weigh(&list, b"");
            prop_assert!(full.abs_diff(without + weight) <= 1, "only 'true' and 'false' differ in length");
        }
    }

    #[test]
    fn repeated_headers_survive() {
        let headers = [("vary", "accept"), ("vary", "prefer")];
        assert_eq!(answer(Kind::FunctionUrl, &headers, b"")["headers"]["vary"], "accept, prefer");
        assert_eq!(
            answer(Kind::RestApi, &headers, b"")["multiValueHeaders"]["vary"],
            serde_json::json!(["accept", "prefer"])
        );
    }
}
