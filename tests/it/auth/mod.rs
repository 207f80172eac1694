//! Who is let in by the real local host, over real HTTP, and what they may do.

mod attacks;
mod grants;
mod hosts;
mod keys;

use jiff::Timestamp;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tests::{
    host::{self, Host},
    issuer::{Issuer, SigningKey},
};
use tokio::process::Command;

const ISSUER: &str = "https://issuer.example/tenant";
const AUDIENCE: &str = "api://rebatch";
const JOBS: &str = "/data/BatchJobs";
/// The seeded job that has failed.
const FAILED: &str = "/data/BatchJobs(5637144576)";

/// A host that accepts the tokens of one issuer.
struct Closed {
    host: Host,
    key: SigningKey,
    issuer: Issuer,
    client: Client,
}

/// What a client gets.
struct Answer {
    status: u16,
    /// `WWW-Authenticate`
    challenge: String,
    /// All headers and the body, as text.
    text: String,
    body: Value,
}

impl Closed {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With further options.
    async fn with(options: &[&str]) -> Self {
        let key = SigningKey::es256("first");
        let issuer = Issuer::start(&[&key]).await;
        let host = Host::run(jwt_host(&issuer.url(), options)).await;
        Self { host, key, issuer, client: Client::new() }
    }

    /// A good token with these scopes.
    fn token(&self, scopes: &str) -> String {
        self.key.sign(&claims(scopes))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.host.url()))
    }

    /// The status that a token gets for a read.
    async fn status(&self, token: &str) -> u16 {
        self.get(JOBS).bearer_auth(token).send().await.unwrap().status().as_u16()
    }
}

/// A host that accepts the tokens of one issuer, not started yet.
fn jwt_host(jwks: &str, options: &[&str]) -> Command {
    let always = ["--memory", "--auth", "jwt", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", jwks];
    host::command(&[&always, options].concat())
}

/// Claims of a good token.
fn claims(scopes: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "scp": scopes, "nbf": now - 5, "exp": now + 300 })
}

async fn send(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let challenge = headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap()).to_owned();
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, challenge, text: format!("{headers:?}\n{text}"), body }
}
