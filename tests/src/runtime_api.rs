//! A small Lambda: runs a function's binary and speaks the Runtime API to it.

use std::{
    collections::HashMap,
    fs::File,
    future::pending,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use local::http::{Limits, serve};
use serde_json::{Value, json};
use shared::{
    batch::Headers,
    exchange::{Incoming, Outgoing},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

/// Longest wait for the function.
const PATIENCE: Duration = Duration::from_secs(30);
/// The timeout of the function, where a test has no other.
const TIMEOUT: Duration = Duration::from_mins(5);
/// The largest answer that Lambda takes.
const MAX_PAYLOAD: usize = 6_291_556;
/// Where the Runtime API begins.
const ROOT: &str = "/2018-06-01/runtime/";

/// What a function makes of an event: its answer, or its error report.
pub type Outcome = Result<Value, Value>;

/// An event on its way to the function.
#[derive(Debug)]
struct Event {
    id: String,
    payload: Value,
    /// When the function is stopped, in milliseconds since 1970.
    deadline: i64,
}

/// A running function; killed when it is dropped.
#[derive(Debug)]
pub struct Function {
    api: Arc<Api>,
    events: mpsc::UnboundedSender<Event>,
    started: Instant,
    server: JoinHandle<()>,
    invoked: AtomicU64,
    child: Child,
}

#[derive(Debug)]
struct Api {
    events: AsyncMutex<mpsc::UnboundedReceiver<Event>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
    first_poll: watch::Sender<Option<Instant>>,
}

impl Function {
    /// Starts a binary with the variables that Lambda sets, and these.
    pub async fn start(binary: &Path, variables: &[(&str, &str)]) -> Self {
        Self::run(binary, |command| {
            command.envs(variables.iter().copied());
        })
        .await
    }

    /// The same, with what it says written to a file.
    pub async fn start_logged(binary: &Path, variables: &[(&str, &str)], log: &File) -> Self {
        let log = || log.try_clone().expect("an open file");
        Self::run(binary, |command| {
            command.envs(variables.iter().copied()).stdout(log()).stderr(log());
        })
        .await
    }

    async fn run(binary: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let (events, receiver) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            events: AsyncMutex::new(receiver),
            waiting: Mutex::default(),
            first_poll: watch::Sender::new(None),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::clone(&api);
        let handler = move |incoming| {
            let api = Arc::clone(&shared);
            async move { api.answer(incoming).await }
        };
        let server = tokio::spawn(serve(listener, handler, Limits::default(), pending()));
        let mut command = command(binary, address);
        prepare(&mut command);
        let started = Instant::now();
        let child = command.spawn().expect("the function runs");
        Self { api, events, started, server, invoked: AtomicU64::new(0), child }
    }

    /// The time from the start of the process to its first request for an event.
    pub async fn start_time(&self) -> Duration {
        let mut polled = self.api.first_poll.subscribe();
        let at = timeout(PATIENCE, polled.wait_for(Option::is_some)).await.expect("in time").expect("kept");
        at.expect("waited for").duration_since(self.started)
    }

    /// The most memory that its process had so far, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it runs")));
        let status = status.expect("Linux");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.and_then(|peak| peak.parse().ok()).expect("VmHWM in kB")
    }

    /// Hands an event to the function and waits for what it makes of it.
    pub async fn invoke(&self, event: Value) -> Outcome {
        self.invoke_within(event, TIMEOUT).await
    }

    /// The same with so much time for the function.
    pub async fn invoke_within(&self, payload: Value, time: Duration) -> Outcome {
        let deadline = Timestamp::now().as_millisecond() + i64::try_from(time.as_millis()).expect("minutes");
        let (sender, outcome) = oneshot::channel();
        let id = format!("request-{}", self.invoked.fetch_add(1, Ordering::Relaxed));
        self.api.waiting().insert(id.clone(), sender);
        self.events.send(Event { id, payload, deadline }).expect("the API runs");
        timeout(PATIENCE, outcome).await.expect("in time").expect("answered")
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Api {
    async fn answer(&self, incoming: Incoming) -> Outgoing {
        let path = incoming.path.strip_prefix(ROOT).unwrap_or_default();
        if path == "invocation/next" {
            return self.next().await;
        }
        let body: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
        let Some((id, what)) = path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/')) else {
            eprintln!("{path}: {body}");
            return plain(StatusCode::ACCEPTED, Headers::new(), Bytes::new());
        };
        let outcome = match what {
            "response" if incoming.body.len() > MAX_PAYLOAD => {
                Err(json!({ "errorType": "Function.ResponseSizeTooLarge", "size": incoming.body.len() }))
            }
            "response" => Ok(body),
            _ => Err(body),
        };
        if let Some(waiting) = self.waiting().remove(id) {
            // Whoever asked may have given up.
            let _ = waiting.send(outcome);
        }
        plain(StatusCode::ACCEPTED, Headers::new(), Bytes::new())
    }

    async fn next(&self) -> Outgoing {
        let now = Instant::now();
        self.first_poll.send_if_modified(|first| first.is_none() && first.replace(now).is_none());
        let Some(Event { id, payload, deadline }) = self.events.lock().await.recv().await else {
            return plain(StatusCode::GONE, Headers::new(), Bytes::new());
        };
        let mut headers = Headers::new();
        let deadline = deadline.to_string();
        for (name, value) in [
            ("lambda-runtime-aws-request-id", id.as_str()),
            ("lambda-runtime-deadline-ms", deadline.as_str()),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:local-1:000000000000:function:f"),
            ("content-type", "application/json"),
        ] {
            headers.try_append(name, value).expect("a constant");
        }
        plain(StatusCode::OK, headers, Bytes::from(payload.to_string()))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Outcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn plain(status: StatusCode, headers: Headers, body: Bytes) -> Outgoing {
    Outgoing { status, headers, body }
}

fn command(binary: &Path, api: SocketAddr) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_REGION", "local-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
