//! What a million of each kind of request costs on AWS: `cargo run --release -p tests --example cost`.
//!
//! Calls, capacity and processor time are measured here, over the embedded database: capacity as it says, processor time
//! without what the database takes. Prices are those of us-east-1 on demand, without free tiers. How long DynamoDB takes
//! for a call is not measured, but assumed ([`LATENCY`]): look at `durationMs` in your own log.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a tool for the command line"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use http::Method;
use local::embedded::{Embedded, TARGET_HEADER};
use serde_json::{Value, json};
use shared::{
    Engine, Settings,
    batch::Headers,
    exchange::Incoming,
    service::Services,
    store::{self, Store},
    uri::Encoding,
};
use tests::binaries::workspace;

/// Dollars a million requests, to the gateway (of 512 KB each) and to Lambda.
const GATEWAY: f64 = 1.00;
const INVOCATIONS: f64 = 0.20;
/// Dollars a million milliseconds of a GB, x86.
const GB_MS: f64 = 0.016_666_7;
/// Dollars a million units of capacity.
const READ_UNITS: f64 = 0.125;
const WRITE_UNITS: f64 = 0.625;
/// Dollars a million KB of log.
const LOG_KB: f64 = 0.50;
/// KB of log that a request writes: its line with its metrics, and what Lambda and the gateway write.
const LOG: f64 = 2.5;
/// GB of memory of the function, and what part of a core that is.
const MEMORY: f64 = 0.5;
const CORE: f64 = 512.0 / 1_769.0;
/// Milliseconds that DynamoDB is assumed to take: for a transaction, for a BatchGetItem, for anything else.
const LATENCY: [(&str, f64); 3] = [("TransactWriteItems", 40.0), ("BatchGetItem", 15.0), ("", 6.0)];
/// The gateway counts a request for each of these bytes.
const GATEWAY_UNIT: usize = 512 << 10;

/// Requests of a batch.
const IN_A_BATCH: usize = 100;
const ROUNDS: usize = 21;
const FIRST_JOB: i64 = 5_700_000_000;

/// The embedded database, and what was asked of it.
#[derive(Clone, Debug)]
struct Counted {
    database: Embedded,
    seen: Arc<Mutex<Seen>>,
    busy_nanos: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    calls: f64,
    read: f64,
    write: f64,
    latency: f64,
}

/// What one request came to.
struct Cost {
    seen: Seen,
    compute: f64,
    bytes: usize,
}

impl HttpConnector for Counted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let counted = self.clone();
        HttpConnectorFuture::new(async move {
            let start = Instant::now();
            let operation = request.headers().get(TARGET_HEADER).unwrap_or_default().to_owned();
            let answer = HttpConnector::call(&counted.database, request).await?;
            let read: Value = serde_json::from_slice(answer.body().bytes().unwrap_or_default()).unwrap_or_default();
            counted.note(&operation, &read["ConsumedCapacity"]);
            counted.busy_nanos.fetch_add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
            Ok(answer)
        })
    }
}

impl HttpClient for Counted {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl Counted {
    fn note(&self, operation: &str, consumed: &Value) {
        let writes = operation.contains("Write") || operation.contains("Put") || operation.contains("Update");
        let tables = consumed.as_array().cloned().unwrap_or_else(|| vec![consumed.clone()]);
        let units: f64 = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
        let latency = LATENCY.iter().find(|(name, _)| operation.ends_with(name)).map_or(0.0, |(_, ms)| *ms);
        let mut seen = self.seen.lock().expect("no panic");
        seen.calls += 1.0;
        seen.latency += latency;
        *(if writes { &mut seen.write } else { &mut seen.read }) += units;
    }

    fn take(&self) -> (Seen, Duration) {
        let seen = std::mem::take(&mut *self.seen.lock().expect("no panic"));
        (seen, Duration::from_nanos(self.busy_nanos.swap(0, Relaxed)))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let counted =
        Counted { database: Embedded::memory().expect("a database"), seen: Arc::default(), busy_nanos: Arc::default() };
    let store = Store::new(store::through(counted.clone()), "cost");
    store.ensure_table().await.expect("a table");
    let services = Services::load(&workspace().join("infra/services")).expect("the services");
    let engine = Engine::new(Arc::new(services), store, Settings::default());
    engine.seed().await.expect("the seeds");
    println!(
        "| a million of | calls | read units | write units | compute, billed | gateway | Lambda | DynamoDB | log | together |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let creates = |group: bool| move |round: usize| batch(round, group, "POST", |_| "accounts".into());
    row(&engine, &counted, "batches of 100 creates, one change set", creates(true)).await;
    row(&engine, &counted, "batches of 100 creates, each by itself", creates(false)).await;
    let update = |round| batch(round, true, "PATCH", |at| format!("accounts({})", id(at)));
    row(&engine, &counted, "batches of 100 updates, one change set", update).await;
    let read = |round| batch(round, false, "GET", |at| format!("accounts({})", id(at)));
    row(&engine, &counted, "batches of 100 reads by key", read).await;
    for job in (FIRST_JOB..).take(ROUNDS) {
        let job = json!({ "BatchJobRecId": job, "JobDescription": "Import bank statements", "Status": "Error" });
        assert_eq!(send(&engine, "POST", "/data/BatchJobs", &job).await.0, 201, "a job");
    }
    let requeue = |round: usize| {
        let job = (FIRST_JOB..).nth(round);
        ("/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting", json!({ "batchJobId": job }))
    };
    row(&engine, &counted, "SetBatchJobToWaiting", requeue).await;
}

/// The key of the account that a request of a batch is about.
fn id(at: usize) -> String {
    format!("00000000-0000-4000-8000-{at:012}")
}

/// A batch about accounts of half a KB.
fn batch(round: usize, group: bool, method: &str, url: impl Fn(usize) -> String) -> (&'static str, Value) {
    let requests = (0..IN_A_BATCH).map(|at| {
        let mut request = json!({ "id": at.to_string(), "method": method, "url": url(at) });
        if method != "GET" {
            request["headers"] = json!({ "content-type": "application/json" });
            request["body"] = json!({
                "name": format!("Account {at} of {round}"), "description": "d".repeat(300), "telephone1": "555-0100",
            });
            // The first round of creates makes what updates and reads are about.
            if method == "POST" && group && round == 0 {
                request["body"]["accountid"] = id(at).into();
            }
        }
        if group {
            request["atomicityGroup"] = "g".into();
        }
        request
    });
    ("/api/data/v9.2/$batch", json!({ "requests": requests.collect::<Vec<_>>() }))
}

/// Measures a kind of request, and prints what it costs.
async fn row(engine: &Engine, counted: &Counted, name: &str, request: impl Fn(usize) -> (&'static str, Value)) {
    let mut costs = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let (path, body) = request(round);
        counted.take();
        let start = Instant::now();
        let (status, bytes) = send(engine, "POST", path, &body).await;
        let total = start.elapsed();
        assert!(status < 300, "{name}: {status}");
        let (seen, busy) = counted.take();
        costs.push(Cost { seen, compute: total.saturating_sub(busy).as_secs_f64() * 1e3, bytes });
    }
    costs.sort_by(|a, b| a.compute.total_cmp(&b.compute));
    let Cost { seen, compute, bytes } = costs.swap_remove(ROUNDS / 2);
    let billed = compute / CORE + seen.latency;
    let gateway = GATEWAY * bytes.div_ceil(GATEWAY_UNIT).max(1) as f64;
    let lambda = INVOCATIONS + GB_MS * MEMORY * billed;
    let table = seen.read * READ_UNITS + seen.write * WRITE_UNITS;
    let log = LOG * LOG_KB;
    println!(
        "| {name} | {} | {} | {} | {compute:.1} ms, {billed:.0} ms | ${gateway:.2} | ${lambda:.2} | ${table:.2} | ${log:.2} | ${:.2} |",
        seen.calls,
        seen.read,
        seen.write,
        gateway + lambda + table + log
    );
}

/// Sends a request; its status, and the bytes of its body.
async fn send(engine: &Engine, method: &str, path: &str, body: &Value) -> (u16, usize) {
    let mut headers = Headers::new();
    for (name, value) in [("host", "localhost"), ("content-type", "application/json"), ("accept", "application/json")] {
        headers.try_append(name, value).expect("a header");
    }
    let body = body.to_string();
    let bytes = body.len();
    let incoming = Incoming {
        method: Method::from_bytes(method.as_bytes()).expect("a method"),
        path: path.into(),
        path_encoding: Encoding::Percent,
        query: None,
        headers,
        body: body.into(),
        scheme: "https",
        id: String::new(),
        time_left: None,
    };
    let answer = engine.handle(incoming).await;
    let text = String::from_utf8_lossy(&answer.body);
    assert!(!text.contains("\"status\":4") && !text.contains("\"status\":5"), "{text}");
    (answer.status.as_u16(), bytes)
}
