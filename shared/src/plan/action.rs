//! Bound actions (Protocol §11.5.5).

use http::Method;

use crate::{
    auth::Permission,
    edm::{EntityKey, Numbers, Value},
    jobs::{Jobs, Refusal, Status, batch_job_id},
    respond,
    store::{Patch, Requirement, Stored},
    uri::EntityPath,
};

use super::{
    PlanError,
    endpoint::RESEND,
    job::leave_mark,
    overlay::Step,
    place::Collection,
    prepare::{Prepared, REQUEUE_FROM},
    rerun::RERUN,
    unit::{Outcome, Unit, not_allowed},
};

impl Unit<'_> {
    /// POST of an action to what it is bound to.
    pub(super) fn act(&mut self, request: &Prepared, path: &EntityPath, name: &str) -> Step<Outcome> {
        if request.method != Method::POST {
            return Err(not_allowed(request, "POST"));
        }
        self.check_options(request)?;
        match &request.body_fault {
            Some(PlanError::MissingBody(_)) | None => {}
            Some(fault) => return Err(fault.clone().into()),
        }
        if let Some(jobs) = self.service().requeued_by(path, name) {
            return self.set_to_waiting(request, jobs);
        }
        let deliveries = self.service().events.as_ref().map(|events| events.deliveries);
        if name.rsplit('.').next() == Some(RESEND) && deliveries == Some(path.set) {
            return self.resend(request, path);
        }
        if name.rsplit('.').next() == Some(RERUN) && self.is_decision(path) {
            return self.rerun(request, path);
        }
        Err(PlanError::Unsupported(format!("the action '{name}'")).into())
    }

    /// SetBatchJobToWaiting. A job that is not known is not read: what must hold of it is the condition of the write,
    /// and what refuses the condition comes back as a job that is known.
    fn set_to_waiting(&mut self, request: &Prepared, jobs: &Jobs) -> Step<Outcome> {
        if !self.context.permits(Permission::JobsRequeue) {
            return Err(self.refuse(request, 0, Refusal::Forbidden).into());
        }
        let id = batch_job_id(&request.body, request.body_numbers == Numbers::Text)?;
        let id = id.map_err(|refusal| self.refuse(request, 0, refusal))?;
        let collection = Collection::of_set(self.service(), jobs.set, request.company);
        let item = collection.entity_key(&EntityKey(vec![Value::Integer(id)])).map_err(PlanError::from)?;
        let allowed = requeue_from(request, jobs)?;
        let mark = self.mark();
        if !self.overlay.knows(&item) && !self.overlay.is_patched(&item) {
            if !self.overlay.require(&item) {
                return Err(self.refuse(request, id, Refusal::Unknown(id)).into());
            }
            let patch = self.requeue_patch(jobs, &allowed, mark);
            self.overlay.patch(&item, patch);
            return Ok(respond::requeued(self.context, request, jobs, id));
        }
        let unknown = self.refuse(request, id, Refusal::Unknown(id));
        let Some(job) = self.overlay.entity(&item)? else { return Err(unknown.into()) };
        if request.request_id.is_some() && job.marks.contains(&mark) {
            return Ok(respond::requeued(self.context, request, jobs, id));
        }
        let checked = jobs.check_requeue(&job.record, &allowed);
        let checked = checked.and_then(|()| self.check_first_change(jobs, &item, &job).map_err(|_| Refusal::Twice(id)));
        checked.map_err(|refusal| self.refuse(request, id, refusal))?;
        self.overlay.observe(&item)?;
        let mut job = (*job).clone();
        jobs.requeue(&mut job.record, &self.touch());
        leave_mark(&mut job.marks, mark);
        job.version = self.version();
        self.overlay.put(&item, Stored::Entity(job.into()));
        Ok(respond::requeued(self.context, request, jobs, id))
    }

    fn requeue_patch(&self, jobs: &Jobs, allowed: &[Status], mark: String) -> Patch {
        let fields = &jobs.fields;
        let (count, limit) = (self.job_property(fields.retry_count), self.job_property(fields.retry_limit));
        let values = allowed.iter().map(|status| Value::Enum(status.number())).collect();
        let mut patch = Patch {
            increments: vec![(count.clone(), 1)],
            requires: vec![
                Requirement::OneOf { property: self.job_property(fields.status), values },
                Requirement::Below { property: count, bound: limit, default: jobs.retry_limit },
            ],
            mark: Some(mark),
            version: self.version().0,
            ..Patch::default()
        };
        self.patch_job(jobs, jobs.requeued(&self.touch()), &mut patch);
        patch
    }

    fn refuse(&self, request: &Prepared, job: i64, refusal: Refusal) -> PlanError {
        let reply = self.service().jobs.as_ref().map(|jobs| jobs.reply).unwrap_or_default();
        let metadata_url = format!("{}/$metadata", self.context.root_url(&request.root));
        PlanError::NotSetToWaiting(Box::new(respond::Refused { refusal, job, reply, metadata_url }))
    }
}

/// The states that a call takes a job out of: those of the service that the caller wants, too.
fn requeue_from(request: &Prepared, jobs: &Jobs) -> Result<Vec<Status>, PlanError> {
    let Some(wanted) = &request.requeue_from else { return Ok(jobs.requeue_from.clone()) };
    let allowed: Vec<Status> = jobs.requeue_from.iter().filter(|status| wanted.contains(status)).copied().collect();
    if allowed.is_empty() {
        let reason = "the action takes a job out of none of these states".into();
        return Err(PlanError::Header { name: REQUEUE_FROM, reason });
    }
    Ok(allowed)
}
