//! The action that sends a delivery again.

use std::time::Duration;

use serde_json::{Value, json};
use shared::store::Staging;
use tests::receiver::{Receiver, Reply};

use super::{Post, column};

const NOWHERE: &str = "https://events.example/hook";

async fn resend(post: &Post, id: &str, body: &str) -> u16 {
    let url = format!("/data/BusinessEventDeliveries('{id}')/Microsoft.Dynamics.DataEntities.Resend");
    post.rig.send("POST", &url, &[], body.to_owned()).await.status
}

fn id(row: &Value) -> String {
    row["DeliveryId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_has_arrived_is_sent_again_as_the_same_event() {
    let receiver = Receiver::start(|_| Reply::Status(204)).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing", "Error"]).await;
    post.turn().await;
    receiver.forget();
    let rows = post.deliveries(&endpoint).await;
    assert_eq!(resend(&post, &id(&rows[0]), "").await, 204);
    let due = post.deliveries(&endpoint).await;
    assert_eq!((due[0]["Status"].clone(), due[0]["DueDateTime"].is_string()), (json!("Pending"), true));
    post.wait(Duration::from_mins(10));
    let swept = post.turn().await;
    assert_eq!((swept.sent, swept.delivered), (1, 1));
    let again = post.deliveries(&endpoint).await;
    assert_eq!(column(&again, "Status"), ["Delivered", "Delivered"]);
    assert_eq!(again[0]["Attempts"].as_array().unwrap().len(), 2);
    let sent = receiver.seen();
    assert_eq!(
        (sent.len(), sent[0].header("webhook-id").to_lowercase()),
        (1, rows[0]["EventId"].as_str().unwrap().to_owned())
    );
}

/// A unit that is staged writes whole what it changes: the delivery is due all the same.
#[tokio::test]
async fn what_is_sent_again_by_a_staged_unit_is_due() {
    let receiver = Receiver::start(|_| Reply::Status(204)).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    post.turn().await;
    receiver.forget();
    let rows = post.deliveries(&endpoint).await;
    let staged = post.rig.staging(Staging { direct_items: 0, ..Staging::default() });
    let url = format!("/data/BusinessEventDeliveries('{}')/Microsoft.Dynamics.DataEntities.Resend", id(&rows[0]));
    assert_eq!(staged.send("POST", &url, &[], "").await.status, 204);
    post.wait(Duration::from_mins(10));
    let swept = post.turn().await;
    assert_eq!((swept.sent, swept.delivered, receiver.seen().len()), (1, 1, 1));
}

#[tokio::test]
async fn later_events_of_the_job_wait_for_the_one_that_is_sent_again() {
    let receiver = Receiver::start(|_| Reply::Status(204)).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing", "Error"]).await;
    post.write_down().await;
    let rows = post.deliveries(&endpoint).await;
    for row in rows.iter().rev() {
        assert_eq!(resend(&post, &id(row), "{}").await, 204, "while it is pending");
    }
    post.wait(Duration::from_mins(10));
    post.turn().await;
    let states: Vec<String> =
        receiver.seen().iter().filter_map(|seen| Some(seen.json()["JobStatus"].as_str()?.to_owned())).collect();
    assert_eq!(states, ["Executing", "Error"]);
}

#[tokio::test]
async fn what_cannot_be_sent_again_is_refused() {
    let mut post = Post::new().await;
    let endpoint = post.endpoint(NOWHERE, json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    post.write_down().await;
    let row = post.deliveries(&endpoint).await.remove(0);
    assert_eq!(resend(&post, "nothing", "").await, 404);
    assert_eq!(resend(&post, &format!("{endpoint}.x.000000000001"), "").await, 404);
    assert_eq!(resend(&post, &id(&row), r#"{"now":true}"#).await, 400);
    assert_eq!(resend(&post, &id(&row), "[").await, 400);
    let set = "/data/BusinessEventDeliveries/Microsoft.Dynamics.DataEntities.Resend";
    assert_eq!(post.rig.send("POST", set, &[], "").await.status, 501, "it is bound to one delivery");
    let one = format!("/data/BusinessEventDeliveries('{}')", id(&row));
    for method in ["PATCH", "PUT", "DELETE"] {
        assert_eq!(post.rig.send(method, &one, &[], if method == "DELETE" { "" } else { "{}" }).await.status, 405);
    }
    assert_eq!(
        post.rig.send("DELETE", &format!("/data/BusinessEventEndpoints({endpoint})"), &[], "").await.status,
        204
    );
    assert_eq!(resend(&post, &id(&row), "").await, 404, "there is nobody to send it to");
}
