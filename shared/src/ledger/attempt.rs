//! Attempts to requeue a job: one row for each.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{DecisionRow, Ledger, entry::time};
use crate::{
    edm::Value,
    store::{Condition, Schedule, StoreError, Stored, Write, WriteKind},
};

/// What an attempt came to. The names are those of the enumeration `RequeueAttemptOutcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The job waits again.
    Requeued,
    /// The target refused for good.
    Refused,
    /// Nothing was done.
    NotDone,
    /// It may have worked.
    Unknown,
}

/// What is written about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptNote {
    /// When it began.
    pub begun: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What it came to.
    pub outcome: AttemptOutcome,
    /// Status of the answer, where there was one.
    pub status_code: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// When the next attempt is due.
    pub next: Option<Timestamp>,
    /// When the row may go, in seconds since 1970.
    pub expires: i64,
}

impl AttemptOutcome {
    /// Its name in the enumeration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requeued => "Requeued",
            Self::Refused => "Refused",
            Self::NotDone => "NotDone",
            Self::Unknown => "Unknown",
        }
    }
}

impl Ledger {
    /// The write of an attempt at a decision that has made so many before (those before a rerun included).
    pub fn attempt(
        &self,
        row: &DecisionRow,
        number: i64,
        note: &AttemptNote,
        random: Uuid,
    ) -> Result<Write, StoreError> {
        let ty = self.0.attempts.ty;
        let milliseconds = i32::try_from(note.duration.as_millis()).unwrap_or(i32::MAX);
        let values = [
            ("BatchJobRecId", Value::Integer(row.job)),
            ("Target", Value::String(row.target.clone())),
            ("EventId", Value::Guid(row.event_id)),
            ("Attempt", Value::Integer(number)),
            ("RequestId", Value::String(row.request_id())),
            ("Rule", Value::String(row.rule.clone())),
            ("AttemptDateTime", time(note.begun)),
            ("DurationMilliseconds", Value::Integer(milliseconds.into())),
            ("Outcome", self.model().member(ty, "Outcome", note.outcome.name())),
            ("StatusCode", note.status_code.map_or(Value::Null, |status| Value::Integer(status.into()))),
            ("Error", note.error.clone().map_or(Value::Null, Value::String)),
            ("NextDateTime", note.next.map_or(Value::Null, time)),
        ];
        let entity = self.new_entity(ty, values, random);
        Ok(Write {
            key: self.item_key(&self.0.attempts, &entity.record)?,
            kind: WriteKind::Put(Stored::Entity(entity.into()), Schedule::Done { expires: note.expires }),
            condition: Condition::Absent,
        })
    }
}
