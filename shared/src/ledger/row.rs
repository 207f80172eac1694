//! A decision as it is read and changed by whoever carries it out.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Claim, Ledger,
    entry::{fine_time, time},
};
use crate::{
    edm::{ETag, Value},
    events::id_text,
    policy::Decision,
    store::{Condition, Due, Item, ItemKey, Patch, Schedule, StoreError, Stored, Write, WriteKind},
};

/// What has become of a decision. The names are those of the enumeration `RequeueStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequeueStatus {
    /// There is nothing to do.
    None,
    /// The job will be requeued, unless another failure of it is answered first.
    Pending,
    /// The job was requeued.
    Requeued,
    /// The target refused for good; the claim was given back.
    Refused,
    /// It was given up; somebody has to look. The claim is kept where a call may have worked whose answer was lost, or
    /// somebody had it carried out again; else it was given back.
    Failed,
}

impl RequeueStatus {
    const ALL: [Self; 5] = [Self::None, Self::Pending, Self::Requeued, Self::Refused, Self::Failed];

    /// Its name in the enumeration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Pending => "Pending",
            Self::Requeued => "Requeued",
            Self::Refused => "Refused",
            Self::Failed => "Failed",
        }
    }
}

/// A decision to requeue a job, as it is in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRow {
    /// Where it is.
    pub key: ItemKey,
    /// Its version.
    pub etag: ETag,
    /// When it is due, in the words of the index.
    pub due: Option<String>,
    /// The job.
    pub job: i64,
    /// Name of the target.
    pub target: String,
    /// The event.
    pub event_id: Uuid,
    /// `Failed` or `Canceled`.
    pub event: String,
    /// When the event came in.
    pub received: Option<Timestamp>,
    /// What was decided.
    pub decision: Decision,
    /// The rule.
    pub rule: String,
    /// How often the rule requeues the job.
    pub max_retries: Option<u32>,
    /// Which retry of the job it is, once that is known.
    pub retry: Option<u32>,
    /// What has become of it.
    pub status: RequeueStatus,
    /// How many attempts were made, since somebody had it carried out again if that was so.
    pub attempt_count: i64,
    /// The reason, for people.
    pub reason: String,
    /// Whether an attempt may have worked whose answer is not known.
    pub outcome_unknown: bool,
    /// When the first attempt began that is the last one or may have worked.
    pub called: Option<Timestamp>,
    /// How often somebody had it carried out again.
    pub reruns: i64,
    /// Who had it carried out again, and why.
    pub rerun_by: Option<(String, String)>,
    /// Its place among the failures of its job, while it is under way, and where it counts after that.
    pub claim: Option<Claim>,
    /// The trace of the event.
    pub trace: String,
}

impl DecisionRow {
    /// The id of the request that carries it out: the same for each attempt, another one for each time that somebody has
    /// it carried out again.
    pub fn request_id(&self) -> String {
        let id = id_text(self.event_id);
        if self.reruns == 0 { id } else { format!("{id}.{}", self.reruns) }
    }

    /// When it is due.
    pub fn due_at(&self) -> Option<Timestamp> {
        Due::instant(self.due.as_deref()?)
    }

    /// A change of the row as it was read, by the operation of that id.
    pub fn patch(&self, properties: Vec<(&'static str, Value)>, schedule: Schedule, operation: &str) -> Write {
        let properties = properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let patch = Patch { properties, schedule, version: format!("{operation}.0"), ..Patch::default() };
        Write { key: self.key.clone(), kind: WriteKind::Patch(patch), condition: Condition::Version(self.etag.clone()) }
    }
}

impl Ledger {
    /// Reads a decision.
    pub fn row(&self, item: &Item) -> Result<DecisionRow, StoreError> {
        let Stored::Entity(entity) = Stored::from_item(self.model(), item)? else {
            return Err(StoreError::Corrupt("no decision".into()));
        };
        let record = &entity.record;
        let get = |name: &str| record.get(self.model(), name);
        let text = |name: &str| if let Some(Value::String(text)) = get(name) { text.clone() } else { String::new() };
        let integer = |name: &str| if let Some(Value::Integer(number)) = get(name) { Some(*number) } else { None };
        let instant =
            |name: &str| if let Some(Value::DateTimeOffset(at)) = get(name) { Some(at.instant()) } else { None };
        let count = |name: &str| integer(name).and_then(|number| u32::try_from(number).ok());
        let Some(Value::Guid(event_id)) = get("EventId") else {
            return Err(StoreError::Corrupt("a decision without EventId".into()));
        };
        let status = self.model().member_name(record, "Status");
        let decision = self.model().member_name(record, "Decision");
        Ok(DecisionRow {
            key: self.item_key(&self.0.decisions, record)?,
            etag: entity.etag(),
            due: Due::time_of(item).map(str::to_owned),
            job: integer("BatchJobRecId").unwrap_or(0),
            target: text("Target"),
            event_id: *event_id,
            event: text("Event"),
            received: instant("ReceivedDateTime"),
            decision: Decision::from_name(&decision)
                .ok_or_else(|| StoreError::Corrupt(format!("the decision '{decision}'")))?,
            rule: text("Rule"),
            max_retries: count("MaxRetries"),
            retry: count("Retry"),
            status: RequeueStatus::ALL
                .into_iter()
                .find(|known| known.name() == status)
                .ok_or_else(|| StoreError::Corrupt(format!("the status '{status}'")))?,
            attempt_count: integer("AttemptCount").unwrap_or(0),
            reason: text("Reason"),
            called: instant("CalledDateTime"),
            outcome_unknown: get("OutcomeUnknown") == Some(&Value::Boolean(true)),
            reruns: integer("Reruns").unwrap_or(0),
            rerun_by: Some(text("RerunBy")).filter(|by| !by.is_empty()).map(|by| (by, text("RerunReason"))),
            claim: Some(text("Claim")).filter(|claim| !claim.is_empty()).map(Claim),
            trace: text("Trace"),
        })
    }

    /// The value of a decision's `Status`.
    pub fn status_value(&self, status: RequeueStatus) -> Value {
        self.model().member(self.0.decisions.ty, "Status", status.name())
    }

    /// A time as decisions have it.
    pub fn time_value(at: Timestamp) -> Value {
        time(at)
    }

    /// The time of a call as decisions have it.
    pub fn call_time_value(at: Timestamp) -> Value {
        fine_time(at)
    }
}
