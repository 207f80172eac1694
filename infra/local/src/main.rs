//! `rebatch`: the local host.

mod auth;
mod check_rules;
mod cli;
mod demo;
mod host;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use cli::{CheckRules, Command, LogFormat, Refused, Reindex, Serve};
use demo::DemoError;
use host::{Host, StartError};
use jiff::Timestamp;
use local::dev_issuer::{DevIssuer, DevIssuerError, Grant};
use shared::telemetry;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

/// Exit code for a command line that is not understood.
const MISUSE: u8 = 2;

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error("{0} alternate keys are those of several entities; only one of these is found by each")]
    Duplicates(usize),
    #[error(transparent)]
    System(#[from] io::Error),
}

fn main() -> ExitCode {
    let command = Command::parse(std::env::args_os());
    begin_log(command.as_ref().ok());
    match command {
        Ok(Command::Serve(args)) => block_on(serve(&args)),
        Ok(Command::Demo(args)) => block_on(demonstrate(&args)),
        Ok(Command::Token(data, grant)) => match token(&data, &grant) {
            Ok(token) => told(&format!("{token}\n")),
            Err(error) => failed(&error.to_string(), ExitCode::FAILURE),
        },
        Ok(Command::CheckRules(options)) => check_rules(&options),
        Ok(Command::Reindex(options)) => block_on(reindex(&options)),
        Err(Refused::Told(text)) => told(&text),
        Err(Refused::Misused(line)) => failed(&line, ExitCode::from(MISUSE)),
    }
}

/// Starts the log. Who says how it is to look wants to see the requests; else only what is wrong is of interest.
fn begin_log(command: Option<&Command>) {
    let asked = if let Some(Command::Serve(args)) = command { args.log } else { None };
    let format = match asked {
        Some(LogFormat::Json) => telemetry::Format::Json,
        Some(LogFormat::Pretty) | None => telemetry::Format::Pretty,
    };
    let default = if asked.is_some() { LevelFilter::INFO } else { LevelFilter::ERROR };
    telemetry::start(format, default);
}

fn block_on(work: impl Future<Output = Result<(), RunError>>) -> ExitCode {
    let outcome = tokio::runtime::Runtime::new().map_err(RunError::System).and_then(|runtime| {
        let outcome = runtime.block_on(work);
        // What is still blocked after the bounded wait for requests does not hold up the exit.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string(), ExitCode::FAILURE),
    }
}

/// Completes when the program is told to end. From the call on a signal ends it in order, even before it serves.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn serve(args: &Serve) -> Result<(), RunError> {
    let stop = stopped()?;
    tokio::pin!(stop);
    let host = tokio::select! {
        started = Host::start(args, None) => started?,
        () = &mut stop => return Ok(()),
    };
    announce(&format!("listening on {}\n", host.url()?))?;
    host.serve(stop).await;
    Ok(())
}

/// Serves, and shows what happens to jobs that fail.
async fn demonstrate(args: &Serve) -> Result<(), RunError> {
    let stop = stopped()?;
    let host = Host::start(args, Some(demo::policy()?)).await?;
    host.wire_itself().await?;
    let url = host.url()?;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let server = host.serve(async {
        // A sender that is gone says the same.
        let _ = ended.await;
    });
    let show = async {
        let shown = demo::run(&url, stop).await;
        drop(end);
        shown
    };
    let ((), shown) = tokio::join!(server, show);
    Ok(shown?)
}

/// Says what was written, and fails where entities share a key.
async fn reindex(options: &Reindex) -> Result<(), RunError> {
    let done = host::reindex(options).await?;
    let told = format!("{} entities with alternate keys, {} keys written\n", done.entities, done.written);
    announce(&done.duplicates.iter().fold(told, |told, duplicate| format!("{told}{duplicate}\n")))?;
    if done.duplicates.is_empty() { Ok(()) } else { Err(RunError::Duplicates(done.duplicates.len())) }
}

fn token(data: &Path, grant: &Grant) -> Result<String, DevIssuerError> {
    DevIssuer::beside(data)?.token(grant, Timestamp::now())
}

/// What can be told is told, and an event that cannot be read is a failure all the same.
fn check_rules(options: &CheckRules) -> ExitCode {
    match check_rules::check_rules(options, Timestamp::now()) {
        Ok(checked) => match (told(&checked.text), checked.fault) {
            (_, Some(fault)) => failed(&fault, ExitCode::FAILURE),
            (code, None) => code,
        },
        Err(error) => failed(&error.to_string(), ExitCode::FAILURE),
    }
}

fn told(text: &str) -> ExitCode {
    announce(text).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn announce(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn failed(line: &str, code: ExitCode) -> ExitCode {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "rebatch: {line}");
    code
}
