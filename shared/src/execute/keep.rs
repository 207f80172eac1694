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
            let refusal = Refusal::of(failed, answer);
            let kept = Box::pin(self.keep(context, &refusal, deadline)).await;
            if kept.map_err(FailedUnit::as_a_whole)? {
                return Err(refusal.told());
            }
        }
        Err(FailedUnit::as_a_whole(StoreError::Contention { attempts: MAX_ROUNDS }))
    }

    /// Keeps a refusal. False when somebody else has decided the same requests.
    async fn keep(&self, context: &Context<'_>, refusal: &Refusal, deadline: Deadline) -> Result<bool, StoreError> {
        in_time(deadline)?;
        let operation = plan::operation_id(Uuid::new_v4());
        let writes = refusal.writes(&operation, context);
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

/// A unit that was refused, and what its repeats are to be told.
#[derive(Debug)]
pub(super) struct Refusal {
    failed: FailedUnit,
    answer: Response,
}

impl Refusal {
    /// The answer says that it is kept, where it is that of a request with an id.
    pub(super) fn of(failed: FailedUnit, answer: impl Fn(&FailedUnit) -> Response) -> Self {
        let mut answer = answer(&failed);
        if failed.keepers.iter().any(Claim::is_of_request) {
            accepted(&mut answer.headers);
        }
        Self { failed, answer }
    }

    /// The failure as the client is told once this is kept.
    pub(super) fn told(&self) -> FailedUnit {
        let (response, code) = (self.answer.clone(), Some(error_code(&self.failed.failure)));
        let failure = PlanError::Answered(Box::new(Answered { response, code })).into();
        FailedUnit { culprit: self.failed.culprit, failure, before: self.failed.before.clone(), keepers: Vec::new() }
    }

    /// What keeps it.
    pub(super) fn writes(&self, operation: &str, context: &Context<'_>) -> Vec<Write> {
        let writes = |claim| self.writes_for(claim, operation, context.now.as_second());
        self.failed.keepers.iter().flat_map(writes).collect()
    }

    /// The items that keep it for a claim: of the request alone, or of its unit with the answers before it.
    fn writes_for(&self, claim: &Claim, operation: &str, now: i64) -> impl Iterator<Item = Write> {
        let before = if claim.is_of_request() { Vec::new() } else { self.failed.before.clone() };
        let ending = Ending::Failed { before, answer: self.answer.clone() };
        let (kept, parts) = claim.ended(operation, &ending.encode());
        let first = (claim.key.clone(), Stored::Kept(kept));
        let write = move |(key, stored)| {
            let kind = WriteKind::Put(stored, Schedule::Keep);
            Write { key, kind, condition: Condition::Free(now) }
        };
        std::iter::once(first).chain(parts).map(write)
    }
}
