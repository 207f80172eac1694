//! Runs one unit of work: evaluate, read what is missing, commit; again when other writers were faster.

use std::{collections::HashSet, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use uuid::Uuid;

use crate::{
    plan::{self, Context, Evaluation, Fresh, Job, Needs, Outcome, PlanError, References, Snapshot},
    respond::Failure,
    store::{Commit, Condition, Deadline, StoreError},
};

use super::Engine;

/// How often a unit is run when other writers keep changing what it reads.
const MAX_ATTEMPTS: usize = 60;
/// So many times a refused unit is run again at once, with what the refusal showed. After that the others get time.
const AT_ONCE: usize = 3;
/// How often a unit may find that it has to read more. Each path segment or lookup can ask once.
const MAX_READS: usize = 200;

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
    fn as_a_whole(error: StoreError) -> Self {
        Self { culprit: 0, failure: error.into(), before: Vec::new() }
    }
}

impl Engine {
    /// Runs a unit to its end: everything is applied and answered, or nothing is applied.
    pub(super) async fn run_unit(
        &self,
        context: &Context<'_>,
        jobs: &mut [Job<'_>],
        references: &mut References,
        fresh: &Fresh<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Outcome>, FailedUnit> {
        let model = &context.service.model;
        let mut snapshot = Snapshot::default();
        let mut pauses = pauses();
        // Items that did not meet a condition once: they are known, not assumed, from then on.
        let mut contested = HashSet::new();
        for attempt in 1..=MAX_ATTEMPTS {
            let operation = plan::operation_id(Uuid::new_v4());
            let (outcomes, writes) =
                match self.decide(context, jobs, &mut snapshot, references, fresh, &operation, deadline).await? {
                    Evaluation::Ready { outcomes, writes } => (outcomes, writes),
                    Evaluation::Failed { culprit, error, before } => {
                        return Err(FailedUnit { culprit, failure: error.into(), before });
                    }
                    Evaluation::Needs(_) => {
                        let failure = PlanError::Internal.into();
                        return Err(FailedUnit { culprit: 0, failure, before: Vec::new() });
                    }
                };
            if writes.is_empty() {
                return Ok(outcomes);
            }
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
        for _ in 0..MAX_READS {
            match plan::evaluate(context, jobs, snapshot, references, fresh, operation) {
                Evaluation::Needs(needs) => {
                    self.fetch(context, needs, snapshot, deadline).await.map_err(FailedUnit::as_a_whole)?;
                }
                decided => return Ok(decided),
            }
        }
        Err(FailedUnit { culprit: 0, failure: PlanError::Internal.into(), before: Vec::new() })
    }

    /// Runs reads that stand in a row: each on its own, but what they need is read together.
    pub(super) async fn run_reads(
        &self,
        context: &Context<'_>,
        jobs: &mut [Job<'_>],
        references: &mut References,
        fresh: &Fresh<'_>,
        deadline: Deadline,
    ) -> Vec<Result<Outcome, Failure>> {
        let mut snapshot = Snapshot::default();
        let mut results: Vec<Option<Result<Outcome, Failure>>> = jobs.iter().map(|_| None).collect();
        for _ in 0..MAX_READS {
            let mut needs = Needs::default();
            for (job, result) in jobs.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
                match plan::evaluate(context, std::slice::from_mut(job), &snapshot, references, fresh, "") {
                    Evaluation::Needs(more) => needs.merge(more),
                    Evaluation::Failed { error, .. } => *result = Some(Err(error.into())),
                    Evaluation::Ready { mut outcomes, .. } => {
                        *result = Some(outcomes.pop().ok_or_else(|| PlanError::Internal.into()));
                    }
                }
            }
            if needs.is_empty() {
                break;
            }
            if let Err(error) = self.fetch(context, needs, &mut snapshot, deadline).await {
                if matches!(error, StoreError::Corrupt(_) | StoreError::Refused(_) | StoreError::Invalid(_))
                    && jobs.len() > 1
                {
                    return self.run_apart(context, jobs, results, references, fresh, deadline).await;
                }
                let text = error.to_string();
                let unanswered = results.iter_mut().filter(|result| result.is_none());
                unanswered.for_each(|result| *result = Some(Err(StoreError::Unavailable(text.clone()).into())));
                break;
            }
        }
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(PlanError::Internal.into()))).collect()
    }

    /// Runs the reads that have no result yet one by one: one that cannot be read must not spoil the others.
    async fn run_apart(
        &self,
        context: &Context<'_>,
        jobs: &mut [Job<'_>],
        mut results: Vec<Option<Result<Outcome, Failure>>>,
        references: &mut References,
        fresh: &Fresh<'_>,
        deadline: Deadline,
    ) -> Vec<Result<Outcome, Failure>> {
        for (job, result) in jobs.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
            let end = self.run_unit(context, std::slice::from_mut(job), references, fresh, deadline).await;
            let end = end.map_err(|failed| failed.failure);
            *result = Some(end.and_then(|mut outcomes| outcomes.pop().ok_or_else(|| PlanError::Internal.into())));
        }
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(PlanError::Internal.into()))).collect()
    }
}

/// The pauses between attempts: jittered, growing, bounded.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(100))
        .with_max_times(MAX_ATTEMPTS)
        .with_jitter()
        .build()
}
