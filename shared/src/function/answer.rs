//! From a gateway's event to its answer.

use lambda_runtime::Diagnostic;

use super::ConfigError;
use crate::{
    exchange::{Incoming, Outgoing},
    gateway::{self, Answer, EventError},
};

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The event is no HTTP request.
    #[error(transparent)]
    Event(#[from] EventError),
    /// What the function needs to answer is not there. The next invocation may find it.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        let error_message = error.to_string();
        match error {
            InvocationError::Event(error) => Self { error_type: error.name().into(), error_message },
            InvocationError::Config(error) => error.into(),
        }
    }
}

impl From<ConfigError> for Diagnostic {
    fn from(error: ConfigError) -> Self {
        let name = if matches!(error, ConfigError::Secret(_)) { "Secret" } else { "Configuration" };
        Self { error_type: name.into(), error_message: error.to_string() }
    }
}

/// Answers one event. A request that cannot be read is a 400; an event that is no HTTP request is an error.
pub(super) async fn answer(
    payload: &str,
    handle: impl AsyncFnOnce(Incoming) -> Result<Outgoing, ConfigError>,
) -> Result<Answer, InvocationError> {
    let event = gateway::read(payload)?;
    let outgoing = match event.request {
        Ok(incoming) => handle(incoming).await?,
        Err(error) => error.into_outgoing(),
    };
    Ok(Answer::new(event.kind, outgoing))
}
