//! What a function is told by its environment.

use std::path::{Path, PathBuf};

use crate::{
    auth::{AuthConfigError, Authenticator},
    execute::{Serves, Settings},
};

/// The configuration of a function.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`: the DynamoDB table.
    pub table: String,
    /// `SERVICES_DIR`: the folder of services; `services` beside the binary by default.
    pub services: PathBuf,
    /// The engine's settings.
    pub settings: Settings,
}

/// What is wrong with the environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable that must be there and is not.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// How callers show who they are is not said, or not right.
    #[error("authentication: {0}")]
    Auth(#[from] AuthConfigError),
}

impl Config {
    /// Reads the variables of a function that serves this much through `var`; an empty one counts as absent.
    pub fn from_vars(serves: Serves, var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        Ok(Self {
            table: var("TABLE_NAME").ok_or(ConfigError::Missing("TABLE_NAME"))?,
            services: var("SERVICES_DIR").map_or_else(|| beside(var, "services"), PathBuf::from),
            settings: settings(serves, var)?,
        })
    }
}

/// The path of what lies beside the binary.
pub(super) fn beside(var: impl Fn(&str) -> Option<String>, name: &str) -> PathBuf {
    Path::new(&var("LAMBDA_TASK_ROOT").unwrap_or_default()).join(name)
}

/// The engine's settings. `PUBLIC_URL`: what clients call the root of the API, when it is not what they send as `Host`.
/// `AUTH_…`: [`Authenticator::from_vars`].
fn settings(serves: Serves, var: impl Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
    let authenticator = Authenticator::from_vars(&var)?;
    Ok(Settings { serves, public_url: var("PUBLIC_URL"), authenticator, ..Settings::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: (&str, &str) = ("AUTH_MODE", "none");

    fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Config::from_vars(Serves::Everything, var)
    }

    #[test]
    fn services_are_beside_the_binary_unless_named() {
        let config = read(&[("TABLE_NAME", "t"), OPEN, ("LAMBDA_TASK_ROOT", "/var/task"), ("PUBLIC_URL", "")]).unwrap();
        assert_eq!(config.services, Path::new("/var/task/services"));
        assert_eq!(config.settings.public_url, None);
        let config =
            read(&[("TABLE_NAME", "t"), OPEN, ("SERVICES_DIR", "/opt/s"), ("PUBLIC_URL", "https://a.b")]).unwrap();
        assert_eq!(config.services, Path::new("/opt/s"));
        assert_eq!(config.settings.public_url.as_deref(), Some("https://a.b"));
    }

    #[test]
    fn a_function_is_open_only_when_that_is_said() {
        let mode = |mode| read(&[("TABLE_NAME", "t"), ("AUTH_MODE", mode)]);
        assert!(mode("none").unwrap().settings.authenticator.is_open());
        assert_eq!(mode("").unwrap_err(), AuthConfigError::NoMode.into());
        assert_eq!(mode("jwt").unwrap_err(), AuthConfigError::Missing("AUTH_ISSUER").into());
    }

    #[test]
    fn a_table_must_be_named() {
        assert_eq!(read(&[]).unwrap_err(), ConfigError::Missing("TABLE_NAME"));
    }
}
