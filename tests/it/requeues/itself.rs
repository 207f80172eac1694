//! The service tells its own policy of its jobs: no request, no token, no address between.

use std::time::Duration;

use serde_json::{Value, json};
use shared::{outbox::LoopError, store::Deadline};
use tests::{
    host::OWN_LOOP,
    strict::{Fault, Plan, WRITE_FAULTS},
};

use super::{LONG, Loop, RULE};
use crate::{
    rig::{Rig, services},
    soak::rounds,
};

const OWN: &str = "[targets.own]\n";
/// A seeded job that runs.
const JOB: i64 = 5_637_144_579;

/// A seeded table with a policy, and the stream that is read step by step.
struct Told {
    it: Loop,
    after: Option<String>,
}

impl Told {
    async fn new(policy: &str) -> Self {
        // Boxed: each test would hold the state of the whole rig otherwise.
        Box::pin(Self::over(Box::pin(Rig::seeded()).await, policy)).await
    }

    async fn over(rig: Rig, policy: &str) -> Self {
        let mut told = Self { it: Loop::over(rig, policy), after: None };
        told.write_down().await;
        told.it.sweep().await;
        told
    }

    /// Has the outbox write down what the stream tells; how many deliveries came of it.
    async fn write_down(&mut self) -> usize {
        let records = self.it.rig.records(self.after.as_deref());
        if let Some(last) = records.last() {
            self.after = last["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
        }
        let recorded = self.it.outbox.records(&records, Deadline::after(LONG)).await;
        assert_eq!((recorded.failed, recorded.set_aside), (Vec::new(), 0));
        recorded.deliveries
    }

    async fn set(&self, status: &str) {
        self.set_of(JOB, status).await;
    }

    async fn set_of(&self, job: i64, status: &str) {
        let body = json!({ "Status": status }).to_string();
        let answer = self.it.rig.send("PATCH", &format!("/data/BatchJobs({job})"), &[], body).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        // Events have the time of the table, which goes on.
        let mut clock = self.it.clock.lock().unwrap();
        *clock = (*clock).max(jiff::Timestamp::now());
    }

    /// The job fails once more, after it was requeued by hand or by a rule.
    async fn fail_again(&self) {
        if self.job().await["Status"] == "Error" {
            self.set("Waiting").await;
        }
        for status in ["Executing", "Error"] {
            self.set(status).await;
        }
    }

    /// Writes down and sends what is due; how many jobs were requeued.
    async fn follow(&mut self) -> usize {
        self.write_down().await;
        // A decision is worked off by the turn after the one that it came of.
        self.it.sweep().await.requeued + self.it.finish().await.requeued
    }

    async fn job(&self) -> Value {
        self.it.rig.get(&format!("/data/BatchJobs({JOB})")).await.json()
    }

    async fn decisions(&self) -> Vec<Value> {
        self.it.rows(&format!("RequeueDecisions?$filter=BatchJobRecId eq {JOB}")).await
    }

    /// The deliveries about the job.
    async fn deliveries(&self) -> Vec<Value> {
        self.it.rows(&format!("BusinessEventDeliveries?$filter=BatchJobRecId eq {JOB}")).await
    }
}

#[tokio::test]
async fn a_job_that_fails_waits_again_and_its_end_resets_what_was_counted() {
    let mut told = Told::new(
        &(OWN.to_owned() + "[[rules]]\nname = \"once\"\nsource = \"self\"\naction = \"requeue\"\nmax_retries = 1\n"),
    )
    .await;
    assert_eq!(
        told.it.rows("RequeueDecisions").await.len(),
        1,
        "the endpoint was tested, and no seeded job is an event"
    );
    told.set("Error").await;
    assert_eq!((told.follow().await, told.job().await["Status"].clone()), (1, json!("Waiting")));
    let decision = told.it.decision(JOB).await;
    let shown = ["Source", "Target", "Decision", "Status", "Rule", "JobDescription"].map(|name| decision[name].clone());
    assert_eq!(json!(shown), json!(["self", "own", "Requeue", "Requeued", "once", "Master planning"]));
    let delivery = &told.deliveries().await[0];
    assert_eq!((&delivery["Status"], &delivery["Attempts"][0]["StatusCode"]), (&json!("Delivered"), &json!(200)));
    assert_eq!(delivery["EventId"], decision["EventId"]);
    let trace = |row: &Value| row["Trace"].as_str().unwrap()[3..35].to_owned();
    assert_eq!(trace(delivery), trace(&decision), "one trace leads from the failure to the requeue");

    // The limit is met, and told by the outbox, which found it.
    told.fail_again().await;
    told.write_down().await;
    assert_eq!(told.it.sweep().await.exhausted, 1);
    // Another failure, after the job has ended well once.
    for status in ["Waiting", "Executing", "Finished", "Waiting", "Executing", "Error"] {
        told.set(status).await;
    }
    assert_eq!(told.follow().await, 1);
    let decided: Vec<Value> = told.decisions().await.iter().map(|row| row["Decision"].clone()).collect();
    for (decision, count) in [("Requeue", 2), ("Exhausted", 1), ("Reset", 1)] {
        assert_eq!(decided.iter().filter(|found| **found == decision).count(), count, "{decision}: {decided:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_switched_off_or_gone_tells_nothing() {
    let mut told = Told::new(&(OWN.to_owned() + RULE)).await;
    assert_eq!(told.it.rig.send("PATCH", OWN_LOOP, &[], r#"{"Active":false}"#).await.status, 204);
    told.set("Error").await;
    assert_eq!((told.write_down().await, told.it.sweep().await.sent), (0, 0));
    assert_eq!(told.it.rig.send("PATCH", OWN_LOOP, &[], r#"{"Active":true}"#).await.status, 204);
    assert_eq!(told.write_down().await, 1, "the event that tests it");
    assert_eq!(told.it.rig.send("DELETE", OWN_LOOP, &[], "").await.status, 204);
    told.fail_again().await;
    assert_eq!((told.follow().await, told.job().await["Status"].clone()), (0, json!("Error")));
    assert_eq!(told.decisions().await, Vec::<Value>::new());
}

/// Where nobody takes the events in, nothing is written that could not be sent; what was written before waits.
#[tokio::test]
async fn without_a_target_that_is_the_service_it_is_not_told() {
    let mut told = Told::new("[targets.fo]\nurl = \"https://contoso.operations.dynamics.com/data\"\n").await;
    told.set("Error").await;
    assert_eq!((told.write_down().await, told.it.sweep().await.sent), (0, 0));
    assert_eq!(told.it.rows("BusinessEventDeliveries").await, Vec::<Value>::new());
    let mut told = Box::pin(Told::over(told.it.rig.clone(), &(OWN.to_owned() + RULE))).await;
    told.fail_again().await;
    // A sweep of a host without that policy leaves what is due to others.
    told.write_down().await;
    let other = Loop::over(told.it.rig.clone(), "");
    assert_eq!((other.sweep().await.sent, told.follow().await), (0, 1));
}

/// An event that the table does not take is an attempt that failed: the row has it, and the next one is due later.
#[tokio::test]
async fn an_event_that_the_table_does_not_take_comes_again_and_counts_once() {
    let mut told = Told::new(&(OWN.to_owned() + RULE)).await;
    told.set("Error").await;
    told.write_down().await;
    let rig = told.it.rig.again();
    // A decision and a claim are one transaction; the rows of deliveries change one by one.
    rig.strict.set_plan(Plan::from_fn(|call| (call.operation == "TransactWriteItems").then_some(Fault::FailBefore)));
    let swept = tokio::time::timeout(LONG, told.it.beside(&rig).sweep(Deadline::after(LONG))).await.unwrap();
    assert_eq!((swept.sent, swept.delivered), (1, 0));
    let delivery = &told.deliveries().await[0];
    let attempt = &delivery["Attempts"][0];
    assert_eq!((&delivery["Status"], &attempt["StatusCode"]), (&json!("Pending"), &Value::Null));
    assert!(attempt["Error"].as_str().unwrap().starts_with("not written down"), "{attempt}");
    // The gate of the endpoint opens.
    told.it.wait(Duration::from_mins(2));
    assert_eq!(told.follow().await, 1);
    assert_eq!((told.decisions().await.len(), told.job().await["RetryCount"].clone()), (1, json!(1)));
    assert_eq!(told.deliveries().await[0]["Status"], "Delivered");
    // Sent again by hand, it is known.
    let id = told.deliveries().await[0]["DeliveryId"].as_str().unwrap().to_owned();
    let resend = format!("/data/BusinessEventDeliveries('{id}')/Microsoft.Dynamics.DataEntities.Resend");
    assert_eq!(told.it.rig.send("POST", &resend, &[], "").await.status, 204);
    told.it.wait(Duration::from_secs(1));
    assert_eq!(told.it.sweep().await.delivered, 1);
    assert_eq!((told.decisions().await.len(), told.job().await["RetryCount"].clone()), (1, json!(1)));
}

/// A new job fails; an outbox tells itself that suffers, another one goes on. How many calls the first one made.
async fn suffer(told: &mut Told, job: i64, plan: Plan, what: &str) -> usize {
    let new = json!({ "BatchJobRecId": job, "JobDescription": "Import", "Status": "Executing" }).to_string();
    assert_eq!(told.it.rig.send("POST", "/data/BatchJobs", &[], new).await.status, 201);
    told.set_of(job, "Error").await;
    told.write_down().await;
    let rig = told.it.rig.again();
    rig.strict.set_plan(plan);
    for _ in 0..2 {
        told.it.beside(&rig).sweep(Deadline::after(LONG)).await;
    }
    // Leases run out, the gate opens.
    told.it.wait(Duration::from_mins(2));
    told.follow().await;
    let found = told.it.rig.get(&format!("/data/BatchJobs({job})")).await.json();
    assert_eq!(json!([found["Status"], found["RetryCount"]]), json!(["Waiting", 1]), "{what}");
    assert_eq!(told.it.decision(job).await["Status"], "Requeued", "{what}");
    rig.strict.calls().len()
}

#[tokio::test]
async fn soak_a_failure_is_answered_once_whatever_call_fails() {
    let mut told = Told::new(&(OWN.to_owned() + RULE)).await;
    let calls = suffer(&mut told, 1, Plan::from_fn(|_| None), "no accident").await;
    let mut jobs = 2..;
    for at in 0..calls {
        for (number, fault) in WRITE_FAULTS.into_iter().enumerate() {
            if (at + number).is_multiple_of(rounds(16, 1)) {
                let plan = Plan::from_fn(move |call| (call.number == at).then_some(fault));
                suffer(&mut told, jobs.next().unwrap(), plan, &format!("{fault:?} at call {at} of {calls}")).await;
            }
        }
    }
    assert!(jobs.start > 5, "one accident each at {calls} calls");
}

/// Of several instances that start at once one writes the endpoint, and once it was deleted none does.
#[tokio::test]
async fn the_endpoint_is_written_once_for_a_table() {
    let rig = Rig::seeded().await;
    let it = Loop::over(rig, &(OWN.to_owned() + RULE));
    let seeded = it.rig.get(OWN_LOOP).await.json();
    it.outbox.wire_itself().await.unwrap();
    assert_eq!(it.rig.get(OWN_LOOP).await.json(), seeded, "one that a seed has written stays as it is");
    assert_eq!(it.rig.send("DELETE", OWN_LOOP, &[], "").await.status, 204);
    it.outbox.wire_itself().await.unwrap();
    assert_eq!(it.rig.get(OWN_LOOP).await.status, 404, "it was there");

    let it = Loop::over(Rig::seeded().await, &(OWN.to_owned() + RULE));
    assert_eq!(it.rig.send("DELETE", OWN_LOOP, &[], "").await.status, 204);
    let instances = (0..4).map(|_| async { it.beside(&it.rig.again()).wire_itself().await });
    futures_util::future::join_all(instances).await.into_iter().for_each(|wired| wired.unwrap());
    let written = it.rig.get(OWN_LOOP).await.json();
    for name in ["Name", "Url", "BusinessEventIds", "LegalEntity", "Format", "SendObjectInEventGridData", "Active"] {
        assert_eq!(written[name], seeded[name], "{name}");
    }
    assert_eq!(it.rig.send("PATCH", OWN_LOOP, &[], r#"{"Active":false}"#).await.status, 204);
    it.outbox.wire_itself().await.unwrap();
    assert_eq!(it.rig.get(OWN_LOOP).await.json()["Active"], false);
    assert_eq!(it.rig.send("DELETE", OWN_LOOP, &[], "").await.status, 204);
    it.outbox.wire_itself().await.unwrap();
    assert_eq!(it.rig.get(OWN_LOOP).await.status, 404);

    let without = Loop::over(it.rig.clone(), "").outbox;
    assert!(matches!(without.wire_itself().await, Err(LoopError::Nowhere)));
    let bare = it.rig.outbox(std::sync::Arc::new(jiff::Timestamp::now));
    assert!(matches!(bare.wire_itself().await, Err(LoopError::Nowhere)), "{} services", services().iter().count());
}
