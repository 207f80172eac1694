//! What a function is told by its environment.

use std::path::{Path, PathBuf};

use crate::execute::{Serves, Settings};

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
}

impl Config {
    /// Reads the variables of a function that serves this much through `var`; an empty one counts as absent.
    pub fn from_vars(serves: Serves, var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let beside = || Path::new(&var("LAMBDA_TASK_ROOT").unwrap_or_default()).join("services");
        Ok(Self {
            table: var("TABLE_NAME").ok_or(ConfigError::Missing("TABLE_NAME"))?,
            services: var("SERVICES_DIR").map_or_else(beside, PathBuf::from),
            settings: settings(serves, var),
        })
    }
}

/// The engine's settings. `PUBLIC_URL`: what clients call the root of the API, when it is not what they send as `Host`.
fn settings(serves: Serves, var: impl Fn(&str) -> Option<String>) -> Settings {
    Settings { serves, public_url: var("PUBLIC_URL"), ..Settings::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Config::from_vars(Serves::Everything, var)
    }

    #[test]
    fn services_are_beside_the_binary_unless_named() {
        let config = read(&[("TABLE_NAME", "t"), ("LAMBDA_TASK_ROOT", "/var/task"), ("PUBLIC_URL", "")]).unwrap();
        assert_eq!(config.services, Path::new("/var/task/services"));
        assert_eq!(config.settings.public_url, None);
        let config = read(&[("TABLE_NAME", "t"), ("SERVICES_DIR", "/opt/s"), ("PUBLIC_URL", "https://a.b")]).unwrap();
        assert_eq!(config.services, Path::new("/opt/s"));
        assert_eq!(config.settings.public_url.as_deref(), Some("https://a.b"));
    }

    #[test]
    fn a_table_must_be_named() {
        assert_eq!(read(&[]).unwrap_err(), ConfigError::Missing("TABLE_NAME"));
    }
}
