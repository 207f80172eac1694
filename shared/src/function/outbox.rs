//! An outbox whose parts are made when the start of a function has time for them.

use std::{convert::Infallible, sync::Arc};

use lambda_runtime::Diagnostic;
use tokio::sync::OnceCell;

use super::{ConfigError, LoadError, OutboxConfig, pending::Pending};
use crate::{
    execute::{Engine, Serves, Settings},
    ledger::{Ledger, LedgerError},
    outbox::{Courier, CourierError, LoopError, Outbox, OutboxError, RequeueError},
    service::Services,
    store::{self, Store},
};

/// What the function needs that sends what leaves the service.
#[derive(Debug)]
pub struct LazyOutbox {
    config: OutboxConfig,
    services: Pending<Arc<Services>>,
    outbox: OnceCell<Outbox>,
    /// Set once it is known that the endpoint is written through which the service tells itself.
    wired: OnceCell<()>,
}

/// Why there is no outbox.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// What the function was given is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be sent.
    #[error(transparent)]
    Courier(#[from] CourierError),
    /// The services' events cannot be told.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The ledger of a service is wrong.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A target cannot be called.
    #[error(transparent)]
    Requeues(#[from] RequeueError),
    /// The service cannot tell itself.
    #[error("OWN_LOOP: {0}")]
    Loop(LoopError),
}

impl From<SetupError> for Diagnostic {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Config(error) => error.into(),
            other => Self { error_type: "Configuration".into(), error_message: other.to_string() },
        }
    }
}

impl LazyOutbox {
    /// An outbox that is not there yet: [`LazyOutbox::load`] has to run beside it.
    pub fn new(config: OutboxConfig) -> Self {
        Self { config, services: Pending::new(), outbox: OnceCell::new(), wired: OnceCell::new() }
    }

    /// Reads services and secrets while the first event is on its way. Ends only when the services cannot be read.
    pub async fn load(&self) -> Result<Infallible, LoadError> {
        let folder = self.config.services.clone();
        let read = move || Ok(Arc::new(Services::load_with_jobs(&folder)?));
        let policy = async {
            if let Some(policy) = &self.config.policy {
                policy.get().await?;
            }
            Ok::<_, ConfigError>(())
        };
        self.services.load(read, policy).await
    }

    /// The outbox. What is wrong with it is found again by whoever asks next.
    pub async fn get(&self) -> Result<&Outbox, SetupError> {
        let outbox = self.outbox.get_or_try_init(|| self.make()).await?;
        if self.config.own_loop {
            match self.wired.get_or_try_init(|| outbox.wire_itself()).await {
                Ok(()) => {}
                // The next invocation tries it again; what is due is due all the same.
                Err(LoopError::Store(error)) => tracing::warn!(%error, "the service does not tell itself yet"),
                Err(nowhere) => return Err(SetupError::Loop(nowhere)),
            }
        }
        Ok(outbox)
    }

    async fn make(&self) -> Result<Outbox, SetupError> {
        let config = &self.config;
        let policy = match &config.policy {
            Some(policy) => Some(Arc::clone(policy.get().await?)),
            None => None,
        };
        let (services, client) = tokio::join!(self.services.wait(), store::from_environment(None));
        let store = Store::new(client, config.table.clone());
        let courier = Courier::new(config.allow_private_targets)?;
        let outbox = Outbox::new(&services, store.clone(), courier, config.public_url.as_deref())?;
        let (Some(ledger), Some(policy)) = (Ledger::find(&services)?, policy) else { return Ok(outbox) };
        let settings = Settings { serves: Serves::Requeues, ..Settings::default() };
        let own = Engine::new(services, store, settings);
        // Targets are in a file of whoever runs this, not of a caller: they may be in the own network.
        Ok(outbox.with_requeues(ledger, policy, &own, Courier::new(true)?)?)
    }
}
