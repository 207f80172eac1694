//! `rebatch`: the local host.

mod auth;
mod check_rules;
mod cli;
mod demo;
mod host;
mod open_sources;
mod signals;
mod values;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use cli::{CheckRules, Command, LogFormat, Refused, Reindex, Serve, Token};
use demo::DemoError;
use host::{Host, StartError};
use local::dev_issuer::{DevIssuer, DevIssuerError};
use shared::{clock, telemetry};
use signals::Signals;
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
    if let (Ok(_), Err(error)) = (&command, clock::check()) {
        return failed(&error.to_string(), ExitCode::FAILURE);
    }
    begin_log(command.as_ref().ok());
    match command {
        Ok(Command::Serve(args)) => block_on(serve(&args)),
        Ok(Command::Demo(args)) => block_on(demonstrate(&args)),
        Ok(Command::Token(options)) => match token(&options) {
            Ok(token) => told(&format!("{token}\n")),
            Err(error) => failed(&error.to_string(), ExitCode::FAILURE),
        },
        Ok(Command::CheckRules(options)) => check_rules(&options),
        Ok(Command::Reindex(options)) => block_on(reindex(&options)),
        Err(Refused::Told(text)) => told(&text),
        Err(Refused::Misused(line)) => failed(&line, ExitCode::from(MISUSE)),
    }
}

/// Starts the log: with `--log` it has every request, without it what a person has to look at. The screen of the demonstration
/// has all that it shows, and warnings would be written across it.
fn begin_log(command: Option<&Command>) {
    let asked = if let Some(Command::Serve(args)) = command { args.log } else { None };
    let format = match asked {
        Some(LogFormat::Json) => telemetry::Format::Json,
        Some(LogFormat::Pretty) | None => telemetry::Format::Pretty,
    };
    let default = match command {
        Some(Command::Demo(_)) => LevelFilter::ERROR,
        _ if asked.is_some() => LevelFilter::INFO,
        _ => LevelFilter::WARN,
    };
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
        Err(RunError::Start(error)) if error.is_misuse() => failed(&error.to_string(), ExitCode::from(MISUSE)),
        Err(error) => failed(&error.to_string(), ExitCode::FAILURE),
    }
}

async fn serve(args: &Serve) -> Result<(), RunError> {
    // From here on a signal ends it in order, even before it serves.
    let stop = Signals::new()?.first();
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
    let stop = Signals::new()?.first();
    let host = Host::start(args, Some(demo::policy()?)).await?;
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

/// A token. Standard output is for the token alone.
fn token(options: &Token) -> Result<String, DevIssuerError> {
    let data = &options.data;
    let issuer = if options.new_key { DevIssuer::beside_or_new(data) } else { DevIssuer::beside(data) }?;
    let token = issuer.token(&options.grant(), clock::now())?;
    say(&format!(
        "signed with {} {}",
        if issuer.is_new() { "the new key" } else { "the key" },
        issuer.file().display()
    ));
    Ok(token)
}

/// What can be told is told, and an event that cannot be read is a failure all the same.
fn check_rules(options: &CheckRules) -> ExitCode {
    match check_rules::check_rules(options, clock::now()) {
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
    say(line);
    code
}

/// Writes one line to standard error.
fn say(line: &str) {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "rebatch: {line}");
}
