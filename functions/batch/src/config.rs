//! What the function is told by its environment.

use std::path::{Path, PathBuf};

/// The configuration of the function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `TABLE_NAME`: the DynamoDB table.
    pub(crate) table: String,
    /// `SERVICES_DIR`: the folder of services; `services` beside the binary by default.
    pub(crate) services: PathBuf,
    /// `PUBLIC_URL`: what clients call the root of the API, when it is not what they send as `Host`.
    pub(crate) public_url: Option<String>,
}

/// A variable that must be there and is not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0} is not set")]
pub(crate) struct ConfigError(&'static str);

impl Config {
    /// Reads the variables through `var`; an empty one counts as absent.
    pub(crate) fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let var = |name| var(name).filter(|value| !value.is_empty());
        let beside = || Path::new(&var("LAMBDA_TASK_ROOT").unwrap_or_default()).join("services");
        Ok(Self {
            table: var("TABLE_NAME").ok_or(ConfigError("TABLE_NAME"))?,
            services: var("SERVICES_DIR").map_or_else(beside, PathBuf::from),
            public_url: var("PUBLIC_URL"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_vars(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn services_are_beside_the_binary_unless_named() {
        let config = read(&[("TABLE_NAME", "t"), ("LAMBDA_TASK_ROOT", "/var/task"), ("PUBLIC_URL", "")]).unwrap();
        assert_eq!(config.services, Path::new("/var/task/services"));
        assert_eq!(config.public_url, None);
        let config = read(&[("TABLE_NAME", "t"), ("SERVICES_DIR", "/opt/s")]).unwrap();
        assert_eq!(config.services, Path::new("/opt/s"));
    }

    #[test]
    fn a_table_must_be_named() {
        assert_eq!(read(&[]), Err(ConfigError("TABLE_NAME")));
    }
}
