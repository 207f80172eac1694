//! From an event to its answer.

use std::{convert::Infallible, future::pending, sync::Arc};

use lambda_runtime::{Diagnostic, Error};
use shared::{
    Engine, Settings,
    service::Services,
    store::{self, Store},
};
use tokio::{
    sync::{OnceCell, watch},
    task::spawn_blocking,
};

use crate::{
    answer::Answer,
    config::Config,
    event::{self, EventError},
};

/// Everything that outlives a request.
#[derive(Debug)]
pub(crate) struct Handler {
    config: Config,
    services: watch::Sender<Option<Arc<Services>>>,
    engine: OnceCell<Engine>,
}

impl Handler {
    /// A handler without services: [`Handler::load`] has to run beside it.
    pub(crate) fn new(config: Config) -> Self {
        Self { config, services: watch::Sender::new(None), engine: OnceCell::new() }
    }

    /// Reads the services while the first event is on its way. Ends only when they cannot be read.
    pub(crate) async fn load(&self) -> Result<Infallible, Error> {
        let folder = self.config.services.clone();
        let services = spawn_blocking(move || Services::load(&folder)).await??;
        self.services.send_replace(Some(Arc::new(services)));
        pending().await
    }

    /// The services, once they are read.
    async fn services(&self) -> Arc<Services> {
        let mut services = self.services.subscribe();
        loop {
            if let Some(services) = services.borrow_and_update().as_ref() {
                return Arc::clone(services);
            }
            // The sender lives as long as the handler, so there is no end to wait for but this.
            if services.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// Answers one event. A request that cannot be read is a 400; an event that is no HTTP request is an error.
    pub(crate) async fn handle(&self, payload: &str) -> Result<Answer, EventError> {
        let event = event::read(payload)?;
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
                let settings = Settings { public_url: self.config.public_url.clone(), ..Settings::default() };
                Engine::new(services, store, settings)
            })
            .await
    }
}

impl From<EventError> for Diagnostic {
    fn from(error: EventError) -> Self {
        let error_type = match error {
            EventError::Unknown => "UnknownEvent",
            EventError::Malformed(_) => "MalformedEvent",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
