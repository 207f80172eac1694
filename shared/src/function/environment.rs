//! The variables that a function is given.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::ConfigError;

/// The environment of a function. An empty variable counts as absent. Cheap to clone; `Debug` shows no value.
#[derive(Clone)]
pub struct Environment(Arc<Variables>);

/// From the name of a variable to its value.
type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// The variables that `var` knows.
    pub fn new(var: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(var))
    }

    /// A variable.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// A variable that must be there.
    pub(super) fn needed(&self, name: &'static str) -> Result<String, ConfigError> {
        self.var(name).ok_or(ConfigError::Missing(name))
    }

    /// A variable that is `true` or `false`; `false` without it.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.var(name).as_deref() {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(_) => Err(ConfigError::NoFlag(name)),
        }
    }

    /// The path that a variable has, else that of what lies beside the binary.
    pub(super) fn path(&self, name: &str, beside: &str) -> PathBuf {
        let default = || Path::new(&self.var("LAMBDA_TASK_ROOT").unwrap_or_default()).join(beside);
        self.var(name).map_or_else(default, PathBuf::from)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(…)")
    }
}
