//! From rows to endpoints: in order, signed, again when it fails, and what each answer leads to.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use shared::events::{Secret, verify};
use tests::receiver::{Receiver, Reply, Seen};

use super::{Post, SECRET, column};

fn states(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| seen.json()["JobStatus"].as_str().unwrap_or("test").to_owned()).collect()
}

#[tokio::test]
async fn events_arrive_in_order_and_signed() {
    let receiver = Receiver::start(|_| Reply::Status(204)).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({ "Secret": SECRET })).await;
    post.job(1).await;
    post.change(1, &["Executing", "Error", "Waiting", "Executing", "Finished"]).await;
    let swept = post.turn().await;
    assert_eq!((swept.sent, swept.delivered, swept.next_due), (5, 5, None));
    let mut seen = receiver.seen();
    seen.retain(|seen| seen.json()["JobStatus"].is_string());
    assert_eq!(states(&seen), ["Executing", "Error", "Executing", "Finished"]);
    let secret = Secret::parse(SECRET).unwrap();
    for seen in receiver.seen() {
        let [id, timestamp, signature] =
            ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| seen.header(name));
        let now = timestamp.parse().unwrap();
        verify(&secret, id, timestamp, signature, seen.body.as_bytes(), now).unwrap();
        assert_eq!(seen.json()["EventId"], id);
    }
    let rows = post.deliveries(&endpoint).await;
    assert!(rows.iter().all(|row| row["Status"] == "Delivered" && row["DueDateTime"].is_null()), "{rows:?}");
    assert_eq!(column(&rows, "AttemptCount"), [1; 4]);
    assert_eq!(rows[0]["Attempts"][0]["StatusCode"], 204);
    assert_eq!(post.turn().await.sent, 0, "nothing is sent twice");
}

#[tokio::test]
async fn a_failed_event_holds_up_its_job_and_no_other() {
    // The first event of job 1 is refused three times; a refusal says nothing about the endpoint.
    let refused = AtomicUsize::new(0);
    let receiver = Receiver::start(move |seen| {
        let first = seen.json()["JobId"] == 1 && seen.json()["JobStatus"] == "Executing";
        Reply::Status(if first && refused.fetch_add(1, Ordering::Relaxed) < 3 { 400 } else { 200 })
    })
    .await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    post.turn().await;
    for id in [1, 2, 3] {
        post.job(id).await;
        post.change(id, &["Executing", "Finished"]).await;
    }
    let swept = post.turn().await;
    assert_eq!((swept.delivered, swept.sent), (4, 5));
    let due = swept.next_due.unwrap();
    assert!((2_000..8_000).contains(&due.duration_since(*post.clock.lock().unwrap()).as_millis()), "{due}");
    assert_eq!(post.sweep().await.sent, 0, "not before its time");
    let rows = post.deliveries(&endpoint).await;
    let waiting: Vec<&Value> = rows.iter().filter(|row| row["Status"] == "Pending").collect();
    assert_eq!(waiting.iter().map(|row| row["BatchJobRecId"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 1]);
    let id = receiver.seen().iter().find(|seen| seen.json()["JobId"] == 1).unwrap().header("webhook-id").to_owned();
    let mut rounds = 0;
    while post.deliveries(&endpoint).await.iter().any(|row| row["Status"] == "Pending") {
        post.wait(Duration::from_hours(1));
        post.sweep().await;
        rounds += 1;
        assert!(rounds < 10);
    }
    let mut seen = receiver.seen();
    seen.retain(|seen| seen.json()["JobId"] == 1);
    assert_eq!(states(&seen), ["Executing", "Executing", "Executing", "Executing", "Finished"]);
    assert!(seen.iter().rev().skip(1).all(|seen| seen.header("webhook-id") == id), "the same id each time");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_switched_off_and_its_rows_wait() {
    let receiver = Receiver::start(|seen| Reply::Status(if seen.number == 1 { 410 } else { 200 })).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    post.turn().await;
    post.job(1).await;
    post.change(1, &["Executing", "Finished"]).await;
    post.turn().await;
    let url = format!("BusinessEventEndpoints({endpoint})");
    let row = post.rig.get(&format!("/data/{url}")).await.json();
    assert_eq!((&row["Active"], row["DisabledDateTime"].is_string()), (&json!(false), true));
    assert_eq!(row["DisabledReason"], "The endpoint answered 410 (Gone).");
    post.wait(Duration::from_hours(48));
    assert_eq!(post.turn().await.sent, 0);
    assert_eq!(column(&post.deliveries(&endpoint).await, "Status"), ["Pending", "Pending"]);
    post.patch(&url, json!({ "Active": true })).await;
    receiver.forget();
    post.turn().await;
    let mut states = states(&receiver.seen());
    states.retain(|state| state != "test");
    assert_eq!(states, ["Executing", "Finished"]);
}

#[tokio::test]
async fn an_endpoint_says_how_long_it_wants_to_be_left_alone() {
    let receiver = Receiver::start(|seen| match seen.number {
        1 => Reply::With(429, "retry-after: 3600"),
        _ => Reply::Status(200),
    })
    .await;
    let mut post = Post::new().await;
    post.endpoint(receiver.url(), json!({})).await;
    post.turn().await;
    for id in 1..=20 {
        post.job(id).await;
        post.change(id, &["Executing"]).await;
    }
    let swept = post.turn().await;
    let before = receiver.seen().len();
    assert!(before <= 1 + 8, "those that were under way: {before}");
    let wait = swept.next_due.unwrap().duration_since(*post.clock.lock().unwrap());
    assert!(wait.as_secs() >= 3_599, "{wait}");
    post.wait(Duration::from_secs(3_590));
    assert_eq!(post.sweep().await.sent, 0);
    post.wait(Duration::from_secs(20));
    let swept = post.sweep().await;
    assert_eq!((swept.delivered, receiver.seen().len()), (20 - (before - 2), 20 + 2));
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let elsewhere = Receiver::start(|_| Reply::Status(200)).await;
    let line: &'static str = format!("location: {}", elsewhere.url()).leak();
    let receiver = Receiver::start(move |_| Reply::With(307, line)).await;
    let mut post = Post::new().await;
    post.endpoint(receiver.url(), json!({})).await;
    let swept = post.turn().await;
    assert_eq!((swept.sent, swept.delivered), (1, 0));
    assert_eq!((receiver.seen().len(), elsewhere.seen().len()), (1, 0));
    assert_eq!(post.rows("BusinessEventDeliveries").await[0]["Attempts"][0]["StatusCode"], 307);
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_after_a_day_and_the_next_is_sent() {
    let receiver = Receiver::start(|seen| match seen.json()["JobStatus"].as_str() {
        Some("Executing") => Reply::Status(400),
        _ => Reply::Status(200),
    })
    .await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing", "Finished"]).await;
    let begin = *post.clock.lock().unwrap();
    let mut swept = post.turn().await;
    while let Some(due) = swept.next_due {
        *post.clock.lock().unwrap() = due;
        swept = post.sweep().await;
    }
    let rows = post.deliveries(&endpoint).await;
    assert_eq!(column(&rows, "Status"), ["Failed", "Delivered"]);
    assert_eq!(column(&rows, "AttemptCount"), [11, 1]);
    let hours = post.clock.lock().unwrap().duration_since(begin).as_hours();
    assert!((15..=30).contains(&hours), "{hours}");
}

#[tokio::test]
async fn secrets_are_nowhere_to_be_seen() {
    let receiver = Receiver::start(|seen| if seen.number == 0 { Reply::Reset } else { Reply::Status(500) }).await;
    let mut post = Post::new().await;
    let url = format!("{}?code=hunter2", receiver.url());
    let endpoint = post.endpoint(&url, json!({ "Secret": SECRET })).await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    post.turn().await;
    post.wait(Duration::from_hours(1));
    post.turn().await;
    let mut text = format!("{:?}", post.outbox);
    for set in ["BusinessEventEndpoints", "BusinessEventDeliveries", "BatchJobHistory"] {
        text += &post.rig.get(&format!("/data/{set}")).await.text();
    }
    assert!(text.contains(&endpoint) && !text.contains("whsec") && !text.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let rows = post.rows("BusinessEventDeliveries").await;
    assert!(!json!(rows).to_string().contains("hunter2"), "the URL is in no error");
    assert!(json!(rows).to_string().contains("no answer"));
}
