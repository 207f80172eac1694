//! Who sends events, and how they show who they are: `[sources.<name>]`.

use http::HeaderName;

use crate::{
    auth::{Authenticator, Tokens},
    events::{ReadFormat, Secret},
};

/// Name of the source of events about the service's own jobs.
pub const OWN_SOURCE: &str = "self";

/// A sender of events.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name: the last part of the URL that it posts to.
    pub name: String,
    /// The form of what it sends.
    pub format: ReadFormat,
    /// How it shows who it is.
    pub authentication: SourceAuthentication,
    /// Name of the target whose jobs its events are about.
    pub target: String,
    /// Origins (host names, or `*`) that may subscribe by the handshake of CloudEvents; none: all that authenticate.
    pub allowed_origins: Vec<String>,
    /// Requests a minute that the handshake allows; no limit without it.
    pub allowed_rate: Option<u32>,
}

impl Source {
    /// Whether it lets everybody in.
    pub fn is_open(&self) -> bool {
        matches!(self.authentication, SourceAuthentication::None)
    }
}

/// How a source shows who it is. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum SourceAuthentication {
    /// Not at all: for a host that only this machine reaches, and that lets everybody in.
    None,
    /// The service itself, which takes its own events in without a request: no request is one of this source.
    InProcess,
    /// By secrets that were not looked up ([`SecretsOf`](super::SecretsOf)): nobody is let in.
    Withheld,
    /// Standard Webhooks: a signature with one of these secrets.
    Signature(Vec<Secret>),
    /// One of these secrets, in a header of this name or in the query parameter `code`.
    Shared {
        /// The header, where there is one.
        header: Option<HeaderName>,
        /// Whether `?code=` is looked at.
        code: bool,
        /// The secrets.
        secrets: Tokens,
    },
    /// A bearer token that an issuer has signed.
    Bearer {
        /// Checks the token.
        authenticator: Authenticator,
        /// Names of callers that are let in (application ids, for example); none: all with a valid token.
        callers: Vec<String>,
    },
}
