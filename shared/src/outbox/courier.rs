//! Sends one request to an endpoint or a target, and only to where requests may go.

use std::{
    error::Error,
    net::IpAddr,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header::RETRY_AFTER};
use reqwest::{
    Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use url::Host;

use crate::events::retry_after;

use super::address::is_public;

/// So much of an answer is read and kept, in bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// So long is waited for what an answer says where it is of no interest: to use the connection again.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The longest text of an error, in characters.
const MAX_ERROR: usize = 200;

/// An HTTP client for the endpoints of others: redirections are answers like all others, no proxy is asked, and
/// addresses that are not public are refused. The address that is checked is the one that is connected to: nothing is
/// resolved twice. Make one for a process, it keeps connections.
#[derive(Clone, Debug)]
pub struct Courier {
    client: Client,
    allow_private: bool,
}

/// What came of sending a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The status of the answer, or why there is none: short, and without anything of the URL.
    pub result: Result<u16, String>,
    /// How long the endpoint asks to wait.
    pub retry_after: Option<Duration>,
    /// How long it took.
    pub duration: Duration,
}

/// What came of a request whose answer says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What is known of every attempt.
    pub attempt: Attempt,
    /// What the answer says, cut to 16 KiB: less than it says when it did not end in time.
    pub body: Bytes,
    /// Whether the request may have arrived. One to which nobody listens, or that may not be sent there, has not.
    pub arrived: bool,
}

/// Why there is no answer.
struct Lost {
    reason: String,
    arrived: bool,
}

/// There is no client without certificates of authorities.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client: {}", root(.0))]
pub struct CourierError(#[source] reqwest::Error);

/// The endpoint is where requests may not go. It does not say where that is: whoever named the endpoint is not to learn
/// the addresses behind it.
#[derive(Debug, thiserror::Error)]
#[error("the host has an address that is not public")]
struct NotPublic;

/// Resolves names by the system, and refuses those with an address that is not public.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The client replaces port 0 by that of the URL.
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.iter().all(|address| is_public(address.ip())) {
                Ok(Box::new(addresses.into_iter()) as Addrs)
            } else {
                Err(NotPublic.into())
            }
        })
    }
}

impl Courier {
    /// `allow_private` lets requests go to every address: for tests, and for endpoints in the own network.
    pub fn new(allow_private: bool) -> Result<Self, CourierError> {
        let builder = Client::builder()
            .user_agent(concat!("rebatch/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4);
        let builder = if allow_private { builder } else { builder.dns_resolver(PublicOnly) };
        Ok(Self { client: builder.build().map_err(CourierError)?, allow_private })
    }

    /// Sends a POST. `timeout` is for all of it, from the name of the host to the status of the answer.
    pub async fn post(&self, url: &str, headers: HeaderMap, body: Bytes, timeout: Duration) -> Attempt {
        // An answer that does not end in time loses its connection, and nothing else.
        self.exchange((Method::POST, url), headers, body, (timeout, DRAIN_TIME)).await.attempt
    }

    /// Sends a request, and reads what its answer says. `timeout` is for all of it.
    pub async fn call(
        &self,
        (method, url): (Method, &str),
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Answer {
        self.exchange((method, url), headers, body, (timeout, timeout)).await
    }

    async fn exchange(
        &self,
        target: (Method, &str),
        headers: HeaderMap,
        body: Bytes,
        (timeout, reading): (Duration, Duration),
    ) -> Answer {
        let start = Instant::now();
        let attempt = |result, retry_after| Attempt { result, retry_after, duration: start.elapsed() };
        let answer = match self.send(target, headers, body, timeout).await {
            Ok(answer) => answer,
            Err(Lost { reason, arrived }) => {
                return Answer { attempt: attempt(Err(reason), None), body: Bytes::new(), arrived };
            }
        };
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = wait.and_then(|value| retry_after(value, crate::clock::now()));
        let attempt = attempt(Ok(answer.status().as_u16()), retry_after);
        let mut body = BytesMut::new();
        // The client's own timeout goes on as well.
        let _ = tokio::time::timeout(reading, read(answer, &mut body)).await;
        Answer { attempt, body: body.freeze(), arrived: true }
    }

    async fn send(
        &self,
        (method, url): (Method, &str),
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Response, Lost> {
        let unsent = |reason| Lost { reason, arrived: false };
        let url = Url::parse(url).map_err(|error| unsent(format!("the URL of the endpoint: {error}")))?;
        if !self.allow_private && literal(&url).is_some_and(|address| !is_public(address)) {
            return Err(unsent(NotPublic.to_string()));
        }
        let request = self.client.request(method, url).headers(headers).body(body).timeout(timeout);
        request.send().await.map_err(|error| Lost {
            reason: reason(&error, timeout),
            arrived: !error.is_connect() && !error.is_builder(),
        })
    }
}

/// The address that stands in a URL instead of a name, which no resolver sees.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Reads an answer to its end, unless it is a long one.
async fn read(mut answer: Response, body: &mut BytesMut) {
    while let Ok(Some(mut chunk)) = answer.chunk().await {
        let left = MAX_ANSWER - body.len();
        let is_last = chunk.len() > left;
        chunk.truncate(left);
        body.extend_from_slice(&chunk);
        if is_last {
            return;
        }
    }
}

/// What went wrong, for whoever set up the endpoint.
fn reason(error: &reqwest::Error, timeout: Duration) -> String {
    let text = if error.is_timeout() {
        format!("no answer within {} s", timeout.as_secs_f32())
    } else if error.is_connect() {
        format!("no connection: {}", root(error))
    } else {
        format!("no answer: {}", root(error))
    };
    text.chars().take(MAX_ERROR).collect()
}

/// The cause of a cause: the client's own texts repeat the URL.
fn root(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.last().map_or_else(|| "the request cannot be sent".to_owned(), ToString::to_string)
}
