//! What a batch costs: each stage per operation, and whole batches against the bare calls to the table.
//!
//! `cargo bench -p tests` runs all of it. The groups `creates` and `reads` measure, in the same run and over the same
//! embedded database, a whole batch of 100 (`engine`, `http`) beside its floor: the one TransactWriteItems or
//! BatchGetItem with the same 100 items that no implementation can do without. `side_by_side` takes them in turns and
//! prints the ratios: `cargo bench -p tests -- side_by_side` runs that alone.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has to stop"
)]

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{Method, StatusCode};
use local::{embedded::Embedded, http::Limits};
use shared::{
    Engine, Settings,
    auth::Caller,
    batch::{BatchItem, BatchRequest, BatchResponse, Format, Group, Headers, Request, RequestId, ResponseItem},
    exchange::Incoming,
    plan::{self, Context, Evaluation, Fresh, Job, References, Snapshot},
    service::Services,
    store::{self, Store},
    uri,
    wire::{self, Boundary, Encoding, Envelope, HeaderCase},
};
use tests::binaries::workspace;
use tokio::runtime::Runtime;
use uuid::Uuid;

const ROOT: &str = "/api/data/v9.2";
const SIZES: [usize; 4] = [1, 10, 100, 1_000];
const TABLE: &str = "bench";

fn envelopes() -> [(&'static str, Envelope); 2] {
    let boundary = Boundary::new("batch_bench").unwrap();
    [("json", Envelope::Json), ("multipart", Envelope::Multipart { boundary })]
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in pairs {
        headers.try_append(name, value).unwrap();
    }
    headers
}

fn request(position: usize, method: Method, url: String, body: String) -> Request {
    let headers = if body.is_empty() { Headers::new() } else { headers(&[("content-type", "application/json")]) };
    let id = Some(RequestId::new(&(position + 1).to_string()).unwrap());
    Request { id, method, url, headers, body: body.into(), depends_on: Vec::new(), condition: None }
}

fn create(position: usize) -> Request {
    let id = Uuid::new_v4();
    let body = format!(
        "{{\"contactid\":\"{id}\",\"firstname\":\"Ada {position}\",\"lastname\":\"Lovelace\",\
         \"emailaddress1\":\"ada{position}@example.com\"}}"
    );
    request(position, Method::POST, "contacts".into(), body)
}

fn creates(count: usize) -> Vec<Request> {
    (0..count).map(create).collect()
}

/// A batch of single requests, written as a client would.
fn singles(requests: Vec<Request>, format: Format) -> BatchRequest {
    BatchRequest { format, items: requests.into_iter().map(BatchItem::Single).collect() }
}

/// A batch of one change set.
fn change_set(requests: Vec<Request>, format: Format) -> BatchRequest {
    let name = (format == Format::Json).then(|| RequestId::new("g").unwrap());
    BatchRequest { format, items: vec![BatchItem::Group(Group { name, requests })] }
}

fn format_of(envelope: &Envelope) -> Format {
    match envelope {
        Envelope::Json => Format::Json,
        Envelope::Multipart { .. } => Format::Multipart,
    }
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let limits = wire::Limits::default();
    for (name, envelope) in envelopes() {
        for count in SIZES {
            let body = wire::write_request(&singles(creates(count), format_of(&envelope)), &envelope);
            group.throughput(Throughput::Elements(count as u64));
            group.bench_with_input(BenchmarkId::new(name, count), &body, |bencher, body| {
                bencher.iter(|| wire::decode(&envelope, black_box(body), &limits).unwrap());
            });
        }
    }
}

fn services() -> Arc<Services> {
    Arc::new(Services::load(&workspace().join("infra/services")).unwrap())
}

/// Planning writes the answers too: this is "plan" and "respond" of requests that read nothing.
fn plan_and_respond(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan+respond");
    let services = services();
    let found = services.find(ROOT, uri::Encoding::Percent).unwrap();
    let context = Context {
        services: &services,
        service: found.service,
        origin: "https://example.com",
        root: ROOT,
        now: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
        caller: &Caller::anonymous(),
        trace: None,
        batch: None,
    };
    let make = Uuid::new_v4;
    for count in SIZES {
        let requests = creates(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::new("creates", count), &requests, |bencher, requests| {
            bencher.iter(|| {
                let snapshot = Snapshot::default();
                let mut references = References::new();
                let fresh = Fresh::new(&make);
                for (index, request) in requests.iter().enumerate() {
                    let mut job = [Job { index, request, prepared: None }];
                    let end = plan::evaluate(&context, &mut job, &snapshot, &mut references, &fresh, "operation");
                    assert!(matches!(black_box(end), Evaluation::Ready { .. }));
                }
            });
        });
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let body =
        Bytes::from_static(b"{\"@odata.etag\":\"W/\\\"a.b\\\"\",\"firstname\":\"Ada\",\"lastname\":\"Lovelace\"}");
    for count in SIZES {
        let items = (0..count).map(|position| {
            ResponseItem::Single(shared::batch::Response {
                id: Some(RequestId::new(&position.to_string()).unwrap()),
                status: StatusCode::CREATED,
                headers: headers(&[
                    ("location", "https://example.com/api/data/v9.2/contacts(00000000-0000-0000-0000-000000000001)"),
                    ("content-type", "application/json; odata.metadata=minimal"),
                    ("odata-version", "4.0"),
                ]),
                body: body.clone(),
            })
        });
        let response = BatchResponse { items: items.collect() };
        group.throughput(Throughput::Elements(count as u64));
        let encodings = [
            ("json", Encoding::Json { header_case: HeaderCase::Lower }),
            ("multipart", Encoding::Multipart { key: Uuid::new_v4(), flat: false }),
        ];
        for (name, encoding) in encodings {
            group.bench_with_input(BenchmarkId::new(name, count), &response, |bencher, response| {
                bencher.iter(|| wire::encode(black_box(response), encoding));
            });
        }
    }
}

/// An engine over a database in memory, and the SDK's client to the same.
struct Host {
    runtime: Runtime,
    engine: Engine,
    client: aws_sdk_dynamodb::Client,
}

impl Host {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let client = store::through(Embedded::memory().unwrap());
        let store = Store::new(client.clone(), TABLE);
        let engine = Engine::new(services(), store.clone(), Settings::default());
        runtime.block_on(async {
            store.ensure_table().await.unwrap();
            engine.seed().await.unwrap();
        });
        Self { runtime, engine, client }
    }

    /// Serves the engine on a port of its own; the URL of `$batch`.
    fn listen(&self) -> String {
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let engine = self.engine.clone();
        let handler = move |incoming| {
            let engine = engine.clone();
            async move { engine.handle(incoming).await }
        };
        self.runtime.spawn(local::http::serve(listener, handler, Limits::default(), std::future::pending()));
        format!("http://{address}{ROOT}/$batch")
    }

    async fn send(&self, content_type: &str, body: Bytes) -> Bytes {
        let incoming = Incoming {
            method: Method::POST,
            path: format!("{ROOT}/$batch"),
            path_encoding: uri::Encoding::Percent,
            query: None,
            headers: headers(&[("content-type", content_type), ("accept", "application/json"), ("host", "localhost")]),
            body,
            scheme: "http",
            id: String::new(),
            time_left: None,
        };
        let answer = self.engine.handle(incoming).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.body
    }

    /// The items of a batch of 100 contacts, as they are in the table.
    fn contacts(&self) -> Vec<HashMap<String, AttributeValue>> {
        let envelope = Envelope::Json;
        let body = wire::write_request(&change_set(creates(100), Format::Json), &envelope);
        self.runtime.block_on(async {
            self.send("application/json", body).await;
            let query = self.client.query().table_name(TABLE).key_condition_expression("pk = :p");
            let partition = AttributeValue::S("E|dataverse||contacts".into());
            let answer = query.expression_attribute_values(":p", partition).limit(100).send().await.unwrap();
            answer.items.unwrap()
        })
    }
}

/// The same items with new keys, as a transaction of puts.
fn transaction(items: &[HashMap<String, AttributeValue>]) -> Vec<TransactWriteItem> {
    let put = |item: &HashMap<String, AttributeValue>| {
        let mut item = item.clone();
        item.insert("sk".into(), AttributeValue::S(Uuid::new_v4().to_string()));
        let put = Put::builder().table_name(TABLE).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(pk)");
        TransactWriteItem::builder().put(put.build().unwrap()).build()
    };
    items.iter().map(put).collect()
}

fn whole_creates(criterion: &mut Criterion) {
    let host = Host::new();
    let items = host.contacts();
    let url = host.listen();
    let http = reqwest::Client::new();
    let mut group = criterion.benchmark_group("creates");
    group.sample_size(60).measurement_time(Duration::from_secs(8));
    group.bench_function("floor: TransactWriteItems of 100", |bencher| {
        bencher.to_async(&host.runtime).iter_batched(
            || transaction(&items),
            |actions| async {
                host.client.transact_write_items().set_transact_items(Some(actions)).send().await.unwrap();
            },
            criterion::BatchSize::PerIteration,
        );
    });
    for (name, envelope) in envelopes() {
        let body = || wire::write_request(&change_set(creates(100), format_of(&envelope)), &envelope);
        let content_type = envelope.content_type();
        group.bench_function(format!("engine: change set of 100, {name}"), |bencher| {
            let send = |body| host.send(&content_type, body);
            bencher.to_async(&host.runtime).iter_batched(body, send, criterion::BatchSize::PerIteration);
        });
        group.bench_function(format!("http: change set of 100, {name}"), |bencher| {
            let post = |body: Bytes| async {
                let request = http.post(&url).header("content-type", &content_type).body(body);
                request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap()
            };
            bencher.to_async(&host.runtime).iter_batched(body, post, criterion::BatchSize::PerIteration);
        });
    }
}

fn whole_reads(criterion: &mut Criterion) {
    let host = Host::new();
    let items = host.contacts();
    let url = host.listen();
    let http = reqwest::Client::new();
    let mut group = criterion.benchmark_group("reads");
    group.sample_size(60).measurement_time(Duration::from_secs(6));
    let key = |item: &HashMap<String, AttributeValue>| {
        ["pk", "sk"].into_iter().map(|name| (name.to_owned(), item[name].clone())).collect::<HashMap<_, _>>()
    };
    let keys: Vec<_> = items.iter().map(key).collect();
    group.bench_function("floor: BatchGetItem of 100", |bencher| {
        bencher.to_async(&host.runtime).iter(|| async {
            let keys = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(keys.clone())).build().unwrap();
            let answer = host.client.batch_get_item().request_items(TABLE, keys).send().await.unwrap();
            assert_eq!(answer.responses.unwrap()[TABLE].len(), 100);
        });
    });
    for (name, envelope) in envelopes() {
        let gets = items.iter().enumerate().map(|(position, item)| {
            let id = item["sk"].as_s().expect("a text");
            request(position, Method::GET, format!("contacts({id})"), String::new())
        });
        let body = wire::write_request(&singles(gets.collect(), format_of(&envelope)), &envelope);
        let content_type = envelope.content_type();
        group.bench_function(format!("engine: 100 by key, {name}"), |bencher| {
            bencher.to_async(&host.runtime).iter(|| host.send(&content_type, body.clone()));
        });
        group.bench_function(format!("http: 100 by key, {name}"), |bencher| {
            bencher.to_async(&host.runtime).iter(|| async {
                let request = http.post(&url).header("content-type", &content_type).body(body.clone());
                request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap()
            });
        });
    }
}

/// Medians of rounds that take turns, so that whatever else the machine does falls on all alike. What the whole batch
/// takes over its floor is the ratio of two medians.
fn side_by_side(_: &mut Criterion) {
    const ROUNDS: usize = 201;
    let host = Host::new();
    let items = host.contacts();
    let (url, http) = (host.listen(), reqwest::Client::new());
    let [(_, json), (_, multipart)] = envelopes();
    let keys: Vec<HashMap<_, _>> = items
        .iter()
        .map(|item| ["pk", "sk"].into_iter().map(|name| (name.to_owned(), item[name].clone())).collect())
        .collect();
    let gets = |format| {
        let get = |(at, item): (usize, &HashMap<String, AttributeValue>)| {
            request(at, Method::GET, format!("contacts({})", item["sk"].as_s().expect("a text")), String::new())
        };
        singles(items.iter().enumerate().map(get).collect(), format)
    };
    let mut times: Vec<(&str, Vec<Duration>)> = ROWS.iter().map(|name| (*name, Vec::new())).collect();
    host.runtime.block_on(async {
        for _ in 0..ROUNDS {
            let post = |envelope: &Envelope, body: Bytes| {
                let request = http.post(&url).header("content-type", envelope.content_type()).body(body);
                async { request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap() }
            };
            let mut round = Vec::with_capacity(ROWS.len());
            let actions = transaction(&items);
            round.push(timed(host.client.transact_write_items().set_transact_items(Some(actions)).send()).await);
            for envelope in [&json, &multipart] {
                let body = || wire::write_request(&change_set(creates(100), format_of(envelope)), envelope);
                round.push(timed(host.send(&envelope.content_type(), body())).await);
                round.push(timed(post(envelope, body())).await);
            }
            let wanted =
                KeysAndAttributes::builder().consistent_read(true).set_keys(Some(keys.clone())).build().unwrap();
            round.push(timed(host.client.batch_get_item().request_items(TABLE, wanted).send()).await);
            for envelope in [&json, &multipart] {
                let body = wire::write_request(&gets(format_of(envelope)), envelope);
                round.push(timed(host.send(&envelope.content_type(), body.clone())).await);
                round.push(timed(post(envelope, body)).await);
            }
            times.iter_mut().zip(round).for_each(|((_, all), one)| all.push(one));
        }
    });
    let mut floor = Duration::from_secs(1);
    for (name, all) in &mut times {
        all.sort_unstable();
        let median = all[ROUNDS / 2];
        if name.starts_with("floor") {
            floor = median;
        }
        println!(
            "{name:<40} {:>8.3} ms  {:.2} x floor",
            median.as_secs_f64() * 1e3,
            median.as_secs_f64() / floor.as_secs_f64()
        );
    }
}

const ROWS: [&str; 10] = [
    "floor: TransactWriteItems of 100",
    "change set of 100 creates, json",
    "change set of 100 creates, json, http",
    "change set of 100 creates, multipart",
    "change set of 100 creates, multipart, http",
    "floor: BatchGetItem of 100",
    "100 reads by key, json",
    "100 reads by key, json, http",
    "100 reads by key, multipart",
    "100 reads by key, multipart, http",
];

async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let start = std::time::Instant::now();
    black_box(work.await);
    start.elapsed()
}

criterion_group! {
    name = stages;
    config = Criterion::default().sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = decode, plan_and_respond, encode
}
criterion_group!(whole, whole_creates, whole_reads, side_by_side);
criterion_main!(stages, whole);
