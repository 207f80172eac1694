//! The own service as a target.

use std::{sync::Arc, time::Duration};

use local::http::{Limits, serve};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Loop, RULE};
use crate::rig::Rig;

/// The seeded job that has failed.
const FAILED: i64 = 5_637_144_576;
const POLICY: &str = "[targets.own]\n[sources.own]\ntarget = \"own\"\nauthentication = \"none\"\n";

/// Serves an engine; the URL of its service of batch jobs.
async fn start(rig: &Rig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/data", listener.local_addr().unwrap());
    let engine = rig.again().engine;
    let handler = move |incoming| {
        let engine = engine.clone();
        async move { engine.handle(incoming).await }
    };
    tokio::spawn(serve(listener, handler, Limits::default(), std::future::pending::<()>()));
    url
}

#[tokio::test]
async fn the_own_service_is_asked_once_and_knows_who_wanted_it() {
    let rig = Rig::seeded().await;
    let it = Loop::over(rig, &(POLICY.to_owned() + RULE));
    let event = it.fail(FAILED, 1).await.event_id.to_string().to_uppercase();
    assert_eq!(it.sweep().await.requeued, 1);
    let job = it.rig.get(&format!("/data/BatchJobs({FAILED})")).await.json();
    let shown = ["Status", "RetryCount", "LastRequeueRequestId", "LastRequeueReason", "LastRequeuedBy"]
        .map(|name| job[name].clone());
    assert_eq!(json!(shown), json!(["Waiting", 1, event, format!("rule \"again\", event {event}"), "rebatch"]));
    // Somebody has started it again: it is left alone.
    let answer = it.rig.send("PATCH", &format!("/data/BatchJobs({FAILED})"), &[], r#"{"Status":"Executing"}"#).await;
    assert_eq!(answer.status, 204);
    it.fail(FAILED, 2).await;
    assert_eq!(it.sweep().await.refused, 1);
    let job = it.rig.get(&format!("/data/BatchJobs({FAILED})")).await.json();
    assert_eq!(json!([job["Status"], job["RetryCount"]]), json!(["Executing", 1]));
}

/// The state of a job is read as real environments have it, too.
#[tokio::test]
async fn the_own_service_can_be_a_target_like_any_other() {
    let rig = Rig::seeded().await;
    let url = start(&rig).await;
    let policy = POLICY.replace("[targets.own]", &format!("[targets.own]\nurl = \"{url}\"")) + RULE;
    let it = Loop::over(rig, &policy);
    it.fail(FAILED, 1).await;
    assert_eq!(it.sweep().await.requeued, 1);
    it.fail(FAILED, 2).await;
    let swept = it.sweep().await;
    assert_eq!((swept.refused, swept.next_due), (1, None));
}

#[tokio::test]
async fn a_decision_that_is_due_wakes_the_sweep_and_is_recognised_in_the_stream() {
    let rig = Rig::seeded().await;
    let it = Loop::over(rig, &(POLICY.to_owned() + RULE));
    let last = |after: Option<&str>| it.rig.records(after);
    let seen = last(None).last().map(|record| record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned());
    it.fail(FAILED, 1).await;
    let records = last(seen.as_deref());
    let decision = records.iter().find(|record| it.outbox.is_outgoing(record)).unwrap();
    assert_eq!(decision["eventName"], "INSERT");
    assert!(it.outbox.is_due(decision));
    let outbox = it.outbox.clone();
    let woken = Arc::new(tokio::sync::Notify::new());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let woken = Arc::clone(&woken);
        async move { outbox.run(&woken, async { stopped.await.unwrap() }).await }
    });
    for _ in 0..100 {
        if it.decision(FAILED).await["Status"] == "Requeued" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(it.decision(FAILED).await["Status"], "Requeued");
    let records = last(seen.as_deref());
    let own: Vec<_> = records.iter().filter(|record| it.outbox.is_outgoing(record)).collect();
    assert_eq!(own.len(), 3, "made, claimed, finished");
    assert!(own[1..].iter().all(|record| !it.outbox.is_due(record)), "its own changes wake nobody");
}
