//! The layer at which each call of an actor waits until it may go on.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use local::embedded::{Embedded, TARGET_HEADER};
use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use super::names::Names;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is run.
    Run,
    /// It is lost before it arrives.
    Drop,
    /// It is run, and its answer is lost.
    Lose,
    /// Its answer is given up; it arrives later.
    Delay,
}

/// A call that waits.
struct Waiting {
    text: String,
    verdict: oneshot::Sender<Verdict>,
}

/// Where an actor stands.
#[derive(Default)]
struct Stand {
    waiting: Option<Waiting>,
    is_done: bool,
    /// A number for all that it was answered so far: what it does next follows from that.
    history: u64,
    last: u64,
    /// Whether it was answered what it was answered before.
    waits: bool,
}

/// Calls of all actors of a run.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    stands: BTreeMap<usize, Stand>,
    delayed: Vec<(String, HttpRequest)>,
    names: Names,
}

/// The way to the table of one actor.
#[derive(Clone)]
pub struct Gate {
    actor: usize,
    board: Arc<Board>,
    database: Embedded,
}

impl Gate {
    pub(super) fn new(actor: usize, board: &Arc<Board>, database: &Embedded) -> Self {
        Self { actor, board: Arc::clone(board), database: database.clone() }
    }

    /// A client whose calls wait for as long as they have to.
    pub fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.clone())
            .endpoint_url("http://dynamodb.invalid")
            .region(Region::from_static("local-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let operation = request.headers().get(TARGET_HEADER).unwrap_or_default();
        let operation = operation.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let (text, verdict) = self.board.wait(self.actor, &operation, &body);
        let verdict = verdict.await.unwrap_or(Verdict::Drop);
        let answer = match verdict {
            Verdict::Drop => None,
            Verdict::Run | Verdict::Lose => Some(HttpConnector::call(&self.database, request).await?),
            Verdict::Delay => {
                self.board.state().delayed.push((text.clone(), request));
                None
            }
        };
        let answer = answer.filter(|_| verdict == Verdict::Run);
        self.board.note(self.actor, &text, answer.as_ref());
        answer.ok_or_else(|| ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into()))
    }
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names what is in the table before any actor begins.
    pub(super) fn learn(&self, json: &Value) {
        self.state().names.learn(usize::MAX, json);
    }

    fn wait(&self, actor: usize, operation: &str, body: &Value) -> (String, oneshot::Receiver<Verdict>) {
        let (verdict, receiver) = oneshot::channel();
        let mut state = self.state();
        state.names.learn(actor, body);
        let text = format!("{operation} {}", state.names.text(body));
        let stand = state.stands.entry(actor).or_default();
        assert!(stand.waiting.is_none(), "an actor makes one call at a time");
        stand.waiting = Some(Waiting { text: text.clone(), verdict });
        drop(state);
        self.changed.notify_one();
        (text, receiver)
    }

    /// What an actor was answered becomes part of its history; the same again does not, so that a wait has an end.
    fn note(&self, actor: usize, text: &str, answer: Option<&HttpResponse>) {
        let mut state = self.state();
        let body = answer.and_then(|answer| answer.body().bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = number(&(text, answer.map(|answer| answer.status().as_u16()), state.names.text(&body)));
        let stand = state.stands.entry(actor).or_default();
        stand.waits = stand.last == said;
        if !stand.waits {
            stand.history = number(&(stand.history, said));
            stand.last = said;
        }
    }

    pub(super) fn finish(&self, actor: usize) {
        self.state().stands.entry(actor).or_default().is_done = true;
        self.changed.notify_one();
    }

    /// Completes once an actor waits, or is done.
    pub(super) async fn settled(&self, actor: usize) {
        while !self.state().stands.get(&actor).is_some_and(|stand| stand.is_done || stand.waiting.is_some()) {
            self.changed.notified().await;
        }
    }

    /// Lets a call that waits go on. The operation.
    pub(super) fn release(&self, actor: usize, verdict: Verdict) -> String {
        let waiting = self.state().stands.get_mut(&actor).and_then(|stand| stand.waiting.take());
        let waiting = waiting.expect("runs that make the same choices are the same");
        let operation = waiting.text.split(' ').next().unwrap_or_default().to_owned();
        waiting.verdict.send(verdict).expect("the call waits");
        operation
    }

    /// The call that was delayed first arrives.
    pub(super) fn arrival(&self) -> HttpRequest {
        self.state().delayed.remove(0).1
    }

    pub(super) fn has_delayed(&self) -> bool {
        !self.state().delayed.is_empty()
    }

    pub(super) fn is_waiting(&self, actor: usize) -> bool {
        self.state().stands.get(&actor).is_some_and(|stand| stand.waiting.is_some())
    }

    /// Whether its last call told it nothing new.
    pub(super) fn is_idle(&self, actor: usize) -> bool {
        self.state().stands.get(&actor).is_some_and(|stand| stand.waits)
    }

    pub(super) fn is_done(&self, actor: usize) -> bool {
        self.state().stands.get(&actor).is_some_and(|stand| stand.is_done)
    }

    pub(super) fn owner(&self, text: &str) -> Option<usize> {
        self.state().names.actor(text)
    }

    pub(super) fn text(&self, json: &Value) -> String {
        self.state().names.text(json)
    }

    /// Where all stand, as a number; of those in `gone` nothing more comes.
    pub(super) fn number(&self, gone: &[usize]) -> u64 {
        let state = self.state();
        let stands = state.stands.iter().map(|(actor, stand)| {
            let ended = stand.is_done || gone.contains(actor);
            let waiting = stand.waiting.as_ref().map(|waiting| waiting.text.as_str());
            let history = if ended { 0 } else { stand.history };
            (*actor, gone.contains(actor), history, waiting.filter(|_| !ended))
        });
        let delayed = state.delayed.iter().map(|(text, _)| text.as_str());
        number(&(stands.collect::<Vec<_>>(), delayed.collect::<Vec<_>>()))
    }
}

/// A number for a value; two values have the same by an accident that does not happen.
pub(super) fn number(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("actor", &self.actor).finish_non_exhaustive()
    }
}

impl HttpConnector for Gate {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let gate = self.clone();
        HttpConnectorFuture::new(async move { gate.answer(request).await })
    }
}

impl HttpClient for Gate {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
