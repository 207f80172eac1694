//! What others change while the outbox is at work: endpoints, and rows that are to be sent again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::store::Deadline;
use tests::receiver::{Receiver, Reply};

use super::{LONG, Post, column};

async fn resend(post: &Post, row: &Value) {
    let id = row["DeliveryId"].as_str().unwrap();
    let url = format!("/data/BusinessEventDeliveries('{id}')/Microsoft.Dynamics.DataEntities.Resend");
    assert_eq!(post.rig.send("POST", &url, &[], "").await.status, 204);
}

async fn await_requests(receiver: &Receiver, count: usize) {
    while receiver.seen().len() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_was_changed_is_not_left_alone_any_longer() {
    let up = Arc::new(AtomicBool::new(false));
    let down = Receiver::start({
        let up = Arc::clone(&up);
        move |_| if up.load(Ordering::Relaxed) { Reply::Status(200) } else { Reply::With(503, "retry-after: 86400") }
    })
    .await;
    let other = Receiver::start(|_| Reply::With(503, "retry-after: 86400")).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(other.url(), json!({})).await;
    let url = format!("BusinessEventEndpoints({endpoint})");
    post.turn().await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    assert_eq!(post.turn().await.sent, 0, "it asked for a day");
    post.patch(&url, json!({ "Url": down.url() })).await;
    post.turn().await;
    assert!(!down.seen().is_empty(), "another URL is tried at once");
    up.store(true, Ordering::Relaxed);
    down.forget();
    post.job(2).await;
    post.change(2, &["Executing"]).await;
    assert_eq!(post.turn().await.sent, 0, "this one asked for a day as well");
    post.patch(&url, json!({ "Active": false })).await;
    post.patch(&url, json!({ "Active": true })).await;
    post.turn().await;
    assert!(down.seen().iter().any(|seen| seen.json()["JobId"] == 2), "and is switched on again");
}

#[tokio::test]
async fn a_backlog_follows_its_endpoint_to_another_url() {
    const JOBS: i64 = 120;
    let [old, new] = [Receiver::start(|_| Reply::Status(200)).await, Receiver::start(|_| Reply::Status(200)).await];
    let mut post = Post::new().await;
    let endpoint = post.endpoint(old.url(), json!({})).await;
    post.turn().await;
    for id in 1..=JOBS {
        post.job(id).await;
        post.change(id, &["Executing"]).await;
    }
    post.write_down().await;
    old.forget();
    let outbox = post.beside(post.rig.with(Duration::from_millis(100), LONG));
    let moved = async {
        await_requests(&old, 1).await;
        post.patch(&format!("BusinessEventEndpoints({endpoint})"), json!({ "Url": new.url() })).await;
    };
    let (swept, ()) = tokio::join!(outbox.sweep(Deadline::after(LONG)), moved);
    let seen = [old.seen().len(), new.seen().len()];
    assert_eq!((swept.delivered, seen[0] + seen[1]), (120, 120), "{seen:?}");
    assert!(seen[0] < 100, "{seen:?}");
}

#[tokio::test]
async fn an_attempt_is_written_down_also_when_its_row_was_resent_meanwhile() {
    let receiver = Receiver::start(|_| Reply::Status(200)).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    post.turn().await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    post.write_down().await;
    receiver.forget();
    let row = post.deliveries(&endpoint).await.remove(0);
    let outbox = post.beside(post.rig.with(Duration::from_millis(300), LONG));
    let again = async {
        await_requests(&receiver, 1).await;
        resend(&post, &row).await;
    };
    tokio::join!(outbox.sweep(Deadline::after(LONG)), again);
    post.wait(Duration::from_secs(10));
    post.sweep().await;
    let rows = post.deliveries(&endpoint).await;
    let codes = rows[0]["Attempts"].as_array().unwrap();
    assert_eq!((receiver.seen().len(), json!(column(codes, "StatusCode"))), (2, json!([200, 200])));
    assert_eq!((&rows[0]["Status"], &rows[0]["AttemptCount"]), (&json!("Delivered"), &json!(1)));
}

#[tokio::test]
async fn deliveries_go_a_month_after_their_end_and_history_stays() {
    let receiver = Receiver::start(|seen| Reply::Status(if seen.json()["JobId"] == 2 { 400 } else { 200 })).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    let now = Timestamp::now();
    let long_ago = now.checked_sub(Duration::from_hours(31 * 24)).unwrap();
    for (id, at) in [(1, long_ago), (2, long_ago), (3, long_ago), (4, now)] {
        *post.clock.lock().unwrap() = at;
        post.job(id).await;
        post.change(id, &["Executing"]).await;
        post.turn().await;
    }
    let rows = post.deliveries(&endpoint).await;
    resend(&post, rows.iter().find(|row| row["BatchJobRecId"] == 3).unwrap()).await;
    post.rig.expire();
    let left = post.deliveries(&endpoint).await;
    let mut left: Vec<(i64, &str)> =
        left.iter().map(|row| (row["BatchJobRecId"].as_i64().unwrap(), row["Status"].as_str().unwrap())).collect();
    left.sort_unstable();
    assert_eq!(left, [(2, "Pending"), (3, "Pending"), (4, "Delivered")]);
    assert_eq!(post.rows("BatchJobHistory").await.len(), 8);
}
