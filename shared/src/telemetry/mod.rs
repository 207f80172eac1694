//! What is logged, what is measured, and what never gets into a log; where a request stands in a trace.
//!
//! | file | what |
//! |---|---|
//! | `filter` | which events are logged: `RUST_LOG`, and what nobody can ask for |
//! | `start` | where they go, and in what form |
//! | `format` | one line of JSON an event; in a function with the metrics of CloudWatch in it |
//! | `attempt` | the line of an attempt of the outbox that failed |
//! | `metrics` | the same as metrics of a host |
//! | `line` | the line of a request, of events that came in, of an invocation of the outbox; of a request that failed |
//! | `trace` | W3C Trace Context |
//!
//! # What never gets into a log
//!
//! Bodies, values of headers, queries, tokens and secrets. A path is cut where a query may begin, and at
//! 200 bytes. An error that quotes what a client sent is told by its code alone. What other crates say below INFO is not
//! logged, whatever `RUST_LOG` says: the SDK and the runtime of functions write whole requests there.

mod attempt;
mod filter;
mod format;
mod line;
mod metrics;
mod start;
mod trace;

pub use attempt::AttemptLine;
pub use filter::{Levels, filter};
pub use line::{Decided, EventsLine, FailureLine, OutboxLine, RequestLine, Work, resource};
pub use metrics::{count_events, describe_metrics};
pub use start::{Format, function, start, subscriber};
pub use trace::{TRACEPARENT, TRACESTATE, TraceContext};
