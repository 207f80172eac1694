//! From an event to the outbox.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    Engine, Serves, Settings,
    function::time_left,
    ledger::Ledger,
    outbox::{Courier, Outbox, Swept},
    policy::Policy,
    service::Services,
    store::{self, Deadline, Store},
};

use crate::config::Config;

/// Left of the function's time for its answer.
const MARGIN: Duration = Duration::from_secs(5);
/// For sending in an invocation by the stream. Attempts are begun as long as they can end in it: deliveries in the first 25
/// seconds, calls to a target with a `timeout` of ten seconds that keeps no ids and wants a token in the first four. What is
/// not sent then is left to the schedule, as is a target with a longer `timeout`. The shard is not held up for longer.
const SWEEP: Duration = Duration::from_secs(40);

/// The outbox, for as long as the function lives.
#[derive(Debug)]
pub(crate) struct Handler {
    outbox: Outbox,
}

/// An event that the function is not for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventError {
    /// No JSON object.
    #[error("the event cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// From somewhere else.
    #[error("the event is neither a batch of stream records nor a schedule's")]
    Unknown,
}

/// The parts of an event that tell what it is.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Option<Vec<Value>>,
    source: Option<String>,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

/// What the function returns.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// To the event source mapping: which records have to come again.
    #[serde(rename_all = "camelCase")]
    Records { batch_item_failures: Vec<Failure> },
    /// To whoever looks: what was sent.
    #[serde(rename_all = "camelCase")]
    Swept { sent: usize, delivered: usize, requeued: usize, refused: usize, given_up: usize, next_due: Option<String> },
}

/// A record that has to come again, and all after it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    item_identifier: String,
}

impl EventError {
    /// Its name in the report to Lambda.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "MalformedEvent",
            Self::Unknown => "UnknownEvent",
        }
    }
}

impl Handler {
    pub(crate) async fn new(config: Config) -> Result<Self, Error> {
        let services = Arc::new(Services::load_with_jobs(&config.services)?);
        let store = Store::new(store::from_environment(None).await, config.table);
        let courier = Courier::new(config.allow_private_targets)?;
        let mut outbox = Outbox::new(&services, store.clone(), courier, config.public_url.as_deref())?;
        if let (Some(ledger), true) = (Ledger::find(&services)?, config.policy.try_exists()?) {
            let policy = Arc::new(Policy::load(&config.policy)?);
            let settings = Settings { serves: Serves::Requeues, ..Settings::default() };
            let own = Engine::new(Arc::clone(&services), store.clone(), settings);
            // Targets are in a file of whoever runs this, not of a caller: they may be in the own network.
            outbox = outbox.with_requeues(ledger, policy, &own, Courier::new(true)?)?;
        }
        Ok(Self { outbox })
    }

    /// Handles one event; `deadline` is when the function is stopped, in milliseconds since 1970.
    pub(crate) async fn handle(&self, payload: &str, deadline: u64) -> Result<Answer, EventError> {
        let event: Event = serde_json::from_str(payload)?;
        let left = time_left(deadline, Timestamp::now()).saturating_sub(MARGIN);
        let until = Deadline::after(left);
        if let Some(records) = event.records {
            let recorded = self.outbox.records(&records, until).await;
            tracing::info!(?recorded, records = records.len(), "written down");
            // Behind records of anything else, changes wait for their rows: nothing is sent meanwhile.
            let own = records.iter().all(|record| self.outbox.is_outgoing(record));
            if own && records.iter().any(|record| self.outbox.is_due(record)) {
                let swept = self.outbox.sweep(Deadline::after(left.min(SWEEP))).await;
                tracing::info!(?swept, "sent");
            }
            let failures = recorded.failed.into_iter().map(|item_identifier| Failure { item_identifier });
            return Ok(Answer::Records { batch_item_failures: failures.collect() });
        }
        match event.source.as_deref() {
            Some("aws.events" | "aws.scheduler") => {}
            None if event.others.is_empty() => {}
            Some(_) | None => return Err(EventError::Unknown),
        }
        for target in self.outbox.too_slow_for(left) {
            tracing::error!(target, ?left, "the timeout of the function is too short for any call to this target");
        }
        let swept = self.outbox.sweep(until).await;
        tracing::info!(?swept, "sent");
        let next_due = swept.next_due.map(|due| due.to_string());
        let Swept { sent, delivered, requeued, refused, given_up, .. } = swept;
        Ok(Answer::Swept { sent, delivered, requeued, refused, given_up, next_due })
    }
}
