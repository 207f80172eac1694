//! Turns of a target: how long they are, and what is in the way of rows that are due.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use shared::store::{Deadline, Due};
use tests::environment::Environment;

use super::{LONG, Loop, RULE, environment_policy};
use crate::rig::TABLE;

const JOB: i64 = 7;

async fn with_timeout(timeout: &str) -> (Loop, Environment) {
    let environment = Environment::start(false, |_| None).await;
    let timeout = format!("timeout = \"{timeout}\"");
    (Loop::new(&(environment_policy(&environment, &timeout) + RULE)).await, environment)
}

#[tokio::test]
async fn a_target_with_the_longest_timeout_is_called_by_a_process_that_lives_on() {
    let (it, environment) = with_timeout("30s").await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    let (outbox, woken) = (it.outbox.clone(), Arc::new(tokio::sync::Notify::new()));
    let running = tokio::spawn(async move { outbox.run(&woken, std::future::pending::<()>()).await });
    for _ in 0..100 {
        if it.decision(JOB).await["Status"] == "Requeued" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.abort();
    assert_eq!((it.decision(JOB).await["Status"].as_str(), environment.effects().len()), (Some("Requeued"), 1));
}

#[tokio::test]
async fn a_turn_without_time_for_an_attempt_is_not_followed_by_another_one_at_once() {
    let (it, environment) = with_timeout("20s").await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    let swept = it.outbox.sweep(Deadline::after(Duration::from_secs(40))).await;
    assert_eq!((swept.sent, environment.requests(tests::environment::Kind::Status).len()), (0, 0));
    assert_eq!(swept.next_due.unwrap().duration_since(it.now()).as_secs(), 5);
    // What a function is told that runs for so long. 51 seconds are an attempt.
    let slow = |seconds| it.outbox.too_slow_for(Duration::from_secs(seconds));
    assert_eq!((slow(65), slow(66)), (vec!["fo"], vec![]));
    assert_eq!(it.outbox.sweep(Deadline::after(Duration::from_secs(66))).await.requeued, 1);
}

#[tokio::test]
async fn rows_that_wait_for_their_backoff_hold_up_no_row_behind_them() {
    let environment = Environment::start(false, |_| None).await;
    let rules = "[[rules]]\nname = \"now\"\naction = \"requeue\"\njob = [7]\n[[rules]]\nname = \"later\"\n\
                 action = \"requeue\"\nbackoff = { initial = \"10m\", jitter = 0.0 }\n";
    let it = Loop::new(&(environment_policy(&environment, "") + rules)).await;
    // More than a page of the queue.
    for job in 1_000..1_510 {
        it.fail(job, 1).await;
    }
    it.wait(Duration::from_secs(1));
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    let swept = it.sweep().await;
    assert_eq!((swept.sent, swept.requeued), (1, 1), "{swept:?}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_waits_for_a_minute_and_holds_up_no_other() {
    let (it, environment) = with_timeout("10s").await;
    let due = Due::at_target(&it.ledger.service().name, "fo", it.now());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    it.fail(1, 1).await;
    let row = it.rig.store().due(&due.queue, None, Deadline::after(LONG)).await.unwrap().rows.remove(0).0;
    let row = [("pk", row.partition), ("sk", "nonsense".into()), ("dp", due.queue), ("dt", due.time)];
    let row: HashMap<_, _> = row.into_iter().map(|(name, value)| (name.to_owned(), text(&value))).collect();
    it.rig.client().put_item().table_name(TABLE).set_item(Some(row)).send().await.unwrap();
    environment.set(1, "Error");
    let swept = it.sweep().await;
    assert_eq!((swept.sent, swept.requeued), (1, 1), "{swept:?}");
    assert_eq!(swept.next_due.unwrap().duration_since(it.now()).as_secs(), 60);
}
