//! An engine whose parts are made when the start of a function has time for them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::sync::OnceCell;

use super::{Config, LoadError, pending::Pending};
use crate::{
    Engine,
    exchange::Incoming,
    execute::Serves,
    gateway::{self, Answer, EventError},
    service::Services,
    store::{self, Store},
};

/// Everything that outlives a request.
#[derive(Debug)]
pub struct LazyEngine {
    config: Config,
    services: Pending<Arc<Services>>,
    engine: OnceCell<Engine>,
}

impl LazyEngine {
    /// An engine without services: [`LazyEngine::load`] has to run beside it.
    pub fn new(config: Config) -> Self {
        Self { config, services: Pending::new(), engine: OnceCell::new() }
    }

    /// Reads the services while the first event is on its way. Ends only when they cannot be read.
    pub async fn load(&self) -> Result<Infallible, LoadError> {
        let (folder, serves) = (self.config.services.clone(), self.config.settings.serves);
        let read = move || {
            Ok(Arc::new(match serves {
                Serves::Everything => Services::load(&folder)?,
                Serves::Requeues => Services::load_with_jobs(&folder)?,
            }))
        };
        self.services.load(read).await
    }

    /// Answers one event, in `time_left`. A request that cannot be read is a 400; an event that is no HTTP request is an
    /// error.
    pub async fn answer(&self, payload: &str, time_left: Duration) -> Result<Answer, EventError> {
        let event = gateway::read(payload)?;
        let outgoing = match event.request {
            Ok(incoming) => {
                let incoming = Incoming { time_left: Some(time_left), ..incoming };
                self.engine().await.handle(incoming).await
            }
            Err(error) => error.into_outgoing(),
        };
        Ok(Answer::new(event.kind, outgoing))
    }

    async fn engine(&self) -> &Engine {
        self.engine
            .get_or_init(async || {
                // The client is made with the first request: its certificates and credentials would delay the start.
                let (services, client) = tokio::join!(self.services.wait(), store::from_environment(None));
                let store = Store::new(client, self.config.table.clone());
                Engine::new(services, store, self.config.settings.clone())
            })
            .await
    }
}
