//! The one way to run a function: its events in, its answers out.

use std::{convert::Infallible, fmt::Debug, process::ExitCode};

use lambda_runtime::{Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{ConfigError, Environment, Invocation, LoadError};
use crate::telemetry;

/// What a function does with its events.
pub trait Handler {
    /// What it returns.
    type Answer: Serialize;
    /// Why an invocation fails, and what Lambda is told of it.
    type Error: Into<Diagnostic> + Debug;

    /// Makes ready what events need, while the first one is on its way. Ends only when there is no use in going on.
    fn load(&self) -> impl Future<Output = Result<Infallible, LoadError>>;

    /// Answers one event.
    fn answer(&self, payload: &str, invocation: &Invocation)
    -> impl Future<Output = Result<Self::Answer, Self::Error>>;
}

/// Runs a function for as long as Lambda wants it. What ends it early is one line of its log.
pub fn start<H: Handler>(make: impl FnOnce(&Environment) -> Result<H, ConfigError>) -> ExitCode {
    telemetry::function();
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
        let invocation = Invocation::of(&event.context, crate::clock::now());
        handler.answer(event.payload.get(), &invocation).await
    });
    tokio::select! {
        end = Runtime::new(service).run() => end,
        failed = handler.load() => match failed? {},
    }
}
