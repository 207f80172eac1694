//! A whole batch as one unit of work: Business Central's `Isolation: snapshot`.

use crate::{
    batch::{BatchItem, BatchRequest, Request, Response, ResponseItem},
    plan::Job,
};

use super::{batch::Run, envelope::Answer, failures::Culprit, unit::FailedUnit};

impl Run<'_> {
    /// Business Central's `Isolation: snapshot`: all requests are one unit. After a failure the answers of those
    /// before it stand as they were, and those after it are absent.
    pub(super) async fn as_one_unit(&mut self, batch: &BatchRequest) {
        let requests: Vec<&Request> = batch
            .items
            .iter()
            .flat_map(|item| match item {
                BatchItem::Single(request) => std::slice::from_ref(request),
                BatchItem::Group(group) => group.requests.as_slice(),
            })
            .collect();
        let mut jobs: Vec<Job<'_>> =
            requests.iter().enumerate().map(|(index, request)| Job { index, request, prepared: None }).collect();
        let (mut answers, failure) = match self.unit(&mut jobs).await {
            Ok(outcomes) => (outcomes, None),
            Err(FailedUnit { culprit, failure, before }) => (before, Some((culprit, failure))),
        };
        let mut responses: Vec<Response> = answers.drain(..).map(|outcome| outcome.response).collect();
        if let Some((culprit, failure)) = failure {
            let request = requests.get(culprit).copied();
            let response = self.error(request, &failure);
            self.fail(&Culprit { index: culprit, request, undone: responses.len() }, &failure, response.status);
            self.not_run = requests.len().saturating_sub(culprit + 1);
            responses.push(response);
        }
        self.responses = self.mirror(batch, responses);
    }

    /// Gives flat answers the structure of the batch.
    fn mirror(&mut self, batch: &BatchRequest, responses: Vec<Response>) -> Vec<ResponseItem> {
        let mut responses = responses.into_iter();
        let mut items = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            match item {
                BatchItem::Single(_) => items.extend(responses.next().map(ResponseItem::Single)),
                BatchItem::Group(group) => {
                    self.groups += 1;
                    let name = match (&group.name, self.answer) {
                        (None, Answer::Json) => self.generated_name(),
                        (name, _) => name.clone(),
                    };
                    let responses: Vec<Response> = responses.by_ref().take(group.requests.len()).collect();
                    if !responses.is_empty() {
                        items.push(ResponseItem::Group { name, responses });
                    }
                }
            }
        }
        items
    }
}
