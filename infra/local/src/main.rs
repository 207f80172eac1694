//! `rebatch`: the local host.

mod auth;
mod check_rules;
mod cli;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use auth::AuthError;
use cli::{CheckRules, Command, Refused, Serve};
use jiff::Timestamp;
use local::{
    dev_issuer::{DevIssuer, DevIssuerError, Grant},
    embedded::{Embedded, EmbeddedError},
    http::{Limits, serve},
    lock::{DataLock, LockError},
    outbox,
};
use shared::{
    Engine, SeedError, Settings, log,
    outbox::{Courier, CourierError, Outbox, OutboxError},
    service::{ServiceError, Services},
    store::{self, Store, StoreError},
};
use tokio::{
    net::{TcpListener, lookup_host},
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::filter::LevelFilter;

/// The table of the embedded database.
const EMBEDDED_TABLE: &str = "rebatch";
/// Exit code for a command line that is not understood.
const MISUSE: u8 = 2;

/// Why the host does not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("'{0}' is not an address to listen on: {1}")]
    Address(String, io::Error),
    #[error("will not listen on {0}: without --auth, only loopback addresses are allowed")]
    Public(SocketAddr),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, io::Error),
    #[error(transparent)]
    Services(#[from] ServiceError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    #[error("cannot use the table: {0}")]
    Table(#[from] StoreError),
    #[error(transparent)]
    Courier(#[from] CourierError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error("cannot load the seeds: {0}")]
    Seed(#[from] SeedError),
    #[error(transparent)]
    System(#[from] io::Error),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(log::filter(LevelFilter::ERROR)).with_writer(io::stderr).init();
    let serve = match Command::parse(std::env::args_os()) {
        Ok(Command::Serve(serve)) => serve,
        Ok(Command::Token(data, grant)) => {
            return match token(&data, &grant) {
                Ok(token) => told(&format!("{token}\n")),
                Err(error) => failed(&error.to_string(), ExitCode::FAILURE),
            };
        }
        Ok(Command::CheckRules(options)) => return check_rules(&options),
        Err(Refused::Told(text)) => return told(&text),
        Err(Refused::Misused(line)) => return failed(&line, ExitCode::from(MISUSE)),
    };
    let outcome = tokio::runtime::Runtime::new().map_err(StartError::System).and_then(|runtime| {
        let outcome = runtime.block_on(run(&serve));
        // What is still blocked after the bounded wait for requests does not hold up the exit.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string(), ExitCode::FAILURE),
    }
}

async fn run(args: &Serve) -> Result<(), StartError> {
    // From here on a signal ends the program in order, even before it serves.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(stop);
    let started = tokio::select! {
        started = start(args) => started?,
        () = &mut stop => return Ok(()),
    };
    let engine = started.engine;
    let handler = move |incoming| {
        let engine = Arc::clone(&engine);
        async move { engine.handle(incoming).await }
    };
    let background = started.background.map(outbox::Running::start);
    announce(&format!("listening on http://{}\n", started.listener.local_addr()?))?;
    serve(started.listener, handler, Limits::default(), stop).await;
    if let Some(background) = background {
        background.stop().await;
    }
    Ok(())
}

/// What a host consists of once it can serve.
struct Started {
    listener: TcpListener,
    engine: Arc<Engine>,
    background: Option<outbox::Background>,
    _lock: Option<DataLock>,
}

async fn start(args: &Serve) -> Result<Started, StartError> {
    let authenticator = auth::authenticator(&args.auth, &args.data, |name| std::env::var(name).ok())?;
    let listener = listen(&args.listen, authenticator.is_open()).await?;
    let services = Arc::new(Services::load(&args.services_folder())?);
    let (store, embedded, lock) = open(args).await?;
    store.ensure_table().await?;
    let background = match embedded {
        None => None,
        Some(database) => {
            let public_url = args.public_url.as_deref();
            let outbox = || -> Result<_, StartError> {
                let courier = Courier::new(args.allow_private_targets)?;
                Ok(Outbox::new(&services, store.clone(), courier, public_url)?)
            };
            let outbox = if args.no_outbox { None } else { Some(outbox()?) };
            Some(outbox::Background { database, table: EMBEDDED_TABLE, outbox })
        }
    };
    let settings = Settings { public_url: args.public_url.clone(), authenticator, ..Settings::default() };
    let engine = Arc::new(Engine::new(services, store, settings));
    let rows = engine.seed().await?;
    tracing::info!(rows, "seeded");
    Ok(Started { listener, engine, background, _lock: lock })
}

/// Listens on an address. Where everybody is let in, it must be one that only this machine reaches.
async fn listen(address: &str, open: bool) -> Result<TcpListener, StartError> {
    let resolved: Vec<SocketAddr> =
        lookup_host(address).await.map_err(|error| StartError::Address(address.to_owned(), error))?.collect();
    if let Some(public) = resolved.iter().find(|a| open && !a.ip().is_loopback()) {
        return Err(StartError::Public(*public));
    }
    TcpListener::bind(resolved.as_slice()).await.map_err(|error| StartError::Listen(address.to_owned(), error))
}

async fn open(args: &Serve) -> Result<(Store, Option<Embedded>, Option<DataLock>), StartError> {
    if let Some(table) = &args.table {
        let client = store::from_environment(args.endpoint.as_deref()).await;
        return Ok((Store::new(client, table.clone()), None, None));
    }
    let (database, lock) = if args.memory {
        (Embedded::memory()?, None)
    } else {
        let lock = DataLock::acquire(&args.data)?;
        (Embedded::open(&args.data)?, Some(lock))
    };
    Ok((Store::new(store::through(database.clone()), EMBEDDED_TABLE.to_owned()), Some(database), lock))
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
