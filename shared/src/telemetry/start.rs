//! Where a log goes, and in what form.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::{
    Layer, Registry,
    filter::LevelFilter,
    fmt::{self, MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{Levels, filter, format::Lines};

/// Alarms depend on these.
const METRICS: &str = "rebatch=info";

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format<'a> {
    /// For people.
    Pretty,
    /// A JSON object a line.
    Json,
    /// The same with the name of the function and its metrics in each line.
    Function(&'a str),
}

/// Writes what is asked for to `writer`.
pub fn subscriber<W>(format: Format<'_>, levels: Levels<'_>, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer::<Registry>().with_writer(writer).with_ansi(is_coloured());
    let layer = match format {
        Format::Pretty => layer.boxed(),
        Format::Json => layer.event_format(Lines::new()).fmt_fields(JsonFields::new()).boxed(),
        Format::Function(name) => layer.event_format(Lines::of_function(name)).fmt_fields(JsonFields::new()).boxed(),
    };
    Box::new(tracing_subscriber::registry().with(layer.with_filter(filter(levels))))
}

/// Whether a person looks at the log, and has nothing against colours (<https://no-color.org>).
fn is_coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stderr().is_terminal()
}

/// Starts the log of a process, to standard error. What `RUST_LOG` does not name is logged from `default` on.
pub fn start(format: Format<'_>, default: LevelFilter) {
    begin(format, "", default, io::stderr);
}

/// Starts the log of a function, where CloudWatch reads it: from INFO on, unless `RUST_LOG` says otherwise. Lines with
/// metrics are written at any level, as long as it does not name them (`rebatch`).
pub fn function() {
    let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "rebatch".to_owned());
    begin(Format::Function(&name), METRICS, LevelFilter::INFO, io::stdout);
}

fn begin<W>(format: Format<'_>, always: &str, default: LevelFilter, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let directives = format!("{always},{}", std::env::var("RUST_LOG").unwrap_or_default());
    subscriber(format, Levels { directives: Some(&directives), default }, writer).init();
}
