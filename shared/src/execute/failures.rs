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
    /// What is not written yet.
    held: Vec<Told>,
    /// Lines are written at the end: what is answered until then may be answered otherwise.
    holds: bool,
}

/// What a line says.
#[derive(Debug)]
struct Told {
    index: usize,
    operation: Option<RequestId>,
    method: Method,
    url: String,
    undone: usize,
    status: StatusCode,
    error: &'static str,
    reason: Option<String>,
}

impl Failures {
    /// Failures that are written down at the end.
    pub(super) fn held() -> Self {
        Self { holds: true, ..Self::default() }
    }

    /// Counts a failure, and writes a line about it unless there are many.
    pub(super) fn add(&mut self, subject: Subject<'_>, culprit: &Culprit<'_>, failure: &Failure, status: StatusCode) {
        self.requests += 1 + culprit.undone;
        self.culprits += 1;
        if self.culprits <= MAX_LINES {
            self.held.push(Told {
                index: culprit.index,
                operation: culprit.request.and_then(|request| request.id.clone()),
                method: culprit.request.map(|request| request.method.clone()).unwrap_or_default(),
                url: culprit.request.map(|request| request.url.clone()).unwrap_or_default(),
                undone: culprit.undone,
                status,
                error: error_code(failure),
                reason: reason(failure),
            });
        }
        if !self.holds {
            self.write(subject);
        }
    }

    fn write(&mut self, subject: Subject<'_>) {
        for told in self.held.drain(..) {
            FailureLine {
                index: Some(told.index),
                operation: told.operation.as_ref().map(RequestId::as_str),
                method: told.method.as_str(),
                url: &told.url,
                undone: told.undone,
                ..subject.line(told.status, told.error, told.reason)
            }
            .write();
        }
    }

    /// Writes what is held, and how many more there were than lines.
    pub(super) fn close(&mut self, subject: Subject<'_>) {
        self.write(subject);
        if let Some(more @ 1..) = self.culprits.checked_sub(MAX_LINES) {
            FailureLine::write_more(subject.id, more);
        }
    }
}

impl<'s> Subject<'s> {
    /// Writes down why it failed as a whole, where its own line does not say it.
    pub(super) fn tell(&self, failure: &Failure, status: StatusCode) {
        let reason = reason(failure);
        if reason.is_some() {
            self.line(status, error_code(failure), reason).write();
        }
    }

    fn line(&self, status: StatusCode, error: &'static str, reason: Option<String>) -> FailureLine<'s> {
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
            error,
            reason,
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
