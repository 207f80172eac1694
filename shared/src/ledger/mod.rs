//! What was decided about events that came in, and what was done: rows that can be read through OData, and the counters
//! behind them.
//!
//! | what | where | written by |
//! |---|---|---|
//! | a decision: the event, what the rules said, and as long as something is to be done the row that the outbox works off | `RequeueDecisions` | whoever takes the event in, once: the webhook, or the outbox for events of the service itself; then the outbox |
//! | an attempt to requeue the job | `RequeueAttempts` | the outbox |
//! | the claims on the retries of a job at a target | `store::Claims` | both |
//!
//! # Exactly once for each failure
//!
//! [`Ledger::record`] writes the decision and takes the claim in one transaction. Its conditions are: there is no decision
//! about this event yet, no other claim is under way, fewer are held than the rule allows, and the job has not finished
//! since, nor was it requeued. So an event that comes again, at the same time or later, meets its decision and changes
//! nothing; and no order in which events arrive takes more claims than the limit. A refused condition returns the item,
//! with which it is decided anew.
//!
//! # One at a time
//!
//! Of the failures of a job one is ahead, and the others wait ([`standing`]): as long as its claim may be given back, it
//! says nothing about them. They are `Pending`, with a time at which they are looked at should nothing happen before. The
//! transaction that ends the claim ahead settles them ([`Succession`]): after a requeue each failure up to the beginning of
//! its call is superseded, by this call or by one before it whose answer was lost; the oldest of the others is ahead then,
//! and due at once. A claim that ended as failed and may have worked counts as a requeue. So a decision that was made
//! before a requeue is not carried out after it, when the job has failed anew.
//!
//! # The order of events
//!
//! An event has its *place*: its time, then its `ControlNumber`. A job that finished clears the claims of what came before
//! that place, and of nothing newer; a failure from before it is superseded. The time comes first because numbers go back
//! when an environment is restored, and not all senders have them; what is said to happen in the future is not acted on.
//! An event without a time has the one at which it came in. What was concluded stays so: a failure that met the limit of
//! retries that are taken for good is exhausted, even if an older end of the job comes a moment later.

mod attempt;
mod entry;
mod intake;
mod place;
mod queue;
mod record;
mod row;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

pub use attempt::{AttemptNote, AttemptOutcome};
pub use intake::{Intake, ReadEvent, decided};
pub use place::Claim;
pub use queue::{Ending, Passed, Standing, Succession, standing};
pub use record::Recorded;
pub use row::{DecisionRow, RequeueStatus};

use crate::{
    edm::{EntityKey, Model, Record, TypeId, Value},
    plan::Collection,
    service::{Service, ServiceError, Services},
    store::{ItemKey, StoreError},
};

/// The shortest and the longest time until a decision that waits is looked at.
const FIRST_WAIT: Duration = Duration::from_mins(1);
const LAST_WAIT: Duration = Duration::from_hours(1);

/// Properties of `RequeueDecisions` that are read or written.
const DECISION: [&str; 33] = [
    "BatchJobRecId",
    "Target",
    "EventId",
    "GivenEventId",
    "Source",
    "BusinessEventId",
    "Event",
    "LegalEntity",
    "JobDescription",
    "JobStatus",
    "ErrorText",
    "ControlNumber",
    "EventDateTime",
    "ReceivedDateTime",
    "Decision",
    "Rule",
    "Reason",
    "MaxRetries",
    "Retry",
    "Status",
    "DueDateTime",
    "ConcludedDateTime",
    "AttemptCount",
    "LastStatusCode",
    "LastError",
    "OutcomeUnknown",
    "CalledDateTime",
    "Reruns",
    "RerunBy",
    "RerunReason",
    "RerunDateTime",
    "Claim",
    "Trace",
];
/// Properties of `RequeueAttempts` that are written.
const ATTEMPT: [&str; 13] = [
    "BatchJobRecId",
    "Target",
    "EventId",
    "Rerun",
    "Attempt",
    "RequestId",
    "Rule",
    "AttemptDateTime",
    "DurationMilliseconds",
    "Outcome",
    "StatusCode",
    "Error",
    "NextDateTime",
];

/// Where decisions, attempts and claims are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Books>);

#[derive(Debug)]
struct Books {
    service: Arc<Service>,
    decisions: Collection,
    attempts: Collection,
}

/// The model of a service is not what its ledger needs.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LedgerError(#[from] ServiceError);

impl Ledger {
    /// The ledger of the service that has one.
    pub fn find(services: &Services) -> Result<Option<Self>, LedgerError> {
        let mut having = services.iter().filter_map(|service| Some((service, service.requeues?)));
        let Some((service, sets)) = having.next() else { return Ok(None) };
        let at = |set| Collection::of_set(service, set, None);
        let books = Books { service: Arc::clone(service), decisions: at(sets.decisions), attempts: at(sets.attempts) };
        check(service, books.decisions.ty, &DECISION)?;
        check(service, books.attempts.ty, &ATTEMPT)?;
        Ok(Some(Self(Arc::new(books))))
    }

    /// The service that it is kept by.
    pub fn service(&self) -> &Arc<Service> {
        &self.0.service
    }

    /// Whether an item is a decision.
    pub fn is_decision(&self, key: &ItemKey) -> bool {
        self.0.decisions.holds(key)
    }

    /// Where the claims on the retries of a job at a target are.
    pub fn claims_key(&self, target: &str, job: i64) -> ItemKey {
        ItemKey { partition: format!("R|{}|{target}|{job}", self.0.service.name), sort: "claims".into() }
    }

    /// Where the decision about an event of a job is.
    pub fn decision_key(&self, target: &str, job: i64, event: Uuid) -> Result<ItemKey, StoreError> {
        let key = EntityKey(vec![Value::Integer(job), Value::String(target.to_owned()), Value::Guid(event)]);
        self.0.decisions.entity_key(&key).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    fn model(&self) -> &Model {
        &self.0.service.model
    }

    fn item_key(&self, collection: &Collection, record: &Record) -> Result<ItemKey, StoreError> {
        let key = EntityKey::of(self.model(), record);
        let key = key.ok_or_else(|| StoreError::Corrupt("a row without its key".into()))?;
        collection.entity_key(&key).map_err(|error| StoreError::Corrupt(error.to_string()))
    }
}

/// When a decision that waits for another one is looked at, should nothing wake it before.
fn first_wait(received: Timestamp) -> Timestamp {
    received.checked_add(FIRST_WAIT).unwrap_or(received)
}

/// When it is looked at again: after as long as it has waited, but not seldom.
pub fn next_wait(received: Timestamp, now: Timestamp) -> Timestamp {
    let waited = Duration::try_from(now.duration_since(received)).unwrap_or_default();
    now.checked_add(waited.clamp(FIRST_WAIT, LAST_WAIT)).unwrap_or(now)
}

fn check(service: &Service, ty: TypeId, names: &[&'static str]) -> Result<(), LedgerError> {
    Ok(service.needs(ty, "requeues", names)?)
}
