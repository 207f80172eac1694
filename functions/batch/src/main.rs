//! Lambda function: every OData request, and `$batch`.

mod answer;
mod config;
mod event;
mod handler;

use config::Config;
use handler::Handler;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::value::RawValue;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

// One request at a time: more threads would only cost time at the start.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    let handler = Handler::new(Config::from_vars(|name| std::env::var(name).ok())?);
    let handler = &handler;
    let service =
        service_fn(|event: LambdaEvent<Box<RawValue>>| async move { handler.handle(event.payload.get()).await });
    tokio::select! {
        end = Runtime::new(service).run() => end,
        failed = handler.load() => failed.map(|never| match never {}),
    }
}
