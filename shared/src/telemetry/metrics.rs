//! The metrics of a process: counters and durations by the facade of the crate `metrics`. The local host exports them at
//! `/metrics`; where no recorder is installed, as in functions, they cost nothing and go nowhere.
//!
//! Labels come from configuration and from fixed lists alone (services, statuses, decisions), so no client can add a series.

use ::metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use super::line::{Decided, EventsLine, NONE, OutboxLine, RequestLine};
use crate::store::{CALL_SECONDS, Usage};

const REQUESTS: &str = "rebatch_requests_total";
const REQUEST_SECONDS: &str = "rebatch_request_duration_seconds";
const OPERATIONS: &str = "rebatch_operations_total";
const OPERATIONS_FAILED: &str = "rebatch_operations_failed_total";
const CHANGE_SETS: &str = "rebatch_change_sets_total";
const CONFLICTS: &str = "rebatch_conflicts_total";
const RERUNS: &str = "rebatch_reruns_total";
const THROTTLES: &str = "rebatch_throttles_total";
const EVENTS: &str = "rebatch_events_total";
const EXHAUSTED: &str = "rebatch_exhausted_total";
const RECORDS: &str = "rebatch_stream_records_total";
const SET_ASIDE: &str = "rebatch_stream_records_set_aside_total";
const DELIVERIES: &str = "rebatch_deliveries_total";
const ATTEMPTS: &str = "rebatch_outbox_attempts_total";
const DELIVERED: &str = "rebatch_delivered_total";
const REQUEUED: &str = "rebatch_requeued_total";
const REFUSED: &str = "rebatch_requeues_refused_total";
const GIVEN_UP: &str = "rebatch_given_up_total";

/// Counters without labels, which are 0 before anything is counted.
const PLAIN: [(&str, &str); 12] = [
    (CONFLICTS, "Commits, and reads of one instant, that met another transaction."),
    (RERUNS, "Units of work that were run again."),
    (THROTTLES, "Calls to the table that were refused for being too many."),
    (EXHAUSTED, "Failures of jobs that met the limit of their retries."),
    (RECORDS, "Records of the table's stream that were read."),
    (SET_ASIDE, "Records of the stream that cannot be read."),
    (DELIVERIES, "Deliveries of business events that were written for endpoints."),
    (ATTEMPTS, "Attempts to deliver business events and to requeue jobs."),
    (DELIVERED, "Business events that endpoints have."),
    (REQUEUED, "Jobs that were requeued."),
    (REFUSED, "Requeues that targets refused for good."),
    (GIVEN_UP, "Deliveries and requeues that were given up."),
];
/// Counters with labels.
const LABELLED: [(&str, &str); 5] = [
    (REQUESTS, "Requests, by service and status of the answer."),
    (OPERATIONS, "Requests of batches, and those that came alone, by service."),
    (OPERATIONS_FAILED, "Operations that were refused, or undone with another, by service."),
    (CHANGE_SETS, "Change sets and atomicity groups, by service."),
    (EVENTS, "Events that came in, by the decision about them."),
];

/// Describes all metrics to the recorder that is installed, and begins those without labels at 0.
pub fn describe_metrics() {
    for (name, text) in PLAIN.into_iter().chain(LABELLED) {
        describe_counter!(name, text);
    }
    for (name, _) in PLAIN {
        counter!(name).increment(0);
    }
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "Time from a request to its answer, by service.");
    describe_histogram!(CALL_SECONDS, Unit::Seconds, "Time of a call to the table, by operation; repeats count each.");
}

pub(super) fn request(line: &RequestLine<'_>) {
    let service = line.service.unwrap_or(NONE).to_owned();
    let work = &line.work;
    counter!(REQUESTS, "service" => service.clone(), "status" => line.status.to_string()).increment(1);
    histogram!(REQUEST_SECONDS, "service" => service.clone()).record(line.duration.as_secs_f64());
    for (name, value) in
        [(OPERATIONS, work.operations), (OPERATIONS_FAILED, work.failed), (CHANGE_SETS, work.change_sets)]
    {
        counter!(name, "service" => service.clone()).increment(count(value));
    }
    usage(&line.usage);
}

/// Counts events that were taken in, over HTTP or from the service itself.
pub fn count_events(decided: &Decided) {
    for (decision, value) in [
        ("requeue", decided.requeue),
        ("exhausted", decided.exhausted),
        ("superseded", decided.superseded),
        ("unreadable", decided.unreadable),
        ("other", decided.other),
        ("duplicate", decided.duplicates),
    ] {
        counter!(EVENTS, "decision" => decision).increment(count(value));
    }
}

pub(super) fn events(line: &EventsLine<'_>) {
    plain([(EXHAUSTED, line.decided.exhausted)]);
    counter!(REQUESTS, "service" => line.service.to_owned(), "status" => line.status.to_string()).increment(1);
    histogram!(REQUEST_SECONDS, "service" => line.service.to_owned()).record(line.duration.as_secs_f64());
    usage(&line.usage);
}

pub(super) fn outbox(line: &OutboxLine) {
    plain([
        (RECORDS, line.records),
        (SET_ASIDE, line.set_aside),
        (DELIVERIES, line.deliveries),
        (ATTEMPTS, line.sent),
        (DELIVERED, line.delivered),
        (REQUEUED, line.requeued),
        (REFUSED, line.refused),
        (GIVEN_UP, line.given_up),
        (EXHAUSTED, line.exhausted),
    ]);
    usage(&line.usage);
}

fn usage(usage: &Usage) {
    for (name, value) in [(CONFLICTS, usage.conflicts), (RERUNS, usage.reruns), (THROTTLES, usage.throttles)] {
        counter!(name).increment(value);
    }
}

fn plain<const N: usize>(counted: [(&'static str, usize); N]) {
    for (name, value) in counted {
        counter!(name).increment(count(value));
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
