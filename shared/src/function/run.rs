//! The one way to run a function: its events in, its answers out.

use std::{convert::Infallible, fmt::Debug, process::ExitCode, time::Duration};

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing_subscriber::filter::LevelFilter;

use super::{ConfigError, Environment, LoadError, invocation::time_left};
use crate::log;

/// What a function does with its events.
pub trait Handler {
    /// What it returns.
    type Answer: Serialize;
    /// Why an invocation fails, and what Lambda is told of it.
    type Error: Into<Diagnostic> + Debug;

    /// Makes ready what events need, while the first one is on its way. Ends only when there is no use in going on.
    fn load(&self) -> impl Future<Output = Result<Infallible, LoadError>>;

    /// Answers one event, in `time_left`.
    fn answer(&self, payload: &str, time_left: Duration) -> impl Future<Output = Result<Self::Answer, Self::Error>>;
}

/// Runs a function for as long as Lambda wants it. What ends it early is one line of its log.
pub fn start<H: Handler>(make: impl FnOnce(&Environment) -> Result<H, ConfigError>) -> ExitCode {
    tracing_subscriber::fmt().json().with_env_filter(log::filter(LevelFilter::INFO)).init();
    match run(make) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function does not run");
            ExitCode::FAILURE
        }
    }
}

// One event at a time, and what is done about it is waiting: more threads would only cost time at the start.
#[tokio::main(flavor = "current_thread")]
async fn run<H: Handler>(make: impl FnOnce(&Environment) -> Result<H, ConfigError>) -> Result<(), Error> {
    let handler = make(&Environment::of_process())?;
    let handler = &handler;
    let service = service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        handler.answer(event.payload.get(), time_left(event.context.deadline, Timestamp::now())).await
    });
    tokio::select! {
        end = Runtime::new(service).run() => end,
        failed = handler.load() => match failed? {},
    }
}
