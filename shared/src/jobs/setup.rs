//! What a service says about its batch jobs (`[jobs]` of `service.toml`), and where their properties are.

use crate::edm::{SetId, TypeId};

use super::Status;

/// The batch jobs of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jobs {
    /// The entity set of the jobs.
    pub set: SetId,
    /// Their type.
    pub ty: TypeId,
    /// The read-only set of their history.
    pub history: SetId,
    /// The states that SetBatchJobToWaiting takes a job out of.
    pub requeue_from: Vec<Status>,
    /// How often a job without a limit of its own may be requeued before it finishes; `None` for any number of times.
    pub retry_limit: Option<i64>,
    /// The form of the action's reply.
    pub reply: ReplyForm,
    /// Where the properties of a job are.
    pub fields: Fields,
}

/// The entity sets of requeues by events (`[requeues]` of `service.toml`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requeues {
    /// What was decided about each event: `RequeueDecisions`, read-only.
    pub decisions: SetId,
    /// What was done then: `RequeueAttempts`, read-only.
    pub attempts: SetId,
}

/// The form of the reply of SetBatchJobToWaiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyForm {
    /// The documented object.
    #[default]
    Bare,
    /// `{"@odata.context": "…", "value": "<the object as text>"}`, as an action that returns a string answers.
    Value,
}

/// Positions of the properties of a job in its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the position of the property of that name")]
pub struct Fields {
    pub batch_job_rec_id: usize,
    pub job_description: usize,
    pub status: usize,
    pub company_accounts: usize,
    pub end_date_time: usize,
    pub job_owner_email_id: usize,
    pub job_executed_by_email_id: usize,
    pub admin_email_id: usize,
    pub retry_count: usize,
    pub retry_limit: usize,
    pub generation: usize,
    pub last_requeued_by: usize,
    pub last_requeued_date_time: usize,
    pub last_requeue_reason: usize,
    pub last_requeue_request_id: usize,
    pub last_changed_by: usize,
    pub last_changed_by_object_id: usize,
    pub last_changed_date_time: usize,
    pub last_change_reason: usize,
    pub last_change_trace: usize,
}

impl Fields {
    /// The properties that the service alone writes, with every change or every requeue.
    pub fn kept(&self) -> [usize; 10] {
        [
            self.generation,
            self.last_requeued_by,
            self.last_requeued_date_time,
            self.last_requeue_reason,
            self.last_requeue_request_id,
            self.last_changed_by,
            self.last_changed_by_object_id,
            self.last_changed_date_time,
            self.last_change_reason,
            self.last_change_trace,
        ]
    }

    /// Finds each property by its name; the error is the first name that `position` does not know.
    pub fn find<E>(position: impl Fn(&'static str) -> Result<usize, E>) -> Result<Self, E> {
        Ok(Self {
            batch_job_rec_id: position("BatchJobRecId")?,
            job_description: position("JobDescription")?,
            status: position("Status")?,
            company_accounts: position("CompanyAccounts")?,
            end_date_time: position("EndDateTime")?,
            job_owner_email_id: position("JobOwnerEmailId")?,
            job_executed_by_email_id: position("JobExecutedByEmailId")?,
            admin_email_id: position("AdminEmailId")?,
            retry_count: position("RetryCount")?,
            retry_limit: position("RetryLimit")?,
            generation: position("Generation")?,
            last_requeued_by: position("LastRequeuedBy")?,
            last_requeued_date_time: position("LastRequeuedDateTime")?,
            last_requeue_reason: position("LastRequeueReason")?,
            last_requeue_request_id: position("LastRequeueRequestId")?,
            last_changed_by: position("LastChangedBy")?,
            last_changed_by_object_id: position("LastChangedByObjectId")?,
            last_changed_date_time: position("LastChangedDateTime")?,
            last_change_reason: position("LastChangeReason")?,
            last_change_trace: position("LastChangeTrace")?,
        })
    }
}
