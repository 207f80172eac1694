//! What the function is told by its environment.

use std::path::{Path, PathBuf};

/// The configuration of the function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `TABLE_NAME`: the DynamoDB table.
    pub(crate) table: String,
    /// `SERVICES_DIR`: the folder of services; `services` beside the binary by default.
    pub(crate) services: PathBuf,
    /// `PUBLIC_URL`: what clients call the root of the API; events say it as their source.
    pub(crate) public_url: Option<String>,
    /// `POLICY_FILE`: what is decided about events that came in, and where jobs are requeued; `policy.toml` beside the
    /// binary by default. Without the file no jobs are requeued.
    pub(crate) policy: PathBuf,
    /// `ALLOW_PRIVATE_TARGETS`: `true` lets endpoints be in the own network.
    pub(crate) allow_private_targets: bool,
}

/// What is wrong with the environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A variable that must be there and is not.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// Neither `true` nor `false`.
    #[error("the environment variable {0} must be true or false")]
    NoFlag(&'static str),
}

impl Config {
    /// Reads the variables through `var`; an empty one counts as absent.
    pub(crate) fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let var = |name| var(name).filter(|value| !value.is_empty());
        let beside = |name| Path::new(&var("LAMBDA_TASK_ROOT").unwrap_or_default()).join(name);
        let allow = "ALLOW_PRIVATE_TARGETS";
        Ok(Self {
            table: var("TABLE_NAME").ok_or(ConfigError::Missing("TABLE_NAME"))?,
            services: var("SERVICES_DIR").map_or_else(|| beside("services"), PathBuf::from),
            public_url: var("PUBLIC_URL"),
            policy: var("POLICY_FILE").map_or_else(|| beside("policy.toml"), PathBuf::from),
            allow_private_targets: match var(allow).as_deref() {
                Some("true") => true,
                Some("false") | None => false,
                Some(_) => return Err(ConfigError::NoFlag(allow)),
            },
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
    fn what_is_not_said_is_beside_the_binary() {
        let config = read(&[("TABLE_NAME", "t"), ("LAMBDA_TASK_ROOT", "/var/task"), ("POLICY_FILE", "")]).unwrap();
        let paths = [&config.services, &config.policy].map(|path| path.to_str().unwrap());
        assert_eq!(paths, ["/var/task/services", "/var/task/policy.toml"]);
    }

    #[test]
    fn private_targets_are_allowed_by_the_letter_only() {
        let table = ("TABLE_NAME", "t");
        let allow = |value| ("ALLOW_PRIVATE_TARGETS", value);
        assert!(!read(&[table]).unwrap().allow_private_targets);
        assert!(!read(&[table, allow("false")]).unwrap().allow_private_targets);
        assert!(read(&[table, allow("true")]).unwrap().allow_private_targets);
        assert_eq!(read(&[table, allow("1")]), Err(ConfigError::NoFlag("ALLOW_PRIVATE_TARGETS")));
        assert_eq!(read(&[]), Err(ConfigError::Missing("TABLE_NAME")));
    }
}
