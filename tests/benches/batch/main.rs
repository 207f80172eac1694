//! What a batch costs: each stage per operation, and whole batches against the bare calls to the table.
//!
//! `cargo bench -p tests` runs all of it. The groups `creates` and `reads` measure, in the same run and over the same
//! embedded database, a whole batch of 100 (`engine`, `http`) beside its floor: the one TransactWriteItems or
//! BatchGetItem with the same 100 items that no implementation can do without. `side_by_side` takes them in turns and
//! prints the ratios, and so does `large` for change sets that no transaction holds: `cargo bench -p tests -- side_by_side`
//! runs these alone.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has to stop"
)]

mod host;
mod requests;
mod side_by_side;

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{Method, StatusCode};
use shared::{
    auth::Caller,
    batch::{BatchResponse, RequestId, ResponseItem},
    plan::{self, Context, Evaluation, Fresh, Job, References, Snapshot},
    uri,
    wire::{self, Encoding, HeaderCase},
};
use uuid::Uuid;

use host::{Host, ROOT, TABLE, keys, services, transaction};
use requests::{change_set, creates, envelopes, format_of, headers, request, singles};
use side_by_side::{large, side_by_side};

const SIZES: [usize; 4] = [1, 10, 100, 1_000];

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
        trusted: false,
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

fn whole_creates(criterion: &mut Criterion) {
    let host = Host::new();
    let items = host.contacts();
    let client = host.listen();
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
            let post = |body| client.post(&content_type, body);
            bencher.to_async(&host.runtime).iter_batched(body, post, criterion::BatchSize::PerIteration);
        });
    }
}

fn whole_reads(criterion: &mut Criterion) {
    let host = Host::new();
    let items = host.contacts();
    let client = host.listen();
    let mut group = criterion.benchmark_group("reads");
    group.sample_size(60).measurement_time(Duration::from_secs(6));
    let keys = keys(&items);
    group.bench_function("floor: BatchGetItem of 100", |bencher| {
        bencher.to_async(&host.runtime).iter(|| async {
            let answer = host.client.batch_get_item().request_items(TABLE, keys.clone()).send().await.unwrap();
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
            bencher.to_async(&host.runtime).iter(|| client.post(&content_type, body.clone()));
        });
    }
}

criterion_group! {
    name = stages;
    config = Criterion::default().sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = decode, plan_and_respond, encode
}
criterion_group!(whole, whole_creates, whole_reads, side_by_side, large);
criterion_main!(stages, whole);
