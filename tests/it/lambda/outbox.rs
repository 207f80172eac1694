//! The outbox function: what the stream and the schedule hand to it.

use serde_json::{Value, json};
use tests::receiver::{Receiver, Reply};

use super::{Running, TABLE};

/// Invokes the function with the records that came since; what it returns.
async fn pump(running: &Running, after: &mut Option<String>) -> Vec<Value> {
    let mut answers = Vec::new();
    loop {
        let records = running.database.records(TABLE, after.as_deref()).unwrap();
        let Some(last) = records.last() else { return answers };
        *after = last["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
        answers.push(running.function.invoke(json!({ "Records": records })).await.unwrap());
    }
}

#[tokio::test]
async fn the_outbox_sends_what_the_stream_tells() {
    let receiver = Receiver::start(|seen| Reply::Status(if seen.number == 1 { 503 } else { 200 })).await;
    let running = Running::start("outbox", &[("ALLOW_PRIVATE_TARGETS", "true"), ("PUBLIC_URL", "https://h")]).await;
    let mut after = None;
    let format = json!({ "Url": receiver.url(), "BusinessEventIds": [], "Format": "CloudEventsStructured" });
    assert_eq!(running.odata("POST", "BusinessEventEndpoints", format).await, 201);
    assert_eq!(pump(&running, &mut after).await.last().unwrap(), &json!({ "batchItemFailures": [] }));
    assert_eq!(receiver.seen().len(), 1, "the test event");
    assert_eq!(running.odata("PATCH", "BatchJobs(5637144578)", json!({ "Status": "Executing" })).await, 204);
    pump(&running, &mut after).await;
    assert_eq!(receiver.seen()[1].json()["source"], "https://h/data");
    let swept = running.function.invoke(json!({ "source": "aws.events", "detail-type": "Scheduled Event" })).await;
    let swept = swept.unwrap();
    assert_eq!((&swept["sent"], swept["nextDue"].is_string()), (&json!(0), true), "its time has not come");
    let error = running.function.invoke(json!({ "version": "2.0", "routeKey": "$default" })).await.unwrap_err();
    assert_eq!(error["errorType"], "UnknownEvent");
    assert_eq!(running.function.invoke(json!({})).await.unwrap()["givenUp"], 0);
}

#[tokio::test]
async fn one_bad_record_holds_nothing_up() {
    let running = Running::start("outbox", &[]).await;
    let records = json!([{ "dynamodb": { "SequenceNumber": "1" } }, { "nonsense": true }]);
    let answer = running.function.invoke(json!({ "Records": records })).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
}
