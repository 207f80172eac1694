//! Where jobs are requeued: `[targets.<name>]`.

use std::{fmt, time::Duration};

/// An environment that has batch jobs.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// URL of its service root, without a final slash: `https://contoso.operations.dynamics.com/data`. `None`: the
    /// service itself.
    pub url: Option<String>,
    /// Whether it keeps request ids (`Repeatability-Request-ID`), so that a repeated call does nothing. One that does
    /// not, as Finance & Operations, is asked for the state of the job before each call.
    pub repeatability: bool,
    /// How the caller shows who it is.
    pub authentication: TargetAuthentication,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// How a call shows who makes it.
#[derive(Clone, Debug)]
pub enum TargetAuthentication {
    /// Not at all.
    None,
    /// With a secret that was not looked up ([`SecretsOf`](super::SecretsOf)): no call can be made.
    Withheld,
    /// A token that does not change.
    Bearer(Credential),
    /// OAuth 2.0 client credentials (RFC 6749 §4.4).
    ClientCredentials {
        /// The token endpoint.
        token_url: String,
        /// The client.
        client_id: String,
        /// Its secret.
        client_secret: Credential,
        /// `scope`: for Entra ID `https://contoso.operations.dynamics.com/.default`.
        scope: Option<String>,
        /// `resource`: what older token endpoints want instead.
        resource: Option<String>,
    },
}

/// A secret text. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(pub String);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}
