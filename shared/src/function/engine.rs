//! An engine whose parts are made when the start of a function has time for them.

use std::{convert::Infallible, sync::Arc};

use tokio::sync::OnceCell;

use super::{
    ConfigError, EngineConfig, Handler, Invocation, InvocationError, LoadError, answer::answer, pending::Pending,
};
use crate::{
    Engine,
    exchange::Incoming,
    execute::Serves,
    gateway::Answer,
    service::Services,
    store::{self, Store},
};

/// The functions that answer OData requests.
#[derive(Debug)]
pub struct LazyEngine {
    config: EngineConfig,
    services: Pending<Arc<Services>>,
    engine: OnceCell<Engine>,
}

impl LazyEngine {
    /// An engine that is not there yet.
    pub fn new(config: EngineConfig) -> Self {
        Self { config, services: Pending::new(), engine: OnceCell::new() }
    }

    async fn engine(&self) -> Result<&Engine, ConfigError> {
        let engine = self.engine.get_or_try_init(async || {
            let authenticator = self.config.authenticator.get().await?.clone();
            // The client is made with the first request: its certificates and credentials would delay the start.
            let (services, client) = tokio::join!(self.services.wait(), store::from_environment(None));
            let store = Store::new(client, self.config.table.clone());
            Ok(Engine::new(services, store, self.config.settings(authenticator)))
        });
        engine.await
    }
}

impl Handler for LazyEngine {
    type Answer = Answer;
    type Error = InvocationError;

    async fn load(&self) -> Result<Infallible, LoadError> {
        let (folder, serves) = (self.config.services.clone(), self.config.serves);
        let read = move || {
            Ok(Arc::new(match serves {
                Serves::Everything => Services::load(&folder)?,
                Serves::Requeues => Services::load_with_jobs(&folder)?,
            }))
        };
        self.services.load(read, self.config.authenticator.get()).await
    }

    async fn answer(&self, payload: &str, invocation: &Invocation) -> Result<Answer, InvocationError> {
        let handle = async |incoming| {
            let engine = self.engine().await?;
            // To make it ready has taken of the time.
            let time_left = Some(invocation.time_left());
            Ok(engine.handle(Incoming { time_left, ..incoming }).await)
        };
        answer(payload, handle).await
    }
}
