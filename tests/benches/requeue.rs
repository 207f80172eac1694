//! How many batch jobs are put back to waiting in a second: `cargo bench -p tests --bench requeue`.
//!
//! Requeues through the engine, and through the real `rebatch` over HTTP with connections that are kept, beside their
//! floor: the one UpdateItem that counts up, marks and checks as much, through the same SDK, on the same embedded
//! database. The three take turns; every failed job is requeued once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has to stop"
)]

use std::{
    env,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use bytes::Bytes;
use http::{Method, StatusCode};
use local::embedded::Embedded;
use serde_json::{Value, json};
use shared::{
    Engine, Settings,
    batch::Headers,
    edm::{self, EntityKey},
    exchange::{Incoming, Outgoing},
    service::Services,
    store::{self, Store},
    uri::Encoding,
};
use tests::{binaries::workspace, host::Host};
use tokio::task::JoinSet;

const TABLE: &str = "bench";
const BATCH: &str = "/data/$batch";
const ACTION: &str = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
const ROUNDS: i64 = 41;
/// Jobs that are requeued in a round.
const JOBS: i64 = 160;
/// Jobs that are created in one change set.
const CHANGE_SET: i64 = 80;
/// Requests at a time.
const CONNECTIONS: [i64; 2] = [1, 16];

/// Makes a request about the job of this id.
type Call = Arc<dyn Fn(i64) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// One of the ways to requeue a job.
struct Row {
    name: &'static str,
    requeue: Call,
    /// Creates [`CHANGE_SET`] failed jobs, from this id on.
    create: Call,
}

#[tokio::main]
async fn main() {
    // Cargo runs every bench with the filter that is meant for one of them.
    if env::args().skip(1).any(|argument| !argument.starts_with('-') && !"requeue".contains(&argument)) {
        return;
    }
    println!("in memory");
    let host = Host::start(&["--memory"]).await;
    measure(&rows(Embedded::memory().unwrap(), &host).await).await;
    println!("data file");
    let folder = tempfile::tempdir().unwrap();
    let host = Host::over(&folder.path().join("host.db")).await;
    measure(&rows(Embedded::open(&folder.path().join("bench.db")).unwrap(), &host).await).await;
}

async fn rows(database: Embedded, host: &Host) -> [Row; 3] {
    let client = store::through(database);
    let store = Store::new(client.clone(), TABLE);
    store.ensure_table().await.unwrap();
    let services = Services::load(&workspace().join("infra/services")).unwrap();
    let engine = Engine::new(Arc::new(services), store, Settings::default());
    let http = reqwest::Client::builder().tcp_nodelay(true).build().unwrap();
    let (action, batch) = (format!("{}{ACTION}", host.url()), format!("{}{BATCH}", host.url()));
    let in_engine = engine.clone();
    let create = call(move |id| send(engine.clone(), BATCH, new_jobs(id)));
    let posting = http.clone();
    [
        Row { name: "floor: UpdateItem", requeue: call(move |id| update(client.clone(), id)), create: create.clone() },
        Row { name: "engine", requeue: call(move |id| send(in_engine.clone(), ACTION, parameter(id))), create },
        Row {
            name: "rebatch, http",
            requeue: call(move |id| post(http.clone(), action.clone(), parameter(id))),
            create: call(move |id| post(posting.clone(), batch.clone(), new_jobs(id))),
        },
    ]
}

fn call<F: Future<Output = ()> + Send + 'static>(one: impl Fn(i64) -> F + Send + Sync + 'static) -> Call {
    Arc::new(move |id| Box::pin(one(id)))
}

/// Prints the median rates of all rows; they take turns, so that what else the machine does falls on all alike.
async fn measure(rows: &[Row]) {
    let mut id = 1;
    for connections in CONNECTIONS {
        let mut times: Vec<Vec<Duration>> = rows.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (row, times) in rows.iter().zip(&mut times) {
                for first in (id..id + JOBS).step_by(usize::try_from(CHANGE_SET).unwrap()) {
                    (row.create)(first).await;
                }
                times.push(round(&row.requeue, id, connections).await);
                id += JOBS;
            }
        }
        let mut floor = None;
        for (row, mut times) in rows.iter().zip(times) {
            times.sort_unstable();
            let median = times.get(times.len() / 2).expect("rounds").as_secs_f64();
            let floor = *floor.get_or_insert(median);
            let rate = f64::from(i32::try_from(JOBS).unwrap()) / median;
            println!("{:<20} {connections:>2} at a time {rate:>8.0} /s  {:.2} x floor", row.name, median / floor);
        }
    }
}

/// Requeues the jobs from `first` on, so many at a time.
async fn round(requeue: &Call, first: i64, connections: i64) -> Duration {
    let start = Instant::now();
    let mut lanes = JoinSet::new();
    for lane in 0..connections {
        let requeue = Arc::clone(requeue);
        lanes.spawn(async move {
            for id in (first + lane..first + JOBS).step_by(usize::try_from(connections).unwrap()) {
                requeue(id).await;
            }
        });
    }
    lanes.join_all().await;
    start.elapsed()
}

fn parameter(id: i64) -> Value {
    json!({ "batchJobId": id })
}

/// A batch of one change set with failed jobs.
fn new_jobs(first: i64) -> Value {
    let requests = (first..first + CHANGE_SET).map(|id| {
        json!({
            "id": id.to_string(), "atomicityGroup": "g", "method": "POST", "url": "BatchJobs",
            "headers": { "content-type": "application/json" },
            "body": { "BatchJobRecId": id, "JobDescription": "Import bank statements", "Status": "Error" },
        })
    });
    json!({ "requests": requests.collect::<Vec<_>>() })
}

async fn post(http: reqwest::Client, url: String, body: Value) {
    let answer = http.post(url).json(&body).send().await.unwrap();
    let status = answer.status();
    succeeded(status, &answer.bytes().await.unwrap());
}

async fn send(engine: Engine, path: &'static str, body: Value) {
    let mut headers = Headers::new();
    headers.try_append("content-type", "application/json").unwrap();
    headers.try_append("host", "localhost").unwrap();
    let incoming = Incoming {
        method: Method::POST,
        path: path.into(),
        path_encoding: Encoding::Percent,
        query: None,
        headers,
        body: body.to_string().into(),
        scheme: "http",
        id: String::new(),
        time_left: None,
    };
    let Outgoing { status, body, .. } = engine.handle(incoming).await;
    succeeded(status, &body);
}

/// A batch is answered 200 even if its change set failed; then it holds an error.
fn succeeded(status: StatusCode, body: &Bytes) {
    let text = String::from_utf8_lossy(body);
    assert!(status == StatusCode::OK && !text.contains("\"error\""), "{status}: {text}");
}

async fn update(client: Client, id: i64) {
    let text = |text: &str| AttributeValue::S(text.into());
    let number = |number: i64| AttributeValue::N(number.to_string());
    let names = [
        ("#status", "Status"),
        ("#count", "RetryCount"),
        ("#limit", "RetryLimit"),
        ("#generation", "Generation"),
        ("#by", "LastRequeuedBy"),
        ("#at", "LastRequeuedDateTime"),
        ("#request", "LastRequeueRequestId"),
    ];
    let update = client.update_item().table_name(TABLE).key("pk", text("E|finance-operations||BatchJobs"));
    let update = names.into_iter().fold(update, |update, (short, name)| update.expression_attribute_names(short, name));
    let answer = update
        .key("sk", text(&EntityKey(vec![edm::Value::Integer(id)]).encode().unwrap()))
        .update_expression(
            "SET p = o, o = :version, v.#status = :waiting, v.#count = if_not_exists(v.#count, :zero) + :one, \
             v.#generation = v.#generation + :one, v.#by = :by, v.#at = :at, v.#request = :version, \
             m = list_append(if_not_exists(m, :none), :marks)",
        )
        .condition_expression(
            "v.#status IN (:failed) AND (v.#count < v.#limit OR attribute_not_exists(v.#limit) OR v.#limit = :null)",
        )
        .expression_attribute_values(":version", text(&id.to_string()))
        .expression_attribute_values(":waiting", number(1))
        .expression_attribute_values(":failed", number(3))
        .expression_attribute_values(":zero", number(0))
        .expression_attribute_values(":one", number(1))
        .expression_attribute_values(":null", AttributeValue::Null(true))
        .expression_attribute_values(":by", text("anonymous"))
        .expression_attribute_values(":at", text("2026-01-01T00:00:00.0000000Z"))
        .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
        .expression_attribute_values(":marks", AttributeValue::L(vec![text(&id.to_string())]))
        .send();
    answer.await.expect("a failed job");
}
