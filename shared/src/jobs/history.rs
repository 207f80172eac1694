//! Rows of the history of a job: who changed what, when and why.

use uuid::Uuid;

use crate::edm::{Entity, Model, Record, Value};

use super::{Jobs, Touch};

/// What a row tells of. The numbers are those of the enumeration `BatchJobChange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The job is new.
    Created,
    /// It was changed.
    Changed,
    /// It was put back to waiting.
    Requeued,
    /// It is gone.
    Deleted,
}

/// The row that tells of a job's deletion.
pub fn deleted(model: &Model, jobs: &Jobs, job: &Entity, touch: &Touch<'_>) -> Record {
    let mut after = job.record.clone();
    for (at, value) in jobs.touched(touch) {
        if let Some(slot) = after.values.get_mut(at) {
            *slot = Some(value);
        }
    }
    let mut row = row(model, jobs, Change::Deleted, job, &after);
    set(model, &mut row, "Generation", Value::Integer(jobs.generation(&job.record) + 1));
    set(model, &mut row, "FromStatus", status(jobs, &job.record));
    set(model, &mut row, "ToStatus", Value::Null);
    row
}

/// The row that tells of a job's creation (`old` is `None`) or of its change. `event` is the business event that came of
/// it: its id and its number.
pub fn changed(model: &Model, jobs: &Jobs, old: Option<&Entity>, new: &Entity, event: Option<(Uuid, i64)>) -> Record {
    let fields = &jobs.fields;
    let value = |job: &Record, at: usize| job.values.get(at).cloned().flatten().unwrap_or(Value::Null);
    let change = match old {
        None => Change::Created,
        Some(old) if is_requeue(jobs, &old.record, &new.record) => Change::Requeued,
        Some(_) => Change::Changed,
    };
    let mut row = row(model, jobs, change, new, &new.record);
    set(model, &mut row, "FromStatus", old.map_or(Value::Null, |old| status(jobs, &old.record)));
    if let Some(old) = old {
        let names = changed_properties(model, jobs, &old.record, &new.record);
        set(model, &mut row, "ChangedProperties", Value::Collection(names.map(Value::String).collect()));
    }
    if change == Change::Requeued {
        set(model, &mut row, "RequestId", value(&new.record, fields.last_requeue_request_id));
    }
    set(model, &mut row, "EventId", event.map_or(Value::Null, |(id, _)| Value::Guid(id)));
    // Where nobody was told, no number was taken.
    let numbered = event.map(|(_, number)| number).filter(|number| *number != 0);
    set(model, &mut row, "ControlNumber", numbered.map_or(Value::Null, Value::Integer));
    row
}

/// Whether a change of a job is one to tell of: it is more than what the service keeps with every write.
pub fn is_change(model: &Model, jobs: &Jobs, old: &Entity, new: &Entity) -> bool {
    let (before, after) = (&old.record, &new.record);
    old.incarnation != new.incarnation
        || old.lookups != new.lookups
        || before.dynamic != after.dynamic
        || is_requeue(jobs, before, after)
        || changed_properties(model, jobs, before, after).next().is_some()
}

/// A requeue leaves its time on the job, and one more than there were.
fn is_requeue(jobs: &Jobs, old: &Record, new: &Record) -> bool {
    let fields = &jobs.fields;
    let differs = |at: usize| old.values.get(at) != new.values.get(at);
    differs(fields.last_requeued_date_time) || differs(fields.retry_count) && differs(fields.last_requeue_request_id)
}

/// The names of what differs, but for what the service itself keeps with every change.
fn changed_properties<'a>(
    model: &'a Model,
    jobs: &Jobs,
    old: &'a Record,
    new: &'a Record,
) -> impl Iterator<Item = String> + 'a {
    let fields = &jobs.fields;
    let own = fields.kept();
    let properties = model.ty(new.ty).properties.iter().enumerate();
    properties.filter_map(move |(at, property)| {
        let value = |record: &'a Record| record.values.get(at).and_then(Option::as_ref).unwrap_or(&Value::Null);
        (!own.contains(&at) && value(old) != value(new)).then(|| property.name.clone())
    })
}

/// A row about a job that is `after` now.
fn row(model: &Model, jobs: &Jobs, change: Change, job: &Entity, after: &Record) -> Record {
    let fields = &jobs.fields;
    let mut row = Record::new(model, model.set(jobs.history).entity_type);
    let copied = [
        ("BatchJobRecId", fields.batch_job_rec_id),
        ("Generation", fields.generation),
        ("ToStatus", fields.status),
        ("ChangedBy", fields.last_changed_by),
        ("ChangedByObjectId", fields.last_changed_by_object_id),
        ("ChangedDateTime", fields.last_changed_date_time),
        ("Reason", fields.last_change_reason),
        ("RetryCount", fields.retry_count),
        ("RetryLimit", fields.retry_limit),
        ("JobDescription", fields.job_description),
        ("Trace", fields.last_change_trace),
    ];
    for (name, at) in copied {
        set(model, &mut row, name, after.values.get(at).cloned().flatten().unwrap_or(Value::Null));
    }
    set(model, &mut row, "Incarnation", Value::String(job.incarnation.0.clone()));
    set(model, &mut row, "Change", Value::Enum(change as i64));
    set(model, &mut row, "ChangedProperties", Value::Collection(Vec::new()));
    row
}

fn status(jobs: &Jobs, job: &Record) -> Value {
    job.values.get(jobs.fields.status).cloned().flatten().unwrap_or(Value::Null)
}

fn set(model: &Model, row: &mut Record, name: &str, value: Value) {
    let at = model.ty(row.ty).property(name);
    if let Some(slot) = at.and_then(|at| row.values.get_mut(at)) {
        *slot = Some(value);
    }
}
