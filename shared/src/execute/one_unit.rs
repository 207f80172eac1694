//! A whole batch as one unit of work: Business Central's `Isolation: snapshot`.

use std::borrow::Borrow;

use crate::{
    batch::{BatchItem, BatchRequest, Request, Response},
    plan::{Job, Outcome},
    wire::Writer,
};

use super::{batch::Run, failures::Culprit, form::Form, unit::FailedUnit};

impl Run<'_> {
    /// Business Central's `Isolation: snapshot`: all requests are one unit. After a failure the answers of those
    /// before it stand as they were, and those after it are absent.
    pub(super) async fn as_one_unit(&mut self, batch: &BatchRequest) {
        let requests: Vec<&Request> = requests(batch).collect();
        let mut jobs: Vec<Job<'_>> =
            requests.iter().enumerate().map(|(index, request)| Job { index, request, prepared: None }).collect();
        let form = self.form;
        let write = |writer: &mut Writer, outcomes: &[Outcome]| mirror(&form, writer, batch, responses(outcomes));
        // After a failure all of it is undone, or was not run.
        let culprit = |failed: &FailedUnit| {
            let request = requests.get(failed.culprit).copied();
            Culprit { index: failed.culprit, request, undone: requests.len().saturating_sub(1) }
        };
        self.groups = batch.items.iter().filter(|item| matches!(item, BatchItem::Group(_))).count();
        let count = requests.len();
        match self.unit(&mut jobs, &write).await {
            Ok(_) => self.settle(count),
            Err(failed) => self.fail(failed, count, culprit, |failed, writer| {
                let error = form.error(requests.get(failed.culprit).copied(), &failed.failure);
                mirror(&form, writer, batch, responses(&failed.before).chain([&error]));
                error.status
            }),
        }
    }
}

/// All requests of a batch, those of groups among the others.
pub(super) fn requests(batch: &BatchRequest) -> impl Iterator<Item = &Request> {
    batch.items.iter().flat_map(BatchItem::requests)
}

fn responses(outcomes: &[Outcome]) -> impl Iterator<Item = &Response> {
    outcomes.iter().map(|outcome| &outcome.response)
}

/// Writes flat answers in the structure of the batch.
pub(super) fn mirror<R: Borrow<Response>>(
    form: &Form<'_>,
    writer: &mut Writer,
    batch: &BatchRequest,
    responses: impl IntoIterator<Item = R>,
) {
    let mut responses = responses.into_iter().peekable();
    let mut groups = 0;
    for item in &batch.items {
        if responses.peek().is_none() {
            return;
        }
        match item {
            BatchItem::Single(_) => responses.next().iter().for_each(|response| writer.single(response.borrow())),
            BatchItem::Group(group) => {
                groups += 1;
                let name = form.group_name(group, groups);
                writer.group(name.as_ref(), responses.by_ref().take(group.requests.len()));
            }
        }
    }
}
