//! `GET /metrics`: what the host has counted, and what waits, in the text format of Prometheus.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
pub use metrics_exporter_prometheus::BuildError;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use shared::{
    Engine,
    auth::Permission,
    batch::Headers,
    exchange::{Incoming, Outgoing},
    outbox::{Outbox, QueueDepth},
    service::METRICS,
    store::Deadline,
    telemetry::describe_metrics,
};
use tokio::time::interval;

/// The text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const DEPTH: &str = "rebatch_queue_depth";
/// Answers that the host gives before any service or its webhook has a request.
pub(crate) const REFUSED: &str = "rebatch_refused_total";
const OVERDUE: &str = "rebatch_queue_overdue_seconds";
/// Bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0];
/// For reading the queues: scrapes have ten seconds by default.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often durations are put into their buckets when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Answers scrapes. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
    engine: Engine,
    outbox: Option<Outbox>,
    /// The queues that were measured at the last scrape.
    queues: Arc<Mutex<HashSet<Queue>>>,
}

/// Labels of a queue: service, kind, name.
type Queue = [(&'static str, String); 3];

/// Begins to count. Once a process: what is counted is that of all of it.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("duration_seconds".into()), &BUCKETS)?;
    let recorder = builder.install_recorder()?;
    describe_metrics();
    metrics::describe_counter!(REFUSED, "Requests that the host refused before a service had them, by status.");
    metrics::describe_gauge!(DEPTH, "Rows that wait to be sent, by endpoint and target; at most 10,000 are counted.");
    metrics::describe_gauge!(OVERDUE, metrics::Unit::Seconds, "How long the first row of a queue has been due.");
    Ok(recorder)
}

impl Metrics {
    /// The metrics of `recorder` and the queues of the outbox, for callers whom `engine` lets read.
    pub fn new(recorder: PrometheusHandle, engine: Engine, outbox: Option<Outbox>) -> Self {
        Self { recorder, engine, outbox, queues: Arc::default() }
    }

    /// Whether a request is for the metrics.
    pub fn is_for(path: &str) -> bool {
        path == METRICS
    }

    /// Answers a scrape.
    pub async fn answer(&self, incoming: &Incoming) -> Outgoing {
        if let Err(refusal) = self.engine.require(incoming, Permission::DataRead).await {
            return *refusal;
        }
        let mut headers = Headers::new();
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if !matches!(incoming.method, Method::GET | Method::HEAD) {
            headers.append(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Outgoing { status: StatusCode::METHOD_NOT_ALLOWED, headers, body: Bytes::new() };
        }
        headers.append(header::CONTENT_TYPE, TEXT);
        if let Some(outbox) = &self.outbox {
            self.measure(outbox).await;
        }
        let body = if incoming.method == Method::HEAD { String::new() } else { self.recorder.render() };
        Outgoing { status: StatusCode::OK, headers, body: body.into() }
    }

    /// Measures the queues. Where the table does not answer, the last values stay.
    async fn measure(&self, outbox: &Outbox) {
        let depths = match outbox.depths(Deadline::after(PATIENCE)).await {
            Ok(depths) => depths,
            Err(error) => return tracing::warn!(%error, "the queues are not measured"),
        };
        let set = |queue: &Queue, rows: u32, overdue: Duration| {
            metrics::gauge!(DEPTH, queue).set(f64::from(rows));
            metrics::gauge!(OVERDUE, queue).set(overdue.as_secs_f64());
        };
        let mut queues = HashSet::new();
        for QueueDepth { service, kind, name, rows, overdue } in depths {
            let queue = [("service", service), ("queue", kind.name().to_owned()), ("name", name)];
            set(&queue, u32::try_from(rows).unwrap_or(u32::MAX), overdue);
            queues.insert(queue);
        }
        let mut known = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing waits at an endpoint that was deleted.
        known.difference(&queues).for_each(|queue| set(queue, 0, Duration::ZERO));
        *known = queues;
    }

    /// Keeps what is recorded small when nobody scrapes, for as long as it is polled.
    pub async fn keep_small(self) {
        let mut ticks = interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.recorder.run_upkeep();
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}
