//! What a host is told about authentication.

use std::time::Duration;

use super::{Authenticator, Policy, PolicyError, SourceError, Tokens, TokensError, jwks::Keys};

/// How long fetched keys are used before they are fetched again.
const KEYS_LIFETIME: Duration = Duration::from_mins(10);
/// The longest that may be asked for: a key that was withdrawn stays good for so long.
const MAX_KEYS_LIFETIME: Duration = Duration::from_hours(24);

/// Which signed tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtConfig {
    /// What `iss` may be. All of them share the keys, so each of them can speak for the others.
    pub issuers: Vec<String>,
    /// What `aud` must be or have: one of these.
    pub audiences: Vec<String>,
    /// Where the keys are: `https` URL of a JSON Web Key Set, `http` on this machine, or a file.
    pub keys: String,
    /// Algorithms of signatures; RS256 and ES256 when there is none.
    pub algorithms: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// How long fetched keys are used before they are fetched again.
    pub keys_lifetime: Duration,
}

/// Why authentication is not set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthConfigError {
    /// A host that nobody closed must have been left open on purpose.
    #[error("AUTH_MODE is not set: jwt, token or none")]
    NoMode,
    /// Not a mode.
    #[error("AUTH_MODE is '{0}': jwt, token and none are possible")]
    Mode(String),
    /// A variable that the mode needs.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable that is no number of seconds.
    #[error("{0} is not a number of seconds")]
    Seconds(&'static str),
    /// Keys that are never or hardly ever fetched again.
    #[error("keys are used for 1 to {max} seconds, not {0}", max = MAX_KEYS_LIFETIME.as_secs())]
    Lifetime(u64),
    /// Tokens that cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A policy that nothing or anything meets.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Keys at a place where they cannot be.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            keys: String::new(),
            algorithms: Vec::new(),
            leeway: Policy::LEEWAY,
            keys_lifetime: KEYS_LIFETIME,
        }
    }
}

impl Authenticator {
    /// Accepts the tokens that are described. Fetches nothing yet.
    pub fn jwt(config: &JwtConfig) -> Result<Self, AuthConfigError> {
        let policy = Policy::new(&config.issuers, &config.audiences, &config.algorithms, config.leeway)?;
        let lifetime = config.keys_lifetime;
        if lifetime < Duration::from_secs(1) || lifetime > MAX_KEYS_LIFETIME {
            return Err(AuthConfigError::Lifetime(lifetime.as_secs()));
        }
        Ok(Self::with_source(policy, Keys::at(&config.keys, lifetime)?))
    }

    /// Reads the variables of a function's environment through `var`; an empty one counts as absent.
    ///
    /// `AUTH_MODE` must be set: `none`, `token` (then `AUTH_TOKEN` has the tokens) or `jwt` (then `AUTH_ISSUER`,
    /// `AUTH_AUDIENCE` and `AUTH_JWKS` must be set; `AUTH_ALGORITHMS`, `AUTH_LEEWAY` and `AUTH_JWKS_TTL`, in seconds,
    /// may be). Lists are separated by spaces.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, AuthConfigError> {
        let var = |name| var(name).filter(|value| !value.trim().is_empty());
        let needed = |name| var(name).ok_or(AuthConfigError::Missing(name));
        match var("AUTH_MODE").ok_or(AuthConfigError::NoMode)?.as_str() {
            "none" => Ok(Self::Open),
            "token" => Ok(Self::Token(Tokens::parse(&needed("AUTH_TOKEN")?)?)),
            "jwt" => Self::jwt(&JwtConfig {
                issuers: list(&needed("AUTH_ISSUER")?),
                audiences: list(&needed("AUTH_AUDIENCE")?),
                keys: needed("AUTH_JWKS")?,
                algorithms: list(&var("AUTH_ALGORITHMS").unwrap_or_default()),
                leeway: seconds("AUTH_LEEWAY", var("AUTH_LEEWAY"), Policy::LEEWAY)?,
                keys_lifetime: seconds("AUTH_JWKS_TTL", var("AUTH_JWKS_TTL"), KEYS_LIFETIME)?,
            }),
            other => Err(AuthConfigError::Mode(other.to_owned())),
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn seconds(name: &'static str, value: Option<String>, default: Duration) -> Result<Duration, AuthConfigError> {
    let Some(value) = value else { return Ok(default) };
    value.trim().parse().map(Duration::from_secs).map_err(|_| AuthConfigError::Seconds(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: (&str, &str) = ("AUTH_TOKEN", "0123456789abcdef0123456789abcdef");
    const ISSUER: (&str, &str) = ("AUTH_ISSUER", "https://a.example https://b.example");
    const AUDIENCE: (&str, &str) = ("AUTH_AUDIENCE", "api://jobs");
    const JWKS: (&str, &str) = ("AUTH_JWKS", "https://a.example/keys");

    fn read(mode: &str, vars: &[(&str, &str)]) -> Result<Authenticator, AuthConfigError> {
        let vars = [vars, &[("AUTH_MODE", mode)]].concat();
        Authenticator::from_vars(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn each_mode_has_its_variables() {
        assert!(read("none", &[]).unwrap().is_open());
        assert!(matches!(read("token", &[TOKEN]).unwrap(), Authenticator::Token(_)));
        let more = [ISSUER, AUDIENCE, JWKS, ("AUTH_ALGORITHMS", "PS256 EdDSA"), ("AUTH_LEEWAY", "5")];
        assert!(matches!(read("jwt", &more[..3]).unwrap(), Authenticator::Jwt(_)));
        assert!(matches!(read("jwt", &more).unwrap(), Authenticator::Jwt(_)));
    }

    #[test]
    fn nothing_is_open_by_mistake() {
        use AuthConfigError as E;
        let with = |name, value| [ISSUER, AUDIENCE, JWKS, (name, value)];
        assert_eq!(read("", &[TOKEN]).unwrap_err(), E::NoMode);
        assert_eq!(read("None", &[]).unwrap_err(), E::Mode("None".into()));
        assert_eq!(read("token", &[("AUTH_TOKEN", " ")]).unwrap_err(), E::Missing("AUTH_TOKEN"));
        assert!(matches!(read("token", &[("AUTH_TOKEN", "short")]).unwrap_err(), E::Tokens(_)));
        assert_eq!(read("jwt", &[AUDIENCE, JWKS]).unwrap_err(), E::Missing("AUTH_ISSUER"));
        assert_eq!(read("jwt", &[ISSUER, JWKS]).unwrap_err(), E::Missing("AUTH_AUDIENCE"));
        assert_eq!(read("jwt", &[ISSUER, AUDIENCE]).unwrap_err(), E::Missing("AUTH_JWKS"));
        for algorithm in ["HS256", "none", "rs256"] {
            let error = read("jwt", &with("AUTH_ALGORITHMS", algorithm)).unwrap_err();
            assert!(matches!(error, E::Policy(_)), "{algorithm}: {error}");
        }
        assert!(matches!(read("jwt", &with("AUTH_LEEWAY", "3600")).unwrap_err(), E::Policy(_)));
        assert_eq!(read("jwt", &with("AUTH_LEEWAY", "1m")).unwrap_err(), E::Seconds("AUTH_LEEWAY"));
        assert_eq!(read("jwt", &with("AUTH_JWKS_TTL", "0")).unwrap_err(), E::Lifetime(0));
        let plain = [ISSUER, AUDIENCE, ("AUTH_JWKS", "http://a.example/keys")];
        assert!(matches!(read("jwt", &plain).unwrap_err(), E::Source(_)));
    }
}
