//! A webhook whose parts are made when the start of a function has time for them.

use std::{convert::Infallible, sync::Arc};

use tokio::sync::OnceCell;

use super::{
    ConfigError, Handler, Invocation, InvocationError, LoadError, WebhookConfig, answer::answer, pending::Pending,
};
use crate::{
    exchange::Incoming,
    gateway::Answer,
    ledger::Ledger,
    service::Services,
    store::{self, Store},
    webhook::Webhook,
};

/// The function that takes events in.
#[derive(Debug)]
pub struct LazyWebhook {
    config: WebhookConfig,
    ledger: Pending<Ledger>,
    webhook: OnceCell<Webhook>,
}

impl LazyWebhook {
    /// A webhook that is not there yet.
    pub fn new(config: WebhookConfig) -> Self {
        Self { config, ledger: Pending::new(), webhook: OnceCell::new() }
    }

    async fn webhook(&self) -> Result<&Webhook, ConfigError> {
        let webhook = self.webhook.get_or_try_init(async || {
            let policy = Arc::clone(self.config.policy.get().await?);
            // The client is made with the first request: its certificates and credentials would delay the start.
            let (ledger, client) = tokio::join!(self.ledger.wait(), store::from_environment(None));
            Ok(Webhook::new(policy, ledger, Store::new(client, self.config.table.clone())))
        });
        webhook.await
    }
}

impl Handler for LazyWebhook {
    type Answer = Answer;
    type Error = InvocationError;

    async fn load(&self) -> Result<Infallible, LoadError> {
        let folder = self.config.services.clone();
        let read = move || Ledger::find(&Services::load_with_jobs(&folder)?)?.ok_or(LoadError::NoLedger);
        self.ledger.load(read, self.config.policy.get()).await
    }

    async fn answer(&self, payload: &str, invocation: &Invocation) -> Result<Answer, InvocationError> {
        let handle = async |incoming| {
            let webhook = self.webhook().await?;
            // To make it ready has taken of the time.
            let time_left = Some(invocation.time_left());
            Ok(webhook.handle(Incoming { time_left, ..incoming }).await)
        };
        answer(payload, handle).await
    }
}
