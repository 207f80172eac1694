//! What the plan of a write adds where it changes a batch job: the rules of its states, its counters, who and when.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    auth::Permission,
    edm::{Entity, EntityKey, Record, SetId, TypeId, Value},
    jobs::{JobFault, Jobs, Status, Touch, Values, history, sources},
    store::{ItemKey, MAX_MARKS, Patch, Requirement, Stored},
};

use super::{
    PlanError, context, overlay::Step, place::Collection, prepare::Prepared, unit::Unit, update::Change, walk::Spot,
};

/// The namespace of marks made of the callers' request ids.
const MARKS: Uuid = Uuid::from_u128(0x6f0c_3f3e_55d2_4b5c_9d0e_0e8a_3d5b_7c11);

impl<'a> Unit<'a> {
    /// The service's jobs, when entities of this type are such.
    pub(super) fn jobs_of(&self, set: Option<SetId>, ty: TypeId) -> Option<&'a Jobs> {
        let jobs = self.service().jobs.as_ref()?;
        (set == Some(jobs.set) && self.service().model.is_a(ty, jobs.ty)).then_some(jobs)
    }

    /// Who changes, when and why.
    pub(super) fn touch(&self) -> Touch<'_> {
        let request = self.current.as_deref();
        Touch {
            by: &self.context.caller.name,
            by_object_id: self.context.caller.object_id,
            at: self.context.now,
            reason: request.and_then(|request| request.reason.as_deref()),
            request_id: request.and_then(|request| request.request_id.as_deref()),
            trace: self.context.trace,
        }
    }

    /// What the current request leaves on a job: made of the caller's id of the request, so that a repeat meets it
    /// again, else of this attempt's.
    pub(super) fn mark(&self) -> String {
        match self.current.as_ref().and_then(|request| request.request_id.as_deref()) {
            None => self.operation.to_owned(),
            Some(id) => {
                let text = format!("{}\n{}", self.context.caller.name, id.to_ascii_lowercase());
                context::operation_id(Uuid::new_v5(&MARKS, text.as_bytes()))
            }
        }
    }

    /// Whether a request is the repeat of one that this job has seen.
    pub(super) fn is_repeat(&self, request: &Prepared, spot: &Spot, job: &Entity) -> bool {
        let is_job = self.jobs_of(spot.collection.set, spot.collection.ty).is_some();
        is_job && request.request_id.is_some() && job.marks.contains(&self.mark())
    }

    /// Whether a change is one of a job that can only be decided with its old values.
    pub(super) fn job_needs_old(&self, spot: &Spot, change: &Change) -> bool {
        let Some(jobs) = self.jobs_of(spot.collection.set, spot.collection.ty) else { return false };
        let undecided = change.values.iter().any(|(at, value)| {
            let waiting = *value == Value::Enum(Status::Waiting.number());
            let status = *at == jobs.fields.status && (waiting || *value == Value::Null);
            let count = *at == jobs.fields.retry_count && *value != Value::Integer(0);
            let limit = *at == jobs.fields.retry_limit && !matches!(value, Value::Null | Value::Integer(0..));
            status || count || limit
        });
        undecided || self.overlay.is_patched(&spot.key)
    }

    /// The state that a change of a job asks for.
    pub(super) fn status_given(&self, change: &Change) -> Option<Status> {
        let jobs = self.service().jobs.as_ref()?;
        let given = change.values.iter().rev().find(|(at, _)| *at == jobs.fields.status);
        match given? {
            (_, Value::Enum(number)) => Status::from_number(*number),
            _ => None,
        }
    }

    /// Adds to a patch of a job that is not read what makes it right: the states it may come from, counters, who.
    /// A job that is in the state already is returned by the condition: its values then say what changes.
    pub(super) fn guard_job(&self, jobs: &Jobs, status: Option<Status>, patch: &mut Patch) {
        let mut values = jobs.touched(&self.touch());
        if let Some(to) = status {
            let allowed = sources(to).map(|status| Value::Enum(status.number())).collect();
            patch
                .requires
                .push(Requirement::OneOf { property: self.job_property(jobs.fields.status), values: allowed });
            if to == Status::Finished {
                values.push((jobs.fields.retry_count, Value::Integer(0)));
            }
        }
        self.patch_job(jobs, values, patch);
        patch.mark = Some(self.mark());
    }

    /// Adds values to a patch, and one to the job's generation.
    pub(super) fn patch_job(&self, jobs: &Jobs, values: Values, patch: &mut Patch) {
        for (at, value) in values {
            let name = self.job_property(at);
            patch.properties.retain(|(other, _)| *other != name);
            patch.properties.push((name, value));
        }
        patch.increments.push((self.job_property(jobs.fields.generation), 1));
    }

    /// The name of a job's property.
    pub(super) fn job_property(&self, at: usize) -> String {
        let jobs = self.service().jobs.as_ref();
        let property = jobs.and_then(|jobs| self.ty(jobs.ty).properties.get(at));
        property.map(|property| property.name.clone()).unwrap_or_default()
    }

    /// Whether a property holds the retries of a job: a PUT that does not name it leaves it.
    pub(super) fn counts_retries(&self, spot: &Spot, at: usize) -> bool {
        let jobs = self.jobs_of(spot.collection.set, spot.collection.ty);
        jobs.is_some_and(|jobs| [jobs.fields.retry_count, jobs.fields.retry_limit].contains(&at))
    }

    /// Refuses a second change of a job's state in one unit: what is written is one change, and somebody is told of
    /// each.
    pub(super) fn check_first_change(&self, jobs: &Jobs, key: &ItemKey, now: &Entity) -> Result<(), JobFault> {
        let stored = self.overlay.stored(key).and_then(|stored| jobs.status(&stored.record));
        if stored == jobs.status(&now.record) { Ok(()) } else { Err(JobFault::Twice) }
    }

    /// Completes the change of a job that was read. `claims`: the request gives the status, and no etag. A change that
    /// leaves the job as it is (the state that it is in, among others) is none: it is not counted, and not told of. False
    /// where there is nothing to write then; an id of the request is remembered all the same, so that its repeat is known.
    pub(super) fn change_job(
        &self,
        jobs: &Jobs,
        key: &ItemKey,
        old: &Entity,
        new: &mut Entity,
        claims: bool,
    ) -> Result<bool, PlanError> {
        if jobs.requeues(&old.record, &new.record) {
            self.context.require(Permission::JobsRequeue)?;
        }
        if jobs.status(&old.record) != jobs.status(&new.record) {
            self.check_first_change(jobs, key, old)?;
        }
        let is_same = new.record == old.record && new.lookups == old.lookups;
        jobs.change(&old.record, &mut new.record, &self.touch(), claims)?;
        if is_same {
            new.record.clone_from(&old.record);
        }
        leave_mark(&mut new.marks, self.mark());
        Ok(!is_same || self.current.as_ref().is_some_and(|request| request.request_id.is_some()))
    }

    /// Completes a new job.
    pub(super) fn create_job(&self, jobs: &Jobs, record: &mut Record) -> Result<(), PlanError> {
        let touch = self.touch();
        let completed = if self.context.trusted { jobs.load(record, &touch) } else { jobs.create(record, &touch) };
        Ok(completed?)
    }

    /// The deletion of a job is the last row of its history: nothing else is left to tell who did it.
    pub(super) fn note_deletion(&mut self, jobs: &Jobs, job: &Entity, company: Option<usize>) -> Step<()> {
        let model = &self.service().model;
        let record = history::deleted(model, jobs, job, &self.touch());
        let history = Collection::of_set(self.service(), jobs.history, company);
        let key = EntityKey::of(model, &record).ok_or(PlanError::Internal)?;
        let item = history.entity_key(&key).map_err(PlanError::from)?;
        let lookups = vec![None; self.ty(record.ty).navigation.len()];
        let (incarnation, version) = (self.new_incarnation(), self.version());
        let entity = Entity { record, lookups, incarnation, version, marks: Vec::new() };
        self.overlay.put(&item, Stored::Entity(Arc::new(entity)));
        Ok(())
    }
}

/// Adds a mark, and keeps the newest of them.
pub(super) fn leave_mark(marks: &mut Vec<String>, mark: String) {
    if marks.len() >= MAX_MARKS {
        marks.drain(..marks.len() - MAX_MARKS / 2);
    }
    marks.push(mark);
}
