//! Lambda function: SetBatchJobToWaiting, which puts a batch job back to waiting.

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde_json::value::RawValue;
use shared::{
    Serves,
    function::{Config, LazyEngine, time_left},
    gateway::EventError,
    telemetry,
};

// One request at a time: more threads would only cost time at the start.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::function();
    let engine = LazyEngine::new(Config::from_vars(Serves::Requeues, |name| std::env::var(name).ok())?);
    let engine = &engine;
    let service = service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let left = time_left(event.context.deadline, Timestamp::now());
        engine.answer(event.payload.get(), left).await.map_err(|error| diagnostic(&error))
    });
    tokio::select! {
        end = Runtime::new(service).run() => end,
        failed = engine.load() => match failed? {},
    }
}

fn diagnostic(error: &EventError) -> Diagnostic {
    Diagnostic { error_type: error.name().to_owned(), error_message: error.to_string() }
}
