//! A Secrets Manager that answers as a test says.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::StatusCode;
use local::http::{Limits, serve};
use serde_json::{Value, json};
use shared::{
    batch::Headers,
    exchange::{Incoming, Outgoing},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// What it makes of the next requests.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// It hands out this text.
    Holds(String),
    /// It refuses, with this status, code and message.
    Refuses(u16, &'static str, &'static str),
    /// It answers with what is no answer, this text in it.
    Babbles(String),
    /// It never answers.
    Hangs,
}

/// A Secrets Manager on this machine; it ends when it is dropped.
#[derive(Debug)]
pub struct SecretsManager {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    asked: Vec<String>,
}

impl SecretsManager {
    /// Serves on a free port.
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State { behaviour, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        let handler = move |incoming: Incoming| {
            let state = Arc::clone(&shared);
            async move {
                let behaviour = lock(&state).asked_by(&incoming);
                answer(behaviour).await
            }
        };
        let task = tokio::spawn(serve(listener, handler, Limits::default(), pending()));
        Self { address, state, task }
    }

    /// For `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Behaves differently from now on.
    pub fn set(&self, behaviour: Behaviour) {
        lock(&self.state).behaviour = behaviour;
    }

    /// The ids of the secrets that it was asked for.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).asked.clone()
    }
}

impl State {
    fn asked_by(&mut self, incoming: &Incoming) -> Behaviour {
        let target = incoming.headers.get("x-amz-target").unwrap_or_default();
        assert_eq!(target, "secretsmanager.GetSecretValue");
        let request: Value = serde_json::from_slice(&incoming.body).expect("JSON");
        self.asked.push(request.get("SecretId").and_then(Value::as_str).expect("an id").to_owned());
        self.behaviour.clone()
    }
}

async fn answer(behaviour: Behaviour) -> Outgoing {
    let (status, body) = match behaviour {
        Behaviour::Holds(text) => {
            (200, json!({ "ARN": "arn:aws:secretsmanager:local-1:0:secret:s", "SecretString": text }).to_string())
        }
        Behaviour::Refuses(status, code, message) => {
            (status, json!({ "__type": code, "Message": message }).to_string())
        }
        Behaviour::Babbles(text) => (200, format!("{{\"SecretString\": \"{text}")),
        Behaviour::Hangs => pending().await,
    };
    let mut headers = Headers::new();
    headers.try_append("content-type", "application/x-amz-json-1.1").expect("a constant");
    Outgoing { status: StatusCode::from_u16(status).expect("a status"), headers, body: Bytes::from(body) }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for SecretsManager {
    fn drop(&mut self) {
        self.task.abort();
    }
}
