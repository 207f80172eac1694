//! What waits for an endpoint that is deleted is given up, whatever happens at the same time.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use shared::store::Deadline;
use tests::strict::Strict;

use super::{LONG, Post, column};
use crate::rig::TABLE;

const NOWHERE: &str = "https://events.example/hook";
/// How long writes take where something is to happen meanwhile.
const HOLD: Duration = Duration::from_millis(200);

async fn delete(post: &Post, endpoint: &str) {
    let answer = post.rig.send("DELETE", &format!("/data/BusinessEventEndpoints({endpoint})"), &[], "").await;
    assert_eq!(answer.status, 204);
}

/// Waits until the first update of an item has arrived at a layer.
async fn await_update(strict: &Strict) {
    while !strict.calls().iter().any(|call| call.operation == "UpdateItem") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_waits_for_a_deleted_endpoint_is_given_up() {
    let mut post = Post::new().await;
    let id = post.endpoint(NOWHERE, json!({})).await;
    let kept = post.endpoint(NOWHERE, json!({})).await;
    for job in 1..=30 {
        post.job(job).await;
        post.change(job, &["Executing", "Error"]).await;
    }
    post.write_down().await;
    delete(&post, &id).await;
    post.rig.strict.forget();
    post.write_down().await;
    assert_eq!(post.rig.writes(), 1, "one note, however many rows there are");
    delete(&post, &kept).await;
    let swept = post.sweep().await;
    assert_eq!((swept.given_up, swept.sent), (61, 0));
    let rows = post.deliveries(&id).await;
    assert!(rows.iter().all(|row| row["Status"] == "Failed" && row["AttemptCount"] == 0), "{rows:?}");
    assert_eq!(rows[0]["Attempts"][0]["Error"], "the endpoint was deleted");
    assert_eq!(column(&post.deliveries(&kept).await, "Status"), ["Pending"; 60], "its record was not read yet");
}

/// The endpoint is deleted, and that worked off, between an event's look at the endpoints and its writing of rows.
#[tokio::test]
async fn no_row_is_left_for_an_endpoint_deleted_in_that_instant() {
    let mut post = Post::new().await;
    let id = post.endpoint(NOWHERE, json!({})).await;
    post.write_down().await;
    post.job(1).await;
    post.change(1, &["Executing"]).await;
    let records = post.unread();
    let slow = post.rig.with(HOLD, LONG);
    let strict = slow.strict.clone();
    let outbox = post.beside(slow);
    let meanwhile = async {
        // The numbers of events are taken after the endpoints were read.
        await_update(&strict).await;
        delete(&post, &id).await;
        post.outbox.records(&post.rig.records(post.after.as_deref()), Deadline::after(LONG)).await;
    };
    let (recorded, ()) = tokio::join!(outbox.records(&records, Deadline::after(LONG)), meanwhile);
    assert_eq!(recorded.deliveries, 1);
    post.sweep().await;
    assert_eq!(column(&post.deliveries(&id).await, "Status"), ["Failed"]);
}

#[tokio::test]
async fn a_row_that_changes_while_it_is_given_up_is_given_up_all_the_same() {
    let mut post = Post::new().await;
    let id = post.endpoint(NOWHERE, json!({})).await;
    post.write_down().await;
    delete(&post, &id).await;
    post.write_down().await;
    let slow = post.rig.with(HOLD, LONG);
    let strict = slow.strict.clone();
    let outbox = post.beside(slow);
    let meanwhile = async {
        await_update(&strict).await;
        let client = post.rig.client();
        let row = strict.calls().into_iter().find(|call| call.operation == "UpdateItem").unwrap();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let query = client.query().table_name(TABLE).key_condition_expression("pk = :p");
        let query = query.expression_attribute_values(":p", text("E|finance-operations||BusinessEventDeliveries"));
        let item = query.send().await.unwrap().items.unwrap().remove(0);
        assert!(row.items[0].contains(item["sk"].as_s().unwrap()), "{row:?}");
        let update = client.update_item().table_name(TABLE).update_expression("SET o = :o");
        let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
        update.expression_attribute_values(":o", text("somebody.0")).send().await.unwrap();
    };
    let (swept, ()) = tokio::join!(outbox.sweep(Deadline::after(LONG)), meanwhile);
    assert_eq!(swept.given_up, 1);
    assert_eq!(post.rows("BusinessEventDeliveries").await[0]["Status"], "Failed");
}
