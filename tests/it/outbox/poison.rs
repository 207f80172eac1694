//! An event that an endpoint fails at, beside events that it takes.

use std::time::Duration;

use serde_json::{Value, json};
use tests::receiver::{Receiver, Reply};

use super::{Post, column};

#[tokio::test]
async fn an_event_that_an_endpoint_fails_at_delays_no_other_job() {
    let receiver = Receiver::start(|seen| Reply::Status(if seen.json()["JobId"] == 1 { 500 } else { 204 })).await;
    let mut post = Post::new().await;
    post.endpoint(receiver.url(), json!({})).await;
    post.turn().await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    for _ in 0..4 {
        assert_eq!(post.turn().await.sent, 1);
        post.wait(Duration::from_hours(3));
    }
    post.turn().await;
    for id in 2..5 {
        post.job(id).await;
        post.change(id, &["Executing", "Finished"]).await;
        assert_eq!(post.turn().await.delivered, 2, "job {id}, at once");
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_at_everything_is_left_alone() {
    let receiver = Receiver::start(|_| Reply::Status(500)).await;
    let mut post = Post::new().await;
    post.endpoint(receiver.url(), json!({})).await;
    for id in 1..40 {
        post.job(id).await;
        post.change(id, &["Executing"]).await;
    }
    let sent = post.turn().await.sent;
    assert!((2..=8).contains(&sent), "{sent} of 40");
    assert_eq!(post.turn().await.sent, 0, "the gate is shut");
}

#[tokio::test]
async fn a_run_that_has_just_begun_has_no_end() {
    let receiver = Receiver::start(|_| Reply::Status(204)).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    post.patch("BatchJobs(1)", json!({ "Status": "Error", "EndDateTime": "2026-03-02T01:07:31Z" })).await;
    post.change(1, &["Waiting", "Executing"]).await;
    post.write_down().await;
    let rows = post.deliveries(&endpoint).await;
    let ends = column(&rows, "Payload").into_iter().map(|payload| {
        let payload: Value = serde_json::from_str(payload.as_str().unwrap()).unwrap();
        payload["JobEndUtcDateTime"].clone()
    });
    let none = "/Date(-2208988800000)/";
    assert_eq!(ends.collect::<Vec<_>>(), [none, "/Date(1772413651000)/", none]);
}

#[tokio::test]
async fn an_event_keeps_its_number_when_its_record_comes_again() {
    let mut post = Post::new().await;
    let first = post.endpoint("https://events.example/one", json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    let records = post.unread();
    post.outbox.records(&records, shared::store::Deadline::after(super::LONG)).await;
    let second = post.endpoint("https://events.example/two", json!({})).await;
    post.outbox.records(&records, shared::store::Deadline::after(super::LONG)).await;
    let numbers = [&first, &second].map(|endpoint| post.deliveries(endpoint));
    let [one, two] = numbers;
    assert_eq!(column(&one.await, "ControlNumber"), column(&two.await, "ControlNumber"));
}

#[tokio::test]
async fn an_event_that_nobody_was_told_of_takes_a_number_when_somebody_is() {
    let mut post = Post::new().await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    let records = post.unread();
    post.outbox.records(&records, shared::store::Deadline::after(super::LONG)).await;
    let endpoint = post.endpoint("https://events.example/late", json!({})).await;
    post.outbox.records(&records, shared::store::Deadline::after(super::LONG)).await;
    assert_eq!(column(&post.deliveries(&endpoint).await, "ControlNumber"), [1]);
}
