//! A unit that has to be run again is weighed again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;
use tests::strict::{Fault, Plan};

use super::quotes;
use crate::rig::{Rig, member};

const TRIPPIN: &str = "/trippin";

/// The answer to a patch has room when it is first planned. Before it is committed, somebody else makes the entity larger.
#[tokio::test]
async fn an_answer_that_grows_by_another_writer_is_refused_with_nothing_written() {
    let rig = Rig::seeded().await;
    let person = json!({ "UserName": "p", "FirstName": "f", "LastName": "old" }).to_string();
    assert_eq!(rig.send("POST", "/trippin/People", &[], person).await.status, 201);
    let mut requests: Vec<_> = (0..7)
        .map(|at| {
            let airline =
                json!({ "AirlineCode": format!("A{at}"), "Name": quotes(if at < 6 { 200_000 } else { 100_000 }) });
            member(None, &at.to_string(), "POST", "Airlines", airline)
        })
        .collect();
    let mut patch = member(None, "p", "PATCH", "People('p')", json!({ "LastName": "new" }));
    patch["headers"]["prefer"] = "return=representation".into();
    requests.push(patch);

    let (faulty, grown) = (rig.again(), Arc::new(AtomicBool::new(false)));
    let is_grown = Arc::clone(&grown);
    faulty.strict.set_plan(Plan::from_fn(move |call| {
        let of_person = call.items.iter().any(|item| item.contains("People"));
        let write = matches!(call.operation.as_str(), "PutItem" | "UpdateItem" | "TransactWriteItems");
        (of_person && write && !is_grown.load(Ordering::Relaxed)).then_some(Fault::Conflict)
    }));
    let watch = faulty.strict.clone();
    let other = async {
        while !watch.calls().iter().any(|call| call.fault.is_some()) {
            tokio::task::yield_now().await;
        }
        let body = json!({ "FirstName": quotes(300_000) }).to_string();
        let answer = rig.send("PATCH", "/trippin/People('p')", &["prefer: return=minimal"], body).await;
        assert_eq!(answer.status, 204);
        grown.store(true, Ordering::Relaxed);
    };
    let (answer, ()) = tokio::join!(faulty.batch(TRIPPIN, &requests), other);
    assert_eq!(answer.statuses(), [201, 201, 201, 201, 201, 201, 201, 413]);
    assert_eq!(rig.get("/trippin/People('p')").await.json()["LastName"], "old");

    requests.remove(0);
    for (at, request) in requests.iter_mut().enumerate().take(6) {
        request["body"]["AirlineCode"] = format!("B{at}").into();
    }
    let answer = rig.batch(TRIPPIN, &requests).await;
    assert_eq!(answer.statuses(), [201, 201, 201, 201, 201, 201, 200]);
    assert_eq!(rig.get("/trippin/People('p')").await.json()["LastName"], "new");
}
