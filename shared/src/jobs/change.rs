//! What a change does to a job besides what it asks for: counters, who and when.

use jiff::Timestamp;
use uuid::Uuid;

use crate::edm::{DateTimeOffset, Record, Value};

use super::{Jobs, Refusal, Status, Transition, transition};

/// Fraction digits of the times kept with a job.
const TIME_DIGITS: u8 = 7;

/// Who changes a job, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch<'a> {
    /// Name of the caller.
    pub by: &'a str,
    /// Their object id in the directory.
    pub by_object_id: Option<Uuid>,
    /// Now.
    pub at: Timestamp,
    /// Why, in the caller's words.
    pub reason: Option<&'a str>,
    /// The caller's id of the request.
    pub request_id: Option<&'a str>,
    /// The trace that the request is part of.
    pub trace: Option<&'a str>,
}

/// Why a job cannot be changed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobFault {
    /// The state cannot follow the one that the job is in.
    #[error("a batch job that is {} cannot become {}", .from.name(), .to.name())]
    Transition {
        /// The job's state.
        from: Status,
        /// The state asked for.
        to: Status,
    },
    /// Somebody else has taken the job already.
    #[error("the batch job is Executing already; who runs it may write that again with its etag in If-Match")]
    Taken,
    /// The unit of work has changed the job's state already.
    #[error("a change set can change the state of a batch job once, and this is the second time")]
    Twice,
    /// A job always has a state.
    #[error("a batch job must have a status")]
    NoStatus,
    /// The state would lead back to waiting, which the limit does not allow.
    #[error(transparent)]
    Requeue(#[from] Refusal),
    /// The counter is the service's; a client may only reset it.
    #[error("RetryCount counts by itself; it can only be set to 0")]
    RetryCount,
    /// A limit below 0.
    #[error("RetryLimit must be 0 or more, not {0}")]
    RetryLimit(i64),
}

/// Values by position of their property.
pub type Values = Vec<(usize, Value)>;

impl Jobs {
    /// What every change leaves on a job.
    pub fn touched(&self, touch: &Touch<'_>) -> Values {
        let fields = &self.fields;
        let at = Value::DateTimeOffset(DateTimeOffset::from_timestamp(touch.at, TIME_DIGITS));
        vec![
            (fields.last_changed_by, Value::String(touch.by.into())),
            (fields.last_changed_by_object_id, touch.by_object_id.map_or(Value::Null, Value::Guid)),
            (fields.last_changed_date_time, at),
            (fields.last_change_reason, Value::String(touch.reason.unwrap_or_default().into())),
            (fields.last_change_trace, touch.trace.map_or(Value::Null, |trace| Value::String(trace.into()))),
        ]
    }

    /// What a requeue leaves on a job, counters aside.
    pub fn requeued(&self, touch: &Touch<'_>) -> Values {
        let fields = &self.fields;
        let text = |text: Option<&str>| Value::String(text.unwrap_or_default().into());
        let at = Value::DateTimeOffset(DateTimeOffset::from_timestamp(touch.at, TIME_DIGITS));
        let mut values = vec![
            (fields.status, Value::Enum(Status::Waiting.number())),
            (fields.last_requeued_by, Value::String(touch.by.into())),
            (fields.last_requeued_date_time, at),
            (fields.last_requeue_reason, text(touch.reason)),
            (fields.last_requeue_request_id, text(touch.request_id)),
        ];
        values.extend(self.touched(touch));
        values
    }

    /// Whether the action may put a job that is known back to waiting, out of one of the `allowed` states.
    pub fn check_requeue(&self, job: &Record, allowed: &[Status]) -> Result<(), Refusal> {
        let (id, status) = (self.id(job), self.status(job));
        if !status.is_some_and(|status| allowed.contains(&status)) {
            return Err(Refusal::State { job: id, status, allowed: allowed.to_vec() });
        }
        self.check_limit(job)
    }

    fn check_limit(&self, job: &Record) -> Result<(), Refusal> {
        let own = integer(job, self.fields.retry_limit);
        let count = integer(job, self.fields.retry_count).unwrap_or(0);
        match own.or(self.retry_limit).filter(|limit| count >= *limit) {
            Some(limit) => Err(Refusal::Limit { job: self.id(job), count, limit }),
            None => Ok(()),
        }
    }

    /// Puts a job that is known back to waiting.
    pub fn requeue(&self, job: &mut Record, touch: &Touch<'_>) {
        let count = integer(job, self.fields.retry_count).unwrap_or(0);
        let generation = integer(job, self.fields.generation).unwrap_or(0);
        set(job, self.requeued(touch));
        let counted = [(self.fields.retry_count, count + 1), (self.fields.generation, generation + 1)];
        set(job, counted.map(|(at, number)| (at, Value::Integer(number))).to_vec());
    }

    /// Completes the change of a known job from `old` to `new`, or refuses it. `claims`: the status is given, and
    /// nothing says which version of the job is meant; of two who take a job like that only one may get it.
    pub fn change(&self, old: &Record, new: &mut Record, touch: &Touch<'_>, claims: bool) -> Result<(), JobFault> {
        self.check_limits(old, new)?;
        let to = self.status(new).ok_or(JobFault::NoStatus)?;
        // A job from before it had to have one may take any.
        let from = self.status(old).unwrap_or(to);
        match transition(from, to) {
            Transition::Illegal => return Err(JobFault::Transition { from, to }),
            Transition::Requeue => {
                self.check_requeue(old, &self.requeue_from)?;
                let count = integer(old, self.fields.retry_count).unwrap_or(0);
                set(new, vec![(self.fields.retry_count, Value::Integer(count))]);
                self.requeue(new, touch);
                return Ok(());
            }
            Transition::None if to == Status::Executing && claims => return Err(JobFault::Taken),
            Transition::Step if to == Status::Finished => set(new, vec![(self.fields.retry_count, Value::Integer(0))]),
            Transition::None | Transition::Step => {}
        }
        let generation = integer(old, self.fields.generation).unwrap_or(0);
        set(new, vec![(self.fields.generation, Value::Integer(generation + 1))]);
        set(new, self.touched(touch));
        Ok(())
    }

    /// Completes a new job, or refuses it.
    pub fn create(&self, job: &mut Record, touch: &Touch<'_>) -> Result<(), JobFault> {
        self.status(job).ok_or(JobFault::NoStatus)?;
        self.check_limits(&Record { values: Vec::new(), ty: job.ty, dynamic: Vec::new() }, job)?;
        set(job, vec![(self.fields.generation, Value::Integer(1)), (self.fields.retry_count, Value::Integer(0))]);
        set(job, self.touched(touch));
        Ok(())
    }

    /// Completes a job of a seed, which may have counters and a history already.
    pub fn load(&self, job: &mut Record, touch: &Touch<'_>) -> Result<(), JobFault> {
        self.status(job).ok_or(JobFault::NoStatus)?;
        self.check_limits(job, job)?;
        let generation = Value::Integer(self.generation(job).max(1));
        set(job, vec![(self.fields.generation, generation)]);
        for (at, value) in self.touched(touch).into_iter().chain([(self.fields.retry_count, Value::Integer(0))]) {
            if let Some(slot) = job.values.get_mut(at) {
                slot.get_or_insert(value);
            }
        }
        Ok(())
    }

    /// Whether a change puts a job back to waiting out of a state that no step leads out of.
    pub fn requeues(&self, old: &Record, new: &Record) -> bool {
        let states = self.status(old).zip(self.status(new));
        states.is_some_and(|(from, to)| transition(from, to) == Transition::Requeue)
    }

    fn check_limits(&self, old: &Record, new: &Record) -> Result<(), JobFault> {
        let count = |record: &Record| integer(record, self.fields.retry_count).unwrap_or(0);
        if count(new) != 0 && count(new) != count(old) {
            return Err(JobFault::RetryCount);
        }
        match integer(new, self.fields.retry_limit) {
            Some(limit) if limit < 0 => Err(JobFault::RetryLimit(limit)),
            _ => Ok(()),
        }
    }

    /// The state of a job.
    pub fn status(&self, job: &Record) -> Option<Status> {
        match job.values.get(self.fields.status) {
            Some(Some(Value::Enum(number))) => Status::from_number(*number),
            _ => None,
        }
    }

    /// The id of a job.
    pub fn id(&self, job: &Record) -> i64 {
        integer(job, self.fields.batch_job_rec_id).unwrap_or(0)
    }

    /// How often a job was written.
    pub fn generation(&self, job: &Record) -> i64 {
        integer(job, self.fields.generation).unwrap_or(0)
    }
}

fn integer(record: &Record, at: usize) -> Option<i64> {
    match record.values.get(at) {
        Some(Some(Value::Integer(number))) => Some(*number),
        _ => None,
    }
}

fn set(record: &mut Record, values: Values) {
    for (at, value) in values {
        if let Some(slot) = record.values.get_mut(at) {
            *slot = Some(value);
        }
    }
}
