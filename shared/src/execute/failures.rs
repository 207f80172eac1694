//! What the log says about requests that fail: which one, with which status and code. What a client sent is not in it.

use http::{Method, StatusCode};
use uuid::Uuid;

use crate::{
    batch::{Request, RequestId},
    plan::PlanError,
    respond::{Failure, error_code},
    telemetry::{FailureLine, TraceContext},
};

/// A request as the log calls it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'s> {
    pub(super) id: &'s str,
    pub(super) method: &'s Method,
    pub(super) path: &'s str,
    pub(super) service: Option<&'s str>,
    /// What error messages call it by.
    pub(super) correlation: Uuid,
    pub(super) trace: &'s TraceContext,
}

/// Most lines about the requests of one batch.
const MAX_LINES: usize = 100;

/// A request of a batch that failed.
pub(super) struct Culprit<'r> {
    /// Its place in the batch.
    pub(super) index: usize,
    pub(super) request: Option<&'r Request>,
    /// How many requests were undone with it.
    pub(super) undone: usize,
}

/// The failures of a batch so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Requests that were refused or undone.
    pub(super) requests: usize,
    culprits: usize,
}

impl Failures {
    /// Counts a failure, and writes a line about it unless there are many.
    pub(super) fn add(&mut self, subject: Subject<'_>, culprit: &Culprit<'_>, failure: &Failure, status: StatusCode) {
        self.requests += 1 + culprit.undone;
        self.culprits += 1;
        if self.culprits <= MAX_LINES {
            let request = culprit.request;
            FailureLine {
                index: Some(culprit.index),
                operation: request.and_then(|request| request.id.as_ref()).map(RequestId::as_str),
                method: request.map_or("", |request| request.method.as_str()),
                url: request.map_or("", |request| &request.url),
                undone: culprit.undone,
                ..subject.line(failure, status)
            }
            .write();
        }
    }

    /// Says how many more there were than lines.
    pub(super) fn close(&self, subject: Subject<'_>) {
        if let Some(more @ 1..) = self.culprits.checked_sub(MAX_LINES) {
            FailureLine::write_more(subject.id, more);
        }
    }
}

impl<'s> Subject<'s> {
    /// Writes down why it failed as a whole, where its own line does not say it.
    pub(super) fn tell(&self, failure: &Failure, status: StatusCode) {
        let line = self.line(failure, status);
        if line.reason.is_some() {
            line.write();
        }
    }

    fn line(&self, failure: &Failure, status: StatusCode) -> FailureLine<'s> {
        FailureLine {
            id: self.id,
            correlation: Some(self.correlation),
            service: self.service,
            index: None,
            operation: None,
            method: self.method.as_str(),
            url: self.path,
            undone: 0,
            status: status.as_u16(),
            error: error_code(failure),
            reason: reason(failure),
            trace: self.trace,
        }
    }
}

/// What is said about failures besides their code: those of the service, and of tokens. All others may quote the client.
fn reason(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Store(_) | Failure::Auth(_) | Failure::Plan(PlanError::Internal) => Some(failure.to_string()),
        _ => None,
    }
}
