//! The webhook over the embedded table, called without a socket.

mod authentication;
mod formats;
mod handshakes;
mod recording;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use shared::{
    batch::Headers,
    exchange::Incoming,
    ledger::Ledger,
    policy::{Policy, SecretsOf},
    uri::Encoding,
    webhook::Webhook,
};

use crate::rig::{Answer, Rig, services};

pub(crate) const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const NEW: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl0123456789ab";
const SHARED: &str = "0123456789abcdef0123456789abcd+/=";

const POLICY: &str = r#"
[targets.own]
[sources.auto]
target = "own"
authentication = "none"
[sources.flat]
target = "own"
format = "finance-operations"
authentication = "none"
[sources.cloud]
target = "own"
format = "cloud-events"
authentication = "none"
allowed_origins = ["events.example.com"]
allowed_rate = 120
[sources.grid]
target = "own"
format = "event-grid"
authentication = "none"
[sources.signed]
target = "own"
authentication = { signature = [{ env = "OLD" }, { env = "NEW" }] }
[sources.keyed]
target = "own"
authentication = { shared = { env = "SHARED" }, header = "X-Key", code = true }
[[rules]]
name = "all"
action = "requeue"
max_retries = 3
"#;

/// A webhook, and the table below it.
pub(crate) struct Hook {
    pub(crate) rig: Rig,
    pub(crate) webhook: Webhook,
}

impl Hook {
    /// The sources above.
    async fn new() -> Self {
        Self::with(POLICY).await
    }

    async fn with(policy: &str) -> Self {
        let rig = Rig::seeded().await;
        let var = |name: &str| match name {
            "OLD" => Some(OLD.to_owned()),
            "NEW" => Some(NEW.to_owned()),
            "SHARED" => Some(SHARED.to_owned()),
            _ => None,
        };
        let policy = Policy::parse("policy.toml", policy, SecretsOf::Sources, var).unwrap();
        let ledger = Ledger::find(&services()).unwrap().unwrap();
        let webhook = Webhook::new(Arc::new(policy), ledger, rig.store_of("event-webhook"));
        Self { rig, webhook: webhook.with_time_budget(Duration::from_secs(20)) }
    }

    async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.try_append(name, value).unwrap();
        }
        let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query.to_owned())));
        let incoming = Incoming {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: path.to_owned(),
            path_encoding: Encoding::Percent,
            query,
            headers: all,
            body: body.into(),
            scheme: "https",
            id: String::new(),
            time_left: None,
        };
        let answer = self.webhook.handle(incoming).await;
        Answer { status: answer.status.as_u16(), headers: answer.headers, body: answer.body }
    }

    /// POST of JSON.
    async fn post(&self, source: &str, body: impl ToString) -> Answer {
        self.send("POST", &format!("/events/{source}"), &[JSON], body.to_string()).await
    }

    /// The decisions in the table.
    async fn rows(&self) -> Vec<Value> {
        let answer = self.rig.again().get("/data/RequeueDecisions").await;
        answer.json()["value"].as_array().unwrap().clone()
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Members of the answers' events.
fn told(answer: &Answer, member: &str) -> Vec<Value> {
    let json = answer.json();
    json["events"].as_array().unwrap_or(&Vec::new()).iter().map(|event| event[member].clone()).collect()
}

/// A failure of a job, as Finance & Operations tells of it.
fn failure(number: u32, job: i64) -> Value {
    json!({
        "BusinessEventId": "BatchJobFailedBusinessEvent", "BusinessEventLegalEntity": "usmf",
        "ControlNumber": 5_637_611_000_i64 + i64::from(number),
        "EventId": format!("A5631837-C1C8-5342-839A-C578{number:08X}"),
        "EventTimeIso8601": jiff::Timestamp::now().to_string(), "JobId": job, "JobDescription": "Import",
        "JobStatus": "Error", "ParentContextRecordSubjects": [],
    })
}
