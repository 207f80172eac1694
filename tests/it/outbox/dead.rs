//! One dead endpoint costs the others nothing, and itself little.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tests::receiver::{Receiver, Reply};

use super::Post;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_does_not_delay_another() {
    let dead = Receiver::start(|_| Reply::Hang).await;
    let well = Receiver::start(|_| Reply::Status(200)).await;
    let mut post = Post::new().await;
    for _ in 0..3 {
        post.endpoint(dead.url(), json!({})).await;
    }
    post.endpoint(well.url(), json!({})).await;
    for id in 1..=10 {
        post.job(id).await;
        post.change(id, &["Executing", "Finished"]).await;
    }
    post.write_down().await;
    let begin = Instant::now();
    let swept = post.sweep().await;
    let seen = well.seen();
    assert_eq!((swept.delivered, seen.len()), (21, 21));
    let last = seen.last().unwrap().at.duration_since(begin);
    assert!(last < Duration::from_secs(5), "{last:?}");
    eprintln!("beside 3 dead endpoints, 21 events took {last:?}; all of it took {:?}", begin.elapsed());
    assert!(dead.seen().len() <= 3 * 8, "{} requests to the dead", dead.seen().len());
}

#[tokio::test]
async fn a_failing_endpoint_is_tried_with_one_row_at_a_time_until_it_recovers() {
    let up = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::start({
        let up = Arc::clone(&up);
        move |_| Reply::Status(if up.load(Ordering::Relaxed) { 200 } else { 503 })
    })
    .await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({ "Active": false })).await;
    let url = format!("BusinessEventEndpoints({endpoint})");
    post.patch(&url, json!({ "Active": true })).await;
    for id in 1..=30 {
        post.job(id).await;
        post.change(id, &["Executing"]).await;
    }
    post.write_down().await;
    post.sweep().await;
    let first = receiver.seen().len();
    assert!(first <= 8, "{first}");
    for round in 1..=5 {
        post.wait(Duration::from_mins(15));
        post.sweep().await;
        assert_eq!(receiver.seen().len(), first + round);
    }
    up.store(true, Ordering::Relaxed);
    post.wait(Duration::from_hours(3));
    let swept = post.sweep().await;
    assert_eq!((swept.delivered, swept.next_due), (31, None));
}

#[tokio::test]
async fn what_is_old_is_given_up_once_an_endpoint_has_been_dead_for_long() {
    let receiver = Receiver::start(|_| Reply::Status(503)).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    for id in 1..=20 {
        post.job(id).await;
        post.change(id, &["Executing", "Finished"]).await;
    }
    post.write_down().await;
    for _ in 0..30 {
        post.wait(Duration::from_hours(1));
        post.sweep().await;
    }
    let sent = receiver.seen().len();
    assert!(sent < 60, "{sent} attempts in 30 hours for 41 events");
    post.wait(Duration::from_hours(30));
    post.sweep().await;
    let rows = post.deliveries(&endpoint).await;
    let failed = rows.iter().filter(|row| row["Status"] == "Failed").count();
    assert!(failed >= 20, "{failed} of {}", rows.len());
}
