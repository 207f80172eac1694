//! Secrets that the environment names instead of having them: one secret of AWS Secrets Manager, a flat JSON object of
//! texts. Nothing of what it holds is in any message, and `Debug` shows its names alone.

use std::{collections::BTreeMap, fmt, time::Duration};

use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};

/// To open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For one attempt, from sending to the last byte of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Attempts, the first one included.
const ATTEMPTS: u32 = 3;
/// Before the second attempt, at most; twice as long before the third.
const BACKOFF: Duration = Duration::from_millis(100);
/// For all attempts: whoever sends an event waits for its answer meanwhile.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);

/// A secret, read.
pub struct Secret {
    id: String,
    members: BTreeMap<String, String>,
}

/// Why a secret cannot be used. Nothing that it holds is in any of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager did not hand it out.
    #[error("secret '{id}' cannot be read: {reason}")]
    Unavailable {
        /// Its name or ARN.
        id: String,
        /// What Secrets Manager said, or why it said nothing.
        reason: String,
    },
    /// It is something else.
    #[error("secret '{id}' is no JSON object whose members are texts")]
    Malformed {
        /// Its name or ARN.
        id: String,
    },
    /// It lacks a member that is needed.
    #[error("{member} is neither a variable of the environment nor a member of secret '{id}', or it is empty")]
    NoMember {
        /// Its name or ARN.
        id: String,
        /// The name of the variable.
        member: String,
    },
}

impl Secret {
    /// Reads the secret of this name or ARN: from the region and with the credentials of the environment, or from the
    /// endpoint that it names (`AWS_ENDPOINT_URL_SECRETS_MANAGER`).
    pub async fn fetch(id: &str) -> Result<Self, SecretError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT);
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(BACKOFF))
            .timeout_config(timeouts.build())
            .load()
            .await;
        let answer = Client::new(&config).get_secret_value().secret_id(id).send().await;
        let answer = answer.map_err(|error| SecretError::Unavailable { id: id.into(), reason: reason(&error) })?;
        Self::parse(id, answer.secret_string().unwrap_or_default())
    }

    fn parse(id: &str, text: &str) -> Result<Self, SecretError> {
        let members = serde_json::from_str(text).map_err(|_| SecretError::Malformed { id: id.into() })?;
        Ok(Self { id: id.into(), members })
    }

    /// A member.
    pub fn member(&self, name: &str) -> Option<String> {
        self.members.get(name).filter(|text| !text.trim().is_empty()).cloned()
    }

    /// The error of a member that is needed and not there.
    pub fn lacks(&self, member: &str) -> SecretError {
        SecretError::NoMember { id: self.id.clone(), member: member.into() }
    }
}

/// What may be said of a failed call. The SDK's own words can have the answer in them, and the secret in it.
fn reason(error: &SdkError<GetSecretValueError>) -> String {
    match error {
        SdkError::ServiceError(refused) => {
            let error = refused.err();
            match (error.code(), error.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, _) => "the answer cannot be read".into(),
            }
        }
        SdkError::TimeoutError(_) => "no answer in time".into(),
        SdkError::DispatchFailure(_) => "Secrets Manager cannot be reached, or there are no credentials".into(),
        SdkError::ResponseError(_) => "the answer cannot be read".into(),
        _ => "the request cannot be made".into(),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).field("members", &self.members.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_texts_that_are_not_shown() {
        let secret = Secret::parse("s", r#"{"A":"hunter2","B":" "}"#).unwrap();
        assert_eq!(
            (secret.member("A").as_deref(), secret.member("B"), secret.member("C")),
            (Some("hunter2"), None, None)
        );
        assert_eq!(format!("{secret:?}"), r#"Secret { id: "s", members: ["A", "B"] }"#);
        let error = secret.lacks("C").to_string();
        assert_eq!(error, "C is neither a variable of the environment nor a member of secret 's', or it is empty");
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        for text in ["", "hunter2", "\"hunter2\"", r#"["hunter2"]"#, r#"{"A":5}"#, r#"{"A":{"hunter2":"x"}}"#] {
            let error = Secret::parse("s", text).unwrap_err();
            assert_eq!(error, SecretError::Malformed { id: "s".into() }, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
