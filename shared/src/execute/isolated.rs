//! `Isolation: snapshot` where requests fail by themselves (Protocol §8.2.6, §11.7.7).
//!
//! All items of a batch are evaluated over one snapshot, each over the writes of those before it. An item that fails takes
//! back its own writes and is answered as it would be without isolation. What the others write is one unit of work, and
//! nothing is answered before it is committed. When somebody was faster, all of it is evaluated again over a newer
//! snapshot: an evaluation is pure, so that only its last answers count.

use http::Method;
use indexmap::IndexSet;
use uuid::Uuid;

use crate::{
    batch::{BatchItem, BatchRequest, Request},
    plan::{self, Context, End, Fresh, Job, Needs, Outcome, PlanError, References, Sequence, Snapshot, Sum},
    respond::{BatchError, Failure},
    service::profile::Isolation,
    store::{Commit, Deadline, ItemKey, StoreError, TRANSACTION_ITEMS, Write, WriteKind},
    wire::Writer,
};

use super::{
    Engine,
    batch::{Ran, Run, only, write_group, write_single},
    commits::{AT_ONCE, MAX_ATTEMPTS, learn, pauses},
    fetch::in_time,
    keep::Refusal,
    one_unit::requests,
    turn::Turn,
    unit::{FailedUnit, MAX_READS},
    view::View,
};

/// Answers a batch whose reads are of one instant. `begin` begins with the first answer and `finish` ends with the last one:
/// each evaluation does. Where the batch has an id, its answer is kept with what it changes.
pub(super) async fn isolated<'r>(
    batch: &BatchRequest,
    begin: &(dyn Fn() -> Result<Run<'r>, BatchError> + Sync),
    finish: &(dyn Fn(Run<'r>) -> Ran + Sync),
    turn: Option<&Turn>,
) -> Result<Ran, Failure> {
    let Run { engine, call, context, fresh, .. } = begin()?;
    let mut position = 0;
    let mut jobs: Vec<Vec<Job<'_>>> = Vec::with_capacity(batch.items.len());
    for item in &batch.items {
        let requests = item.requests();
        let of_item = requests.iter().zip(position..);
        jobs.push(of_item.map(|(request, index)| Job { index, request, prepared: None }).collect());
        position += requests.len();
    }
    let mut evaluate = |snapshot: &Snapshot, operation: &str| -> Result<_, Failure> {
        let (mut run, mut references) = (begin()?, References::new());
        let mut sequence = Sequence::new(context, snapshot, &mut references, fresh, operation);
        run.items_over(batch, &mut jobs, &mut sequence);
        let refusals = std::mem::take(&mut run.refusals);
        let (mut ran, mut sum) = (finish(run), sequence.sum()?);
        if let Sum::Writes(writes) = &mut sum {
            writes.extend(refusals.iter().flat_map(|refusal| refusal.writes(operation, context)));
            if let Some(turn) = turn.filter(|_| !writes.is_empty()) {
                writes.extend(turn.writes(&mut ran.answer));
                ran.concluded = true;
            }
        }
        Ok((ran, sum))
    };
    engine.at_one_instant(context, only_reads(requests(batch)), call.deadline, &mut evaluate).await
}

fn only_reads<'r>(mut requests: impl Iterator<Item = &'r Request>) -> bool {
    requests.all(|request| request.method == Method::GET)
}

impl Run<'_> {
    /// Answers the items as far as what is known goes.
    fn items_over(&mut self, batch: &BatchRequest, jobs: &mut [Vec<Job<'_>>], sequence: &mut Sequence<'_>) {
        let mut index = 0;
        for (item, jobs) in batch.items.iter().zip(jobs) {
            if self.is_stopped() {
                return;
            }
            match item {
                BatchItem::Single(request) => {
                    let refusal = self.precluded(request.depends_on.iter()).map(|error| (0, error));
                    if let Some(end) = self.item_over(jobs, sequence, refusal, &write_single) {
                        self.settle_single(request, index, end.map_err(|failed| failed.failure).and_then(only));
                    }
                }
                BatchItem::Group(group) => {
                    self.groups += 1;
                    let name = self.form.group_name(group, self.groups);
                    let write =
                        |writer: &mut Writer, outcomes: &[Outcome]| write_group(writer, name.as_ref(), outcomes);
                    let refusal = self.refusal(group);
                    if let Some(end) = self.item_over(jobs, sequence, refusal, &write) {
                        self.settle_group(group, name.as_ref(), index, end);
                    }
                }
            }
            index += jobs.len();
        }
    }

    /// Evaluates an item and drafts its answer; `None` when something must be read first. `refusal` says why it cannot run
    /// at all.
    fn item_over(
        &mut self,
        jobs: &mut [Job<'_>],
        sequence: &mut Sequence<'_>,
        refusal: Option<(usize, PlanError)>,
        write: &dyn Fn(&mut Writer, &[Outcome]),
    ) -> Option<Result<Vec<Outcome>, FailedUnit>> {
        // Behind an item that waits nobody knows what failed.
        if let Some((culprit, error)) = refusal.filter(|_| !sequence.waits()) {
            sequence.skip(jobs);
            return Some(Err(FailedUnit { culprit, ..FailedUnit::as_a_whole(error) }));
        }
        let answers = &mut self.answers;
        let end = end_of(jobs, sequence, &mut |outcomes| answers.draft(|writer| write(writer, outcomes)));
        match end {
            Some(Err(failed)) => Some(Err(self.refused(jobs, failed))),
            end => end,
        }
    }

    /// A refusal that has claims is answered as its repeats will be, and kept with what the batch changes.
    fn refused(&mut self, jobs: &[Job<'_>], failed: FailedUnit) -> FailedUnit {
        if failed.keepers.is_empty() {
            return failed;
        }
        let request = jobs.get(failed.culprit).map(|job| job.request);
        let refusal = Refusal::of(failed, |failed| self.form.error(request, &failed.failure));
        let failed = refusal.told();
        self.refusals.push(refusal);
        failed
    }
}

/// Evaluates an item; it fails when `admit` refuses its answers. `None` when something must be read first.
fn end_of(
    jobs: &mut [Job<'_>],
    sequence: &mut Sequence<'_>,
    admit: &mut dyn FnMut(&[Outcome]) -> Result<(), PlanError>,
) -> Option<Result<Vec<Outcome>, FailedUnit>> {
    match sequence.item(jobs) {
        End::Halted => None,
        End::Failed { culprit, error, before, keepers } => {
            Some(Err(FailedUnit { culprit, before, keepers, ..FailedUnit::as_a_whole(error) }))
        }
        End::Done(outcomes) => Some(match admit(&outcomes) {
            Ok(()) => Ok(outcomes),
            Err(error) => {
                sequence.fail(jobs);
                Err(FailedUnit::as_a_whole(error))
            }
        }),
    }
}

/// Evaluates over a snapshot: a result, and what it takes to be final.
trait Evaluate<R>: FnMut(&Snapshot, &str) -> Result<(R, Sum), Failure> + Send {}

impl<R, F: FnMut(&Snapshot, &str) -> Result<(R, Sum), Failure> + Send> Evaluate<R> for F {}

impl Engine {
    /// Runs a unit with the isolation that its requests ask for.
    pub(super) async fn run_as_asked(
        &self,
        context: &Context<'_>,
        jobs: &mut [Job<'_>],
        references: &mut References,
        fresh: &Fresh<'_>,
        deadline: Deadline,
        admit: &mut (dyn FnMut(&[Outcome]) -> Result<(), PlanError> + Send),
    ) -> Result<Vec<Outcome>, FailedUnit> {
        let asks = |job: &Job<'_>| plan::isolation(&job.request.headers, context.service);
        if !jobs.iter().any(|job| asks(job).is_ok_and(|asked| asked == Some(Isolation::Snapshot))) {
            return self.run_unit(context, jobs, references, fresh, deadline, admit).await;
        }
        let only_reads = only_reads(jobs.iter().map(|job| job.request));
        let mut evaluate = |snapshot: &Snapshot, operation: &str| -> Result<_, Failure> {
            let mut sequence = Sequence::new(context, snapshot, references, fresh, operation);
            let end = end_of(jobs, &mut sequence, admit);
            Ok((end, sequence.sum()?))
        };
        match Box::pin(self.at_one_instant(context, only_reads, deadline, &mut evaluate)).await {
            Ok(Some(end)) => end,
            Ok(None) => Err(FailedUnit::as_a_whole(PlanError::Internal)),
            Err(failure) => Err(FailedUnit::as_a_whole(failure)),
        }
    }

    /// Evaluates until all that was read is of one instant and all that is written is committed. What others do in the
    /// meantime makes it begin anew.
    async fn at_one_instant<R: Send>(
        &self,
        context: &Context<'_>,
        only_reads: bool,
        deadline: Deadline,
        evaluate: &mut impl Evaluate<R>,
    ) -> Result<R, Failure> {
        let mut view = View::new(only_reads);
        let mut pauses = pauses();
        for attempts in 1..=MAX_ATTEMPTS {
            match self.attempt(context, &mut view, deadline, evaluate).await {
                Ok(Attempt::Done(result)) => return Ok(result),
                // The newer reading is compared with one newer still: a pause would only give others more time to change it.
                Ok(Attempt::Changed) => {}
                Ok(Attempt::Refused) if attempts <= AT_ONCE => {}
                Ok(Attempt::Refused | Attempt::Conflict) => {
                    let Some(pause) = pauses.next().filter(|pause| !deadline.is_before(*pause)) else {
                        return Err(PlanError::NotOneInstant { attempts }.into());
                    };
                    tokio::time::sleep(pause).await;
                    view.forget();
                }
                Err(Failure::Store(StoreError::OutOfTime)) if attempts > 1 => {
                    return Err(PlanError::NotOneInstant { attempts }.into());
                }
                Err(failure) => return Err(failure),
            }
            self.store.count_rerun();
            tracing::debug!(attempts, "batch is evaluated again");
        }
        Err(PlanError::NotOneInstant { attempts: MAX_ATTEMPTS }.into())
    }

    async fn attempt<R: Send>(
        &self,
        context: &Context<'_>,
        view: &mut View,
        deadline: Deadline,
        evaluate: &mut impl Evaluate<R>,
    ) -> Result<Attempt<R>, Failure> {
        in_time(deadline)?;
        view.read_lacking(self, context, deadline).await?;
        let operation = plan::operation_id(Uuid::new_v4());
        let (result, mut writes) = self.evaluate_known(context, view, &operation, deadline, evaluate).await?;
        let checks = view.snapshot.hold(&mut writes);
        let checked = !writes.is_empty() && view.is_small() && writes.len() + checks.len() <= TRANSACTION_ITEMS;
        if checked {
            writes.extend(checks);
        } else if !view.confirm(self, context, deadline).await? {
            return Ok(Attempt::Changed);
        }
        if writes.is_empty() {
            return Ok(Attempt::Done(result));
        }
        in_time(deadline)?;
        if self.store.is_staged(&context.service.model, &writes) {
            // What is staged is written whole, so it has to be known.
            let unread = writes.iter().filter(|write| matches!(write.kind, WriteKind::Patch(_)));
            let items: IndexSet<ItemKey> = unread.map(|write| write.key.clone()).collect();
            if !items.is_empty() {
                view.read(self, context, Needs { items, ..Needs::default() }, deadline).await?;
                return Ok(Attempt::Changed);
            }
        }
        match self.store.commit(&context.service.model, &writes, &operation, deadline).await? {
            Commit::Done => Ok(Attempt::Done(result)),
            Commit::Conflict => Ok(Attempt::Conflict),
            Commit::Refused(items) => {
                view.asked.items.extend(items.iter().map(|(key, _)| key.clone()));
                view.one_instant = false;
                if checked {
                    learn(&mut view.snapshot, &writes, items);
                } else {
                    view.forget();
                }
                Ok(Attempt::Refused)
            }
        }
    }

    /// Evaluates until nothing more has to be read.
    async fn evaluate_known<R: Send>(
        &self,
        context: &Context<'_>,
        view: &mut View,
        operation: &str,
        deadline: Deadline,
        evaluate: &mut impl Evaluate<R>,
    ) -> Result<(R, Vec<Write>), Failure> {
        for _ in 0..MAX_READS {
            match evaluate(&view.snapshot, operation)? {
                (result, Sum::Writes(writes)) => return Ok((result, writes)),
                (_, Sum::Needs(needs)) => view.read(self, context, needs, deadline).await?,
            }
        }
        Err(PlanError::Internal.into())
    }
}

/// How an attempt ended.
enum Attempt<R> {
    /// It is final.
    Done(R),
    /// What was read had changed when it was read again; nothing was written.
    Changed,
    /// What the commit relied on had changed; nothing was written.
    Refused,
    /// Another transaction held one of the items; nothing was written.
    Conflict,
}
