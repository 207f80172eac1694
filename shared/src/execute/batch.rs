//! `$batch`: the batch as a whole, then item after item (Protocol §11.7, JSON Format §19).

use std::collections::{HashMap, HashSet};

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use uuid::Uuid;

use crate::{
    batch::{
        BatchItem, BatchRequest, BatchResponse, Format, Group, Headers, Preferences, Request, RequestId, Response,
        ResponseItem,
    },
    exchange::Outgoing,
    plan::{self, Context, Fresh, Job, OdataVersion, Outcome, PlanError, Reference, References},
    respond::{BatchError, ErrorContext, Failure, error_response},
    service::profile::FailedChangeSet,
    store::StoreError,
    telemetry::Work,
    wire::{self, Encoding, Envelope},
};

use super::{
    Engine,
    engine::{Call, refused},
    envelope::{Answer, answer_format, check_headers, is_snapshot, references_exist, with_company},
    failures::{Culprit, Failures},
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
    engine: &'r Engine,
    call: &'r Call<'r>,
    context: &'r Context<'r>,
    fresh: &'r Fresh<'r>,
    references: References,
    /// Requests and groups that are done: whether they succeeded.
    done: HashMap<RequestId, bool>,
    /// How the answer is written; it decides the shape of a failed group.
    pub(super) answer: Answer,
    version: OdataVersion,
    pub(super) responses: Vec<ResponseItem>,
    /// Status of the first failure.
    first_failure: Option<StatusCode>,
    failures: Failures,
    /// Requests after the end of the batch.
    pub(super) not_run: usize,
    /// Groups answered so far, for the names that JSON answers give to change sets.
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
        let snapshot = is_snapshot(headers, service)?;
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

        let make = Uuid::new_v4;
        let (context, fresh) = (self.context(call), Fresh::new(&make));
        let mut run = Run::new(self, call, &context, &fresh, answer, version);
        if snapshot {
            run.as_one_unit(&batch).await;
        } else {
            run.items(&batch, continues).await;
        }
        Ok(run.finish(&batch, continues, preferences.continue_on_error))
    }
}

fn requests_mut(batch: &mut BatchRequest) -> impl Iterator<Item = &mut Request> {
    batch.items.iter_mut().flat_map(|item| match item {
        BatchItem::Single(request) => std::slice::from_mut(request).iter_mut(),
        BatchItem::Group(group) => group.requests.iter_mut(),
    })
}

fn requests(items: &[BatchItem]) -> impl Iterator<Item = &Request> {
    items.iter().flat_map(|item| match item {
        BatchItem::Single(request) => std::slice::from_ref(request).iter(),
        BatchItem::Group(group) => group.requests.iter(),
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

impl<'r> Run<'r> {
    fn new(
        engine: &'r Engine,
        call: &'r Call<'r>,
        context: &'r Context<'r>,
        fresh: &'r Fresh<'r>,
        answer: Answer,
        version: OdataVersion,
    ) -> Self {
        Self {
            engine,
            call,
            context,
            fresh,
            references: References::new(),
            done: HashMap::new(),
            answer,
            version,
            responses: Vec::new(),
            first_failure: None,
            failures: Failures::default(),
            not_run: 0,
            groups: 0,
        }
    }

    /// The items in order; stops after a failure unless the client or the profile says to go on.
    async fn items(&mut self, batch: &BatchRequest, continues: bool) {
        let mut index = 0;
        let mut items = batch.items.as_slice();
        while let Some((item, rest)) = items.split_first() {
            if self.first_failure.is_some() && !continues {
                self.not_run = requests(items).count();
                break;
            }
            match item {
                BatchItem::Single(request) if is_plain_read(request) => {
                    let reads = Self::plain_reads(items);
                    self.reads(&reads, index, continues).await;
                    index += reads.len();
                    items = items.get(reads.len()..).unwrap_or_default();
                }
                BatchItem::Single(request) => {
                    self.single(request, index).await;
                    index += 1;
                    items = rest;
                }
                BatchItem::Group(group) => {
                    self.group(group, index, batch.format).await;
                    index += group.requests.len();
                    items = rest;
                }
            }
        }
    }

    /// The reads at the start of `items`. Reading changes nothing, so they may be read together even where a stop
    /// may come between them: answers after the stop are left out.
    fn plain_reads(items: &[BatchItem]) -> Vec<&Request> {
        let requests = items.iter().map_while(|item| match item {
            BatchItem::Single(request) if is_plain_read(request) => Some(request),
            _ => None,
        });
        requests.collect()
    }

    async fn reads(&mut self, requests: &[&Request], index: usize, continues: bool) {
        let jobs = requests.iter().enumerate();
        let mut jobs: Vec<Job<'_>> =
            jobs.map(|(at, request)| Job { index: index + at, request, prepared: None }).collect();
        let deadline = self.call.deadline;
        let results = self.engine.run_reads(self.context, &mut jobs, &mut self.references, self.fresh, deadline).await;
        for (at, (request, result)) in requests.iter().zip(results).enumerate() {
            let response = self.finish_request(request, index + at, result);
            self.responses.push(ResponseItem::Single(response));
            if self.first_failure.is_some() && !continues {
                self.not_run = requests.len() - at - 1;
                break;
            }
        }
    }

    /// A request on its own: a unit of one.
    async fn single(&mut self, request: &Request, index: usize) {
        let result = if let Some(error) = self.failed_dependency(request.depends_on.iter()) {
            Err(error.into())
        } else {
            let mut jobs = [Job { index, request, prepared: None }];
            self.unit(&mut jobs)
                .await
                .map_err(|failed| failed.failure)
                .and_then(|mut outcomes| outcomes.pop().ok_or_else(|| PlanError::Internal.into()))
        };
        let response = self.finish_request(request, index, result);
        self.responses.push(ResponseItem::Single(response));
    }

    pub(super) async fn unit(&mut self, jobs: &mut [Job<'_>]) -> Result<Vec<Outcome>, FailedUnit> {
        let deadline = self.call.deadline;
        self.engine.run_unit(self.context, jobs, &mut self.references, self.fresh, deadline).await
    }

    /// A change set or atomicity group.
    async fn group(&mut self, group: &Group, index: usize, format: Format) {
        self.groups += 1;
        let jobs = group.requests.iter().enumerate();
        let mut jobs: Vec<Job<'_>> =
            jobs.map(|(at, request)| Job { index: index + at, request, prepared: None }).collect();
        let result = match self.refusal(group, format) {
            Some((culprit, error)) => Err(FailedUnit { culprit, failure: error.into(), before: Vec::new() }),
            None => self.unit(&mut jobs).await,
        };
        let name = match (&group.name, self.answer) {
            (Some(name), _) => Some(name.clone()),
            (None, Answer::Json) => self.generated_name(),
            (None, Answer::Multipart) => None,
        };
        let succeeded = result.is_ok();
        self.done.extend(group.name.iter().map(|name| (name.clone(), succeeded)));
        let item = match result {
            Ok(outcomes) => {
                let responses = group.requests.iter().zip(outcomes).map(|(request, outcome)| {
                    self.done.extend(request.id.iter().map(|id| (id.clone(), true)));
                    outcome.response
                });
                ResponseItem::Group { name, responses: responses.collect() }
            }
            Err(failed) => self.failed_group((group, index), name, &failed, format),
        };
        self.responses.push(item);
    }

    /// A name for a change set in a JSON answer, unlike any id a client would choose.
    pub(super) fn generated_name(&self) -> Option<RequestId> {
        RequestId::new(&format!("changeset_{}_{}", self.groups, Uuid::new_v4())).ok()
    }

    /// Why a group cannot run at all: the position of the request, and the error.
    fn refusal(&self, group: &Group, format: Format) -> Option<(usize, PlanError)> {
        let members: HashSet<&RequestId> = group.requests.iter().filter_map(|r| r.id.as_ref()).collect();
        for (position, request) in group.requests.iter().enumerate() {
            if format == Format::Multipart && matches!(request.method, Method::GET | Method::HEAD) {
                return Some((position, PlanError::ReadInChangeSet(request.method.to_string())));
            }
            let outside = request.depends_on.iter().filter(|id| !members.contains(id));
            if let Some(error) = self.failed_dependency(outside) {
                return Some((position, error));
            }
        }
        None
    }

    fn failed_dependency<'d>(&self, mut depends_on: impl Iterator<Item = &'d RequestId>) -> Option<PlanError> {
        let failed = depends_on.find(|id| self.done.get(*id) != Some(&true))?;
        Some(PlanError::FailedDependency(failed.to_string()))
    }

    /// The answer to a failed group: nothing of it was applied.
    fn failed_group(
        &mut self,
        (group, index): (&Group, usize),
        name: Option<RequestId>,
        failed: &FailedUnit,
        format: Format,
    ) -> ResponseItem {
        for request in &group.requests {
            self.note(request, false, Reference::Failed);
        }
        let culprit = group.requests.get(failed.culprit);
        let response = self.error(culprit, &failed.failure);
        let culprit = Culprit { index: index + failed.culprit, request: culprit, undone: group.requests.len() - 1 };
        self.fail(&culprit, &failed.failure, response.status);
        if format == Format::Multipart && self.answer == Answer::Multipart {
            return match self.call.service.profile.failed_change_set {
                FailedChangeSet::SinglePart => ResponseItem::Single(response),
                FailedChangeSet::ChangeSetResponse => ResponseItem::Group { name: None, responses: vec![response] },
            };
        }
        let outcome_unknown = matches!(failed.failure, Failure::Store(StoreError::OutcomeUnknown(_)));
        let keeps = self.call.service.profile.failed_group_keeps_status;
        let responses =
            group.requests.iter().enumerate().map(|(position, request)| match failed.before.get(position) {
                _ if position == failed.culprit => response.clone(),
                // Nobody knows whether the group was applied, so none of its answers may say that it was not.
                _ if outcome_unknown => self.error(Some(request), &failed.failure),
                Some(outcome) if keeps => outcome.response.clone(),
                _ => self.error(Some(request), &PlanError::FailedGroup.into()),
            });
        ResponseItem::Group { name, responses: responses.collect() }
    }

    fn finish_request(&mut self, request: &Request, index: usize, result: Result<Outcome, Failure>) -> Response {
        match result {
            Ok(outcome) => {
                self.note(request, true, outcome.reference);
                outcome.response
            }
            Err(failure) => {
                self.note(request, false, Reference::Failed);
                let response = self.error(Some(request), &failure);
                let culprit = Culprit { index, request: Some(request), undone: 0 };
                self.fail(&culprit, &failure, response.status);
                response
            }
        }
    }

    /// Notes that a request failed.
    pub(super) fn fail(&mut self, culprit: &Culprit<'_>, failure: &Failure, status: StatusCode) {
        self.first_failure.get_or_insert(status);
        self.failures.add(self.call.subject, culprit, failure, status);
    }

    fn note(&mut self, request: &Request, succeeded: bool, reference: Reference) {
        if let Some(id) = &request.id {
            self.done.insert(id.clone(), succeeded);
            self.references.insert(id.clone(), reference);
        }
    }

    pub(super) fn error(&self, request: Option<&Request>, failure: &Failure) -> Response {
        let service = self.call.service;
        let version = request.and_then(|r| plan::version(&r.headers, service).ok()).unwrap_or(self.version);
        let context =
            ErrorContext { profile: Some(&service.profile), version, correlation: self.call.subject.correlation };
        let mut response = error_response(context, failure, request.and_then(|r| r.id.clone()));
        // A challenge is for the batch, not for its requests (Protocol §11.7.7.1).
        response.headers.take(header::WWW_AUTHENTICATE.as_str());
        response
    }

    /// The whole answer.
    fn finish(self, batch: &BatchRequest, continues: bool, asked: Option<bool>) -> (Outgoing, Work) {
        let profile = &self.call.service.profile;
        let status = match self.first_failure {
            Some(status) if profile.outer_status_of_failure && !continues => status,
            _ => StatusCode::OK,
        };
        self.failures.close(self.call.subject);
        let work = Work {
            operations: requests(&batch.items).count(),
            failed: self.failures.requests,
            change_sets: self.groups,
            not_run: self.not_run,
            error: None,
        };
        let encoding = match self.answer {
            Answer::Json => Encoding::Json { header_case: profile.header_case },
            Answer::Multipart => Encoding::Multipart { key: Uuid::new_v4(), flat: batch.format == Format::Json },
        };
        let encoded = wire::encode(&BatchResponse { items: self.responses }, encoding);
        let mut headers = Headers::new();
        if let Ok(content_type) = HeaderValue::from_str(&encoded.content_type) {
            headers.append(header::CONTENT_TYPE, content_type);
        }
        headers.append(HeaderName::from_static("odata-version"), HeaderValue::from_static(self.version.as_str()));
        if let Some(asked) = asked {
            let applied = if asked { "odata.continue-on-error" } else { "odata.continue-on-error=false" };
            headers.append(HeaderName::from_static("preference-applied"), HeaderValue::from_static(applied));
        }
        (Outgoing { status, headers, body: encoded.body }, work)
    }
}

/// A GET that depends on no other request: it may be read together with its neighbours.
fn is_plain_read(request: &Request) -> bool {
    request.method == Method::GET && request.depends_on.is_empty() && !plan::refers(request)
}
