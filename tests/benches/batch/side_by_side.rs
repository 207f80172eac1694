//! Whole batches against the bare calls with the same items, in rounds that take turns.

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::AttributeValue;
use criterion::Criterion;
use http::Method;
use shared::wire;

use super::{
    host::{Host, TABLE, keys, transaction},
    requests::{change_set, creates, envelopes, format_of, request, singles},
};

/// Medians of rounds that take turns, so that whatever else the machine does falls on all alike. What the whole batch
/// takes over its floor is the ratio of two medians.
pub(super) fn side_by_side(_: &mut Criterion) {
    const ROUNDS: usize = 201;
    let host = Host::new();
    let items = host.contacts();
    let client = host.listen();
    let [(_, json), (_, multipart)] = envelopes();
    let keys = keys(&items);
    let gets = |format| {
        let get = |(at, item): (usize, &HashMap<String, AttributeValue>)| {
            request(at, Method::GET, format!("contacts({})", item["sk"].as_s().expect("a text")), String::new())
        };
        singles(items.iter().enumerate().map(get).collect(), format)
    };
    let mut times: Vec<(&str, Vec<Duration>)> = ROWS.iter().map(|name| (*name, Vec::new())).collect();
    host.runtime.block_on(async {
        for _ in 0..ROUNDS {
            let mut round = Vec::with_capacity(ROWS.len());
            let actions = transaction(&items);
            round.push(timed(host.client.transact_write_items().set_transact_items(Some(actions)).send()).await);
            for envelope in [&json, &multipart] {
                let body = || wire::write_request(&change_set(creates(100), format_of(envelope)), envelope);
                round.push(timed(host.send(&envelope.content_type(), body())).await);
                round.push(timed(client.post(&envelope.content_type(), body())).await);
            }
            round.push(timed(host.client.batch_get_item().request_items(TABLE, keys.clone()).send()).await);
            for envelope in [&json, &multipart] {
                let body = wire::write_request(&gets(format_of(envelope)), envelope);
                round.push(timed(host.send(&envelope.content_type(), body.clone())).await);
                round.push(timed(client.post(&envelope.content_type(), body)).await);
            }
            times.iter_mut().zip(round).for_each(|((_, all), one)| all.push(one));
        }
    });
    let mut floor = Duration::from_secs(1);
    for (name, all) in &mut times {
        let median = median(all);
        if name.starts_with("floor") {
            floor = median;
        }
        row(name, median, floor);
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
    let start = Instant::now();
    black_box(work.await);
    start.elapsed()
}

/// Change sets that are larger than a transaction, against as many transactions of 100 as hold their items.
pub(super) fn large(_: &mut Criterion) {
    const ROUNDS: usize = 15;
    let host = Host::new();
    let items = host.contacts();
    let [(_, json), _] = envelopes();
    for count in [101, 200, 1_000] {
        let (mut floor, mut engine) = (Vec::new(), Vec::new());
        host.runtime.block_on(async {
            for _ in 0..ROUNDS {
                let transactions: Vec<_> =
                    (0..count).step_by(100).map(|at| transaction(&items[..100.min(count - at)])).collect();
                floor.push(
                    timed(async {
                        for actions in transactions {
                            host.client.transact_write_items().set_transact_items(Some(actions)).send().await.unwrap();
                        }
                    })
                    .await,
                );
                let body = wire::write_request(&change_set(creates(count), format_of(&json)), &json);
                engine.push(timed(host.send(&json.content_type(), body)).await);
            }
        });
        let (floor, engine) = (median(&mut floor), median(&mut engine));
        row(&format!("floor: TransactWriteItems for {count}"), floor, floor);
        row(&format!("change set of {count} creates, json"), engine, floor);
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn row(name: &str, median: Duration, floor: Duration) {
    println!(
        "{name:<45} {:>8.3} ms  {:.2} x floor",
        median.as_secs_f64() * 1e3,
        median.as_secs_f64() / floor.as_secs_f64()
    );
}
