//! Rows of the history of a job: who changed what, when and why.

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
