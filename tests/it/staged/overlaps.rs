//! Large units that want the same items: all come to their end, in a time that is fair.

use std::time::{Duration, Instant};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};

use super::{items, left_behind};
use crate::{
    rig::{Rig, member},
    soak::rounds,
};

const ROOT: &str = "/trippin";
/// How long a write holds its items.
const HOLD: Duration = Duration::from_millis(1);
const BUDGET: Duration = Duration::from_mins(2);

async fn open(rig: &Rig, size: usize) {
    let airline = |at: usize| json!({ "AirlineCode": format!("O{at}"), "Name": "n" });
    let requests = (0..size).map(|at| member(Some("g"), &at.to_string(), "POST", "Airlines", airline(at)));
    assert_eq!(rig.batch(ROOT, &requests.collect::<Vec<_>>()).await.statuses(), vec![201; size]);
}

/// A change set that renames all of them, in this order.
fn renames(name: &str, order: &[usize]) -> Vec<Value> {
    let rename = |(id, at): (usize, &usize)| {
        let url = format!("Airlines('O{at}')");
        member(Some("g"), &id.to_string(), "PATCH", &url, json!({ "Name": name }))
    };
    order.iter().enumerate().map(rename).collect()
}

/// Runs change sets at once; the time that each took.
async fn run(rig: &Rig, orders: Vec<Vec<usize>>) -> Vec<Duration> {
    let mut units = tokio::task::JoinSet::new();
    for (number, order) in orders.into_iter().enumerate() {
        let rig = rig.clone();
        units.spawn(async move {
            let begun = Instant::now();
            let answer = rig.batch(ROOT, &renames(&format!("unit {number}"), &order)).await;
            let statuses = answer.statuses();
            assert!(statuses.len() == order.len() && statuses.iter().all(|one| *one < 300), "{:.300}", answer.text());
            begun.elapsed()
        });
    }
    units.join_all().await
}

/// All have the name that one unit gave them.
async fn one_name(rig: &Rig, size: usize) {
    let one = rig.get(&format!("{ROOT}/Airlines('O0')")).await.json();
    let name = one["Name"].as_str().unwrap().replace(' ', "%20");
    let filter = format!("startswith(AirlineCode,'O')%20and%20Name%20eq%20'{name}'");
    let count = rig.get(&format!("{ROOT}/Airlines/$count?$filter={filter}")).await.text();
    assert_eq!(count.trim_start_matches('\u{feff}'), size.to_string(), "{name}");
}

/// Units that were begun: each has a record.
fn begun(rig: &Rig) -> usize {
    items(rig).keys().filter(|(partition, sort)| partition.starts_with("U|") && sort == "-").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_two_large_units_that_overlap_both_come_to_their_end() {
    const SIZE: usize = 120;
    let rig = Rig::seeded().await;
    open(&rig, SIZE).await;
    let busy = rig.with(HOLD, BUDGET);
    let (pairs, before) = (rounds(4, 100), begun(&rig));
    let mut longest = Duration::ZERO;
    for _ in 0..pairs {
        let times = run(&busy, vec![(0..SIZE).collect(), (0..SIZE).rev().collect()]).await;
        longest = longest.max(times.into_iter().max().unwrap());
        one_name(&rig, SIZE).await;
    }
    assert_eq!(left_behind(&rig), []);
    let attempts = begun(&rig) - before;
    eprintln!("{pairs} pairs of {SIZE}: {attempts} units were begun; the longest took {longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_eight_large_units_over_the_same_items_all_come_to_their_end() {
    let size = rounds(120, 300);
    let rig = Rig::seeded().await;
    open(&rig, size).await;
    let (busy, before) = (rig.with(HOLD, BUDGET), begun(&rig));
    let mut random = StdRng::seed_from_u64(3);
    let orders = (0..8).map(|_| {
        let mut order: Vec<usize> = (0..size).collect();
        order.shuffle(&mut random);
        order
    });
    let mut times = run(&busy, orders.collect()).await;
    one_name(&rig, size).await;
    times.sort();
    let attempts = begun(&rig) - before;
    eprintln!("8 at once over {size} items: {attempts} units were begun; they took {times:?}");
    assert_eq!(left_behind(&rig), []);
}
