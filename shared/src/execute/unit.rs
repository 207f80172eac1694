//! Runs one unit of work: evaluate, read what is missing, commit; again when other writers were faster.

use uuid::Uuid;

use crate::{
    plan::{self, Context, Evaluation, Fresh, Job, Needs, Outcome, PlanError, References, Snapshot},
    repeat::Claim,
    respond::Failure,
    store::Deadline,
};

use super::{
    Engine,
    commits::{Attempted, Commits},
    fetch::in_time,
    view::View,
};

/// How often a unit may find that it has to read more. Each path segment or lookup can ask once.
pub(super) const MAX_READS: usize = 200;
/// How often a refusal is checked that follows from several readings, before it is believed.
const MAX_CHECKS: usize = 5;
/// The most bytes that a unit reads: all of it is in memory until the unit is decided.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// A unit that was not applied.
#[derive(Debug)]
pub(super) struct FailedUnit {
    /// Position of the request that failed.
    pub(super) culprit: usize,
    pub(super) failure: Failure,
    /// The answers of those before it, as they would have been.
    pub(super) before: Vec<Outcome>,
    /// Where to keep this for repeats.
    pub(super) keepers: Vec<Claim>,
}

impl FailedUnit {
    /// A unit in which no request failed by itself.
    pub(super) fn as_a_whole(failure: impl Into<Failure>) -> Self {
        Self { culprit: 0, failure: failure.into(), before: Vec::new(), keepers: Vec::new() }
    }
}

impl Engine {
    /// Runs a unit to its end: everything is applied and answered, or nothing is applied. Nothing is committed whose
    /// answers `admit` refuses.
    pub(super) async fn run_unit(
        &self,
        context: &Context<'_>,
        jobs: &mut [Job<'_>],
        references: &mut References,
        fresh: &Fresh<'_>,
        deadline: Deadline,
        admit: &mut (dyn FnMut(&[Outcome]) -> Result<(), PlanError> + Send),
    ) -> Result<Vec<Outcome>, FailedUnit> {
        let mut commits = Commits::new(self, &context.service.model, deadline);
        let end = Box::pin(self.run_attempts(context, jobs, references, fresh, admit, &mut commits)).await;
        commits.release().await;
        end
    }

    async fn run_attempts(
        &self,
        context: &Context<'_>,
        jobs: &mut [Job<'_>],
        references: &mut References,
        fresh: &Fresh<'_>,
        admit: &mut (dyn FnMut(&[Outcome]) -> Result<(), PlanError> + Send),
        commits: &mut Commits<'_>,
    ) -> Result<Vec<Outcome>, FailedUnit> {
        let deadline = commits.deadline;
        in_time(deadline).map_err(FailedUnit::as_a_whole)?;
        let mut snapshot = Snapshot::default();
        loop {
            let operation = plan::operation_id(Uuid::new_v4());
            let (outcomes, writes) =
                match self.decide(context, jobs, &mut snapshot, references, fresh, &operation, deadline).await? {
                    Evaluation::Ready { outcomes, writes } => (outcomes, writes),
                    Evaluation::Failed { culprit, error, before, keepers } => {
                        return Err(FailedUnit { culprit, failure: error.into(), before, keepers });
                    }
                    Evaluation::Needs(_) => return Err(FailedUnit::as_a_whole(PlanError::Internal)),
                };
            admit(&outcomes).map_err(FailedUnit::as_a_whole)?;
            if writes.is_empty() {
                return Ok(outcomes);
            }
            in_time(deadline).map_err(FailedUnit::as_a_whole)?;
            let needs =
                match commits.commit(&writes, &operation, &mut snapshot).await.map_err(FailedUnit::as_a_whole)? {
                    Attempted::Done => return Ok(outcomes),
                    Attempted::Again(needs) => needs,
                };
            if !needs.is_empty() {
                self.fetch(context, needs, &mut snapshot, deadline).await.map_err(FailedUnit::as_a_whole)?;
            }
        }
    }

    /// Evaluates until nothing more has to be read. A refusal that follows from several readings is final only when it
    /// follows from one: a key or a lookup may have moved in between, and what it led to may be gone.
    #[expect(clippy::too_many_arguments, reason = "what an evaluation takes, and the deadline")]
    async fn decide(
        &self,
        context: &Context<'_>,
        jobs: &mut [Job<'_>],
        snapshot: &mut Snapshot,
        references: &mut References,
        fresh: &Fresh<'_>,
        operation: &str,
        deadline: Deadline,
    ) -> Result<Evaluation, FailedUnit> {
        let (mut bytes, mut checks) = (0, 0);
        let mut asked = Needs { items: snapshot.known().cloned().collect(), ..Needs::default() };
        let mut readings = usize::from(!asked.is_empty());
        for _ in 0..MAX_READS {
            match plan::evaluate(context, jobs, snapshot, references, fresh, operation) {
                Evaluation::Needs(needs) => {
                    asked.update(needs.clone());
                    readings += 1;
                    bytes += self.fetch(context, needs, snapshot, deadline).await.map_err(FailedUnit::as_a_whole)?;
                }
                Evaluation::Failed { error, .. } if readings > 1 && checks < MAX_CHECKS && error.is_of_state() => {
                    let mut view = View::new(true);
                    view.read(self, context, asked.clone(), deadline).await.map_err(FailedUnit::as_a_whole)?;
                    (*snapshot, readings) = (view.snapshot, 1);
                    checks += 1;
                }
                decided => return Ok(decided),
            }
            if bytes > MAX_BYTES {
                return Err(FailedUnit::as_a_whole(PlanError::ReadsTooMuch { max: MAX_BYTES }));
            }
        }
        Err(FailedUnit::as_a_whole(PlanError::Internal))
    }
}
