//! Which requests a host answers, when not all of them.

use super::engine::Call;
use crate::{jobs::SET_BATCH_JOB_TO_WAITING, respond::Failure};

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
        let admitted = match self {
            Self::Everything => true,
            Self::Requeues => call.service.is_requeue(call.rest, call.incoming.path_encoding),
        };
        if admitted { Ok(()) } else { Err(Failure::NotServed { only: SET_BATCH_JOB_TO_WAITING }) }
    }
}
