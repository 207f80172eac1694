//! An engine over the strict layer, called without a socket.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use local::embedded::Embedded;
use serde_json::Value;
use shared::{
    Engine, Serves, Settings,
    batch::Headers,
    exchange::Incoming,
    outbox::{Clock, Courier, Outbox},
    service::Services,
    store::{self, ATTEMPT_TIMEOUT, Staging, Store},
    uri::Encoding,
};
use tests::{binaries::workspace, strict::Strict};

/// Name of the table.
pub(crate) const TABLE: &str = "items";
/// Longer than any fault of a test lasts, unless the test says otherwise.
const BUDGET: Duration = Duration::from_secs(20);

/// An engine, and the layer below it.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) strict: Strict,
    pub(crate) engine: Engine,
    store: Store,
    database: Embedded,
}

/// What a client gets.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
}

impl Rig {
    /// A table with the seeds of the shipped services.
    pub(crate) async fn seeded() -> Self {
        let rig = Self::over(Embedded::memory().unwrap(), Duration::ZERO, BUDGET);
        rig.store.ensure_table().await.unwrap();
        rig.engine.seed().await.unwrap();
        rig.strict.forget();
        rig
    }

    /// The same data with other sizes of staged units.
    pub(crate) fn staging(&self, staging: Staging) -> Self {
        let settings = Settings { time_budget: BUDGET + ATTEMPT_TIMEOUT, ..Settings::default() };
        let store = self.store.with_staging(staging);
        let of_engine = self.store_of("batch").with_staging(staging);
        Self { engine: Engine::new(services(), of_engine, settings), store, ..self.clone() }
    }

    /// No table.
    pub(crate) fn without_table() -> Self {
        Self::over(Embedded::memory().unwrap(), Duration::ZERO, BUDGET)
    }

    fn over(database: Embedded, hold: Duration, budget: Duration) -> Self {
        let strict = Strict::new(database.clone()).holding(hold);
        let store = Store::new(store::through(strict.clone()), TABLE);
        let of_engine = Store::new(store::through(strict.of("batch")), TABLE);
        // Calls are begun for that long; one may take its time after it.
        let settings = Settings { time_budget: budget + ATTEMPT_TIMEOUT, ..Settings::default() };
        let engine = Engine::new(services(), of_engine, settings);
        Self { strict, engine, store, database }
    }

    /// Another layer without faults over the same data.
    pub(crate) fn again(&self) -> Self {
        self.with(Duration::ZERO, BUDGET)
    }

    /// Another layer over the same data: writes take `hold`, requests have `budget`.
    pub(crate) fn with(&self, hold: Duration, budget: Duration) -> Self {
        Self::over(self.database.clone(), hold, budget)
    }

    /// The outbox over this layer, with a clock; endpoints may be on this machine.
    pub(crate) fn outbox(&self, clock: Clock) -> Outbox {
        let courier = Courier::new(true).unwrap();
        let store = self.store_of("outbox");
        Outbox::new(&services(), store, courier, Some("http://localhost")).unwrap().with_clock(clock)
    }

    /// The table through this layer.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The same for a function, whose actions are recorded.
    pub(crate) fn store_of(&self, function: &'static str) -> Store {
        Store::new(store::through(self.strict.of(function)), TABLE)
    }

    /// The engine by which the outbox requeues jobs of the service itself.
    pub(crate) fn own(&self) -> Engine {
        let settings = Settings { serves: Serves::Requeues, ..Settings::default() };
        Engine::new(services(), self.store_of("outbox"), settings)
    }

    /// The function that only requeues jobs, over the same data.
    pub(crate) fn job_state(&self) -> Self {
        let settings = Settings { serves: Serves::Requeues, ..Settings::default() };
        Self { engine: Engine::new(services(), self.store_of("job-state"), settings), ..self.clone() }
    }

    /// The records of the table's stream after that one.
    pub(crate) fn records(&self, after: Option<&str>) -> Vec<Value> {
        self.database.records(TABLE, after).unwrap()
    }

    /// Removes items whose time is over.
    pub(crate) fn expire(&self) {
        self.database.expire().unwrap();
    }

    /// The SDK's client, past the layer.
    pub(crate) fn client(&self) -> aws_sdk_dynamodb::Client {
        store::through(self.database.clone())
    }

    /// Sends a request; `headers` are `name: value` lines, a body is JSON unless they say otherwise.
    pub(crate) async fn send(&self, method: &str, url: &str, headers: &[&str], body: impl Into<Bytes>) -> Answer {
        self.send_within(None, method, url, headers, body.into()).await
    }

    /// The same from an edge that waits for so long.
    pub(crate) async fn send_within(
        &self,
        time_left: Option<Duration>,
        method: &str,
        url: &str,
        headers: &[&str],
        body: Bytes,
    ) -> Answer {
        call(&self.engine, time_left, method, url, headers, body).await
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send("GET", url, &["accept: application/json"], "").await
    }

    /// A JSON batch.
    pub(crate) async fn batch(&self, root: &str, requests: &[Value]) -> Answer {
        let body = serde_json::json!({ "requests": requests }).to_string();
        self.send("POST", &format!("{root}/$batch"), &["accept: application/json"], body).await
    }

    /// How many calls there were, and of which operations; forgets them.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.strict.calls().into_iter().map(|call| call.operation).collect();
        self.strict.forget();
        calls
    }

    /// How many of the calls since they were last forgotten were writes.
    pub(crate) fn writes(&self) -> usize {
        let writes = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];
        self.strict.calls().iter().filter(|call| writes.contains(&call.operation.as_str())).count()
    }
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The statuses of the answers in a JSON batch.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let json = self.json();
        let responses = json.get("responses").and_then(Value::as_array).cloned().unwrap_or_default();
        let status = |r: &Value| r.get("status").and_then(Value::as_u64).and_then(|s| u16::try_from(s).ok());
        responses.iter().filter_map(status).collect()
    }
}

/// Sends a request to an engine.
pub(crate) async fn call(
    engine: &Engine,
    time_left: Option<Duration>,
    method: &str,
    url: &str,
    headers: &[&str],
    body: Bytes,
) -> Answer {
    let mut all = Headers::new();
    all.try_append("host", "localhost").unwrap();
    for line in headers {
        let (name, value) = line.split_once(": ").unwrap();
        all.try_append(name, value).unwrap();
    }
    if !body.is_empty() && all.get("content-type").is_none() {
        all.try_append("content-type", "application/json").unwrap();
    }
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (url, None),
    };
    let incoming = Incoming {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: path.to_owned(),
        path_encoding: Encoding::Percent,
        query,
        headers: all,
        body,
        scheme: "http",
        id: String::new(),
        time_left,
    };
    let answer = engine.handle(incoming).await;
    Answer { status: answer.status.as_u16(), headers: answer.headers, body: answer.body }
}

/// A member of a JSON batch in the change set `g`, or in none.
pub(crate) fn member(group: Option<&str>, id: &str, method: &str, url: &str, body: Value) -> Value {
    let mut request = serde_json::json!({ "id": id, "method": method, "url": url });
    let members = request.as_object_mut().unwrap();
    if let Some(group) = group {
        members.insert("atomicityGroup".into(), group.into());
    }
    if !body.is_null() {
        members.insert("headers".into(), serde_json::json!({ "content-type": "application/json" }));
        members.insert("body".into(), body);
    }
    request
}

/// The same with `If-Match`.
pub(crate) fn if_match(mut request: Value, etag: &str) -> Value {
    let members = request.as_object_mut().unwrap();
    let headers = members.entry("headers").or_insert_with(|| serde_json::json!({}));
    headers.as_object_mut().unwrap().insert("if-match".into(), etag.into());
    request
}

/// The shipped services.
pub(crate) fn services() -> Arc<Services> {
    static SERVICES: OnceLock<Arc<Services>> = OnceLock::new();
    SERVICES.get_or_init(|| Arc::new(Services::load(&workspace().join("infra/services")).unwrap())).clone()
}
