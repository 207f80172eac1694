//! What becomes of many events, and of a table that does not answer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::strict::{Fault, Plan};

use super::{Hook, failure, told};

#[tokio::test]
async fn the_events_of_a_job_are_taken_in_their_order() {
    let hook = Hook::new().await;
    // Four failures each of 40 jobs: one is carried out, and three wait for that.
    let events: Vec<Value> = (0..160).map(|number| failure(number, i64::from(number % 40) + 1)).collect();
    let answer = hook.post("auto", Value::from(events)).await;
    let decisions = told(&answer, "decision");
    assert_eq!(decisions, ["Requeue"; 160]);
    assert_eq!(told(&answer, "eventId")[17], "A5631837-C1C8-5342-839A-C57800000011");
    let rows = hook.rows().await;
    let due_at_once = |row: &&Value| row["DueDateTime"] == row["ReceivedDateTime"];
    let first: Vec<&Value> = rows.iter().filter(due_at_once).map(|row| &row["ControlNumber"]).collect();
    assert_eq!((rows.len(), first.len()), (160, 40));
    assert!(first.iter().all(|number| number.as_i64().is_some_and(|number| number < 5_637_611_040)), "{first:?}");
}

#[tokio::test]
async fn a_new_event_is_one_call_and_a_known_one_too() {
    let hook = Hook::new().await;
    for _ in 0..2 {
        assert_eq!(hook.post("auto", failure(1, 7)).await.status, 200);
        assert_eq!(hook.rig.calls(), ["TransactWriteItems"]);
    }
}

#[tokio::test]
async fn a_delivery_that_is_repeated_is_known_by_a_call_for_a_hundred_events() {
    let hook = Hook::new().await;
    let events: Value = (0..150).map(|number| failure(number, i64::from(number) + 1)).collect();
    assert_eq!(hook.post("auto", &events).await.status, 200);
    hook.rig.calls();
    let answer = hook.post("auto", &events).await;
    assert_eq!((answer.status, told(&answer, "duplicate")), (200, vec![json!(true); 150]));
    assert_eq!(hook.rig.calls(), ["BatchGetItem", "BatchGetItem"]);
}

#[tokio::test]
async fn events_that_are_not_written_down_are_sent_again_and_taken_once() {
    let hook = Hook::new().await;
    let events: Value = (0..20).map(|number| failure(number, i64::from(number))).skip(1).collect();
    for fault in [Fault::Throttle, Fault::Timeout, Fault::Conflict, Fault::DropAfterCommit] {
        // The first calls arrive, no other does. (What was committed all the same is found, and the last must be that.)
        hook.rig.strict.forget();
        hook.rig.strict.set_plan(Plan::from_fn(move |call| (call.number >= 3).then_some(fault)));
        let short = Hook { rig: hook.rig.clone(), webhook: hook.webhook.clone().with_time_budget(BUDGET) };
        let begun = Instant::now();
        let answer = short.post("auto", &events).await;
        assert_eq!((answer.status, answer.headers.get("retry-after")), (503, Some("1")), "{fault:?}");
        assert_eq!(answer.json()["error"]["code"], "ServiceUnavailable");
        assert!(begun.elapsed() < BUDGET + Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    hook.rig.strict.set_plan(Plan::none());
    let answer = hook.post("auto", &events).await;
    assert_eq!((answer.status, told(&answer, "decision")), (200, vec![json!("Requeue"); 19]));
    assert_eq!(hook.rows().await.len(), 19);
}

const BUDGET: Duration = Duration::from_millis(400);
