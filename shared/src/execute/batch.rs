//! `$batch`: the batch as a whole, then item after item (Protocol §11.7, JSON Format §19).

use std::collections::{HashMap, HashSet};

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use uuid::Uuid;

use crate::{
    batch::{BatchItem, BatchRequest, Format, Group, Headers, Request, RequestId},
    exchange::Outgoing,
    plan::{Context, Fresh, Job, Outcome, PlanError, Reference, References},
    repeat::RepeatFault,
    respond::{BatchError, Failure},
    service::profile::Isolation,
    store::StoreError,
    telemetry::Work,
    wire::Writer,
};

use super::{
    Engine,
    answers::Answers,
    engine::{Call, refused},
    failures::{Culprit, Failures, Subject},
    form::Form,
    isolated::isolated,
    keep::Refusal,
    one_unit::requests,
    reads::plain_reads,
    ready::Ready,
    share::Share,
    turn::{self, Begun, Turn},
    unit::FailedUnit,
};

/// A batch while it runs.
#[expect(clippy::struct_excessive_bools, reason = "each is something else that is known of it by then")]
pub(super) struct Run<'r> {
    pub(super) engine: &'r Engine,
    pub(super) call: &'r Call<'r>,
    pub(super) context: &'r Context<'r>,
    pub(super) fresh: &'r Fresh<'r>,
    pub(super) references: References,
    /// Requests and groups that are done: whether they succeeded.
    done: HashMap<RequestId, bool>,
    pub(super) form: Form<'r>,
    pub(super) answers: Answers,
    /// Goes on after a failure.
    continues: bool,
    failed: bool,
    /// Index of the last unit that an earlier executor has decided: it was not stopped by what stands before.
    decided: usize,
    failures: Failures,
    /// Refusals to keep with what the batch changes.
    pub(super) refusals: Vec<Refusal>,
    /// Requests that are answered; those after the end of the batch are not.
    answered: usize,
    /// Status of the answer as a whole.
    status: StatusCode,
    /// Something may have been committed.
    changed: bool,
    /// The batch has an id, and an operation that could not be decided: what follows is left to a repeat.
    suspended: bool,
    /// Something was answered with what is kept.
    repeated: bool,
    /// Groups that were run so far.
    pub(super) groups: usize,
    pub(super) share: Share,
}

/// A batch that was run.
pub(super) struct Ran {
    pub(super) answer: Outgoing,
    work: Work,
    failures: Failures,
    /// It was left to a repeat.
    suspended: bool,
    /// Its answer was kept for repeats together with what it changed.
    pub(super) concluded: bool,
}

impl Engine {
    /// Answers a batch.
    pub(super) async fn batch(&self, call: &Call<'_>) -> (Outgoing, Work) {
        self.run_batch(call).await.unwrap_or_else(|failure| refused(call, &failure))
    }

    async fn run_batch(&self, call: &Call<'_>) -> Result<(Outgoing, Work), Failure> {
        let ready = Ready::new(call)?;
        let context = self.context(call);
        let Some(claim) = turn::claim(call, &context)? else {
            // Boxed: the future of a call would hold the state of all its units otherwise.
            return Ok(Box::pin(self.run(call, &context, ready, None)).await?.tell(call.subject));
        };
        let operations = requests(&ready.batch).count();
        let turn = match self.begin(call, claim).await? {
            Begun::Before(answer) => return Ok((answer, Work { operations, repeated: true, ..Work::default() })),
            Begun::Now(turn) => turn,
        };
        let sooner = Call { deadline: turn::end_of_units(call.deadline), ..*call };
        let context = Context { batch: Some(&turn.repeat), ..context };
        let end = Box::pin(self.run(&sooner, &context, ready, Some(&turn))).await;
        if !end.as_ref().is_ok_and(|ran| !ran.suspended) {
            self.leave(call, &turn).await;
        }
        let ran = end?;
        let concluded = ran.suspended || ran.concluded;
        let (answer, work) = ran.tell(call.subject);
        Ok((if concluded { answer } else { self.conclude(call, &turn, answer).await? }, work))
    }

    /// Runs a batch.
    async fn run(
        &self,
        call: &Call<'_>,
        context: &Context<'_>,
        ready: Ready<'_>,
        turn: Option<&Turn>,
    ) -> Result<Ran, Failure> {
        let make = Uuid::new_v4;
        let fresh = Fresh::new(&make);
        let operations = requests(&ready.batch).count();
        let decided = (0..operations).rev().find(|index| context.is_decided(*index)).unwrap_or_default();
        let begin = |failures| -> Result<Run<'_>, BatchError> {
            Ok(Run {
                engine: self,
                call,
                context,
                fresh: &fresh,
                references: References::new(),
                done: HashMap::new(),
                form: ready.form,
                answers: ready.answers(context.batch)?,
                continues: ready.continues,
                failed: false,
                decided,
                failures,
                refusals: Vec::new(),
                answered: 0,
                status: StatusCode::OK,
                changed: false,
                suspended: false,
                repeated: false,
                groups: 0,
                share: Share::begin(),
            })
        };
        let finish = |run: Run<'_>| run.finish(operations, ready.asked);
        if ready.isolation == Some(Isolation::Snapshot) {
            return Box::pin(isolated(&ready.batch, &|| begin(Failures::held()), &finish, turn)).await;
        }
        let mut run = begin(Failures::default())?;
        match ready.isolation {
            None => run.items(&ready.batch).await,
            Some(_) => run.as_one_unit(&ready.batch).await,
        }
        Ok(finish(run))
    }
}

impl Ran {
    /// Writes down what failed. What is left is for the client, and for the line of the batch.
    fn tell(mut self, subject: Subject<'_>) -> (Outgoing, Work) {
        self.failures.close(subject);
        (self.answer, self.work)
    }
}

/// Writes the answer to a request on its own.
pub(super) fn write_single(writer: &mut Writer, outcomes: &[Outcome]) {
    for one in outcomes {
        writer.single(&one.response);
    }
}

/// Writes the answers to a group.
pub(super) fn write_group(writer: &mut Writer, name: Option<&RequestId>, outcomes: &[Outcome]) {
    writer.group(name, outcomes.iter().map(|one| &one.response));
}

/// The outcome of a request on its own.
pub(super) fn only(mut outcomes: Vec<Outcome>) -> Result<Outcome, Failure> {
    outcomes.pop().ok_or_else(|| PlanError::Internal.into())
}

impl Run<'_> {
    /// The items in order; stops after a failure unless the client or the profile says to go on.
    async fn items(&mut self, batch: &BatchRequest) {
        let mut index = 0;
        let mut items = batch.items.as_slice();
        while let Some((item, rest)) = items.split_first() {
            if self.is_stopped() {
                break;
            }
            self.share.pass().await;
            let reads = plain_reads(items);
            (index, items) = match item {
                _ if !reads.is_empty() && !self.suspended => {
                    self.reads(&reads, index).await;
                    (index + reads.len(), items.get(reads.len()..).unwrap_or_default())
                }
                BatchItem::Single(request) => {
                    self.single(request, index).await;
                    (index + 1, rest)
                }
                BatchItem::Group(group) => {
                    self.group(group, index).await;
                    (index + group.requests.len(), rest)
                }
            };
        }
    }

    /// Whether no more answers follow.
    pub(super) fn is_stopped(&self) -> bool {
        self.failed && !self.continues
    }

    /// A request on its own: a unit of one.
    pub(super) async fn single(&mut self, request: &Request, index: usize) {
        let result = if !self.context.is_decided(index)
            && let Some(error) = self.precluded(request.depends_on.iter())
        {
            Err(error.into())
        } else {
            let mut jobs = [Job { index, request, prepared: None }];
            self.unit(&mut jobs, &write_single).await.map_err(|failed| failed.failure).and_then(only)
        };
        self.settle_single(request, index, result);
    }

    /// Settles the answer to a request on its own. That of a success is written already.
    pub(super) fn settle_single(&mut self, request: &Request, index: usize, result: Result<Outcome, Failure>) {
        match result {
            Ok(outcome) => {
                self.note(request, true, outcome.reference);
                self.settle(1);
            }
            Err(failure) => {
                self.note(request, false, Reference::Failed);
                let form = self.form;
                let culprit = |_: &FailedUnit| Culprit { index, request: Some(request), undone: 0 };
                self.fail(FailedUnit::as_a_whole(failure), 1, culprit, |failed, writer| {
                    let error = form.error(Some(request), &failed.failure);
                    writer.single(&error);
                    error.status
                });
            }
        }
    }

    /// Runs a unit. Before anything is committed, `write` writes its answers, and they must have room.
    pub(super) async fn unit(
        &mut self,
        jobs: &mut [Job<'_>],
        write: &(dyn Fn(&mut Writer, &[Outcome]) + Sync),
    ) -> Result<Vec<Outcome>, FailedUnit> {
        let (answers, form) = (&mut self.answers, self.form);
        let mut admit = |outcomes: &[Outcome]| answers.draft(|writer| write(writer, outcomes));
        let requests: Vec<&Request> = jobs.iter().map(|job| job.request).collect();
        let answer = |failed: &FailedUnit| form.error(requests.get(failed.culprit).copied(), &failed.failure);
        let (references, deadline) = (&mut self.references, self.call.deadline);
        let engine = self.engine;
        let end = engine.run_kept(self.context, jobs, references, self.fresh, deadline, &mut admit, &answer).await;
        self.repeated |= match &end {
            Ok(outcomes) => outcomes.iter().any(|outcome| outcome.repeated),
            Err(failed) => failed.failure.is_repeated(),
        };
        end
    }

    /// A change set or atomicity group.
    async fn group(&mut self, group: &Group, index: usize) {
        self.groups += 1;
        let name = self.form.group_name(group, self.groups);
        let jobs = group.requests.iter().enumerate();
        let mut jobs: Vec<Job<'_>> =
            jobs.map(|(at, request)| Job { index: index + at, request, prepared: None }).collect();
        let result = if !self.context.is_decided(index)
            && let Some((culprit, error)) = self.refusal(group)
        {
            Err(FailedUnit { culprit, ..FailedUnit::as_a_whole(error) })
        } else {
            self.unit(&mut jobs, &|writer, outcomes| write_group(writer, name.as_ref(), outcomes)).await
        };
        self.settle_group(group, name.as_ref(), index, result);
    }

    /// Settles the answer to a group. That of a success is written already.
    pub(super) fn settle_group(
        &mut self,
        group: &Group,
        name: Option<&RequestId>,
        index: usize,
        result: Result<Vec<Outcome>, FailedUnit>,
    ) {
        self.done.extend(group.name.iter().map(|name| (name.clone(), result.is_ok())));
        match result {
            Ok(outcomes) => {
                for (request, outcome) in group.requests.iter().zip(outcomes) {
                    self.note(request, true, outcome.reference);
                }
                self.settle(group.requests.len());
            }
            Err(failed) => {
                group.requests.iter().for_each(|request| self.note(request, false, Reference::Failed));
                let (form, count) = (self.form, group.requests.len());
                let culprit = |failed: &FailedUnit| {
                    let request = group.requests.get(failed.culprit);
                    Culprit { index: index + failed.culprit, request, undone: count.saturating_sub(1) }
                };
                self.fail(failed, count, culprit, |failed, writer| {
                    form.write_failed_group(writer, group, name, failed)
                });
            }
        }
    }

    /// Why a group cannot run at all: the position of the request, and the error.
    pub(super) fn refusal(&self, group: &Group) -> Option<(usize, PlanError)> {
        if let Some(error) = self.precluded(std::iter::empty()) {
            return Some((0, error));
        }
        let members: HashSet<&RequestId> = group.requests.iter().filter_map(|r| r.id.as_ref()).collect();
        for (position, request) in group.requests.iter().enumerate() {
            if let Some(fault) = &request.fault {
                return Some((position, PlanError::Faulty(Box::new(fault.clone()))));
            }
            if self.form.asked == Format::Multipart && matches!(request.method, Method::GET | Method::HEAD) {
                return Some((position, PlanError::ReadInChangeSet(request.method.to_string())));
            }
            let outside = request.depends_on.iter().filter(|id| !members.contains(id));
            if let Some(error) = self.failed_dependency(outside) {
                return Some((position, error));
            }
        }
        None
    }

    /// Why a request is not run at all.
    pub(super) fn precluded<'d>(&self, depends_on: impl Iterator<Item = &'d RequestId>) -> Option<PlanError> {
        if self.suspended {
            return Some(RepeatFault::Suspended.into());
        }
        self.failed_dependency(depends_on)
    }

    fn failed_dependency<'d>(&self, mut depends_on: impl Iterator<Item = &'d RequestId>) -> Option<PlanError> {
        let failed = depends_on.find(|id| self.done.get(*id) != Some(&true))?;
        Some(PlanError::FailedDependency(failed.to_string()))
    }

    /// Answers an item of so many requests that failed; `write` writes the answer and returns its status. Where it has no
    /// room, the one that says so has. `culprit` is for the log.
    pub(super) fn fail<'f>(
        &mut self,
        mut failed: FailedUnit,
        requests: usize,
        culprit: impl Fn(&FailedUnit) -> Culprit<'f>,
        write: impl Fn(&FailedUnit, &mut Writer) -> StatusCode,
    ) {
        let mut status = StatusCode::OK;
        self.suspended |= self.context.batch.is_some() && failed.failure.is_undecided();
        if let Err(error) = self.answers.draft(|writer| status = write(&failed, writer)) {
            failed = FailedUnit::as_a_whole(error);
            self.answers.put(|writer| status = write(&failed, writer));
        }
        let counts = self.answered >= self.decided;
        self.settle(requests);
        self.failures.add(self.call.subject, &culprit(&failed), &failed.failure, status);
        let is_first = counts && !std::mem::replace(&mut self.failed, true);
        if is_first && !self.continues && !self.is_partly_done(&failed.failure, status) {
            self.status = self.form.service.profile.outer_status_of_failure.over(status);
        }
    }

    /// The item of so many requests has its answer.
    pub(super) fn settle(&mut self, requests: usize) {
        self.answers.settle();
        self.answered += requests;
    }

    /// Whether the service could not finish what it has done a part of, as far as anybody knows. The status of the whole must
    /// not make a client send all of it again.
    fn is_partly_done(&self, failure: &Failure, status: StatusCode) -> bool {
        match failure {
            Failure::Store(StoreError::OutcomeUnknown(_)) => true,
            Failure::Plan(PlanError::AnswerTooLarge { .. }) => self.changed,
            _ => self.changed && status.is_server_error(),
        }
    }

    fn note(&mut self, request: &Request, succeeded: bool, reference: Reference) {
        self.changed |= succeeded && request.method != Method::GET;
        if let Some(id) = request.name() {
            self.done.insert(id.clone(), succeeded);
            self.references.insert(id.clone(), reference);
        }
    }

    /// The whole answer to so many operations.
    fn finish(self, operations: usize, asked: Option<bool>) -> Ran {
        let work = Work {
            operations,
            failed: self.failures.requests,
            change_sets: self.groups,
            not_run: operations.saturating_sub(self.answered),
            error: None,
            repeated: self.repeated,
        };
        let encoded = self.answers.finish();
        let mut headers = Headers::new();
        if let Ok(content_type) = HeaderValue::from_str(&encoded.content_type) {
            headers.append(header::CONTENT_TYPE, content_type);
        }
        let version = self.form.version.as_str();
        headers.append(HeaderName::from_static("odata-version"), HeaderValue::from_static(version));
        if let Some(asked) = asked {
            let applied = if asked { "odata.continue-on-error" } else { "odata.continue-on-error=false" };
            headers.append(HeaderName::from_static("preference-applied"), HeaderValue::from_static(applied));
        }
        let answer = Outgoing { status: self.status, headers, body: encoded.body };
        Ran { answer, work, failures: self.failures, suspended: self.suspended, concluded: false }
    }
}
