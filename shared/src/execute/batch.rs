//! `$batch`: the batch as a whole, then item after item (Protocol §11.7, JSON Format §19).

use std::collections::{HashMap, HashSet};

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use uuid::Uuid;

use crate::{
    batch::{BatchItem, BatchRequest, Format, Group, Headers, Preferences, Request, RequestId},
    exchange::{Outgoing, Weight},
    plan::{self, Context, Fresh, Job, OdataVersion, Outcome, PlanError, Reference, References},
    respond::{BatchError, Failure},
    service::profile::Isolation,
    store::StoreError,
    telemetry::Work,
    wire::{self, Envelope, Writer},
};

use super::{
    Engine,
    answers::Answers,
    engine::{Call, refused},
    envelope::{answer_format, check_headers, references_exist, with_company},
    failures::{Culprit, Failures},
    form::Form,
    isolated::isolated,
    one_unit::requests,
    reads::plain_reads,
    unit::FailedUnit,
};

/// Headers of the batch that count for its requests too (Protocol §8.1, §8.2), and the company.
const INHERITED: [&str; 7] =
    ["accept", "accept-charset", "accept-language", "content-language", "odata-version", "odata-maxversion", "company"];
/// Headers that an inner request has no say in: authority comes from the batch alone (Protocol §11.7.7.1).
const STRIPPED: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "proxy-authenticate",
    "www-authenticate",
    "cookie",
    "expect",
    "from",
    "max-forwards",
    "range",
    "te",
];

/// A batch while it runs.
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
    failures: Failures,
    /// Requests that are answered; those after the end of the batch are not.
    answered: usize,
    /// Status of the answer as a whole.
    status: StatusCode,
    /// Something may have been committed.
    changed: bool,
    /// Groups that were run so far.
    pub(super) groups: usize,
}

impl Engine {
    /// Answers a batch.
    pub(super) async fn batch(&self, call: &Call<'_>) -> (Outgoing, Work) {
        let version = plan::version(&call.incoming.headers, call.service).unwrap_or(OdataVersion::V40);
        self.run_batch(call, version).await.unwrap_or_else(|failure| refused(call, &failure))
    }

    async fn run_batch(&self, call: &Call<'_>, version: OdataVersion) -> Result<(Outgoing, Work), Failure> {
        let service = call.service;
        let headers = &call.incoming.headers;
        check_headers(call.incoming, service)?;
        let envelope = Envelope::from_content_type(headers.get("content-type").unwrap_or_default());
        let envelope = envelope.map_err(BatchError::from)?;
        let answer = answer_format(call.incoming, service, &envelope)?;
        let isolation = plan::isolation(headers, service)?;
        let ids_by_change_set = service.profile.ids_by_change_set;
        let limits = wire::Limits { ids_by_change_set, ..service.limits.wire() };
        let mut batch = wire::decode(&envelope, &call.incoming.body, &limits).map_err(BatchError::from)?;
        references_exist(&batch)?;
        let inherited = with_company(call.incoming, service)?;
        requests_mut(&mut batch).for_each(|request| inherit(request, &inherited));
        let preferences = Preferences::of(headers);
        let continues = preferences.continue_on_error.unwrap_or(match batch.format {
            Format::Json => service.profile.json_continues,
            Format::Multipart => false,
        });

        let correlation = call.subject.correlation;
        let form = Form { service, version, asked: batch.format, answer, correlation };
        let encoding = form.encoding();
        let ends = Weight::of(&Writer::new(encoding, 0).finish().body);
        let as_one = isolation == Some(Isolation::Unit);
        let least = if as_one { form.least_of_unit(&batch) } else { form.least(&batch) };

        let make = Uuid::new_v4;
        let (context, fresh) = (self.context(call), Fresh::new(&make));
        let begin = |failures| -> Result<Run<'_>, BatchError> {
            Ok(Run {
                engine: self,
                call,
                context: &context,
                fresh: &fresh,
                references: References::new(),
                done: HashMap::new(),
                form,
                answers: Answers::new(Writer::new(encoding, batch.items.len()), ends, &least, continues)?,
                continues,
                failed: false,
                failures,
                answered: 0,
                status: StatusCode::OK,
                changed: false,
                groups: 0,
            })
        };
        let run = match isolation {
            Some(Isolation::Snapshot) => Box::pin(isolated(&batch, &|| begin(Failures::held()))).await?,
            isolation => {
                let mut run = begin(Failures::default())?;
                match isolation {
                    None => run.items(&batch).await,
                    Some(_) => run.as_one_unit(&batch).await,
                }
                run
            }
        };
        Ok(run.finish(requests(&batch).count(), preferences.continue_on_error))
    }
}

fn requests_mut(batch: &mut BatchRequest) -> impl Iterator<Item = &mut Request> {
    batch.items.iter_mut().flat_map(|item| match item {
        BatchItem::Single(request) => std::slice::from_mut(request).iter_mut(),
        BatchItem::Group(group) => group.requests.iter_mut(),
    })
}

/// Headers that a request takes over from its batch, and those it may not have.
fn inherit(request: &mut Request, batch: &Headers) {
    for name in STRIPPED {
        while request.headers.take(name).is_some() {}
    }
    for (name, value) in batch.iter().filter(|(name, _)| INHERITED.contains(&name.as_str())) {
        request.headers.inherit(name, value);
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
            let reads = plain_reads(items);
            (index, items) = match item {
                _ if !reads.is_empty() => {
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
        let result = if let Some(error) = self.failed_dependency(request.depends_on.iter()) {
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
        let answers = &mut self.answers;
        let mut admit = |outcomes: &[Outcome]| answers.draft(|writer| write(writer, outcomes));
        let (references, deadline) = (&mut self.references, self.call.deadline);
        self.engine.run(self.context, jobs, references, self.fresh, deadline, &mut admit).await
    }

    /// A change set or atomicity group.
    async fn group(&mut self, group: &Group, index: usize) {
        self.groups += 1;
        let name = self.form.group_name(group, self.groups);
        let jobs = group.requests.iter().enumerate();
        let mut jobs: Vec<Job<'_>> =
            jobs.map(|(at, request)| Job { index: index + at, request, prepared: None }).collect();
        let result = if let Some((culprit, error)) = self.refusal(group) {
            Err(FailedUnit { culprit, failure: error.into(), before: Vec::new() })
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
        let members: HashSet<&RequestId> = group.requests.iter().filter_map(|r| r.id.as_ref()).collect();
        for (position, request) in group.requests.iter().enumerate() {
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

    pub(super) fn failed_dependency<'d>(
        &self,
        mut depends_on: impl Iterator<Item = &'d RequestId>,
    ) -> Option<PlanError> {
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
        if let Err(error) = self.answers.draft(|writer| status = write(&failed, writer)) {
            failed = FailedUnit::as_a_whole(error);
            self.answers.put(|writer| status = write(&failed, writer));
        }
        self.settle(requests);
        self.failures.add(self.call.subject, &culprit(&failed), &failed.failure, status);
        let is_first = !std::mem::replace(&mut self.failed, true);
        if is_first && !self.continues && self.form.service.profile.outer_status_of_failure {
            self.status = if self.is_partly_done(&failed.failure, status) { StatusCode::OK } else { status };
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
        if let Some(id) = &request.id {
            self.done.insert(id.clone(), succeeded);
            self.references.insert(id.clone(), reference);
        }
    }

    /// The whole answer to so many operations.
    fn finish(mut self, operations: usize, asked: Option<bool>) -> (Outgoing, Work) {
        self.failures.close(self.call.subject);
        let work = Work {
            operations,
            failed: self.failures.requests,
            change_sets: self.groups,
            not_run: operations.saturating_sub(self.answered),
            error: None,
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
        (Outgoing { status: self.status, headers, body: encoded.body }, work)
    }
}
