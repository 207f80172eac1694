//! The outbox over an embedded table and its stream: rows, deliveries, accidents.

mod changed;
mod dead;
mod faults;
mod gone;
mod poison;
mod resend;
mod rows;
mod sending;
mod soak;
mod table;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    outbox::{Outbox, Recorded, Swept},
    store::Deadline,
};

use crate::rig::Rig;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);
/// A secret of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A table with an outbox that is called by hand, and a clock that is moved by hand.
struct Post {
    rig: Rig,
    outbox: Outbox,
    clock: Arc<Mutex<Timestamp>>,
    after: Option<String>,
}

impl Post {
    async fn new() -> Self {
        Self::over(Rig::seeded().await)
    }

    fn over(rig: Rig) -> Self {
        let clock = Arc::new(Mutex::new(Timestamp::now()));
        let outbox = rig.outbox(Arc::new({
            let clock = Arc::clone(&clock);
            move || *clock.lock().unwrap()
        }));
        let mut post = Self { rig, outbox, clock, after: None };
        // What the seeds left in the stream is of no interest.
        post.unread();
        post
    }

    /// The same table and time through another layer.
    fn beside(&self, rig: Rig) -> Outbox {
        let clock = Arc::clone(&self.clock);
        rig.outbox(Arc::new(move || *clock.lock().unwrap()))
    }

    fn wait(&self, time: Duration) {
        let mut clock = self.clock.lock().unwrap();
        *clock = clock.checked_add(time).unwrap();
    }

    /// The records since the last time.
    fn unread(&mut self) -> Vec<Value> {
        let records = self.rig.records(self.after.as_deref());
        if let Some(last) = records.last() {
            self.after = last["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
        }
        records
    }

    /// Works off all records there are.
    async fn write_down(&mut self) -> Recorded {
        let mut total = Recorded::default();
        loop {
            let records = self.unread();
            if records.is_empty() {
                return total;
            }
            let recorded = self.outbox.records(&records, Deadline::after(LONG)).await;
            assert_eq!(recorded.failed, Vec::<String>::new());
            total.history += recorded.history;
            total.deliveries += recorded.deliveries;
            total.set_aside += recorded.set_aside;
        }
    }

    async fn sweep(&self) -> Swept {
        self.outbox.sweep(Deadline::after(LONG)).await
    }

    /// Works off the records and sends what is due.
    async fn turn(&mut self) -> Swept {
        self.write_down().await;
        self.sweep().await
    }

    /// Makes an endpoint; its id.
    async fn endpoint(&self, url: &str, more: Value) -> String {
        let mut body = json!({ "Name": "test", "Url": url, "BusinessEventIds": [] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.rig.send("POST", "/data/BusinessEventEndpoints", &[], body.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["EndpointId"].as_str().unwrap().to_owned()
    }

    /// Makes a job that waits.
    async fn job(&self, id: i64) {
        let body =
            json!({ "BatchJobRecId": id, "JobDescription": "Import", "Status": "Waiting", "CompanyAccounts": "usmf" });
        assert_eq!(self.rig.send("POST", "/data/BatchJobs", &[], body.to_string()).await.status, 201);
    }

    /// Leads a job through states.
    async fn change(&self, id: i64, states: &[&str]) {
        for state in states {
            self.patch(&format!("BatchJobs({id})"), json!({ "Status": state })).await;
        }
    }

    async fn patch(&self, url: &str, body: Value) {
        let answer = self.rig.send("PATCH", &format!("/data/{url}"), &[], body.to_string()).await;
        assert!(answer.status < 300, "{}", answer.text());
    }

    /// The entities of a set.
    async fn rows(&self, set: &str) -> Vec<Value> {
        let json = self.rig.get(&format!("/data/{set}")).await.json();
        json["value"].as_array().unwrap().clone()
    }

    /// The deliveries to an endpoint but for its test events, in the order of their keys.
    async fn deliveries(&self, endpoint: &str) -> Vec<Value> {
        let mut rows = self.rows("BusinessEventDeliveries").await;
        rows.retain(|row| row["EndpointId"] == endpoint && row["BatchJobRecId"] != Value::Null);
        rows
    }
}

/// The values of a property.
fn column(rows: &[Value], name: &str) -> Vec<Value> {
    rows.iter().map(|row| row[name].clone()).collect()
}
