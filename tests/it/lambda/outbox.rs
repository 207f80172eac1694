//! The outbox function: what the stream and the schedule hand to it.

use std::{io::Write, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    events::{EventKind, JobEvent, What},
    ledger::Ledger,
    policy::{Policy, SecretsOf},
    store::{self, Deadline, Store},
};
use tests::{
    environment::{CLIENT_ID, CLIENT_SECRET, Environment, SCOPE},
    host::OWN_LOOP,
    receiver::{Receiver, Reply},
};
use uuid::Uuid;

use crate::rig::services;

use super::{Running, TABLE};

const CHANGES: [&str; 2] = ["E|finance-operations||BatchJobs", "E|finance-operations||BusinessEventEndpoints"];
const DELIVERIES: &str = "E|finance-operations||BusinessEventDeliveries";

/// What the filters of the two event source mappings let through.
fn filter(record: &Value, new_deliveries: bool) -> bool {
    let partition = record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap();
    if new_deliveries {
        record["eventName"] == "INSERT" && partition.starts_with(DELIVERIES)
    } else {
        CHANGES.iter().any(|prefix| partition.starts_with(prefix))
    }
}

/// Invokes the function with the records that came since, by one mapping; how many there were.
async fn pump(running: &Running, after: &mut Option<String>, new_deliveries: bool) -> usize {
    let mut count = 0;
    loop {
        let mut records = running.database.records(TABLE, after.as_deref()).unwrap();
        let Some(last) = records.last() else { return count };
        *after = last["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
        records.retain(|record| filter(record, new_deliveries));
        count += records.len();
        if !records.is_empty() {
            let answer = running.function.invoke(json!({ "Records": records })).await.unwrap();
            assert_eq!(answer, json!({ "batchItemFailures": [] }));
        }
    }
}

#[tokio::test]
async fn the_outbox_sends_what_the_stream_tells() {
    let receiver = Receiver::start(|seen| Reply::Status(if seen.number == 1 { 503 } else { 200 })).await;
    let running = Running::start("outbox", &[("ALLOW_PRIVATE_TARGETS", "true"), ("PUBLIC_URL", "https://h")]).await;
    let (mut changes, mut deliveries) = (None, None);
    let format = json!({ "Url": receiver.url(), "BusinessEventIds": [], "Format": "CloudEventsStructured" });
    assert_eq!(running.odata("POST", "BusinessEventEndpoints", format).await, 201);
    pump(&running, &mut changes, false).await;
    assert_eq!(receiver.seen().len(), 0, "changes do not wait for endpoints");
    assert_eq!(pump(&running, &mut deliveries, true).await, 1);
    assert_eq!(receiver.seen().len(), 1, "the test event");
    assert_eq!(running.odata("PATCH", "BatchJobs(5637144578)", json!({ "Status": "Executing" })).await, 204);
    assert_eq!(pump(&running, &mut changes, false).await, 1);
    assert_eq!(pump(&running, &mut deliveries, true).await, 1);
    assert_eq!(receiver.seen()[1].json()["source"], "https://h/data");
    let swept = running.function.invoke(json!({ "source": "aws.events", "detail-type": "Scheduled Event" })).await;
    let swept = swept.unwrap();
    assert_eq!((&swept["sent"], swept["nextDue"].is_string()), (&json!(0), true), "its time has not come");
    let error = running.function.invoke(json!({ "version": "2.0", "routeKey": "$default" })).await.unwrap_err();
    assert_eq!(error["errorType"], "UnknownEvent");
    assert_eq!(running.function.invoke(json!({})).await.unwrap()["givenUp"], 0);
}

/// Without the filters, a batch has all sorts of records: what is due is left to the schedule.
#[tokio::test]
async fn records_of_changes_do_not_wait_for_endpoints() {
    let receiver = Receiver::start(|_| Reply::Status(200)).await;
    let running = Running::start("outbox", &[("ALLOW_PRIVATE_TARGETS", "true")]).await;
    let mut after = None;
    let endpoint = json!({ "Url": receiver.url(), "BusinessEventIds": [] });
    assert_eq!(running.odata("POST", "BusinessEventEndpoints", endpoint).await, 201);
    pump(&running, &mut after, false).await;
    assert_eq!(running.odata("PATCH", "BatchJobs(5637144578)", json!({ "Status": "Executing" })).await, 204);
    let records = running.database.records(TABLE, None).unwrap();
    assert!(records.iter().any(|record| filter(record, true)) && records.iter().any(|record| filter(record, false)));
    running.function.invoke(json!({ "Records": records })).await.unwrap();
    assert_eq!(receiver.seen().len(), 0);
    let swept = running.function.invoke(json!({ "source": "aws.scheduler" })).await.unwrap();
    assert_eq!((&swept["delivered"], receiver.seen().len()), (&json!(2), 2));
}

/// A decision is carried out as its record comes, once more when somebody wants it, and by the schedule when it waited.
#[tokio::test]
async fn decisions_are_carried_out_as_the_stream_tells_of_them() {
    let environment = Environment::start(false, |_| None).await;
    let policy = format!(
        "[targets.fo]\nurl = \"{}\"\nauthentication.client_credentials = {{ token_url = \"{}\", client_id = \"{CLIENT_ID}\", \
         client_secret = {{ env = \"SECRET\" }}, scope = \"{SCOPE}\" }}\n[sources.fo]\ntarget = \"fo\"\nauthentication = \"none\"\n\
         [[rules]]\nname = \"again\"\naction = \"requeue\"\n",
        environment.url(),
        environment.token_url(),
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(policy.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let running = Running::start("outbox", &[("POLICY_FILE", path), ("SECRET", CLIENT_SECRET)]).await;
    let policy = Policy::parse("policy.toml", &policy, SecretsOf::Nobody, |_| None).unwrap();
    let mut after = None;
    pump(&running, &mut after, false).await;
    environment.set(7, "Error");
    let now = Timestamp::now();
    let event = JobEvent {
        id: Uuid::from_u128(1),
        given_id: "1".into(),
        what: What::Job(EventKind::Failed),
        type_name: EventKind::Failed.business_event_id().into(),
        control_number: 1,
        time: Some(now),
        time_note: None,
        legal_entity: "usmf".into(),
        job: Some(7),
        job_description: "Import".into(),
        job_status: "Error".into(),
        error_text: String::new(),
        trace: None,
    };
    let (source, store) = (policy.source("fo").unwrap(), Store::new(store::through(running.database.clone()), TABLE));
    let verdict = policy.decide(source, &event, now);
    let until = Deadline::after(Duration::from_mins(1));
    let ledger = Ledger::find(&services()).unwrap().unwrap();
    ledger.record(&store, (source, &event), &verdict, (now, policy.keep_decisions()), until).await.unwrap();
    let records = async |after: &mut Option<String>| {
        let mut records = running.database.records(TABLE, after.as_deref()).unwrap();
        *after = records.last().map(|last| last["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned());
        records.retain(|record| record["dynamodb"]["NewImage"]["dp"].is_object());
        running.function.invoke(json!({ "Records": records })).await.unwrap();
        records.len()
    };
    assert_eq!((records(&mut after).await, environment.effects().len()), (1, 1));
    // What the outbox changed itself.
    assert_eq!((records(&mut after).await, environment.effects().len()), (1, 1));
    environment.set(7, "Error");
    let row = format!("RequeueDecisions(BatchJobRecId=7,Target='fo',EventId={})", event.id);
    assert_eq!(running.odata("POST", &format!("{row}/Microsoft.Dynamics.DataEntities.Rerun"), json!({})).await, 204);
    assert_eq!((records(&mut after).await, environment.effects().len()), (1, 2));
    let swept = running.function.invoke(json!({ "source": "aws.scheduler" })).await.unwrap();
    assert_eq!((&swept["requeued"], &swept["refused"], &swept["nextDue"]), (&json!(0), &json!(0), &Value::Null));
}

#[tokio::test]
async fn one_bad_record_holds_nothing_up() {
    let running = Running::start("outbox", &[]).await;
    let records = json!([{ "dynamodb": { "SequenceNumber": "1" } }, { "nonsense": true }]);
    let answer = running.function.invoke(json!({ "Records": records })).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
}

/// With OWN_LOOP the function writes the endpoint through which the service tells itself; a job that fails waits again.
#[tokio::test]
async fn the_function_has_the_service_tell_itself_where_it_is_told_to() {
    const ENDPOINT: &str = OWN_LOOP.split_at("/data/".len()).1;
    const JOB: &str = "BatchJobs(5637144579)";
    let mut policy = tempfile::NamedTempFile::new().unwrap();
    policy.write_all(b"[targets.own]\n[[rules]]\nname = \"again\"\naction = \"requeue\"\n").unwrap();
    let variables = [("POLICY_FILE", policy.path().to_str().unwrap()), ("OWN_LOOP", "true")];
    let running = Running::start("outbox", &variables).await;
    // The seeds have one.
    assert_eq!(running.odata("DELETE", ENDPOINT, Value::Null).await, 204);
    let schedule = json!({ "source": "aws.scheduler" });
    running.function.invoke(schedule.clone()).await.unwrap();
    assert_eq!(running.odata("GET", ENDPOINT, Value::Null).await, 200);
    assert_eq!(running.odata("PATCH", JOB, json!({ "Status": "Error" })).await, 204);
    let mut after = None;
    pump(&running, &mut after, false).await;
    let swept = running.function.invoke(schedule.clone()).await.unwrap();
    let again = running.function.invoke(schedule.clone()).await.unwrap();
    let requeued = |swept: &Value| swept["requeued"].as_u64().unwrap();
    assert_eq!(requeued(&swept) + requeued(&again), 1, "{swept} {again}");
    assert_eq!(running.odata("PATCH", JOB, json!({ "Status": "Executing" })).await, 204, "it waits");

    let without = Running::start("outbox", &[("POLICY_FILE", "nowhere.toml"), ("OWN_LOOP", "true")]).await;
    let error = without.function.invoke(schedule).await.unwrap_err();
    assert!(error["errorMessage"].as_str().unwrap().starts_with("OWN_LOOP: the service cannot tell itself"), "{error}");
}
