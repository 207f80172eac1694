//! Answers of SetBatchJobToWaiting.

use http::StatusCode;

use crate::{
    jobs::{Jobs, Refusal, Reply, ReplyForm},
    plan::{Context, Outcome, Prepared, Reference},
};

use super::{body::outcome, headers};

/// Why a job was not put back to waiting, with what its reply needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// The job; 0 where the call names none.
    pub job: i64,
    /// The form of the reply.
    pub reply: ReplyForm,
    /// `<root>/$metadata`
    pub metadata_url: String,
}

impl Refused {
    /// The body of the answer.
    pub(super) fn body(&self, status: StatusCode) -> Vec<u8> {
        Reply::failure(status.as_u16(), self.job, &self.refusal).body(self.reply, &self.metadata_url)
    }
}

/// 200: the job waits again.
pub(crate) fn requeued(context: &Context<'_>, request: &Prepared, jobs: &Jobs, job: i64) -> Outcome {
    let mut all = crate::batch::Headers::new();
    headers::json(request, &mut all);
    headers::version_header(context, request, &mut all, true);
    if request.request_id.is_some() {
        headers::accepted(&mut all);
    }
    let metadata_url = format!("{}/$metadata", context.root_url(&request.root));
    let body = Reply::success(job).body(jobs.reply, &metadata_url);
    outcome(StatusCode::OK, all, body.into(), Reference::Nothing)
}
