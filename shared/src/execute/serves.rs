//! Which requests a host answers, when not all of them.

use http::Method;

use super::engine::Call;
use crate::{jobs::REQUEUE_ACTION, plan::PlanError, respond::Failure};

/// The requests that a host answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serves {
    /// All.
    #[default]
    Everything,
    /// SetBatchJobToWaiting alone, of the services that have batch jobs.
    Requeues,
}

impl Serves {
    /// Refuses what the host does not answer.
    pub(super) fn admit(self, call: &Call<'_>) -> Result<(), Failure> {
        let (service, incoming) = (call.service, call.incoming);
        match self {
            Self::Everything => Ok(()),
            Self::Requeues if !service.is_requeue(call.rest, incoming.path_encoding) => {
                Err(Failure::NotServed { only: REQUEUE_ACTION })
            }
            Self::Requeues if incoming.method != Method::POST => {
                Err(PlanError::MethodNotAllowed { method: incoming.method.to_string(), allow: "POST" }.into())
            }
            Self::Requeues => Ok(()),
        }
    }
}
