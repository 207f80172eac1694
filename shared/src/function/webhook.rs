//! A webhook whose parts are made when the start of a function has time for them.

use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::OnceCell;

use super::{ConfigError, LoadError, config::beside, pending::Pending};
use crate::{
    exchange::Incoming,
    gateway::{self, Answer, EventError},
    ledger::Ledger,
    policy::{OpenSource, Policy, PolicyFileError},
    service::Services,
    store::{self, Store},
    webhook::Webhook,
};

/// The configuration of the function that takes events in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// `TABLE_NAME`: the DynamoDB table.
    pub table: String,
    /// `SERVICES_DIR`: the folder of services; `services` beside the binary by default.
    pub services: PathBuf,
    /// `POLICY_FILE`: sources, rules and targets; `policy.toml` beside the binary by default.
    pub policy: PathBuf,
}

/// Why a function does not take events in.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The policy cannot be read.
    #[error(transparent)]
    File(#[from] PolicyFileError),
    /// It lets anybody in, and everybody can reach a function.
    #[error(transparent)]
    Open(#[from] OpenSource),
}

/// Everything that outlives a request.
#[derive(Debug)]
pub struct LazyWebhook {
    config: WebhookConfig,
    policy: Arc<Policy>,
    ledger: Pending<Ledger>,
    webhook: OnceCell<Webhook>,
}

impl WebhookConfig {
    /// Reads the variables of a function through `var`; an empty one counts as absent.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let path = |name, file| var(name).map_or_else(|| beside(var, file), PathBuf::from);
        Ok(Self {
            table: var("TABLE_NAME").ok_or(ConfigError::Missing("TABLE_NAME"))?,
            services: path("SERVICES_DIR", "services"),
            policy: path("POLICY_FILE", "policy.toml"),
        })
    }
}

impl LazyWebhook {
    /// A webhook without a ledger: [`LazyWebhook::load`] has to run beside it. The policy is read at once, so that a
    /// function with a wrong one does not start; and nobody can have a source that lets anybody in.
    pub fn new(config: WebhookConfig) -> Result<Self, PolicyError> {
        let policy = Policy::load(&config.policy)?;
        policy.check_open(false)?;
        Ok(Self { config, policy: Arc::new(policy), ledger: Pending::new(), webhook: OnceCell::new() })
    }

    /// Reads the services while the first event is on its way. Ends only when they cannot be read, or have no ledger.
    pub async fn load(&self) -> Result<Infallible, LoadError> {
        let folder = self.config.services.clone();
        let read = move || Ledger::find(&Services::load_with_jobs(&folder)?)?.ok_or(LoadError::NoLedger);
        self.ledger.load(read).await
    }

    /// Answers one event, in `time_left`. A request that cannot be read is a 400; an event that is no HTTP request is an
    /// error.
    pub async fn answer(&self, payload: &str, time_left: Duration) -> Result<Answer, EventError> {
        let event = gateway::read(payload)?;
        let outgoing = match event.request {
            Ok(incoming) => {
                let incoming = Incoming { time_left: Some(time_left), ..incoming };
                self.webhook().await.handle(incoming).await
            }
            Err(error) => error.into_outgoing(),
        };
        Ok(Answer::new(event.kind, outgoing))
    }

    async fn webhook(&self) -> &Webhook {
        self.webhook
            .get_or_init(async || {
                // The client is made with the first request: its certificates and credentials would delay the start.
                let (ledger, client) = tokio::join!(self.ledger.wait(), store::from_environment(None));
                Webhook::new(Arc::clone(&self.policy), ledger, Store::new(client, self.config.table.clone()))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<WebhookConfig, ConfigError> {
        WebhookConfig::from_vars(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn services_and_policy_are_beside_the_binary_unless_named() {
        let config = read(&[("TABLE_NAME", "t"), ("LAMBDA_TASK_ROOT", "/var/task"), ("POLICY_FILE", "")]).unwrap();
        assert_eq!(config.services, Path::new("/var/task/services"));
        assert_eq!(config.policy, Path::new("/var/task/policy.toml"));
        let config = read(&[("TABLE_NAME", "t"), ("POLICY_FILE", "/opt/p.toml"), ("SERVICES_DIR", "/opt/s")]).unwrap();
        assert_eq!(
            (config.services.as_path(), config.policy.as_path()),
            (Path::new("/opt/s"), Path::new("/opt/p.toml"))
        );
        assert_eq!(read(&[]).unwrap_err(), ConfigError::Missing("TABLE_NAME"));
    }
}
