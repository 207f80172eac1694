//! Where the keys come from: a URL or a file, with limits on size and time.

use std::{fmt, io, net::IpAddr, path::PathBuf, time::Duration};

use reqwest::{Client, Url, redirect};
use tokio::{fs::File, io::AsyncReadExt, sync::OnceCell};

use super::super::{KeySet, KeySetError};

/// The longest key set that is read, in bytes. That of Entra ID has about 20 kB.
pub(super) const MAX_KEY_SET: usize = 256 << 10;
/// To reach the issuer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For the whole answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Where the keys of an issuer are.
#[derive(Debug)]
pub(super) enum Source {
    /// On the network.
    Url {
        url: Url,
        /// Made for the first token: reading the system's certificates takes a while.
        client: OnceCell<Client>,
    },
    /// In a file.
    File(PathBuf),
}

/// Why keys cannot come from a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Not a URL.
    #[error("'{0}' is not a URL or file of a key set")]
    Url(String),
    /// Whoever is on the way could put in keys of their own.
    #[error("'{0}': keys come over https, over http from this machine only")]
    Insecure(String),
    /// It would show in the log.
    #[error("the URL of a key set has no user and password")]
    Password,
}

/// Why there are no keys this time.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer has the status {0}")]
    Status(u16),
    #[error("it has more than {MAX_KEY_SET} bytes")]
    TooLong,
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    #[error("cannot be read: {0}")]
    File(#[from] io::Error),
}

impl Source {
    pub(super) fn parse(place: &str) -> Result<Self, SourceError> {
        if place.trim().is_empty() {
            return Err(SourceError::Url(place.to_owned()));
        }
        if !place.contains("://") {
            return Ok(Self::File(place.into()));
        }
        let url = Url::parse(place).map_err(|_| SourceError::Url(place.to_owned()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceError::Password);
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(SourceError::Insecure(place.to_owned())),
        }
        Ok(Self::Url { url, client: OnceCell::new() })
    }

    /// The keys as they are now.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let json = match self {
            Self::Url { url, client } => get(client.get_or_try_init(|| async { make_client(url) }).await?, url).await?,
            Self::File(path) => read(File::open(path).await?).await?,
        };
        Ok(KeySet::parse(&json)?)
    }
}

/// Redirects are not followed: they could lead from https to anywhere. A proxy has nothing to do with this machine.
fn make_client(url: &Url) -> reqwest::Result<Client> {
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(0);
    if is_loopback(url) { client.no_proxy().build() } else { client.https_only(true).build() }
}

async fn get(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let mut response = client.get(url.clone()).header("accept", "application/json").send().await?;
    if response.status() != 200 {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut json = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if json.len() + chunk.len() > MAX_KEY_SET {
            return Err(FetchError::TooLong);
        }
        json.extend_from_slice(&chunk);
    }
    Ok(json)
}

async fn read(file: File) -> Result<Vec<u8>, FetchError> {
    let mut json = Vec::new();
    let limit = MAX_KEY_SET as u64 + 1;
    file.take(limit).read_to_end(&mut json).await?;
    if json.len() > MAX_KEY_SET { Err(FetchError::TooLong) } else { Ok(json) }
}

/// Whether a URL leads to this machine: by address, or by the one name that cannot lead elsewhere (RFC 6761 §6.3).
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => url.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for place in
            ["https://login.example.com/keys", "http://127.0.0.1:9/k", "http://[::1]:9/k", "http://localhost/k"]
        {
            assert!(matches!(Source::parse(place), Ok(Source::Url { .. })), "{place}");
        }
        assert!(matches!(Source::parse("keys/jwks.json"), Ok(Source::File(_))));
        for place in ["http://login.example.com/k", "http://127.0.0.1.example.com/k", "http://localhost.example.com/k"]
        {
            assert_eq!(Source::parse(place).unwrap_err(), SourceError::Insecure(place.to_owned()));
        }
        for place in ["ftp://127.0.0.1/k", "file:///etc/keys"] {
            assert!(matches!(Source::parse(place), Err(SourceError::Insecure(_))), "{place}");
        }
        assert_eq!(Source::parse("https://a:b@example.com/k").unwrap_err(), SourceError::Password);
        assert!(matches!(Source::parse("https://"), Err(SourceError::Url(_))));
    }
}
