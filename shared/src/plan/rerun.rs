//! Rerun: a decision about an event is carried out again because somebody wants it, whatever the rules said.

use crate::{
    batch::Headers,
    edm::{DateTimeOffset, Record, Value},
    respond,
    store::{Due, MAX_MARKS, Patch, Schedule},
    uri::EntityPath,
};

use super::{
    PlanError,
    context::Reference,
    overlay::Step,
    prepare::Prepared,
    unit::{Outcome, Unit, no_content, not_allowed, refuse_parameters},
    walk::Target,
};

/// Name of the action.
pub(super) const RERUN: &str = "Rerun";
/// Fraction digits of the times of decisions.
const TIME_DIGITS: u8 = 3;

/// Why a decision is not carried out again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RerunFault {
    /// It is under way.
    #[error("the decision is being carried out already; it is due at {0}")]
    Pending(String),
    /// It is about something that no job is requeued for.
    #[error(
        "only what was decided about a job that failed or was cancelled can be carried out again, and this event is '{0}'"
    )]
    Event(String),
}

impl Unit<'_> {
    /// Whether a path leads to a decision about an event.
    pub(super) fn is_decision(&self, path: &EntityPath) -> bool {
        self.service().requeues.is_some_and(|sets| sets.decisions == path.set)
    }

    /// The action: the job is to be requeued now, by a request of its own.
    pub(super) fn rerun(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        refuse_parameters(request, RERUN)?;
        let Target::Entity(spot) = self.walk(path, request.company, path.steps.len())? else {
            return Err(not_allowed(request, "GET"));
        };
        let Some(row) = self.overlay.observe(&spot.key)? else {
            return Err(self.not_found(spot.collection.ty, &spot.path).into());
        };
        let mark = self.mark();
        // A repeat of a request that was carried out is answered as it was.
        if request.request_id.is_none() || !row.marks.contains(&mark) {
            let again = self.rerun_patch(&row.record, row.marks.len(), mark)?;
            self.overlay.patch(&spot.key, again);
        }
        let mut headers = Headers::new();
        respond::version_header(self.context, request, &mut headers, false);
        Ok(no_content(headers, Reference::Nothing))
    }

    fn rerun_patch(&self, row: &Record, marks: usize, mark: String) -> Result<Patch, PlanError> {
        let model = &self.service().model;
        let text = |name: &str| if let Some(Value::String(text)) = row.get(model, name) { text.as_str() } else { "" };
        if model.member_name(row, "Status") == "Pending" {
            let due = row.get(model, "DueDateTime").and_then(|due| match due {
                Value::DateTimeOffset(due) => Some(due.to_string()),
                _ => None,
            });
            return Err(RerunFault::Pending(due.unwrap_or_default()).into());
        }
        if !matches!(text("Event"), "Failed" | "Canceled") {
            return Err(RerunFault::Event(text("Event").to_owned()).into());
        }
        let now = DateTimeOffset::from_timestamp(self.context.now, TIME_DIGITS);
        let touch = self.touch();
        let properties = [
            ("Status", model.member(row.ty, "Status", "Pending")),
            ("DueDateTime", Value::DateTimeOffset(now)),
            ("ConcludedDateTime", Value::Null),
            ("RerunBy", Value::String(touch.by.to_owned())),
            ("RerunReason", Value::String(touch.reason.unwrap_or_default().to_owned())),
            ("RerunDateTime", Value::DateTimeOffset(now)),
            ("AttemptCount", Value::Integer(0)),
            ("OutcomeUnknown", Value::Boolean(false)),
        ];
        Ok(Patch {
            properties: properties.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            increments: vec![("Reruns".to_owned(), 1)],
            schedule: Schedule::At(Due::at_target(&self.service().name, text("Target"), self.context.now)),
            // One with so many marks takes no further one.
            mark: (marks < MAX_MARKS).then_some(mark),
            version: self.version().0,
            ..Patch::default()
        })
    }
}
