//! The host: everything that the command line asks for, brought together.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use local::{
    embedded::{Embedded, EmbeddedError},
    http::{self, Handler, Limits, serve_beside},
    lock::{DataLock, LockError},
    metrics::{self, Metrics},
    outbox::{Background, Running},
    own_names::OwnNames,
    work::Work,
};
use shared::{
    Engine, Reindexed, SeedError, Settings,
    cors::{Cors, CorsError},
    exchange::{Admitted, Incoming, Verdict},
    ledger::{Ledger, LedgerError},
    outbox::{Courier, CourierError, LoopError, Outbox, OutboxError, RequeueError},
    policy::{Policy, PolicyFileError, SecretsOf},
    service::{ServiceError, Services},
    store::{self, Store, StoreError},
    webhook::Webhook,
};
use tokio::net::{TcpListener, lookup_host};

use crate::{
    auth::{self, AuthError},
    cli::{Reindex, Serve},
    open_sources::{OpenSourceError, admitted},
};

/// The table of the embedded database.
const EMBEDDED_TABLE: &str = "rebatch";

/// Why the host does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("'{0}' is not an address to listen on: {1}")]
    Address(String, io::Error),
    #[error("will not listen on {0}: without --auth, only loopback addresses are allowed")]
    Public(SocketAddr),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, io::Error),
    #[error("--cors-origin: {0}")]
    Cors(#[from] CorsError),
    #[error(transparent)]
    Services(#[from] ServiceError),
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    #[error(transparent)]
    OpenSource(#[from] OpenSourceError),
    #[error("no service here keeps requeues ([requeues]), and a policy file is given")]
    NoLedger,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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
    #[error(transparent)]
    Requeues(#[from] RequeueError),
    #[error("cannot count: {0}")]
    Metrics(#[from] metrics::BuildError),
    #[error(transparent)]
    Loop(#[from] LoopError),
    #[error("{}: there is no data file", .0.display())]
    NoData(PathBuf),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error(transparent)]
    System(#[from] io::Error),
}

impl StartError {
    /// Whether it is a mistake in the command line or in a variable, and not in a file or on the machine.
    pub(crate) fn is_misuse(&self) -> bool {
        match self {
            Self::Address(_, error) => error.kind() == io::ErrorKind::InvalidInput,
            Self::Public(_) | Self::Cors(_) => true,
            Self::Auth(error) => error.is_misuse(),
            _ => false,
        }
    }
}

/// A host that can serve.
pub(crate) struct Host {
    listener: TcpListener,
    engine: Engine,
    webhook: Option<Webhook>,
    names: OwnNames,
    background: Option<Background>,
    metrics: Metrics,
    work: Work,
    _lock: Option<DataLock>,
}

impl Host {
    /// Brings together what the options say. `policy` is used instead of the file, where there is one.
    pub(crate) async fn start(args: &Serve, policy: Option<Policy>) -> Result<Self, StartError> {
        let authenticator = auth::authenticator(&args.auth, &args.data, |name| std::env::var(name).ok())?;
        let cors = Cors::of(args.cors_origin.iter().map(String::as_str))?;
        let listener = listen(&args.listen, authenticator.is_open()).await?;
        let public_url = args.public_url.clone();
        let is_open = authenticator.is_open();
        let names = if is_open { OwnNames::of_open(public_url.as_deref()) } else { OwnNames::Any };
        let services = Arc::new(Services::load(&args.services_folder())?);
        let requeues = requeues(args, policy, &services)?;
        let (store, embedded, lock) =
            open(args.table.as_deref(), args.endpoint.as_deref(), (!args.memory).then_some(&args.data)).await?;
        store.ensure_table().await?;
        let webhook = requeues.as_ref().map(|(policy, ledger)| {
            let webhook = Webhook::new(Arc::clone(policy), ledger.clone(), store.clone());
            webhook.with_pages(cors.clone(), public_url.clone())
        });
        let settings = Settings { public_url, authenticator, cors, ..Settings::default() };
        let engine = Engine::new(Arc::clone(&services), store.clone(), settings);
        let background = match embedded {
            None => None,
            Some(database) => {
                let outbox = || -> Result<Outbox, StartError> {
                    let courier = Courier::new(args.allow_private_targets)?;
                    let outbox = Outbox::new(&services, store.clone(), courier, args.public_url.as_deref())?;
                    Ok(match requeues {
                        None => outbox,
                        Some((policy, ledger)) => outbox.with_requeues(ledger, policy, &engine, Courier::new(true)?)?,
                    })
                };
                let outbox = if args.no_outbox { None } else { Some(outbox()?) };
                Some(Background { database, table: EMBEDDED_TABLE, outbox })
            }
        };
        if args.table.is_none() || args.seed {
            let rows = engine.seed().await?;
            tracing::info!(rows, "seeded");
        }
        let outbox = background.as_ref().and_then(|background| background.outbox.clone());
        if let Some(outbox) = &outbox {
            if args.own_loop {
                outbox.wire_itself().await?;
            }
            if outbox.is_cut_off().await? {
                tracing::warn!("the endpoint rebatch:events is told of no job: no target of the policy is this host");
            }
        }
        let metrics = Metrics::new(metrics::install()?, engine.clone(), outbox);
        Ok(Self { listener, engine, webhook, names, background, metrics, work: Work::new()?, _lock: lock })
    }

    /// The URL it listens on.
    pub(crate) fn url(&self) -> io::Result<String> {
        Ok(reachable(self.listener.local_addr()?))
    }

    /// Answers requests until `stop` completes; those in flight, and what leaves, are brought to their end.
    pub(crate) async fn serve(self, stop: impl Future<Output = ()>) {
        let work = self.work;
        let upkeep = tokio::spawn(self.metrics.clone().keep_small());
        let background = {
            // Calls to the table are made there alone.
            let _inside = work.handle().enter();
            self.background.map(Running::start)
        };
        let edge = Edge { engine: self.engine, webhook: self.webhook, names: self.names, metrics: self.metrics };
        serve_beside(self.listener, edge, Limits::default().within_files(), work.handle().clone(), stop).await;
        upkeep.abort();
        if let Some(background) = background {
            background.stop().await;
        }
    }
}

/// The longest body of a request for metrics, which needs none.
const NO_BODY: usize = 1024;

/// The handler of all requests: the engine, the webhook, the metrics.
struct Edge {
    engine: Engine,
    webhook: Option<Webhook>,
    names: OwnNames,
    metrics: Metrics,
}

impl Handler for Edge {
    async fn admit(self: Arc<Self>, head: Incoming) -> Verdict {
        if let Err(misdirected) = self.names.check(&head) {
            tracing::info!("{misdirected}");
            return Verdict::Answered(misdirected.to_outgoing());
        }
        if Metrics::is_for(&head.path) {
            let metrics = self.metrics.clone();
            return Verdict::Admitted(Admitted::new(NO_BODY, |_| async move { metrics.answer(&head).await }));
        }
        match &self.webhook {
            Some(webhook) if Webhook::is_for(&head.path) => webhook.admit(head).await,
            _ => self.engine.admit(head).await,
        }
    }
}

/// The policy, and where what it decides is kept; `None` when nothing is done about events.
fn requeues(
    args: &Serve,
    policy: Option<Policy>,
    services: &Services,
) -> Result<Option<(Arc<Policy>, Ledger)>, StartError> {
    let policy = match (policy, args.policy_file()) {
        (Some(policy), _) => policy,
        (None, Some(file)) => Policy::load(&file, SecretsOf::Everybody, |name| std::env::var(name).ok())?,
        (None, None) => return Ok(None),
    };
    let policy = admitted(policy, args)?;
    match Ledger::find(services)? {
        Some(ledger) => Ok(Some((Arc::new(policy), ledger))),
        None if args.policy.is_some() => Err(StartError::NoLedger),
        None => Ok(None),
    }
}

/// The URL of an address, as this machine reaches it.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

/// Listens on an address. Where everybody is let in, it must be one that only this machine reaches.
async fn listen(address: &str, open: bool) -> Result<TcpListener, StartError> {
    let resolved: Vec<SocketAddr> =
        lookup_host(address).await.map_err(|error| StartError::Address(address.to_owned(), error))?.collect();
    if let Some(public) = resolved.iter().find(|a| open && !a.ip().is_loopback()) {
        return Err(StartError::Public(*public));
    }
    let mut refused = io::Error::other("it stands for no address");
    for one in resolved {
        match http::listen(one) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(StartError::Listen(address.to_owned(), refused))
}

/// The store of a real table, of a data file, or of memory where none is named.
async fn open(
    table: Option<&str>,
    endpoint: Option<&str>,
    data: Option<&PathBuf>,
) -> Result<(Store, Option<Embedded>, Option<DataLock>), StartError> {
    if let Some(table) = table {
        let client = store::from_environment(endpoint).await;
        return Ok((Store::new(client, table.to_owned()), None, None));
    }
    let (database, lock) = match data {
        None => (Embedded::memory()?, None),
        Some(data) => {
            let lock = DataLock::acquire(data)?;
            (Embedded::open(data)?, Some(lock))
        }
    };
    Ok((Store::new(store::through(database.clone()), EMBEDDED_TABLE.to_owned()), Some(database), lock))
}

/// Writes the items of alternate keys that stored entities lack.
pub(crate) async fn reindex(options: &Reindex) -> Result<Reindexed, StartError> {
    if options.table.is_none() && !options.data.is_file() {
        return Err(StartError::NoData(options.data.clone()));
    }
    let services = Arc::new(Services::load(&options.services_folder())?);
    let (store, _embedded, _lock) =
        open(options.table.as_deref(), options.endpoint.as_deref(), Some(&options.data)).await?;
    Ok(Engine::new(services, store, Settings::default()).reindex().await?)
}
