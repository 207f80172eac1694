//! One attempt to requeue a job: the requests of it, and what came of them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    jobs::{SET_BATCH_JOB_TO_WAITING, Status},
    ledger::DecisionRow,
    outbox::{Clock, STORE_TIME, courier::Answer, courier::Courier},
    telemetry::TraceContext,
};

use super::{
    Address, Way,
    answer::{Failure, Outcome, outcome, status},
    own,
    token::{Bearer, TOKEN_TIME, Tokens},
};

/// Longest `Change-Reason`, in bytes.
const MAX_REASON: usize = 500;

/// Of an attempt, besides waiting for answers.
const SLACK: Duration = Duration::from_secs(1);

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Called {
    /// When it began.
    pub(super) begun: Timestamp,
    /// How long it took.
    pub(super) duration: Duration,
    /// What it came to.
    pub(super) outcome: Outcome,
    /// Status of the last answer.
    pub(super) status: Option<u16>,
}

/// One attempt under way.
struct Attempt<'a> {
    address: &'a Address,
    courier: &'a Courier,
    clock: &'a Clock,
    /// When it has to be over.
    end: Instant,
    status: Option<u16>,
    trace: Option<TraceContext>,
}

impl Address {
    /// The longest that an attempt takes.
    pub(super) fn attempt_time(&self) -> Duration {
        let reads = u32::from(!self.target.repeatability);
        let token =
            if let Way::Http { tokens: Tokens::Fetched { .. }, .. } = self.way { TOKEN_TIME } else { Duration::ZERO };
        self.target.timeout * (1 + reads) + token + SLACK
    }

    /// The shortest turn in which an attempt is begun: the gate and the queue are read before it, and its outcome is
    /// written down after it.
    pub(in crate::outbox) fn turn_time(&self) -> Duration {
        self.attempt_time() + 3 * STORE_TIME
    }

    /// How long a claim holds: longer than an attempt and the two writes around it take.
    pub(super) fn lease(&self) -> Duration {
        self.attempt_time() + 3 * STORE_TIME
    }

    /// Makes an attempt.
    pub(super) async fn call(&self, courier: &Courier, clock: &Clock, row: &DecisionRow) -> Called {
        let (begun, start) = (clock(), Instant::now());
        let (end, trace) = (start + self.attempt_time(), TraceContext::from_text(&row.trace));
        let mut attempt = Attempt { address: self, courier, clock, end, status: None, trace };
        let made = timeout(self.attempt_time(), attempt.make(row)).await.unwrap_or_else(|_| {
            let reason = format!("the attempt took more than {} s", self.attempt_time().as_secs());
            Err(Failure { may_have_acted: true, ..Failure::of_target(&reason, None) })
        });
        let outcome = made.unwrap_or_else(Outcome::Again);
        Called { begun, duration: start.elapsed(), outcome, status: attempt.status }
    }
}

impl Attempt<'_> {
    async fn make(&mut self, row: &DecisionRow) -> Result<Outcome, Failure> {
        let from = state_of(row);
        if !self.address.target.repeatability {
            let url = format!("BatchJobs(BatchJobRecId={})?$select=BatchJobRecId,Status", row.job);
            let answer = self.ask(Method::GET, &url, HeaderMap::new(), Bytes::new()).await?;
            match status(&answer) {
                Ok(state) if state == from.name() => {}
                Ok(state) if row.outcome_unknown && is_underway(&state) => {
                    return Ok(Outcome::Done(Some(format!(
                        "the job is {state} after a call whose answer is not known"
                    ))));
                }
                Ok(state) => return Ok(Outcome::Refused(format!("the job is {state} already"))),
                Err(outcome) => return Ok(outcome),
            }
        }
        let url = format!("BatchJobs/Microsoft.Dynamics.DataEntities.{SET_BATCH_JOB_TO_WAITING}");
        let body = format!(r#"{{"batchJobId":{}}}"#, row.job);
        let answer = self.ask(Method::POST, &url, headers(row, from), body.into()).await?;
        Ok(outcome(&answer))
    }

    /// Sends a request: with a token, and once more with another one when the target does not take it.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let given = [
            (header::ACCEPT, "application/json"),
            (HeaderName::from_static("odata-version"), "4.0"),
            (HeaderName::from_static("odata-maxversion"), "4.0"),
        ];
        headers.extend(given.map(|(name, value)| (name, HeaderValue::from_static(value))));
        headers.extend(self.trace.iter().flat_map(|trace| trace.child(Uuid::new_v4()).headers()));
        let (url, tokens) = match &self.address.way {
            Way::Own { engine, root } => {
                let answer = own::ask(engine, (method, format!("{root}/{path}")), headers, body, self.time()).await;
                return Ok(self.noted(answer));
            }
            Way::Http { url, tokens } => (format!("{url}/{path}"), tokens),
        };
        let bearer = tokens.bearer(self.courier, (self.clock)(), None).await?;
        let answer = self.send((method.clone(), &url), headers.clone(), body.clone(), bearer.as_ref()).await;
        if !matches!(answer.attempt.result, Ok(401 | 403)) {
            return Ok(answer);
        }
        match tokens.bearer(self.courier, (self.clock)(), bearer.as_ref()).await? {
            Some(other) => Ok(self.send((method, &url), headers, body, Some(&other)).await),
            None => Ok(answer),
        }
    }

    async fn send(
        &mut self,
        request: (Method, &str),
        mut headers: HeaderMap,
        body: Bytes,
        bearer: Option<&Bearer>,
    ) -> Answer {
        if let Some(bearer) = bearer {
            headers.insert(header::AUTHORIZATION, bearer.clone());
        }
        let answer = self.courier.call(request, headers, body, self.time()).await;
        self.noted(answer)
    }

    /// How long an answer may take.
    fn time(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now()).min(self.address.target.timeout)
    }

    fn noted(&mut self, answer: Answer) -> Answer {
        self.status = answer.attempt.result.as_ref().ok().copied();
        answer
    }
}

/// Whether a job comes into this state by being requeued, and by nothing else that is done to a job that has ended.
fn is_underway(state: &str) -> bool {
    [Status::Waiting, Status::Ready, Status::Scheduled, Status::Executing, Status::Finished]
        .iter()
        .any(|known| known.name() == state)
}

/// The state that an event tells of.
fn state_of(row: &DecisionRow) -> Status {
    if row.event == "Canceled" { Status::Canceled } else { Status::Error }
}

/// What a call of the action says besides its body.
fn headers(row: &DecisionRow, from: Status) -> HeaderMap {
    let reason = match &row.rerun_by {
        None => format!("rule \"{}\", event {}", row.rule, row.request_id()),
        Some((by, why)) if why.is_empty() => format!("by hand ({by}), event {}", row.request_id()),
        Some((by, why)) => format!("by hand ({by}: {why}), event {}", row.request_id()),
    };
    let reason: String = reason.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
    let reason = reason.get(..MAX_REASON).unwrap_or(&reason).to_owned();
    let first_sent = row.received.and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok());
    let given = [
        ("content-type", Some("application/json".to_owned())),
        ("repeatability-request-id", Some(row.request_id())),
        ("repeatability-first-sent", first_sent),
        ("requeue-from", Some(from.name().to_owned())),
        ("change-reason", Some(reason)),
    ];
    let lines = given
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value?).ok()?)));
    lines.collect()
}
