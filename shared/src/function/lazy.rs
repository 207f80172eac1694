//! An engine whose parts are made when the start of a function has time for them.

use std::{convert::Infallible, future::pending, sync::Arc};

use tokio::{
    sync::{OnceCell, watch},
    task::{JoinError, spawn_blocking},
};

use super::Config;
use crate::{
    Engine,
    execute::Serves,
    gateway::{self, Answer, EventError},
    service::{ServiceError, Services},
    store::{self, Store},
};

/// Everything that outlives a request.
#[derive(Debug)]
pub struct LazyEngine {
    config: Config,
    services: watch::Sender<Option<Arc<Services>>>,
    engine: OnceCell<Engine>,
}

/// Why a function cannot answer anything.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A service is wrong.
    #[error(transparent)]
    Services(#[from] ServiceError),
    /// Reading them was cut off.
    #[error("the services were not read: {0}")]
    Stopped(#[from] JoinError),
}

impl LazyEngine {
    /// An engine without services: [`LazyEngine::load`] has to run beside it.
    pub fn new(config: Config) -> Self {
        Self { config, services: watch::Sender::new(None), engine: OnceCell::new() }
    }

    /// Reads the services while the first event is on its way. Ends only when they cannot be read.
    pub async fn load(&self) -> Result<Infallible, LoadError> {
        let (folder, serves) = (self.config.services.clone(), self.config.settings.serves);
        let services = spawn_blocking(move || match serves {
            Serves::Everything => Services::load(&folder),
            Serves::Requeues => Services::load_with_jobs(&folder),
        });
        self.services.send_replace(Some(Arc::new(services.await??)));
        pending().await
    }

    /// Answers one event. A request that cannot be read is a 400; an event that is no HTTP request is an error.
    pub async fn answer(&self, payload: &str) -> Result<Answer, EventError> {
        let event = gateway::read(payload)?;
        let outgoing = match event.request {
            Ok(incoming) => self.engine().await.handle(incoming).await,
            Err(error) => error.into_outgoing(),
        };
        Ok(Answer::new(event.kind, outgoing))
    }

    async fn engine(&self) -> &Engine {
        self.engine
            .get_or_init(async || {
                // The client is made with the first request: its certificates and credentials would delay the start.
                let (services, client) = tokio::join!(self.services(), store::from_environment(None));
                let store = Store::new(client, self.config.table.clone());
                Engine::new(services, store, self.config.settings.clone())
            })
            .await
    }

    /// The services, once they are read.
    async fn services(&self) -> Arc<Services> {
        let mut services = self.services.subscribe();
        loop {
            if let Some(services) = services.borrow_and_update().as_ref() {
                return Arc::clone(services);
            }
            // The sender lives as long as the engine, so there is no end to wait for but this.
            if services.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }
}
