//! Refusals that repeats are to be told: what the client was told once stays so, whatever is stored later.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    batch::Response,
    plan::{self, Answered, Context, Ending, Fresh, Job, Outcome, PlanError, References},
    repeat::Claim,
    respond::{accepted, error_code},
    store::{Commit, Condition, Deadline, Schedule, StoreError, Stored, Write, WriteKind},
};

use super::{Engine, fetch::in_time, unit::FailedUnit};

/// How often a refusal is decided anew because somebody else came first.
pub(super) const MAX_ROUNDS: usize = 10;
/// After another writer was in the way.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

impl Engine {
    /// Runs a unit to its end as [`Engine::run_as_asked`] does. A refusal that has claims is kept before anybody is told;
    /// `answer` says what is answered to the request that is refused.
    #[expect(clippy::too_many_arguments, reason = "what a unit takes, and how a refusal is answered")]
    pub(super) async fn run_kept(
        &self,
        context: &Context<'_>,
        jobs: &mut [Job<'_>],
        references: &mut References,
        fresh: &Fresh<'_>,
        deadline: Deadline,
        admit: &mut (dyn FnMut(&[Outcome]) -> Result<(), PlanError> + Send),
        answer: &(dyn Fn(&FailedUnit) -> Response + Sync),
    ) -> Result<Vec<Outcome>, FailedUnit> {
        for _ in 0..MAX_ROUNDS {
            // Boxed, as is what follows: the future of a batch would hold the state of all that a unit can go through.
            let failed = match Box::pin(self.run_as_asked(context, jobs, references, fresh, deadline, admit)).await {
                Err(failed) if !failed.keepers.is_empty() => failed,
                end => return end,
            };
            let mut response = answer(&failed);
            if failed.keepers.iter().any(Claim::is_of_request) {
                accepted(&mut response.headers);
            }
            let kept = Box::pin(self.keep(context, &failed, &response, deadline)).await;
            if kept.map_err(FailedUnit::as_a_whole)? {
                let answered = Answered { response, code: Some(error_code(&failed.failure)) };
                let failure = PlanError::Answered(Box::new(answered)).into();
                return Err(FailedUnit { failure, keepers: Vec::new(), ..failed });
            }
        }
        Err(FailedUnit::as_a_whole(StoreError::Contention { attempts: MAX_ROUNDS }))
    }

    /// Keeps a refusal. False when somebody else has decided the same requests.
    async fn keep(
        &self,
        context: &Context<'_>,
        failed: &FailedUnit,
        answer: &Response,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        in_time(deadline)?;
        let operation = plan::operation_id(Uuid::new_v4());
        let writes: Vec<Write> =
            failed.keepers.iter().flat_map(|claim| refusal(claim, failed, answer, &operation, context)).collect();
        let model = &context.service.model;
        match self.store.commit(model, &writes, &operation, deadline).await? {
            Commit::Done => Ok(true),
            Commit::Refused(_) => Ok(false),
            Commit::Conflict => {
                tokio::time::sleep(PAUSE).await;
                Ok(false)
            }
        }
    }
}

/// The items that keep a refusal for a claim: of the request alone, or of its unit with the answers before it.
fn refusal(
    claim: &Claim,
    failed: &FailedUnit,
    answer: &Response,
    operation: &str,
    context: &Context<'_>,
) -> Vec<Write> {
    let before = if claim.is_of_request() { Vec::new() } else { failed.before.clone() };
    let ending = Ending::Failed { before, answer: answer.clone() };
    let (kept, parts) = claim.ended(operation, &ending.encode());
    let first = (claim.key.clone(), Stored::Kept(kept));
    let condition = Condition::Free(context.now.as_second());
    let write =
        |(key, stored)| Write { key, kind: WriteKind::Put(stored, Schedule::Keep), condition: condition.clone() };
    std::iter::once(first).chain(parts).map(write).collect()
}
