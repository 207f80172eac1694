//! What each function is told by its environment. `VARIABLES` are the names that it looks at, in the order of the alphabet;
//! what they mean is said where the function is (`functions/*/src/main.rs`).

use std::{path::PathBuf, sync::Arc};

use super::{Environment, with_secrets::WithSecrets};
use crate::{
    auth::{AuthConfigError, Authenticator},
    cors::{Cors, CorsError},
    exchange::{RootUrlError, root_url},
    execute::{Serves, Settings},
    policy::{OpenSource, Policy, PolicyFileError, SecretsOf},
    secrets::SecretError,
};

/// The configuration of a function that answers OData requests.
#[derive(Debug)]
pub struct EngineConfig {
    pub(super) table: String,
    pub(super) services: PathBuf,
    pub(super) serves: Serves,
    pub(super) public_url: Option<String>,
    pub(super) cors: Cors,
    pub(super) authenticator: WithSecrets<Authenticator>,
}

/// The configuration of the function that takes events in.
#[derive(Debug)]
pub struct WebhookConfig {
    pub(super) table: String,
    pub(super) services: PathBuf,
    pub(super) policy: WithSecrets<Arc<Policy>>,
}

/// The configuration of the function that sends what leaves the service.
#[derive(Debug)]
pub struct OutboxConfig {
    pub(super) table: String,
    pub(super) services: PathBuf,
    pub(super) public_url: Option<String>,
    /// Without one no jobs are requeued.
    pub(super) policy: Option<WithSecrets<Arc<Policy>>>,
    pub(super) allow_private_targets: bool,
    /// Whether the service tells itself of its jobs.
    pub(super) own_loop: bool,
}

/// What is wrong with what a function is given.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable that must be there and is not.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// Neither `true` nor `false`.
    #[error("the environment variable {0} must be true or false")]
    NoFlag(&'static str),
    /// How callers show who they are is not said, or not right.
    #[error("authentication: {0}")]
    Auth(#[from] AuthConfigError),
    /// The public URL is not one.
    #[error("PUBLIC_URL {0}")]
    PublicUrl(#[from] RootUrlError),
    /// Pages that may call are not said right.
    #[error("CORS_ORIGINS: {0}")]
    Cors(#[from] CorsError),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    /// It lets anybody in, and everybody can reach a function.
    #[error("{0}, and everybody can reach a function")]
    OpenSource(#[from] OpenSource),
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The URL by which clients call the root of the host.
fn public_url(environment: &Environment) -> Result<Option<String>, ConfigError> {
    Ok(environment.var("PUBLIC_URL").map(|text| root_url(&text)).transpose()?)
}

impl EngineConfig {
    /// What [`EngineConfig::from_vars`] looks at.
    pub const VARIABLES: [&str; 13] = [
        "AUTH_ALGORITHMS",
        "AUTH_AUDIENCE",
        "AUTH_ISSUER",
        "AUTH_JWKS",
        "AUTH_JWKS_TTL",
        "AUTH_LEEWAY",
        "AUTH_MODE",
        "AUTH_TOKEN",
        "CORS_ORIGINS",
        "PUBLIC_URL",
        "SECRET_ID",
        "SERVICES_DIR",
        "TABLE_NAME",
    ];

    /// Reads the variables of a function that serves this much.
    pub fn from_vars(serves: Serves, environment: &Environment) -> Result<Self, ConfigError> {
        let plain = environment.clone();
        let authenticator = move |secret: &dyn Fn(&str) -> Option<String>| {
            let var = |name: &str| if name == "AUTH_TOKEN" { secret(name) } else { plain.var(name) };
            Ok(Authenticator::from_vars(var)?)
        };
        Ok(Self {
            table: environment.needed("TABLE_NAME")?,
            services: environment.path("SERVICES_DIR", "services"),
            serves,
            public_url: public_url(environment)?,
            cors: Cors::of(environment.var("CORS_ORIGINS").unwrap_or_default().split_whitespace())?,
            authenticator: WithSecrets::new(environment, authenticator)?,
        })
    }

    /// The engine's settings.
    pub(super) fn settings(&self, authenticator: Authenticator) -> Settings {
        let (public_url, cors) = (self.public_url.clone(), self.cors.clone());
        Settings { serves: self.serves, public_url, authenticator, cors, ..Settings::default() }
    }
}

impl WebhookConfig {
    /// What [`WebhookConfig::from_vars`] looks at, beside what the secrets of the policy's sources name.
    pub const VARIABLES: [&str; 4] = ["POLICY_FILE", "SECRET_ID", "SERVICES_DIR", "TABLE_NAME"];

    /// Reads the variables, and the policy.
    pub fn from_vars(environment: &Environment) -> Result<Self, ConfigError> {
        let path = environment.path("POLICY_FILE", "policy.toml");
        let policy = move |secret: &dyn Fn(&str) -> Option<String>| {
            let policy = Policy::load(&path, SecretsOf::Sources, secret)?;
            policy.check_closed()?;
            Ok(Arc::new(policy))
        };
        Ok(Self {
            table: environment.needed("TABLE_NAME")?,
            services: environment.path("SERVICES_DIR", "services"),
            policy: WithSecrets::new(environment, policy)?,
        })
    }
}

impl OutboxConfig {
    /// What [`OutboxConfig::from_vars`] looks at, beside what the secrets of the policy's targets name.
    pub const VARIABLES: [&str; 7] =
        ["ALLOW_PRIVATE_TARGETS", "OWN_LOOP", "POLICY_FILE", "PUBLIC_URL", "SECRET_ID", "SERVICES_DIR", "TABLE_NAME"];

    /// Reads the variables, and the policy if there is one.
    pub fn from_vars(environment: &Environment) -> Result<Self, ConfigError> {
        let path = environment.path("POLICY_FILE", "policy.toml");
        // What cannot be looked at is an error when it is read.
        let has_policy = path.try_exists().unwrap_or(true);
        let policy = move |secret: &dyn Fn(&str) -> Option<String>| {
            Ok(Arc::new(Policy::load(&path, SecretsOf::Targets, secret)?))
        };
        Ok(Self {
            table: environment.needed("TABLE_NAME")?,
            services: environment.path("SERVICES_DIR", "services"),
            public_url: public_url(environment)?,
            policy: if has_policy { Some(WithSecrets::new(environment, policy)?) } else { None },
            allow_private_targets: environment.flag("ALLOW_PRIVATE_TARGETS")?,
            own_loop: environment.flag("OWN_LOOP")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, io::Write, path::Path, sync::Mutex};

    use tempfile::NamedTempFile;

    use super::*;

    const TABLE: (&str, &str) = ("TABLE_NAME", "t");
    const OPEN: (&str, &str) = ("AUTH_MODE", "none");

    fn environment(vars: &[(&str, &str)]) -> Environment {
        let vars: Vec<_> = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Environment::new(move |name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()))
    }

    fn engine(vars: &[(&str, &str)]) -> Result<EngineConfig, ConfigError> {
        EngineConfig::from_vars(Serves::Everything, &environment(vars))
    }

    fn policy(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    /// The variables that are looked at, where all are there but these.
    fn looked_at<T>(given: &[(&str, &str)], read: impl Fn(&Environment) -> Result<T, ConfigError>) -> BTreeSet<String> {
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let (record, given) = (Arc::clone(&asked), environment(given));
        let environment = Environment::new(move |name| {
            record.lock().unwrap().insert(name.to_owned());
            given.var(name)
        });
        read(&environment).unwrap_or_else(|error| panic!("{error}"));
        let mut asked = asked.lock().unwrap().clone();
        // Lambda's own.
        asked.remove("LAMBDA_TASK_ROOT");
        asked
    }

    #[test]
    fn the_variables_are_those_that_are_looked_at() {
        let jwt = [
            TABLE,
            ("AUTH_MODE", "jwt"),
            ("AUTH_ISSUER", "https://a.example"),
            ("AUTH_AUDIENCE", "a"),
            ("AUTH_JWKS", "https://a.example/keys"),
        ];
        let token = [TABLE, ("AUTH_MODE", "token"), ("SECRET_ID", "s")];
        let read = |environment: &Environment| EngineConfig::from_vars(Serves::Everything, environment);
        let both: BTreeSet<_> = &looked_at(&jwt, read) | &looked_at(&token, read);
        assert_eq!(both.iter().map(String::as_str).collect::<Vec<_>>(), EngineConfig::VARIABLES);
        let file = policy("");
        let vars = [TABLE, ("POLICY_FILE", file.path().to_str().unwrap())];
        let webhook = looked_at(&vars, WebhookConfig::from_vars);
        assert_eq!(webhook.iter().map(String::as_str).collect::<Vec<_>>(), WebhookConfig::VARIABLES);
        let outbox = looked_at(&vars, OutboxConfig::from_vars);
        assert_eq!(outbox.iter().map(String::as_str).collect::<Vec<_>>(), OutboxConfig::VARIABLES);
    }

    #[test]
    fn services_are_beside_the_binary_unless_named() {
        let config = engine(&[TABLE, OPEN, ("LAMBDA_TASK_ROOT", "/var/task"), ("PUBLIC_URL", "")]).unwrap();
        assert_eq!((config.services.as_path(), config.public_url), (Path::new("/var/task/services"), None));
        let config = engine(&[TABLE, OPEN, ("SERVICES_DIR", "/opt/s"), ("PUBLIC_URL", "https://a.b")]).unwrap();
        assert_eq!(
            (config.services.as_path(), config.public_url.as_deref()),
            (Path::new("/opt/s"), Some("https://a.b"))
        );
    }

    #[test]
    fn a_public_url_is_one() {
        let url = |url| engine(&[TABLE, OPEN, ("PUBLIC_URL", url)]).map(|config| config.public_url);
        assert_eq!(url("https://Example.com/odata/").unwrap().as_deref(), Some("https://example.com/odata"));
        let error = url("nope").unwrap_err().to_string();
        assert!(error.starts_with("PUBLIC_URL is no absolute URL, such as https://"), "{error}");
        let outbox = [TABLE, ("PUBLIC_URL", "https://u:secret@a.example"), ("POLICY_FILE", "nowhere.toml")];
        let error = OutboxConfig::from_vars(&environment(&outbox)).unwrap_err().to_string();
        assert!(error.starts_with("PUBLIC_URL has a user, a password") && !error.contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn a_function_is_open_only_when_that_is_said() {
        let mode = |mode| engine(&[TABLE, ("AUTH_MODE", mode)]);
        assert!(mode("none").unwrap().authenticator.get().await.unwrap().is_open());
        assert_eq!(mode("").unwrap_err().to_string(), "authentication: AUTH_MODE is not set: jwt, token or none");
        assert_eq!(mode("jwt").unwrap_err().to_string(), "authentication: AUTH_ISSUER is not set");
        assert_eq!(engine(&[OPEN]).unwrap_err().to_string(), "the environment variable TABLE_NAME is not set");
    }

    #[test]
    fn pages_that_may_call_are_listed() {
        let cors = |origins| engine(&[TABLE, OPEN, ("CORS_ORIGINS", origins)]).map(|config| config.cors);
        assert_eq!((cors("").unwrap(), cors("*").unwrap()), (Cors::Off, Cors::Any));
        assert!(
            matches!(cors("https://a.example  http://b.example:8080").unwrap(), Cors::Listed(two) if two.len() == 2)
        );
        assert!(
            cors("https://a.example/").unwrap_err().to_string().starts_with("CORS_ORIGINS: 'https://a.example/' is no")
        );
    }

    #[test]
    fn a_webhook_needs_the_secrets_of_its_sources_alone() {
        let file = policy(
            "[targets.t]\nurl = \"https://a.example\"\nauthentication.bearer = { env = \"T\" }\n\
             [sources.s]\ntarget = \"t\"\nauthentication = { shared = { env = \"S\" }, code = true }\n",
        );
        let path = ("POLICY_FILE", file.path().to_str().unwrap());
        let (of_source, of_target) = (("S", "0123456789abcdef0123456789abcdef"), ("T", "t0ken"));
        assert!(WebhookConfig::from_vars(&environment(&[TABLE, path, of_source])).is_ok());
        let missing = WebhookConfig::from_vars(&environment(&[TABLE, path, of_target])).unwrap_err();
        assert!(missing.to_string().ends_with("the environment has no variable S, or an empty one"), "{missing}");
        assert!(OutboxConfig::from_vars(&environment(&[TABLE, path, of_target])).unwrap().policy.is_some());
        assert!(OutboxConfig::from_vars(&environment(&[TABLE, path, of_source])).is_err());
        assert!(OutboxConfig::from_vars(&environment(&[TABLE, path, ("SECRET_ID", "s")])).is_ok());
    }

    #[test]
    fn private_targets_are_allowed_by_the_letter_only() {
        let allow = |value| {
            let vars = [TABLE, ("ALLOW_PRIVATE_TARGETS", value), ("POLICY_FILE", "nowhere.toml")];
            OutboxConfig::from_vars(&environment(&vars)).map(|config| config.allow_private_targets)
        };
        assert!(!allow("").unwrap() && !allow("false").unwrap() && allow("true").unwrap());
        let error = allow("1").unwrap_err().to_string();
        assert_eq!(error, "the environment variable ALLOW_PRIVATE_TARGETS must be true or false");
    }
}
