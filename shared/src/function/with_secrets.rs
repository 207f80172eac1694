//! What is made of variables that may be secret.

use std::{cell::RefCell, fmt};

use tokio::sync::OnceCell;

use super::{ConfigError, Environment};
use crate::secrets::Secret;

/// Makes something of variables.
type Make<T> = dyn Fn(&dyn Fn(&str) -> Option<String>) -> Result<T, ConfigError> + Send + Sync;

/// Something that is made of variables, which are members of the secret `SECRET_ID` where the environment does not have
/// them.
///
/// Where it has all of them, it is made at once, and Secrets Manager is never asked. Else it is made when it is first
/// needed, and whoever needs it gets the error when that fails; the next one tries again, so that a function whose secret
/// was put right recovers. What was made stays as it is: a secret that changes is read by new instances of the function.
pub(super) struct WithSecrets<T> {
    value: OnceCell<T>,
    make: Box<Make<T>>,
    environment: Environment,
    /// Where secrets are that the environment does not have.
    id: Option<String>,
}

/// Where variables come from.
struct Lookup<'l> {
    environment: &'l Environment,
    secret: Option<&'l Secret>,
    /// The last one that was nowhere.
    missing: RefCell<Option<String>>,
}

impl<T> WithSecrets<T> {
    /// Makes it, unless there are variables in a secret. What is wrong without any of them is an error at once.
    pub(super) fn new(
        environment: &Environment,
        make: impl Fn(&dyn Fn(&str) -> Option<String>) -> Result<T, ConfigError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let id = environment.var("SECRET_ID");
        let lookup = Lookup { environment, secret: None, missing: RefCell::default() };
        let value = match make(&|name| lookup.var(name)) {
            Ok(value) => OnceCell::new_with(Some(value)),
            Err(_) if id.is_some() && lookup.missing.take().is_some() => OnceCell::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { value, make: Box::new(make), environment: environment.clone(), id })
    }

    /// What was made.
    pub(super) async fn get(&self) -> Result<&T, ConfigError> {
        let made = self.value.get_or_try_init(async || {
            // Boxed: each future on the way would hold the state of the call otherwise.
            let secret = Box::pin(Secret::fetch(self.id.as_deref().unwrap_or_default())).await?;
            let lookup = Lookup { environment: &self.environment, secret: Some(&secret), missing: RefCell::default() };
            let value = (self.make)(&|name| lookup.var(name));
            value.map_err(|error| lookup.missing.take().map_or(error, |name| secret.lacks(&name).into()))
        });
        made.await.inspect_err(|error| tracing::error!(%error, "the function cannot answer"))
    }
}

impl Lookup<'_> {
    fn var(&self, name: &str) -> Option<String> {
        let found = self.environment.var(name).filter(|value| !value.trim().is_empty());
        let found = found.or_else(|| self.secret?.member(name));
        if found.is_none() {
            self.missing.replace(Some(name.to_owned()));
        }
        found
    }
}

impl<T> fmt::Debug for WithSecrets<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithSecrets")
            .field("id", &self.id)
            .field("value", &self.value.initialized())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{AuthConfigError, Authenticator};

    fn token(vars: &'static [(&str, &str)]) -> Result<WithSecrets<Authenticator>, ConfigError> {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let environment = Environment::new(var);
        WithSecrets::new(&environment, |secret| {
            let token = secret("AUTH_TOKEN");
            let var = |name: &str| if name == "AUTH_MODE" { Some("token".into()) } else { token.clone() };
            Ok(Authenticator::from_vars(var)?)
        })
    }

    const ID: (&str, &str) = ("SECRET_ID", "s");

    #[test]
    fn what_the_environment_has_is_made_at_once() {
        let is_made = |vars| token(vars).unwrap().value.initialized();
        assert!(is_made(&[("AUTH_TOKEN", "0123456789abcdef0123456789abcdef")]));
        assert!(is_made(&[ID, ("AUTH_TOKEN", "0123456789abcdef0123456789abcdef")]));
        assert!(!is_made(&[ID]) && !is_made(&[ID, ("AUTH_TOKEN", " ")]));
    }

    #[test]
    fn what_no_secret_can_put_right_ends_the_start() {
        let error = |vars| token(vars).unwrap_err();
        assert!(matches!(error(&[]), ConfigError::Auth(AuthConfigError::Missing("AUTH_TOKEN"))));
        assert!(matches!(error(&[ID, ("AUTH_TOKEN", "short")]), ConfigError::Auth(AuthConfigError::Tokens(_))));
    }
}
