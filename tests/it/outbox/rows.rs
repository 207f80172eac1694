//! From the stream to rows: each change once, whatever comes twice.

use std::time::Duration;

use serde_json::{Value, json};
use shared::store::Deadline;
use tests::receiver::{Receiver, Reply};

use super::{LONG, Post, column};

const NOWHERE: &str = "https://events.example/hook";

/// The history of a job.
async fn history(post: &Post, id: i64) -> Vec<Value> {
    let mut rows = post.rows("BatchJobHistory").await;
    rows.retain(|row| row["BatchJobRecId"] == id);
    rows
}

#[tokio::test]
async fn every_change_of_a_job_has_its_row_of_history() {
    let mut post = Post::new().await;
    post.job(1).await;
    post.change(1, &["Executing", "Error"]).await;
    let action = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
    let headers = ["change-reason: once more", "repeatability-request-id: 7d0e1b9a-3f6c-4d2b-8a51-0c9e7f3b2d10"];
    let headers = [headers[0], headers[1], "repeatability-first-sent: Sun, 22 Nov 2026 03:00:00 GMT"];
    assert_eq!(post.rig.send("POST", action, &headers, r#"{"batchJobId":1}"#).await.status, 200);
    post.patch("BatchJobs(1)", json!({ "JobDescription": "Import again", "RetryLimit": 3 })).await;
    assert_eq!(post.write_down().await.history, 5);
    let rows = history(&post, 1).await;
    let changes = column(&rows, "Change");
    assert_eq!(changes, ["Created", "Changed", "Changed", "Requeued", "Changed"]);
    assert_eq!(column(&rows, "Generation"), [1, 2, 3, 4, 5]);
    assert_eq!(json!(column(&rows, "FromStatus")), json!([null, "Waiting", "Executing", "Error", "Waiting"]));
    assert_eq!(column(&rows, "ToStatus"), ["Waiting", "Executing", "Error", "Waiting", "Waiting"]);
    let properties = json!([[], ["Status"], ["Status"], ["Status", "RetryCount"], ["JobDescription", "RetryLimit"]]);
    assert_eq!(json!(column(&rows, "ChangedProperties")), properties);
    assert_eq!(rows[3]["Reason"], "once more");
    assert_eq!(rows[3]["RequestId"], "7d0e1b9a-3f6c-4d2b-8a51-0c9e7f3b2d10");
    assert!(column(&rows, "ChangedBy").iter().all(|by| by == "anonymous"));
    let events: Vec<bool> = rows.iter().map(|row| row["EventId"].is_string()).collect();
    assert_eq!(events, [false, true, true, false, false]);
}

#[tokio::test]
async fn the_state_that_a_job_is_in_makes_no_row_and_no_event() {
    let mut post = Post::new().await;
    let endpoint = post.endpoint(NOWHERE, json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing", "Error"]).await;
    assert_eq!(post.write_down().await.history, 3);
    let told = post.deliveries(&endpoint).await.len();
    post.change(1, &["Error", "Error"]).await;
    let id = ["repeatability-request-id: one"];
    assert_eq!(post.rig.send("PATCH", "/data/BatchJobs(1)", &id, r#"{"Status":"Error"}"#).await.status, 204);
    let recorded = post.write_down().await;
    assert_eq!((recorded.history, recorded.deliveries), (0, 0));
    post.patch("BatchJobs(1)", json!({ "Status": "Error", "JobDescription": "Import again" })).await;
    let recorded = post.write_down().await;
    assert_eq!((recorded.history, recorded.deliveries), (1, 0));
    let rows = history(&post, 1).await;
    assert_eq!(json!(column(&rows, "ChangedProperties")), json!([[], ["Status"], ["Status"], ["JobDescription"]]));
    assert_eq!((rows.len(), post.deliveries(&endpoint).await.len()), (4, told));
}

#[tokio::test]
async fn a_record_that_comes_again_changes_nothing() {
    let mut post = Post::new().await;
    let endpoint = post.endpoint(NOWHERE, json!({})).await;
    post.job(1).await;
    post.change(1, &["Executing", "Finished"]).await;
    let records = post.unread();
    let first = post.outbox.records(&records, Deadline::after(LONG)).await;
    assert_eq!((first.history, first.deliveries), (3, 3));
    let rows = [post.deliveries(&endpoint).await, history(&post, 1).await];
    for _ in 0..2 {
        let again = post.outbox.records(&records, Deadline::after(LONG)).await;
        assert_eq!((again.history, again.deliveries, again.failed.len()), (0, 0, 0));
    }
    assert_eq!([post.deliveries(&endpoint).await, history(&post, 1).await], rows);
    let numbers = column(&rows[0], "ControlNumber");
    assert_eq!(numbers, [1, 2]);
    let payload: Value = serde_json::from_str(rows[0][0]["Payload"].as_str().unwrap()).unwrap();
    assert_eq!((&payload["ControlNumber"], &payload["JobStatus"]), (&json!(1), &json!("Executing")));
    assert_eq!(payload["EventId"], rows[1][1]["EventId"].as_str().unwrap().to_uppercase());
    assert_eq!(post.write_down().await, shared::outbox::Recorded::default(), "its own rows are nothing to it");
}

#[tokio::test]
async fn an_endpoint_gets_what_it_asked_for() {
    let mut post = Post::new().await;
    let all = post.endpoint(NOWHERE, json!({})).await;
    let failed = post.endpoint(NOWHERE, json!({ "BusinessEventIds": ["BatchJobFailedBusinessEvent"] })).await;
    let company = post.endpoint(NOWHERE, json!({ "LegalEntity": "USMF" })).await;
    let other = post.endpoint(NOWHERE, json!({ "LegalEntity": "dat" })).await;
    let inactive = post.endpoint(NOWHERE, json!({ "Active": false })).await;
    post.job(1).await;
    post.change(1, &["Executing", "Error"]).await;
    post.write_down().await;
    let mut events = Vec::new();
    for endpoint in [all, failed, company, other, inactive] {
        events.push(json!(column(&post.deliveries(&endpoint).await, "BusinessEventId")));
    }
    let [started, failed] = ["BatchJobStartedBusinessEvent", "BatchJobFailedBusinessEvent"];
    assert_eq!(json!(events), json!([[started, failed], [failed], [started, failed], [], []]));
}

#[tokio::test]
async fn an_endpoint_is_tested_when_it_is_switched_on_or_moved() {
    let mut post = Post::new().await;
    let id = post.endpoint(NOWHERE, json!({ "Active": false })).await;
    let url = format!("BusinessEventEndpoints({id})");
    let mut tests = Vec::new();
    for change in [
        json!({ "Name": "n" }),
        json!({ "Active": true }),
        json!({ "Name": "m" }),
        json!({ "Url": "https://other.example/" }),
        json!({ "Active": false }),
        json!({ "Active": true }),
    ] {
        post.patch(&url, change).await;
        tests.push(post.write_down().await.deliveries);
    }
    assert_eq!(tests, [0, 1, 0, 1, 0, 1]);
    let rows = post.rows("BusinessEventDeliveries").await;
    assert!(rows.iter().all(|row| row["ControlNumber"] == i64::MIN && row["BatchJobRecId"].is_null()), "{rows:?}");
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|row| row["EventId"].to_string()).collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_set_aside() {
    let mut post = Post::new().await;
    let endpoint = post.endpoint(NOWHERE, json!({})).await;
    post.job(1).await;
    post.job(2).await;
    post.change(1, &["Executing"]).await;
    post.change(2, &["Executing"]).await;
    let mut records = post.unread();
    let is_bad = |record: &Value| {
        let new = &record["dynamodb"]["NewImage"]["v"]["M"];
        new["BatchJobRecId"]["N"] == "1" && new["Generation"]["N"] == "2"
    };
    let bad = records.iter_mut().find(|record| is_bad(record)).unwrap();
    bad["dynamodb"]["NewImage"]["v"]["M"]["Status"] = json!({ "S": "of a later version" });
    let sequence = bad["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
    records.insert(0, json!({ "dynamodb": { "SequenceNumber": "0", "Keys": "nonsense" } }));
    let recorded = post.outbox.records(&records, Deadline::after(LONG)).await;
    assert_eq!((recorded.set_aside, recorded.failed.len()), (2, 0));
    assert_eq!(column(&post.deliveries(&endpoint).await, "BatchJobRecId"), [2]);
    let client = post.rig.client();
    let item = client.get_item().table_name(crate::rig::TABLE);
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let item = item.key("pk", text("B|aside")).key("sk", text(&sequence)).send().await.unwrap().item.unwrap();
    assert!(item["b"].as_s().unwrap().contains("Status") && item.contains_key("e"), "{item:?}");
}

#[tokio::test]
async fn what_a_job_is_called_holds_nothing_up_however_long_it_is() {
    let receiver = Receiver::start(|_| Reply::Status(200)).await;
    let mut post = Post::new().await;
    let endpoint = post.endpoint(receiver.url(), json!({})).await;
    // Six bytes each in JSON; and as long as an item can be.
    for (id, description) in [(1, "\u{1}".repeat(70_000)), (2, "x".repeat(408_000))] {
        let body = json!({ "BatchJobRecId": id, "JobDescription": description, "Status": "Waiting" });
        assert_eq!(post.rig.send("POST", "/data/BatchJobs", &[], body.to_string()).await.status, 201);
    }
    post.job(3).await;
    for id in [1, 2, 3] {
        post.change(id, &["Executing"]).await;
    }
    assert_eq!(post.write_down().await.set_aside, 0);
    for id in [1, 2, 3] {
        assert_eq!(column(&history(&post, id).await, "Generation"), [1, 2], "{id}");
    }
    assert_eq!(post.sweep().await.delivered, 3 + 1);
    let rows = post.deliveries(&endpoint).await;
    assert_eq!(column(&rows, "Status"), ["Delivered"; 3]);
    let payload = |row: &Value| serde_json::from_str::<Value>(row["Payload"].as_str().unwrap()).unwrap();
    let long = rows.iter().map(payload).find(|payload| payload["JobId"] == 1).unwrap();
    assert_eq!(long["JobDescription"], "\u{1}".repeat(1_000));
}

#[tokio::test]
async fn records_that_there_is_no_time_for_come_again() {
    let mut post = Post::new().await;
    post.job(1).await;
    post.job(2).await;
    let records = post.unread();
    let recorded = post.outbox.records(&records, Deadline::after(Duration::ZERO)).await;
    assert_eq!((recorded.failed.len(), recorded.history), (2, 0));
    assert_eq!(post.outbox.records(&records, Deadline::after(LONG)).await.history, 2);
}
