//! However many operations a service takes, they happen together, and in few calls.

use std::time::Instant;

use serde_json::{Value, json};

use super::left_behind;
use crate::rig::{Rig, member};

const TRIPPIN: &str = "/trippin";
const DATAVERSE: &str = "/api/data/v9.2";
const FINANCE: &str = "/data";

fn airline(at: usize) -> Value {
    let code = format!("A{at}");
    member(Some("g"), &at.to_string(), "POST", "Airlines", json!({ "AirlineCode": code, "Name": "n" }))
}

async fn count(rig: &Rig, url: &str) -> usize {
    rig.get(&format!("{url}/$count")).await.text().trim_start_matches('\u{feff}').parse().unwrap()
}

/// Calls of a unit of so many items, when nobody is in its way: one to take and one to give back each 98 of them, and two.
fn calls_of(items: usize) -> usize {
    2 * items.div_ceil(98) + 2
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_beyond_one_transaction_are_one_unit() {
    let rig = Rig::seeded().await;
    let before = count(&rig, &format!("{TRIPPIN}/Airlines")).await;
    for operations in [101, 1_000] {
        let requests: Vec<Value> = (0..operations).map(|at| airline(operations * 10_000 + at)).collect();
        rig.strict.forget();
        let begun = Instant::now();
        let answer = rig.batch(TRIPPIN, &requests).await;
        let took = begun.elapsed();
        assert_eq!(answer.statuses(), vec![201; operations], "{:.2000}", answer.text());
        let calls = rig.calls().len();
        println!("{operations} creates: {calls} calls, {took:?}");
        assert_eq!(calls, calls_of(operations));
        assert!(calls <= operations.div_ceil(25) + 4);
    }
    assert_eq!(count(&rig, &format!("{TRIPPIN}/Airlines")).await, before + 1_101);
    assert_eq!(left_behind(&rig), []);
}
