//! The lines that are written about requests. Their members are what operators ask for: no body, no query, no secret.

use std::time::Duration;

use uuid::Uuid;

use super::{TraceContext, metrics};
use crate::store::Usage;

/// Target of the line of a request.
pub(super) const REQUEST: &str = "rebatch::request";
/// Target of the line of events that came in.
pub(super) const EVENTS: &str = "rebatch::events";
/// Target of the line of an invocation of the outbox.
pub(super) const OUTBOX: &str = "rebatch::outbox";
/// Target of the line of a request of a batch that failed.
const FAILURE: &str = "rebatch::failure";

/// Where there is none; a metric needs one.
pub(super) const NONE: &str = "-";
/// So much of what a client names is shown, in bytes.
const MAX_PATH: usize = 200;
const MAX_NAME: usize = 100;

/// What a request asked for, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Requests: those of a batch, or the one that came alone.
    pub operations: usize,
    /// Those that were refused or undone.
    pub failed: usize,
    /// Change sets and atomicity groups.
    pub change_sets: usize,
    /// Requests of a batch that was ended before them.
    pub not_run: usize,
    /// The code of the failure of the request as a whole.
    pub error: Option<&'static str>,
    /// Whether it, or a part of it, is a repeat that was answered with what is kept.
    pub repeated: bool,
}

/// The line of a request.
#[derive(Debug)]
pub struct RequestLine<'a> {
    /// The edge's id of it.
    pub id: &'a str,
    /// What error messages call it by.
    pub correlation: Uuid,
    /// The service.
    pub service: Option<&'a str>,
    /// Name of the caller, where it is known.
    pub caller: Option<&'a str>,
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Status of the answer.
    pub status: u16,
    /// What it came to.
    pub work: Work,
    /// What it cost.
    pub usage: Usage,
    /// How long it took.
    pub duration: Duration,
    /// Its trace.
    pub trace: &'a TraceContext,
}

/// The line of a request of a batch that failed, or of the reason why a request as a whole did.
#[derive(Debug)]
pub struct FailureLine<'a> {
    /// The edge's id of the request.
    pub id: &'a str,
    /// What error messages call it by, where they do.
    pub correlation: Option<Uuid>,
    /// The service.
    pub service: Option<&'a str>,
    /// Its place among the requests of the batch, from 0.
    pub index: Option<usize>,
    /// Its own id.
    pub operation: Option<&'a str>,
    /// Its method.
    pub method: &'a str,
    /// Its URL.
    pub url: &'a str,
    /// How many requests were undone with it.
    pub undone: usize,
    /// Its status.
    pub status: u16,
    /// The code of the error.
    pub error: &'static str,
    /// What the service says about a failure of its own.
    pub reason: Option<String>,
    /// The trace.
    pub trace: &'a TraceContext,
}

/// The line of events that came in.
#[derive(Debug)]
pub struct EventsLine<'a> {
    /// The edge's id of the request.
    pub id: &'a str,
    /// The service that keeps the decisions.
    pub service: &'a str,
    /// Name of the source.
    pub source: Option<&'a str>,
    /// Method of the request.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Status of the answer.
    pub status: u16,
    /// The code of the refusal.
    pub error: Option<&'static str>,
    /// What was decided.
    pub decided: Decided,
    /// What it cost.
    pub usage: Usage,
    /// How long it took.
    pub duration: Duration,
    /// Its trace.
    pub trace: &'a TraceContext,
}

/// What was decided about events, by their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Events of the request.
    pub events: usize,
    /// Those that had come before; they count for nothing else.
    pub duplicates: usize,
    /// Failures whose job is requeued.
    pub requeue: usize,
    /// Failures of jobs whose retries are used up.
    pub exhausted: usize,
    /// Failures of jobs that have finished since.
    pub superseded: usize,
    /// Events that cannot be read.
    pub unreadable: usize,
    /// All others: jobs that ended well, tests, failures that no rule wants requeued.
    pub other: usize,
}

/// The line of an invocation of the outbox; in a host, of a sweep or of records that led to something.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutboxLine {
    /// Records of the stream.
    pub records: usize,
    /// Records that have to come again.
    pub come_again: usize,
    /// Records that cannot be read.
    pub set_aside: usize,
    /// Rows of history that were written.
    pub history: usize,
    /// Deliveries that were written.
    pub deliveries: usize,
    /// Attempts.
    pub sent: usize,
    /// Rows that were delivered.
    pub delivered: usize,
    /// Jobs that were requeued.
    pub requeued: usize,
    /// Jobs that targets refused to requeue.
    pub refused: usize,
    /// Rows that were given up.
    pub given_up: usize,
    /// Jobs that had met their limit once it was their turn.
    pub exhausted: usize,
    /// How old the oldest record is.
    pub stream_lag: Duration,
    /// How late what is due is now.
    pub overdue: Duration,
    /// What it cost.
    pub usage: Usage,
    /// How long it took.
    pub duration: Duration,
}

impl RequestLine<'_> {
    /// Writes and counts it.
    pub fn write(&self) {
        metrics::request(self);
        let (work, usage) = (&self.work, &self.usage);
        tracing::info!(
            target: REQUEST,
            requestId = self.id,
            correlation = tracing::field::display(self.correlation),
            service = self.service.unwrap_or(NONE),
            method = shown(self.method, MAX_NAME),
            path = resource(self.path),
            status = self.status,
            error = work.error,
            operations = work.operations,
            failed = work.failed,
            changeSets = work.change_sets,
            notRun = work.not_run,
            repeated = work.repeated.then_some(true),
            clientErrors = u8::from((400..500).contains(&self.status)),
            serverErrors = u8::from(self.status >= 500),
            dynamodbCalls = usage.calls,
            readCapacity = usage.read.units(),
            writeCapacity = usage.write.units(),
            conflicts = usage.conflicts,
            reruns = usage.reruns,
            throttles = usage.throttles,
            durationMs = milliseconds(self.duration),
            caller = self.caller.map(|name| shown(name, MAX_NAME)),
            traceId = self.trace.trace_id(),
            "request"
        );
    }
}

impl FailureLine<'_> {
    /// Writes it: as a warning where the service failed, not the client.
    pub fn write(&self) {
        macro_rules! at {
            ($level:ident) => {
                tracing::$level!(
                    target: FAILURE,
                    requestId = self.id,
                    correlation = self.correlation.map(tracing::field::display),
                    service = self.service.unwrap_or(NONE),
                    index = self.index,
                    operation = self.operation.map(|id| shown(id, MAX_NAME)),
                    method = shown(self.method, MAX_NAME),
                    path = resource(self.url),
                    undone = self.undone,
                    status = self.status,
                    error = self.error,
                    reason = self.reason,
                    traceId = self.trace.trace_id(),
                    "request failed"
                )
            };
        }
        if self.status >= 500 { at!(warn) } else { at!(info) }
    }

    /// Writes that so many more requests of a batch failed.
    pub fn write_more(id: &str, more: usize) {
        tracing::info!(target: FAILURE, requestId = id, more, "more requests of the batch failed");
    }
}

impl EventsLine<'_> {
    /// Writes and counts it.
    pub fn write(&self) {
        metrics::events(self);
        let (decided, usage) = (&self.decided, &self.usage);
        tracing::info!(
            target: EVENTS,
            requestId = self.id,
            service = self.service,
            source = self.source,
            method = shown(self.method, MAX_NAME),
            path = resource(self.path),
            status = self.status,
            error = self.error,
            events = decided.events,
            duplicates = decided.duplicates,
            requeue = decided.requeue,
            exhausted = decided.exhausted,
            superseded = decided.superseded,
            other = decided.other,
            unreadable = decided.unreadable,
            clientErrors = u8::from((400..500).contains(&self.status)),
            serverErrors = u8::from(self.status >= 500),
            dynamodbCalls = usage.calls,
            readCapacity = usage.read.units(),
            writeCapacity = usage.write.units(),
            conflicts = usage.conflicts,
            reruns = usage.reruns,
            throttles = usage.throttles,
            durationMs = milliseconds(self.duration),
            traceId = self.trace.trace_id(),
            "events"
        );
    }
}

impl OutboxLine {
    /// Writes and counts it; `id` is that of the invocation, or what a host calls this part of its outbox.
    pub fn write(&self, id: &str) {
        metrics::outbox(self);
        let usage = &self.usage;
        tracing::info!(
            target: OUTBOX,
            requestId = id,
            service = NONE,
            records = self.records,
            comeAgain = self.come_again,
            setAside = self.set_aside,
            history = self.history,
            deliveries = self.deliveries,
            sent = self.sent,
            delivered = self.delivered,
            requeued = self.requeued,
            refused = self.refused,
            givenUp = self.given_up,
            exhausted = self.exhausted,
            streamLagMs = milliseconds(self.stream_lag),
            overdueMs = milliseconds(self.overdue),
            dynamodbCalls = usage.calls,
            readCapacity = usage.read.units(),
            writeCapacity = usage.write.units(),
            conflicts = usage.conflicts,
            reruns = usage.reruns,
            throttles = usage.throttles,
            durationMs = milliseconds(self.duration),
            "outbox"
        );
    }
}

/// Of a URL what may be logged: its path up to where a query begins, however that is written, without the host and what
/// may stand before it.
pub fn resource(url: &str) -> &str {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    // An encoded percent sign may hide one that is encoded again.
    let encoded = ["%3f", "%3F", "%23", "%25"].iter().filter_map(|mark| url.find(mark)).min();
    let url = encoded.and_then(|at| url.get(..at)).unwrap_or(url);
    let path = match url.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
        }
        _ => url,
    };
    shown(path, MAX_PATH)
}

fn shown(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}

/// In milliseconds, to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "exact for some hundred years")]
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_the_path_is_shown() {
        for (url, expected) in [
            ("/data/$batch", "/data/$batch"),
            ("accounts(1)?$filter=secret eq 'x'", "accounts(1)"),
            ("/events/own?code=s", "/events/own"),
            ("/events/own%3Fcode=s", "/events/own"),
            ("/events/own%3fcode=s?x", "/events/own"),
            ("/events/own%253Fcode=s", "/events/own"),
            ("https://user:secret@host/data/BatchJobs#s", "/data/BatchJobs"),
            ("https://secret", ""),
            ("//user:secret@host/data", "/data"),
            ("a('x//y')", "a('x//y')"),
        ] {
            assert_eq!(resource(url), expected, "{url}");
        }
        let long = "ü".repeat(150);
        assert_eq!(resource(&long).len(), MAX_PATH);
    }

    #[test]
    fn durations_have_microseconds() {
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)).to_string(), "1.234");
    }
}
