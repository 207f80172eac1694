//! From a decision to a job that waits again: the outbox over an embedded table, and a fake environment.

mod calls;
mod faults;
mod itself;
mod lost;
mod own;
mod queue;
mod times;
mod turns;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use shared::{
    events::{EventKind, JobEvent, What},
    ledger::{Ledger, Recorded},
    outbox::{Clock, Courier, Outbox, Swept},
    policy::{Policy, SecretsOf},
    store::Deadline,
};
use tests::environment::{CLIENT_ID, CLIENT_SECRET, Call, Environment, SCOPE, Trouble};
use uuid::Uuid;

use crate::rig::{Rig, services};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

/// A table, a policy, and an outbox with a clock that is moved by hand.
struct Loop {
    rig: Rig,
    ledger: Ledger,
    policy: Arc<Policy>,
    outbox: Outbox,
    clock: Arc<Mutex<Timestamp>>,
}

/// What a policy says of a fake environment; rules follow.
fn environment_policy(environment: &Environment, more: &str) -> String {
    format!(
        "[targets.fo]\nurl = \"{}\"\n{more}\n[targets.fo.authentication.client_credentials]\ntoken_url = \"{}\"\n\
         client_id = \"{CLIENT_ID}\"\nclient_secret = {{ env = \"SECRET\" }}\nscope = \"{SCOPE}\"\n\
         [sources.fo]\ntarget = \"fo\"\nauthentication = \"none\"\n",
        environment.url(),
        environment.token_url()
    )
}

/// A rule that requeues whatever failed.
const RULE: &str = "[[rules]]\nname = \"again\"\naction = \"requeue\"\n";

impl Loop {
    async fn new(policy: &str) -> Self {
        Self::over(Rig::seeded().await, policy)
    }

    fn over(rig: Rig, policy: &str) -> Self {
        let ledger = Ledger::find(&services()).unwrap().unwrap();
        let secret = |name: &str| (name == "SECRET").then(|| CLIENT_SECRET.to_owned());
        let policy = Arc::new(Policy::parse("policy.toml", policy, SecretsOf::Targets, secret).unwrap());
        let clock = Arc::new(Mutex::new(Timestamp::now()));
        let outbox = outbox(&rig, &clock, (&ledger, &policy));
        Self { rig, ledger, policy, outbox, clock }
    }

    /// One with a fake environment that keeps no ids of requests, as the real one.
    async fn with(plan: impl Fn(&Call) -> Option<Trouble> + Send + Sync + 'static) -> (Self, Environment) {
        let environment = Environment::start(false, plan).await;
        (Self::new(&(environment_policy(&environment, "") + RULE)).await, environment)
    }

    /// The same for one that keeps them.
    async fn with_ids(plan: impl Fn(&Call) -> Option<Trouble> + Send + Sync + 'static) -> (Self, Environment) {
        let environment = Environment::start(true, plan).await;
        (Self::new(&(environment_policy(&environment, "repeatability = true") + RULE)).await, environment)
    }

    /// The same table and time through another layer.
    fn beside(&self, rig: &Rig) -> Outbox {
        outbox(rig, &self.clock, (&self.ledger, &self.policy))
    }

    fn now(&self) -> Timestamp {
        *self.clock.lock().unwrap()
    }

    fn wait(&self, time: Duration) {
        let mut clock = self.clock.lock().unwrap();
        *clock = clock.checked_add(time).unwrap();
    }

    /// Takes in that a job failed, later than anything before.
    async fn fail(&self, job: i64, number: i64) -> Recorded {
        self.wait(Duration::from_millis(1));
        self.take(&failed(job, number, self.now())).await
    }

    /// Takes an event in.
    async fn take(&self, event: &JobEvent) -> Recorded {
        let source = self.policy.sources().next().unwrap();
        let verdict = self.policy.decide(source, event, self.now());
        let kept = (self.now(), self.policy.keep_decisions());
        self.ledger.record(self.rig.store(), (source, event), &verdict, kept, Deadline::after(LONG)).await.unwrap()
    }

    async fn sweep(&self) -> Swept {
        self.outbox.sweep(Deadline::after(LONG)).await
    }

    /// Lets time pass until nothing waits any more; what all sweeps came to.
    async fn finish(&self) -> Swept {
        let mut total = Swept::default();
        for _ in 0..100 {
            let swept = self.sweep().await;
            total.sent += swept.sent;
            total.requeued += swept.requeued;
            total.refused += swept.refused;
            total.given_up += swept.given_up;
            let Some(next) = swept.next_due else { return total };
            let mut clock = self.clock.lock().unwrap();
            *clock = next.max(clock.checked_add(Duration::from_millis(1)).unwrap());
        }
        panic!("it does not come to an end");
    }

    async fn rows(&self, set: &str) -> Vec<Value> {
        let json = self.rig.again().get(&format!("/data/{set}")).await.json();
        json["value"].as_array().unwrap().clone()
    }

    /// The only decision about a job.
    async fn decision(&self, job: i64) -> Value {
        let rows = self.rows(&format!("RequeueDecisions?$filter=BatchJobRecId eq {job}")).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0].clone()
    }

    /// What came of the attempts at a job, in their order.
    async fn outcomes(&self, job: i64) -> Vec<String> {
        let rows = self.rows(&format!("RequeueAttempts?$filter=BatchJobRecId eq {job}")).await;
        rows.iter().map(|row| row["Outcome"].as_str().unwrap().to_owned()).collect()
    }
}

fn outbox(rig: &Rig, clock: &Arc<Mutex<Timestamp>>, (ledger, policy): (&Ledger, &Arc<Policy>)) -> Outbox {
    let clock = Arc::clone(clock);
    let clock: Clock = Arc::new(move || *clock.lock().unwrap());
    let courier = Courier::new(true).unwrap();
    rig.outbox(clock).with_requeues(ledger.clone(), Arc::clone(policy), &rig.own(), courier).unwrap()
}

fn failed(job: i64, number: i64, time: Timestamp) -> JobEvent {
    let given_id = format!("{job}-{number}");
    JobEvent {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, given_id.as_bytes()),
        given_id,
        what: What::Job(EventKind::Failed),
        type_name: EventKind::Failed.business_event_id().into(),
        control_number: number,
        time: Some(time),
        time_note: None,
        legal_entity: "usmf".into(),
        job: Some(job),
        job_description: "Import".into(),
        job_status: "Error".into(),
        error_text: String::new(),
        trace: None,
    }
}
