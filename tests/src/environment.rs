//! An environment of Finance & Operations: a token endpoint, the state of batch jobs, and the action that puts them back to
//! waiting; with the accidents that a test wants.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{Request, answer, reset};

/// The client that tokens are given to.
pub const CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";
/// Its secret, with characters that have to be escaped.
pub const CLIENT_SECRET: &str = "s3cret~+&=%";
/// The scope that it has to ask for.
pub const SCOPE: &str = "https://contoso.operations.dynamics.com/.default";

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A token.
    Token,
    /// The state of a job.
    Status,
    /// SetBatchJobToWaiting.
    Action,
}

/// A request, as the test's plan sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it is for.
    pub kind: Kind,
    /// Its number among those of its kind, from 0.
    pub number: usize,
    /// The job, where it names one.
    pub job: Option<i64>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An answer with this status and an HTML page, without effect.
    Html(u16),
    /// 429 with so many seconds in `Retry-After`.
    Throttled(u64),
    /// 401: the token is not good any more.
    Unauthorized,
    /// The connection breaks before anything happens.
    Lost,
    /// It happens, and then the connection breaks.
    LostAfter,
    /// It happens, and the answer is an HTML page with this status.
    HtmlAfter(u16),
    /// It happens, and the answer comes only after so long.
    Slow(Duration),
    /// 200 and `IsSuccess: false` with this `ResponseStatusCode`, without effect.
    Denied(u16),
}

/// The environment. It ends with the runtime of the test.
#[derive(Clone)]
pub struct Environment {
    address: String,
    /// Whether a request with a known `Repeatability-Request-ID` has no further effect.
    keeps_ids: bool,
    state: Arc<Mutex<State>>,
    plan: Arc<Plan>,
}

type Plan = dyn Fn(&Call) -> Option<Trouble> + Send + Sync;

#[derive(Default)]
struct State {
    jobs: BTreeMap<i64, String>,
    tokens: BTreeSet<String>,
    requests: Vec<(Call, Request)>,
    effects: Vec<Effect>,
    /// Jobs that fail again at once, each time that they are put back to waiting.
    failing: BTreeSet<i64>,
}

/// A job that was put back to waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The job.
    pub job: i64,
    /// The state that it was taken out of.
    pub from: String,
    /// `Repeatability-Request-ID` of the request.
    pub request_id: String,
}

impl Environment {
    /// Starts an environment on a free port of this machine; `plan` says which request suffers what.
    pub async fn start(keeps_ids: bool, plan: impl Fn(&Call) -> Option<Trouble> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let environment = Self { address, keeps_ids, state: Arc::default(), plan: Arc::new(plan) };
        let server = environment.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(connection).await });
            }
        });
        environment
    }

    /// URL of its service root.
    pub fn url(&self) -> String {
        format!("{}/data", self.address)
    }

    /// URL of its token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}/token", self.address)
    }

    /// Puts a job into a state.
    pub fn set(&self, job: i64, status: &str) {
        self.lock().jobs.insert(job, status.to_owned());
    }

    /// Lets a job fail again at once, each time that it is put back to waiting.
    pub fn keeps_failing(&self, job: i64) {
        self.lock().failing.insert(job);
    }

    /// The state of a job.
    pub fn status(&self, job: i64) -> String {
        self.lock().jobs.get(&job).cloned().unwrap_or_default()
    }

    /// The jobs that were put back to waiting, in their order.
    pub fn effects(&self) -> Vec<Effect> {
        self.lock().effects.clone()
    }

    /// The requests of a kind so far.
    pub fn requests(&self, kind: Kind) -> Vec<Request> {
        let state = self.lock();
        state.requests.iter().filter(|(call, _)| call.kind == kind).map(|(_, request)| request.clone()).collect()
    }

    /// No token that was given is good any more.
    pub fn forget_tokens(&self) {
        self.lock().tokens.clear();
    }

    async fn serve(&self, mut connection: TcpStream) -> Option<()> {
        loop {
            let request = Request::read(&mut connection).await?;
            let call = self.note(&request);
            let trouble = (self.plan)(&call);
            match trouble {
                Some(Trouble::Html(status)) => answer(&mut connection, status, "", PAGE).await?,
                Some(Trouble::Throttled(seconds)) => {
                    answer(&mut connection, 429, &format!("Retry-After: {seconds}\r\n"), "").await?;
                }
                Some(Trouble::Unauthorized) => answer(&mut connection, 401, "", "").await?,
                Some(Trouble::Denied(status)) => {
                    let body = reply(status, false, call.job.unwrap_or(0), "It is not possible now.");
                    answer(&mut connection, 200, JSON, &body).await?;
                }
                Some(Trouble::Lost) => {
                    reset(&connection);
                    return None;
                }
                Some(Trouble::LostAfter) => {
                    self.act(call, &request);
                    reset(&connection);
                    return None;
                }
                Some(Trouble::HtmlAfter(status)) => {
                    self.act(call, &request);
                    answer(&mut connection, status, "", PAGE).await?;
                }
                Some(Trouble::Slow(_)) | None => {
                    let (status, body) = self.act(call, &request);
                    if let Some(Trouble::Slow(wait)) = trouble {
                        tokio::time::sleep(wait).await;
                    }
                    answer(&mut connection, status, JSON, &body).await?;
                }
            }
        }
    }

    fn note(&self, request: &Request) -> Call {
        let (kind, job) = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/token") => (Kind::Token, None),
            ("GET", path) => (Kind::Status, job_of(path)),
            _ => (
                Kind::Action,
                serde_json::from_str::<Value>(&request.body).ok().and_then(|body| body["batchJobId"].as_i64()),
            ),
        };
        let mut state = self.lock();
        let number = state.requests.iter().filter(|(call, _)| call.kind == kind).count();
        let call = Call { kind, number, job };
        state.requests.push((call, request.clone()));
        call
    }

    fn act(&self, call: Call, request: &Request) -> (u16, String) {
        let mut state = self.lock();
        if call.kind == Kind::Token {
            return state.token(&request.body);
        }
        let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        if !state.tokens.contains(token) {
            return (401, String::new());
        }
        let Some(job) = call.job else { return (404, error("No HTTP resource was found.")) };
        let Some(status) = state.jobs.get(&job).cloned() else {
            return (404, error(&format!("The batch job {job} was not found.")));
        };
        if call.kind == Kind::Status {
            return (200, json!({ "@odata.context": "…", "BatchJobRecId": job, "Status": status }).to_string());
        }
        let request_id = request.header("repeatability-request-id").to_owned();
        if self.keeps_ids && state.effects.iter().any(|effect| effect.job == job && effect.request_id == request_id) {
            return (200, reply(200, true, job, ""));
        }
        let only = request.header("requeue-from");
        let narrowed = self.keeps_ids && !only.is_empty() && only != status;
        if narrowed || !["Executing", "Error", "Finished", "Canceled"].contains(&status.as_str()) {
            return (200, reply(409, false, job, &format!("The batch job is {status}.")));
        }
        let next = if state.failing.contains(&job) { "Error" } else { "Waiting" };
        state.jobs.insert(job, next.to_owned());
        state.effects.push(Effect { job, from: status, request_id });
        (200, reply(200, true, job, ""))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The answer of the token endpoint to a form.
    fn token(&mut self, form: &str) -> (u16, String) {
        let members: BTreeMap<_, _> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let expected = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("scope", SCOPE),
        ];
        if expected.iter().any(|(name, value)| members.get(*name).map(String::as_str) != Some(*value)) {
            return (401, json!({ "error": "invalid_client", "error_description": "wrong form" }).to_string());
        }
        let given = self.requests.iter().filter(|(call, _)| call.kind == Kind::Token).count();
        let token = format!("token-{given}");
        self.tokens.insert(token.clone());
        (200, json!({ "token_type": "Bearer", "expires_in": "3599", "access_token": token }).to_string())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("address", &self.address).finish_non_exhaustive()
    }
}

const JSON: &str = "Content-Type: application/json\r\n";
const PAGE: &str = "<!DOCTYPE html><title>Sorry</title><p>Something went wrong.";

/// The job in `/data/BatchJobs(BatchJobRecId=1)?…`.
fn job_of(path: &str) -> Option<i64> {
    path.strip_prefix("/data/BatchJobs(BatchJobRecId=")?.split(')').next()?.parse().ok()
}

/// The reply of the action, as text in `value`: how an action that returns a string answers.
fn reply(status: u16, is_success: bool, job: i64, details: &str) -> String {
    let reply = json!({
        "ResponseStatusCode": status, "IsSuccess": is_success, "Batch JobId": job, "ExceptionDetails": details,
        "reponseMessage": "",
    });
    json!({ "@odata.context": "…/$metadata#Edm.String", "value": reply.to_string() }).to_string()
}

fn error(text: &str) -> String {
    json!({ "error": { "code": "", "message": "An error has occurred.", "innererror": { "message": text } } })
        .to_string()
}
