//! From an event to its answer.

use std::sync::Arc;

use lambda_runtime::Diagnostic;
use shared::{
    Engine, Settings,
    service::{ServiceError, Services},
    store::{self, Store},
};
use tokio::sync::OnceCell;

use crate::{
    answer::Answer,
    config::Config,
    event::{self, EventError},
};

/// Everything that outlives a request.
#[derive(Debug)]
pub(crate) struct Handler {
    config: Config,
    services: Arc<Services>,
    engine: OnceCell<Engine>,
}

impl Handler {
    /// Reads the services. The client of the table is made with the first request: its certificates and credentials
    /// would delay the start.
    pub(crate) fn new(config: Config) -> Result<Self, ServiceError> {
        let services = Arc::new(Services::load(&config.services)?);
        Ok(Self { config, services, engine: OnceCell::new() })
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
                let client = store::from_environment(None).await;
                let store = Store::new(client, self.config.table.clone());
                let settings = Settings { public_url: self.config.public_url.clone(), ..Settings::default() };
                Engine::new(Arc::clone(&self.services), store, settings)
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
