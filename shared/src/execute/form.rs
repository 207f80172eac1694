//! What the answers of a batch look like: errors, failed groups, names of groups.

use bytes::Bytes;
use http::{StatusCode, header};
use uuid::Uuid;

use crate::{
    batch::{BatchItem, BatchRequest, Format, Group, Headers, Request, RequestId, Response},
    exchange::{MAX_ANSWER, Weight},
    plan::{self, OdataVersion, PlanError},
    respond::{ErrorContext, Failure, error_response},
    service::{Service, profile::FailedChangeSet},
    store::StoreError,
    wire::{Encoding, Mark, Writer},
};

use super::{
    envelope::Answer,
    one_unit::{mirror, requests},
    unit::FailedUnit,
};

/// What decides it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'f> {
    pub(super) service: &'f Service,
    /// Version of the batch.
    pub(super) version: OdataVersion,
    /// Format of the request.
    pub(super) asked: Format,
    /// Format of the answer.
    pub(super) answer: Answer,
    /// What error messages call the batch by.
    pub(super) correlation: Uuid,
}

impl Form<'_> {
    pub(super) fn encoding(&self) -> Encoding {
        match self.answer {
            Answer::Json => Encoding::Json { header_case: self.service.profile.header_case },
            Answer::Multipart => Encoding::Multipart { key: Uuid::new_v4(), flat: self.asked == Format::Json },
        }
    }

    /// The answer to a request that fails.
    pub(super) fn error(&self, request: Option<&Request>, failure: &Failure) -> Response {
        let version = request.and_then(|r| plan::version(&r.headers, self.service).ok()).unwrap_or(self.version);
        let mut response = error_response(self.context(version), failure, request.and_then(|r| r.id.clone()));
        // A challenge is for the batch, not for its requests (Protocol §11.7.7.1).
        response.headers.take(header::WWW_AUTHENTICATE.as_str());
        response
    }

    fn context(&self, version: OdataVersion) -> ErrorContext<'_> {
        ErrorContext { profile: Some(&self.service.profile), version, correlation: self.correlation }
    }

    /// The name of the n-th group. In a JSON answer all have one: unlike any id that a client would choose.
    pub(super) fn group_name(&self, group: &Group, n: usize) -> Option<RequestId> {
        match (&group.name, self.answer) {
            (None, Answer::Json) => RequestId::new(&format!("changeset_{n}_{}", Uuid::new_v4())).ok(),
            (name, _) => name.clone(),
        }
    }

    /// Writes the answer to a failed group, of which nothing was applied; the failure's status.
    pub(super) fn write_failed_group(
        &self,
        writer: &mut Writer,
        group: &Group,
        name: Option<&RequestId>,
        failed: &FailedUnit,
    ) -> StatusCode {
        let error = self.error(group.requests.get(failed.culprit), &failed.failure);
        let keeps = self.service.profile.failed_group_keeps_status;
        let outcome_unknown = matches!(failed.failure, Failure::Store(StoreError::OutcomeUnknown(_)));
        self.write_group(writer, group, name, failed.culprit, |position, request| match failed.before.get(position) {
            _ if position == failed.culprit => error.clone(),
            // Nobody knows whether the group was applied, so none of its answers may say that it was not.
            _ if outcome_unknown => self.error(Some(request), &failed.failure),
            Some(outcome) if keeps => outcome.response.clone(),
            _ => self.error(Some(request), &PlanError::FailedGroup.into()),
        });
        error.status
    }

    /// Writes the answers to a failed group in the shape that the profile gives them.
    fn write_group(
        &self,
        writer: &mut Writer,
        group: &Group,
        name: Option<&RequestId>,
        culprit: usize,
        answer: impl Fn(usize, &Request) -> Response,
    ) {
        let mut answers = group.requests.iter().enumerate().map(|(position, request)| answer(position, request));
        if self.asked == Format::Json || self.answer == Answer::Json {
            writer.group(name, answers);
            return;
        }
        let answer = answers.nth(culprit);
        match self.service.profile.failed_change_set {
            FailedChangeSet::SinglePart => answer.iter().for_each(|answer| writer.single(answer)),
            FailedChangeSet::ChangeSetResponse => writer.group(None, answer),
        }
    }

    /// What the answer to each item weighs when the item is not run.
    pub(super) fn least(&self, batch: &BatchRequest) -> Vec<Weight> {
        let mut scale = Scale::new(self);
        let mut groups = 0;
        let items = batch.items.iter().map(|item| {
            scale.weigh(|writer, least| match item {
                BatchItem::Single(request) => writer.single(&least.to(request)),
                BatchItem::Group(group) => {
                    groups += 1;
                    let name = self.group_name(group, groups);
                    self.write_group(writer, group, name.as_ref(), 0, |_, request| least.to(request));
                }
            })
        });
        items.collect()
    }

    /// What the answer to a batch weighs that is one unit and is not run: it is one error.
    pub(super) fn least_of_unit(&self, batch: &BatchRequest) -> Vec<Weight> {
        let first = requests(batch).next();
        vec![Scale::new(self).weigh(|writer, least| mirror(self, writer, batch, first.map(|first| least.to(first))))]
    }
}

/// The largest of the answers that an operation may get at last, whatever else has no room: it was not run, its group
/// failed, or nobody knows.
#[derive(Debug)]
struct Least(Response);

impl Least {
    fn to(&self, request: &Request) -> Response {
        Response { id: request.id.clone(), ..self.0.clone() }
    }
}

/// Weighs least answers.
#[derive(Debug)]
struct Scale {
    writer: Writer,
    start: Mark,
    least: Least,
}

impl Scale {
    fn new(form: &Form<'_>) -> Self {
        let failures: [Failure; 4] = [
            PlanError::AnswerTooLarge { max: MAX_ANSWER }.into(),
            PlanError::FailedGroup.into(),
            StoreError::OutOfTime.into(),
            StoreError::OutcomeUnknown(String::new()).into(),
        ];
        let versions = [OdataVersion::V40, OdataVersion::V401];
        let mut answers = versions.into_iter().flat_map(|version| {
            let context = form.context(version);
            failures.iter().map(move |failure| error_response(context, failure, None))
        });
        let mut writer = Writer::new(form.encoding(), 1);
        let none = Response { id: None, status: StatusCode::OK, headers: Headers::new(), body: Bytes::new() };
        // The first of all has no comma before it.
        writer.single(&none);
        let mut scale = Self { start: writer.mark(), writer, least: Least(none) };
        let mut heaviest = 0;
        for answer in &mut answers {
            let weight = scale.weigh(|writer, _| writer.single(&answer)).total();
            if weight > heaviest {
                (heaviest, scale.least) = (weight, Least(answer));
            }
        }
        scale
    }

    fn weigh(&mut self, write: impl FnOnce(&mut Writer, &Least)) -> Weight {
        self.writer.rewind(self.start);
        write(&mut self.writer, &self.least);
        Weight::of(self.writer.since(self.start))
    }
}
