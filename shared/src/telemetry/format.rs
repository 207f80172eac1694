//! One line of JSON an event. In a function, lines that have metrics say so in CloudWatch's embedded metric format: its
//! member `_aws` names the members that are metrics, and CloudWatch takes them out of the line.

use std::fmt;

use serde_json::{Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{self, Json, Writer},
        time::SystemTime,
    },
    registry::LookupSpan,
};

use super::line::{EVENTS, OUTBOX, REQUEST};

/// Where CloudWatch has the metrics.
const NAMESPACE: &str = "Rebatch";
const COUNT: &str = "Count";
const MILLISECONDS: &str = "Milliseconds";

/// A member of a line and its unit.
type Metric = (&'static str, &'static str);

/// What every line with metrics has.
const COMMON: [Metric; 7] = [
    ("durationMs", MILLISECONDS),
    ("dynamodbCalls", COUNT),
    ("readCapacity", COUNT),
    ("writeCapacity", COUNT),
    ("conflicts", COUNT),
    ("reruns", COUNT),
    ("throttles", COUNT),
];
const OF_REQUEST: [Metric; 6] = [
    ("operations", COUNT),
    ("failed", COUNT),
    ("changeSets", COUNT),
    ("notRun", COUNT),
    ("clientErrors", COUNT),
    ("serverErrors", COUNT),
];
const OF_EVENTS: [Metric; 9] = [
    ("events", COUNT),
    ("duplicates", COUNT),
    ("requeue", COUNT),
    ("exhausted", COUNT),
    ("superseded", COUNT),
    ("other", COUNT),
    ("unreadable", COUNT),
    ("clientErrors", COUNT),
    ("serverErrors", COUNT),
];
const OF_OUTBOX: [Metric; 13] = [
    ("records", COUNT),
    ("comeAgain", COUNT),
    ("setAside", COUNT),
    ("history", COUNT),
    ("deliveries", COUNT),
    ("sent", COUNT),
    ("delivered", COUNT),
    ("requeued", COUNT),
    ("refused", COUNT),
    ("givenUp", COUNT),
    ("exhausted", COUNT),
    ("streamLagMs", MILLISECONDS),
    ("overdueMs", MILLISECONDS),
];

/// Writes events as JSON.
pub(super) struct Lines {
    json: format::Format<Json, SystemTime>,
    function: Option<Function>,
}

/// What a function's lines have besides.
struct Function {
    /// `"function":"…",`
    name: String,
    /// Per target the rest of `_aws`, behind the time.
    metrics: [(&'static str, String); 3],
}

impl Lines {
    /// Lines of a process that is no function, without metrics.
    pub(super) fn new() -> Self {
        let json = format::format().json().flatten_event(true).with_span_list(false);
        Self { json, function: None }
    }

    /// Lines of the function of that name, with metrics.
    pub(super) fn of_function(name: &str) -> Self {
        let metrics = |target, own: &[Metric]| (target, directive(own));
        let metrics = [metrics(REQUEST, &OF_REQUEST), metrics(EVENTS, &OF_EVENTS), metrics(OUTBOX, &OF_OUTBOX)];
        let name = format!("\"function\":{},", Value::from(name));
        Self { function: Some(Function { name, metrics }), ..Self::new() }
    }
}

/// The list of metrics of a line and what they are told apart by, up to the end of `_aws`.
fn directive(own: &[Metric]) -> String {
    let metrics: Vec<Value> =
        COMMON.iter().chain(own).map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
    // Each combination of what stands here is charged as a metric of its own: what is asked about one service is in the lines.
    let dimensions = json!([["function"]]);
    let metrics = json!([{ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics }]);
    format!("\"CloudWatchMetrics\":{metrics}}},")
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(function) = &self.function else { return self.json.format_event(context, writer, event) };
        let mut line = String::with_capacity(1_024);
        self.json.format_event(context, Writer::new(&mut line), event)?;
        let Some(members) = line.strip_prefix('{') else { return writer.write_str(&line) };
        writer.write_char('{')?;
        let target = event.metadata().target();
        if let Some((_, metrics)) = function.metrics.iter().find(|(of, _)| *of == target) {
            write!(writer, "\"_aws\":{{\"Timestamp\":{},{metrics}", crate::clock::now().as_millisecond())?;
        }
        writer.write_str(&function.name)?;
        writer.write_str(members)
    }
}
