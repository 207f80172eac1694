//! Which events are logged.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterExt, LevelFilter, filter_fn},
    layer::Filter,
    registry::LookupSpan,
};

/// The crates of this workspace. They log no secrets at any level.
const OWN: [&str; 7] = ["rebatch", "shared", "local", "batch", "outbox", "event_webhook", "job_state"];

/// Which events are asked for: in the words of `RUST_LOG`, or all from a level on.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    /// What `RUST_LOG` says.
    pub directives: Option<&'a str>,
    /// For everything that it does not name.
    pub default: LevelFilter,
}

/// What is asked for, without what other crates say below INFO.
pub fn filter<S>(levels: Levels<'_>) -> impl Filter<S> + Send + Sync + 'static
where
    S: Subscriber + for<'a> LookupSpan<'a> + 'static,
{
    // Of what stands for the same the last counts. Without it, what is not named would not be logged at all.
    let asked = format!("{},{}", levels.default, levels.directives.unwrap_or_default());
    EnvFilter::builder().parse_lossy(asked).and(filter_fn(is_harmless))
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || is_own(metadata.target())
}

fn is_own(target: &str) -> bool {
    OWN.contains(&target.split("::").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_told_apart_by_their_whole_names() {
        assert!(["shared", "shared::store::commit", "rebatch::request"].into_iter().all(is_own));
        let others = ["aws_smithy_runtime::client", "hyper", "reqwest::connect", "lambda_runtime", "batching", ""];
        assert!(!others.into_iter().any(is_own));
    }
}
