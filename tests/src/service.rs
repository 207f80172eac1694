//! One service over a database in memory, called without a network.

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use local::embedded::Embedded;
use serde_json::{Value, json};
use shared::{
    Engine, SeedError, Settings,
    batch::Headers,
    exchange::{Incoming, Outgoing},
    service::{Services, Source},
    store::{self, Store},
    uri::Encoding,
};

use crate::{binaries::workspace, strict::Strict};

/// The boundary of [`TestService::multipart`].
pub const BOUNDARY: &str = "b";

/// A service with its seeds, and the root that relative URLs start from.
#[derive(Clone, Debug)]
pub struct TestService {
    engine: Engine,
    strict: Strict,
    root: String,
    host: String,
}

impl TestService {
    /// A shipped service, called by this root.
    pub async fn shipped(name: &str, root: &str) -> Self {
        let folder = workspace().join("infra/services").join(name);
        let file = |name: &str| fs::read(folder.join(name)).expect("a file of a shipped service");
        let service_toml = String::from_utf8(file("service.toml")).expect("UTF-8");
        let seed_json = Some(file("seed.json").into());
        Self::of(Source { name: name.into(), service_toml, model_xml: file("model.xml").into(), seed_json }, root).await
    }

    /// Business Central, v2.0.
    pub async fn business_central() -> Self {
        Self::shipped("business-central", "/api/v2.0").await
    }

    /// Dataverse, v9.2.
    pub async fn dataverse() -> Self {
        Self::shipped("dataverse", "/api/data/v9.2").await
    }

    /// Plain OData 4.01.
    pub async fn trippin() -> Self {
        Self::shipped("trippin", "/trippin").await
    }

    /// Finance & Operations.
    pub async fn finance_operations() -> Self {
        Self::shipped("finance-operations", "/data").await
    }

    /// A service of these files.
    pub async fn of(source: Source, root: &str) -> Self {
        Self::seeded(source, root).await.expect("seeds")
    }

    /// The service of these files, unless its seed cannot be loaded.
    pub async fn seeded(source: Source, root: &str) -> Result<Self, SeedError> {
        let services = Services::from_sources(vec![source]).expect("a service");
        let strict = Strict::new(Embedded::memory().expect("a database in memory"));
        let store = Store::new(store::through(strict.clone()), "items");
        store.ensure_table().await.expect("a table");
        // Time is not what these tests are about.
        let settings = Settings { time_budget: Duration::from_mins(2), ..Settings::default() };
        let engine = Engine::new(Arc::new(services), store, settings);
        engine.seed().await?;
        strict.forget();
        Ok(Self { engine, strict, root: root.into(), host: "host".into() })
    }

    /// The same service and data, called by another root.
    #[must_use]
    pub fn at(&self, root: &str) -> Self {
        Self { root: root.into(), ..self.clone() }
    }

    /// The same service and data, called with another `Host`.
    #[must_use]
    pub fn called(&self, host: &str) -> Self {
        Self { host: host.into(), ..self.clone() }
    }

    /// The layer over its database.
    pub fn strict(&self) -> &Strict {
        &self.strict
    }

    /// Sends a request. A URL without a leading slash is below the root.
    pub async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let url = if url.starts_with('/') { url.to_owned() } else { format!("{}/{url}", self.root) };
        let (path, query) = url.split_once('?').map_or((url.as_str(), None), |(path, query)| (path, Some(query)));
        let mut all = Headers::new();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            all.try_append("Host", &self.host).expect("a host");
        }
        for (name, value) in headers {
            all.try_append(name, value).expect("a header");
        }
        let incoming = Incoming {
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: path.to_owned(),
            path_encoding: Encoding::Percent,
            query: query.map(ToOwned::to_owned),
            headers: all,
            body: body.into(),
            scheme: "http",
            id: String::new(),
            time_left: None,
        };
        let Outgoing { status, headers, body } = self.engine.handle(incoming).await;
        Answer { status: status.as_u16(), headers, body }
    }

    /// GET.
    pub async fn get(&self, url: &str) -> Answer {
        self.send("GET", url, &[], "").await
    }

    /// POST of JSON.
    pub async fn post(&self, url: &str, body: Value) -> Answer {
        self.write("POST", url, &[], body).await
    }

    /// PATCH of JSON.
    pub async fn patch(&self, url: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        self.write("PATCH", url, headers, body).await
    }

    /// DELETE.
    pub async fn delete(&self, url: &str) -> Answer {
        self.send("DELETE", url, &[], "").await
    }

    /// Any method with JSON.
    pub async fn write(&self, method: &str, url: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        self.send(method, url, &all, body.to_string()).await
    }

    /// A JSON batch of these request objects; the answer in JSON.
    pub async fn batch(&self, headers: &[(&str, &str)], requests: Value) -> Answer {
        let mut all = vec![("Content-Type", "application/json"), ("Accept", "application/json")];
        all.extend_from_slice(headers);
        self.send("POST", "$batch", &all, json!({ "requests": requests }).to_string()).await
    }

    /// A multipart batch whose boundary is [`BOUNDARY`]. Line ends may be LF: they are sent as CRLF.
    pub async fn multipart(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("Content-Type", "multipart/mixed; boundary=b")];
        all.extend_from_slice(headers);
        self.send("POST", "$batch", &all, body.replace("\r\n", "\n").replace('\n', "\r\n")).await
    }

    /// How many entities a collection has.
    pub async fn count(&self, collection: &str) -> u64 {
        self.get(&format!("{collection}/$count")).await.text().parse().expect("a number")
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}

/// A part of a multipart answer.
#[derive(Clone, Debug)]
pub enum Part {
    /// The answer to a request.
    Single {
        /// `Content-ID`
        id: Option<String>,
        /// The answer.
        answer: Answer,
    },
    /// The answers of a change set.
    Group(Vec<Part>),
}

impl Answer {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The body as JSON; null when there is none.
    pub fn json(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).expect("JSON") }
    }

    /// The message of an error.
    pub fn message(&self) -> String {
        let json = self.json();
        let inner = json.pointer("/error/innererror/message").or_else(|| json.pointer("/error/message"));
        inner.and_then(Value::as_str).expect("an error").to_owned()
    }

    /// The `value` of a collection.
    pub fn rows(&self) -> Vec<Value> {
        self.json().get("value").and_then(|v| v.as_array().cloned()).expect("a collection")
    }

    /// The etag in the body.
    pub fn etag(&self) -> String {
        let json = self.json();
        let etag = json.get("@odata.etag").or_else(|| json.get("@etag"));
        etag.and_then(Value::as_str).expect("an etag").to_owned()
    }

    /// The response objects of a JSON batch.
    pub fn responses(&self) -> Vec<Value> {
        self.json().get("responses").and_then(|v| v.as_array().cloned()).expect("a batch")
    }

    /// The statuses of a batch in either format, change sets flattened.
    pub fn statuses(&self) -> Vec<u64> {
        if self.header("content-type").starts_with("multipart") {
            return flat(&self.parts()).iter().map(|(_, answer)| answer.status.into()).collect();
        }
        self.responses().iter().map(|response| response["status"].as_u64().expect("a status")).collect()
    }

    /// The parts of a multipart batch.
    pub fn parts(&self) -> Vec<Part> {
        parts(self.header("content-type"), self.text())
    }
}

/// The answers in parts, change sets flattened, with their Content-IDs.
pub fn flat(parts: &[Part]) -> Vec<(Option<String>, Answer)> {
    let answers = parts.iter().flat_map(|part| match part {
        Part::Single { id, answer } => vec![(id.clone(), answer.clone())],
        Part::Group(parts) => flat(parts),
    });
    answers.collect()
}

/// Reads a multipart body by the letter: CRLF only, nothing before, between or after the parts.
fn parts(content_type: &str, text: &str) -> Vec<Part> {
    let boundary = content_type.strip_prefix("multipart/mixed; boundary=").expect("multipart");
    let text = text.strip_suffix(&format!("--{boundary}--\r\n")).expect("the last boundary");
    let mut pieces = text.split(&format!("--{boundary}\r\n")).map(ToOwned::to_owned).collect::<Vec<_>>();
    assert_eq!(pieces.remove(0), "", "nothing before the first part");
    pieces.iter().map(|piece| part(piece.strip_suffix("\r\n").expect("CRLF before a boundary"))).collect()
}

fn part(piece: &str) -> Part {
    let (head, body) = piece.split_once("\r\n\r\n").expect("an empty line");
    let mime = headers(head);
    let content_type = mime.get("content-type").expect("a type");
    if content_type.starts_with("multipart") {
        // The inner body's last CRLF is the one before the outer boundary.
        return Part::Group(parts(content_type, &format!("{body}\r\n")));
    }
    assert_eq!((content_type, mime.get("content-transfer-encoding")), ("application/http", Some("binary")));
    let (head, body) = body.split_once("\r\n\r\n").expect("an empty line");
    let (line, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|line| line.get(..3)).expect("a status line");
    let headers = headers(rest);
    if headers.get("content-type").is_some_and(|media_type| media_type.starts_with("application/json")) {
        assert!(!body.contains(['\r', '\n']), "JSON is one line: {body:?}");
    }
    let body = Bytes::from(body.to_owned());
    let answer = Answer { status: status.parse().expect("a status"), headers, body };
    Part::Single { id: mime.get("content-id").map(ToOwned::to_owned), answer }
}

fn headers(text: &str) -> Headers {
    let mut headers = Headers::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("a header");
        headers.try_append(name, value).expect("a header");
    }
    headers
}
