//! Runs one unit of work: evaluate, read what is missing, commit; again when other writers were faster.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use indexmap::IndexSet;
use uuid::Uuid;

use crate::{
    plan::{self, Context, Evaluation, Fresh, Job, Needs, Outcome, PlanError, References, Snapshot},
    respond::Failure,
    store::{Commit, Condition, Deadline, StoreError},
};

use super::{Engine, fetch::in_time};

/// How often a unit is run when other writers keep changing what it reads.
pub(super) const MAX_ATTEMPTS: usize = 60;
/// So many times a refused unit is run again at once, with what the refusal showed. After that the others get time.
pub(super) const AT_ONCE: usize = 3;
/// How often a unit may find that it has to read more. Each path segment or lookup can ask once.
pub(super) const MAX_READS: usize = 200;
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
}

impl FailedUnit {
    /// A unit in which no request failed by itself.
    pub(super) fn as_a_whole(failure: impl Into<Failure>) -> Self {
        Self { culprit: 0, failure: failure.into(), before: Vec::new() }
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
        in_time(deadline).map_err(FailedUnit::as_a_whole)?;
        let model = &context.service.model;
        let mut snapshot = Snapshot::default();
        let mut pauses = pauses();
        // Items that did not meet a condition once: they are known, not assumed, from then on.
        let mut contested = IndexSet::new();
        for attempt in 1..=MAX_ATTEMPTS {
            let operation = plan::operation_id(Uuid::new_v4());
            let (outcomes, writes) =
                match self.decide(context, jobs, &mut snapshot, references, fresh, &operation, deadline).await? {
                    Evaluation::Ready { outcomes, writes } => (outcomes, writes),
                    Evaluation::Failed { culprit, error, before } => {
                        return Err(FailedUnit { culprit, failure: error.into(), before });
                    }
                    Evaluation::Needs(_) => return Err(FailedUnit::as_a_whole(PlanError::Internal)),
                };
            admit(&outcomes).map_err(FailedUnit::as_a_whole)?;
            if writes.is_empty() {
                return Ok(outcomes);
            }
            in_time(deadline).map_err(FailedUnit::as_a_whole)?;
            let end = self.store.commit(model, &writes, &operation, deadline).await.map_err(FailedUnit::as_a_whole)?;
            // Whatever was read may be stale by the next attempt; what a refusal has just shown is not.
            snapshot = Snapshot::default();
            let at_once = match end {
                Commit::Done => return Ok(outcomes),
                Commit::Refused(items) => {
                    contested.extend(items.iter().map(|(key, _)| key.clone()));
                    if attempt <= AT_ONCE {
                        // What is not among the refused met its condition: these keys are free.
                        let free = writes.iter().filter(|write| write.condition == Condition::Absent);
                        free.for_each(|write| snapshot.learn(write.key.clone(), None));
                        for (key, stored) in items {
                            snapshot.learn(key, stored);
                        }
                    }
                    attempt <= AT_ONCE
                }
                Commit::Conflict => false,
            };
            let Some(pause) = pauses.next().filter(|pause| !deadline.is_before(*pause)) else {
                return Err(FailedUnit::as_a_whole(StoreError::Contention { attempts: attempt }));
            };
            self.store.count_rerun();
            tracing::debug!(attempt, "unit of work is run again");
            if !at_once {
                tokio::time::sleep(pause).await;
                let needs = Needs { items: contested.clone(), ..Needs::default() };
                self.fetch(context, needs, &mut snapshot, deadline).await.map_err(FailedUnit::as_a_whole)?;
            }
        }
        Err(FailedUnit::as_a_whole(StoreError::Contention { attempts: MAX_ATTEMPTS }))
    }

    /// Evaluates until nothing more has to be read.
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
        let mut bytes = 0;
        for _ in 0..MAX_READS {
            match plan::evaluate(context, jobs, snapshot, references, fresh, operation) {
                Evaluation::Needs(needs) => {
                    bytes += self.fetch(context, needs, snapshot, deadline).await.map_err(FailedUnit::as_a_whole)?;
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

/// The pauses between attempts: jittered, growing, bounded.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(100))
        .with_max_times(MAX_ATTEMPTS)
        .with_jitter()
        .build()
}
