//! A new decision: what is written about an event, all of it at once.

use jiff::Timestamp;

use super::{Ledger, row::RequeueStatus};
use crate::{
    edm::{DateTimeOffset, Entity, Incarnation, Record, TypeId, Value, Version},
    events::{EventKind, JobEvent, What},
    plan::operation_id,
    policy::{Source, Verdict},
};

/// Fraction digits of the times of rows.
const TIME_DIGITS: u8 = 3;
/// Fraction digits of the time of an event.
const EVENT_DIGITS: u8 = 7;

/// What is written about an event.
pub(super) struct Entry<'a> {
    pub(super) source: &'a Source,
    pub(super) event: &'a JobEvent,
    pub(super) verdict: &'a Verdict,
    pub(super) received: Timestamp,
    /// When the job is to be requeued, if it is.
    pub(super) due: Option<Timestamp>,
    /// Its claim then.
    pub(super) claim: Option<&'a str>,
}

impl Ledger {
    /// The row of a decision.
    pub(super) fn decision(&self, entry: &Entry<'_>, random: uuid::Uuid) -> Entity {
        let (event, verdict) = (entry.event, entry.verdict);
        let ty = self.0.decisions.ty;
        let pending = entry.due.is_some();
        let status = if pending { RequeueStatus::Pending } else { RequeueStatus::None };
        let now = time(entry.received);
        let values = [
            ("BatchJobRecId", Value::Integer(event.job.unwrap_or(0))),
            ("Target", text(&entry.source.target)),
            ("EventId", Value::Guid(event.id)),
            ("GivenEventId", text(&event.given_id)),
            ("Source", text(&entry.source.name)),
            ("BusinessEventId", text(&event.type_name)),
            ("Event", text(what_name(event.what))),
            ("LegalEntity", text(&event.legal_entity)),
            ("JobDescription", text(&event.job_description)),
            ("JobStatus", text(&event.job_status)),
            ("ErrorText", text(&event.error_text)),
            ("ControlNumber", Value::Integer(event.control_number)),
            ("EventDateTime", event.time.map_or(Value::Null, |at| moment(at, EVENT_DIGITS))),
            ("ReceivedDateTime", now.clone()),
            ("Decision", self.model().member(ty, "Decision", verdict.decision.name())),
            ("Rule", verdict.rule.as_deref().map_or(Value::Null, text)),
            ("Reason", text(&verdict.reason)),
            ("MaxRetries", verdict.limit.map_or(Value::Null, |limit| Value::Integer(limit.max_retries.into()))),
            ("Retry", Value::Null),
            ("Status", self.model().member(ty, "Status", status.name())),
            ("DueDateTime", entry.due.map_or(Value::Null, time)),
            ("ConcludedDateTime", if pending { Value::Null } else { now }),
            ("AttemptCount", Value::Integer(0)),
            ("LastStatusCode", Value::Null),
            ("LastError", Value::Null),
            ("OutcomeUnknown", Value::Boolean(false)),
            ("CalledDateTime", Value::Null),
            ("Reruns", Value::Integer(0)),
            ("Claim", entry.claim.map_or(Value::Null, text)),
            ("Trace", event.trace.as_deref().map_or(Value::Null, text)),
        ];
        self.new_entity(ty, values, random)
    }

    /// A new row; `random` becomes its incarnation and its version.
    pub(super) fn new_entity<'n>(
        &self,
        ty: TypeId,
        values: impl IntoIterator<Item = (&'n str, Value)>,
        random: uuid::Uuid,
    ) -> Entity {
        let lookups = vec![None; self.model().ty(ty).navigation.len()];
        let operation = operation_id(random);
        let version = Version(format!("{operation}.0"));
        let record = Record::of(self.model(), ty, values);
        Entity { record, lookups, incarnation: Incarnation(operation), version, marks: Vec::new() }
    }
}

/// What an event is about, as rows name it.
fn what_name(what: What) -> &'static str {
    match what {
        What::Job(EventKind::Started) => "Started",
        What::Job(EventKind::Failed) => "Failed",
        What::Job(EventKind::Finished) => "Finished",
        What::Job(EventKind::Canceled) => "Canceled",
        What::Test => "Test",
        What::Other => "Other",
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A time as rows have it.
pub(super) fn time(at: Timestamp) -> Value {
    moment(at, TIME_DIGITS)
}

/// The time of a call as rows have it: as fine as those of events, with which it is compared.
pub(super) fn fine_time(at: Timestamp) -> Value {
    moment(at, EVENT_DIGITS)
}

fn moment(at: Timestamp, digits: u8) -> Value {
    Value::DateTimeOffset(DateTimeOffset::from_timestamp(at, digits))
}
