//! From an event to the outbox.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    function,
    function::{Invocation, LazyOutbox, LoadError, OutboxConfig, SetupError},
    outbox::{Outbox, Swept},
    store::{Deadline, StreamRecord},
    telemetry::OutboxLine,
};

/// Left of the function's time for its answer.
const MARGIN: Duration = Duration::from_secs(5);
/// For sending in an invocation by the stream. Attempts are begun as long as they can end in it: deliveries in the first 25
/// seconds, calls to a target with a `timeout` of ten seconds that keeps no ids and wants a token in the first four. What is
/// not sent then is left to the schedule, as is a target with a longer `timeout`. The shard is not held up for longer.
const SWEEP: Duration = Duration::from_secs(40);

/// The outbox, for as long as the function lives.
#[derive(Debug)]
pub(crate) struct Handler {
    outbox: LazyOutbox,
}

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventError {
    /// No JSON object.
    #[error("the event cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// From somewhere else.
    #[error("the event is neither a batch of stream records nor a schedule's")]
    Unknown,
    /// What it needs is not there.
    #[error(transparent)]
    Setup(#[from] SetupError),
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

impl From<EventError> for Diagnostic {
    fn from(error: EventError) -> Self {
        let name = match error {
            EventError::Malformed(_) => "MalformedEvent",
            EventError::Unknown => "UnknownEvent",
            EventError::Setup(error) => return error.into(),
        };
        Self { error_type: name.into(), error_message: error.to_string() }
    }
}

impl Handler {
    pub(crate) fn new(config: OutboxConfig) -> Self {
        Self { outbox: LazyOutbox::new(config) }
    }
}

impl function::Handler for Handler {
    type Answer = Answer;
    type Error = EventError;

    async fn load(&self) -> Result<Infallible, LoadError> {
        self.outbox.load().await
    }

    async fn answer(&self, payload: &str, invocation: &Invocation) -> Result<Answer, EventError> {
        let event: Event = serde_json::from_str(payload)?;
        let begun = Instant::now();
        let outbox = self.outbox.get().await?.metered();
        let left = invocation.time_left().saturating_sub(MARGIN);
        let mut line = OutboxLine::default();
        let answer = work(&outbox, event, left, &mut line).await;
        let line = OutboxLine { usage: outbox.usage(), duration: begun.elapsed(), ..line };
        line.write(&invocation.id);
        answer
    }
}

/// Writes down what records tell, or sends what is due, or both; what came of it is added to the line.
async fn work(outbox: &Outbox, event: Event, left: Duration, line: &mut OutboxLine) -> Result<Answer, EventError> {
    let until = Deadline::after(left);
    if let Some(records) = event.records {
        let oldest = records.iter().filter_map(StreamRecord::created).min();
        let recorded = outbox.records(&records, until).await;
        recorded.tell(records.len(), line);
        line.stream_lag = oldest.map(|oldest| outbox.since(oldest)).unwrap_or_default();
        // Behind records of anything else, changes wait for their rows: nothing is sent meanwhile.
        let own = records.iter().all(|record| outbox.is_outgoing(record));
        if own && records.iter().any(|record| outbox.is_due(record)) {
            sweep(outbox, Deadline::after(left.min(SWEEP)), line).await;
        }
        let failures = recorded.failed.into_iter().map(|item_identifier| Failure { item_identifier });
        return Ok(Answer::Records { batch_item_failures: failures.collect() });
    }
    match event.source.as_deref() {
        Some("aws.events" | "aws.scheduler") => {}
        None if event.others.is_empty() => {}
        Some(_) | None => return Err(EventError::Unknown),
    }
    for target in outbox.too_slow_for(left) {
        tracing::error!(
            requeue_target = target,
            ?left,
            "the timeout of the function is too short for any call to this target"
        );
    }
    let swept = sweep(outbox, until, line).await;
    let next_due = swept.next_due.map(|due| due.to_string());
    let Swept { sent, delivered, requeued, refused, given_up, .. } = swept;
    Ok(Answer::Swept { sent, delivered, requeued, refused, given_up, next_due })
}

async fn sweep(outbox: &Outbox, until: Deadline, line: &mut OutboxLine) -> Swept {
    let swept = outbox.sweep(until).await;
    swept.tell(line);
    line.overdue = swept.next_due.map(|due| outbox.since(due)).unwrap_or_default();
    swept
}
