//! What a request is evaluated with: the service, where it was called, the time, fresh keys. All of it given.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    auth::{Caller, Permission},
    batch::RequestId,
    edm::{Incarnation, Version},
    service::{Found, Service, Services},
    uri::{self, Encoding},
};

use super::{BatchRepeat, PlanError};

/// What all requests of a batch share.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// All services of this host.
    pub services: &'a Services,
    /// The service that was called.
    pub service: &'a Service,
    /// Scheme, authority and prefix of this host: `https://example.com`.
    pub origin: &'a str,
    /// Root of the service as called: `/api/data/v9.2`.
    pub root: &'a str,
    /// Now.
    pub now: Timestamp,
    /// Who makes the request, or the batch that it is part of.
    pub caller: &'a Caller,
    /// The trace that it is part of, as rows have it.
    pub trace: Option<&'a str>,
    /// The batch that they are part of, where it has an id for repeats.
    pub batch: Option<&'a BatchRepeat>,
    /// The requests load the rows of a seed: they give computed properties values, and create what clients may not.
    pub trusted: bool,
}

/// An inner URL, found in the service: `<root>/<path>?<query>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<'u> {
    /// Service root that it names, or that of the batch.
    pub root: String,
    /// Path below the root.
    pub path: std::borrow::Cow<'u, str>,
    /// Query string.
    pub query: Option<&'u str>,
}

impl Context<'_> {
    /// Whether the caller may do what needs this permission.
    pub fn permits(&self, permission: Permission) -> bool {
        self.service.permissions.permit(self.caller, permission)
    }

    /// Whether an earlier executor has decided the unit that begins with the request of this index: it is answered as it
    /// was, whatever the reads before it find now.
    pub fn is_decided(&self, index: usize) -> bool {
        self.batch.is_some_and(|batch| batch.has_decided(index))
    }

    /// The absolute URL of the service root, without the last slash.
    pub fn root_url(&self, root: &str) -> String {
        format!("{}{root}", self.origin)
    }

    /// Finds an absolute, absolute-path or relative URL in the service (Protocol §11.7.7.1).
    pub fn locate<'u>(&self, url: &'u str) -> Result<Located<'u>, PlanError> {
        let (target, query) = match url.split_once('?') {
            Some((target, query)) => (target, Some(query)),
            None => (url, None),
        };
        let target = target.split('#').next().unwrap_or_default();
        let path = match target.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => self.own_path(url, rest)?,
            _ if target.starts_with("//") => self.own_path(url, target.trim_start_matches('/'))?,
            _ => target,
        };
        if !path.starts_with('/') && path.len() == target.len() {
            return Ok(Located { root: self.root.to_owned(), path: path.into(), query });
        }
        let prefix = self.origin.splitn(4, '/').nth(3).unwrap_or_default();
        match below_prefix(path, prefix).map(|rest| self.below_root(url, rest, query)) {
            Some(Ok(located)) => Ok(located),
            // Some clients leave the prefix out, and what remains may begin like it.
            Some(Err(error)) => self.below_root(url, path, query).or(Err(error)),
            None => self.below_root(url, path, query),
        }
    }

    fn below_root<'u>(&self, url: &str, path: &'u str, query: Option<&'u str>) -> Result<Located<'u>, PlanError> {
        match self.services.find(path, Encoding::Percent) {
            Some(Found { service, root, rest }) if service.name == self.service.name => {
                Ok(Located { root: root.to_owned(), path: rest.into(), query })
            }
            Some(_) => Err(foreign(url, "it leads to another service of this host")),
            // Some clients write a path from the service root with a slash in front.
            None if self.is_resource(path) => {
                let path = path.trim_start_matches('/').into();
                Ok(Located { root: self.root.to_owned(), path, query })
            }
            None => Err(foreign(url, "it is not below the service root")),
        }
    }

    fn is_resource(&self, path: &str) -> bool {
        let segment = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let Ok(segment) = uri::decode_segment(segment) else { return false };
        let name = segment.split('(').next().unwrap_or_default();
        name == "$metadata" || name == "$batch" || self.service.model.set_id(name).is_some()
    }

    /// The path of an absolute URL (scheme taken off), when its host is ours. The scheme does not matter: TLS may
    /// end before this host.
    fn own_path<'u>(&self, url: &str, rest: &'u str) -> Result<&'u str, PlanError> {
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        self.check_authority(url, authority)?;
        Ok(if path.is_empty() { "/" } else { path })
    }

    /// Refuses a URL whose host, in itself or in a `Host` header, is another than this one.
    pub(super) fn check_authority(&self, url: &str, authority: &str) -> Result<(), PlanError> {
        let own = self.origin.split_once("://").map_or(self.origin, |(_, rest)| rest);
        let own = own.split('/').next().unwrap_or_default();
        if is_same_authority(authority.trim(), own) { Ok(()) } else { Err(foreign(url, "it names another host")) }
    }
}

/// What follows a prefix (without slashes at its ends) that is whole segments of a path.
fn below_prefix<'u>(path: &'u str, prefix: &str) -> Option<&'u str> {
    let rest = path.strip_prefix('/')?.strip_prefix(prefix)?;
    (!prefix.is_empty() && (rest.is_empty() || rest.starts_with('/'))).then_some(rest)
}

fn is_scheme(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Whether two authorities name the same host. The names of this machine itself are one: a host that is called by one of
/// them answers to the others at the same port.
fn is_same_authority(one: &str, other: &str) -> bool {
    let (one, other) = (without_default_port(one), without_default_port(other));
    let loopback = loopback_port(one).zip(loopback_port(other));
    one.eq_ignore_ascii_case(other) || loopback.is_some_and(|(one, other)| one == other)
}

/// The rest of an authority behind a name of this machine itself: `:` and the port, or nothing.
fn loopback_port(authority: &str) -> Option<&str> {
    ["localhost", "127.0.0.1", "[::1]"].iter().find_map(|name| {
        let (host, port) = authority.split_at_checked(name.len())?;
        (host.eq_ignore_ascii_case(name) && (port.is_empty() || port.starts_with(':'))).then_some(port)
    })
}

fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80")).unwrap_or(authority)
}

fn foreign(url: &str, reason: &'static str) -> PlanError {
    PlanError::ForeignUrl { url: url.chars().take(200).collect(), reason }
}

/// What an earlier request of the batch can be referred to for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// It created or returned an entity.
    Entity {
        /// Canonical path from the service root, percent-encoded.
        path: String,
        /// Its etag, where the service knows it.
        etag: Option<String>,
    },
    /// It succeeded, with something else than an entity.
    Nothing,
    /// It failed or was not run.
    Failed,
}

/// The requests of a batch that were run so far, by id.
pub type References = HashMap<RequestId, Reference>;

/// Fresh random keys. The same ones come back when a unit is evaluated again.
pub struct Fresh<'a> {
    make: &'a (dyn Fn() -> Uuid + Sync),
    made: Mutex<HashMap<(usize, usize), Uuid>>,
}

impl std::fmt::Debug for Fresh<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

impl<'a> Fresh<'a> {
    /// Keys made by `make` (version 4 GUIDs).
    pub fn new(make: &'a (dyn Fn() -> Uuid + Sync)) -> Self {
        Self { make, made: Mutex::default() }
    }

    /// The `ordinal`th key of the request at `index`.
    pub fn key(&self, index: usize, ordinal: usize) -> Uuid {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        *made.entry((index, ordinal)).or_insert_with(self.make)
    }
}

/// A new operation id: 16 random bytes as text.
pub fn operation_id(random: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(random.as_bytes())
}

/// A new incarnation.
pub(super) fn incarnation(random: Uuid) -> Incarnation {
    Incarnation(URL_SAFE_NO_PAD.encode(random.as_bytes()))
}

/// The version that the request at `index` of the unit with that operation id writes.
pub(super) fn version(operation: &str, index: usize) -> Version {
    Version(format!("{operation}.{index}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_this_machine_are_one_host_at_one_port() {
        for (one, other) in [
            ("localhost:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "LOCALHOST:8080"),
            ("127.0.0.1", "localhost:80"),
            ("example.com:443", "Example.com"),
        ] {
            assert!(is_same_authority(one, other) && is_same_authority(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("localhost:8080", "127.0.0.1:8081"),
            ("localhost", "localhost.example.com"),
            ("127.0.0.1", "127.0.0.10"),
            ("[::1]", "[::2]"),
            ("localhost", "example.com"),
        ] {
            assert!(!is_same_authority(one, other), "{one} {other}");
        }
    }
}
