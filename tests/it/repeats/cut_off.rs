//! Executors that end in the middle of a batch, at each of their calls: a repeat carries out what they did not.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    DATAVERSE, TRIPPIN, batch,
    batches::{check, mixed},
    let_pass, place, result, seen, settled,
};
use crate::rig::{Rig, member};

/// Runs a batch until that call is under way, and then no further: before the call has its effect, or after it.
async fn cut_off(rig: &Rig, id: &str, requests: &[Value], call: usize, after: bool) {
    let slow = rig.with(Duration::from_millis(15), Duration::from_secs(20));
    let watch = slow.strict.clone();
    let ends = async {
        while watch.calls().len() <= call {
            tokio::task::yield_now().await;
        }
        if after {
            tokio::time::sleep(Duration::from_millis(18)).await;
        }
    };
    tokio::select! {
        answer = batch(&slow, DATAVERSE, id, requests) => assert_eq!(answer.status, 200, "{}", answer.text()),
        () = ends => {}
    }
}

#[tokio::test]
async fn a_repeat_goes_on_where_the_executor_ended() {
    let rig = Rig::seeded().await;
    batch(&rig, DATAVERSE, "whole", &mixed(0)).await;
    let calls = rig.calls().len();
    assert!((8..16).contains(&calls), "{calls}");
    for (n, (call, after)) in (0..calls).flat_map(|call| [(call, false), (call, true)]).enumerate() {
        let (n, id) = (n + 1, format!("cut {n}"));
        cut_off(&rig, &id, &mixed(n), call, after).await;
        let waits = batch(&rig, DATAVERSE, &id, &mixed(n)).await;
        assert!(matches!(waits.status, 200 | 409), "{call} {after}: {}", waits.text());
        let_pass(&rig.client(), place("dataverse", &id)).await;
        let answer = batch(&rig, DATAVERSE, &id, &mixed(n)).await;
        assert_eq!((answer.status, result(&answer)), (200, Some("accepted")), "{call} {after}: {}", answer.text());
        check(&rig, n, &answer).await;
        assert_eq!(seen(&batch(&rig, DATAVERSE, &id, &mixed(n)).await), seen(&answer));
    }
}

/// Three executors, each of which comes a little further.
#[tokio::test]
async fn several_executors_carry_a_batch_out_together() {
    let rig = Rig::seeded().await;
    for call in [4, 3, 6] {
        cut_off(&rig, "relay", &mixed(7), call, true).await;
        let_pass(&rig.client(), place("dataverse", "relay")).await;
    }
    let requests = mixed(7);
    let answer = settled(&rig, "dataverse", "relay", || batch(&rig, DATAVERSE, "relay", &requests)).await;
    check(&rig, 7, &answer).await;
}

/// What is decided about a request stays so, though what comes after it changes what it would find.
#[tokio::test]
async fn operations_keep_their_order_over_a_repeat() {
    let rig = Rig::seeded().await;
    let url = "Airlines('O')";
    let requests = [
        member(None, "1", "DELETE", url, Value::Null),
        member(None, "2", "POST", "Airlines", json!({ "AirlineCode": "O", "Name": "n" })),
        member(None, "3", "POST", "Airlines", json!({ "AirlineCode": "P", "Name": "n" })),
    ];
    let slow = rig.with(Duration::from_millis(15), Duration::from_secs(20));
    let watch = slow.strict.clone();
    let created = async {
        while rig.get("/trippin/Airlines('O')").await.status != 200 || watch.calls().len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = batch(&slow, TRIPPIN, "order", &requests) => panic!("it is slow"),
        () = created => {}
    }
    let answer = settled(&rig, "trippin", "order", || batch(&rig, TRIPPIN, "order", &requests)).await;
    assert_eq!(answer.statuses(), [404, 201, 201]);
    assert_eq!(rig.get("/trippin/Airlines('O')").await.status, 200, "not deleted by the repeat");
}

/// What was decided is told as it was, whatever the reads before it find by then.
#[tokio::test]
async fn what_is_decided_does_not_hang_on_reads_that_are_made_again() {
    let body = |code: &str| json!({ "AirlineCode": code, "Name": "n" });
    for continues in ["odata.continue-on-error", "odata.continue-on-error=false"] {
        let rig = Rig::seeded().await;
        assert_eq!(rig.batch(TRIPPIN, &[member(None, "g", "POST", "Airlines", body("G"))]).await.statuses(), [201]);
        let mut depends = member(None, "2", "POST", "Airlines", body("E"));
        depends["dependsOn"] = json!(["1"]);
        let mut group = member(Some("g"), "3", "POST", "Airlines", body("F"));
        group["dependsOn"] = json!(["1"]);
        let requests = [
            member(None, "1", "GET", "Airlines('G')", Value::Null),
            depends,
            group,
            member(None, "4", "POST", "Airlines", body("H")),
        ];
        let text = json!({ "requests": requests }).to_string();
        let send = async |rig: &Rig| {
            let more = ["accept: application/json", &format!("prefer: {continues}")];
            crate::repeats::send(rig, "POST", "/trippin/$batch", "again", &more, &text).await
        };
        let slow = rig.with(Duration::from_millis(15), Duration::from_secs(20));
        let created = async {
            while rig.get("/trippin/Airlines('F')").await.status != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = send(&slow) => panic!("it is slow"),
            () = created => {}
        }
        assert_eq!(rig.get("/trippin/Airlines('H')").await.status, 404);
        assert_eq!(rig.send("DELETE", "/trippin/Airlines('G')", &["if-match: *"], "").await.status, 204);
        let_pass(&rig.client(), place("trippin", "again")).await;
        let answer = send(&rig).await;
        assert_eq!(answer.statuses(), [404, 201, 201, 201], "{continues}: {}", answer.text());
    }
}

/// Outcomes that are kept in parts are put together again.
#[tokio::test]
async fn large_outcomes_of_units_are_found_by_a_repeat() {
    let rig = Rig::seeded().await;
    let airline = |at: usize| {
        let body = json!({ "AirlineCode": format!("L{at}"), "Name": "x".repeat(200_000) });
        member((at < 3).then_some("g"), &at.to_string(), "POST", "Airlines", body)
    };
    let requests: Vec<Value> = (0..4).map(airline).collect();
    let slow = rig.with(Duration::from_millis(15), Duration::from_secs(20));
    let watch = slow.strict.clone();
    let begun = async {
        while watch.calls().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = batch(&slow, TRIPPIN, "parts", &requests) => panic!("it is slow"),
        () = begun => {}
    }
    assert_eq!(rig.get("/trippin/Airlines('L0')").await.status, 200);
    assert_eq!(rig.get("/trippin/Airlines('L3')").await.status, 404);
    let answer = settled(&rig, "trippin", "parts", || batch(&rig, TRIPPIN, "parts", &requests)).await;
    assert_eq!(answer.statuses(), [201; 4]);
    for at in 0..4 {
        assert_eq!(rig.get(&format!("/trippin/Airlines('L{at}')")).await.status, 200);
    }
}
