//! The engine, and how it answers a request that is let in. `visit` leads a request to it.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use bytes::Bytes;
use http::{Method, header};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    auth::{Authenticator, Caller},
    batch::{Request, Response, takes_body},
    cors::Cors,
    exchange::{Incoming, MAX_ANSWER, Outgoing, weigh},
    plan::{self, Context, Fresh, Job, OdataVersion, Outcome, Place, PlanError, Reference, References, prepare_at},
    respond::{ErrorContext, Failure, error_code, error_response, vary},
    service::{Found, Service, Services},
    store::{ATTEMPT_TIMEOUT, Deadline, Store},
    telemetry::Work,
    uri::{self, QueryOptions},
};

use super::{Serves, catalogue::catalogue, failures::Subject, unit::FailedUnit};

/// Kept of an edge's time to write and to send an answer.
const TO_ANSWER: Duration = Duration::from_secs(1);

/// What a host configures.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The requests it answers.
    pub serves: Serves,
    /// The URL clients call this host by, where no header says it right.
    pub public_url: Option<String>,
    /// After so long all calls to the table for one request are over, and what was not done is answered so.
    ///
    /// An API Gateway waits 30 s. Of the 25 s of the default, calls are begun in the first 22: an attempt takes 3 s at
    /// most ([`ATTEMPT_TIMEOUT`]). Whatever its outcome, the answer is written at 25 s, which takes a fraction of a second
    /// for the largest one. 4 s remain for the way of request and answer and for a function that has to start.
    pub time_budget: Duration,
    /// How callers show who they are. Open by default.
    pub authenticator: Authenticator,
    /// Which web pages may call. None by default.
    pub cors: Cors,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            serves: Serves::default(),
            public_url: None,
            time_budget: Duration::from_secs(25),
            authenticator: Authenticator::Open,
            cors: Cors::Off,
        }
    }
}

/// Answers OData requests from a table. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) services: Arc<Services>,
    pub(super) store: Store,
    pub(super) settings: Arc<Settings>,
    /// Scans of partitions that may take long, at once.
    pub(super) long_scans: Arc<Semaphore>,
}

/// One HTTP request, with the service it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'c> {
    pub(super) incoming: &'c Incoming,
    pub(super) service: &'c Arc<Service>,
    pub(super) root: &'c str,
    pub(super) rest: &'c str,
    pub(super) origin: &'c str,
    pub(super) caller: &'c Caller,
    pub(super) subject: Subject<'c>,
    /// Its trace, as rows have it.
    pub(super) trace: &'c str,
    pub(super) deadline: Deadline,
}

impl Engine {
    /// An engine over these services and this table.
    pub fn new(services: Arc<Services>, store: Store, settings: Settings) -> Self {
        Self { services, store, settings: Arc::new(settings), long_scans: Arc::new(Semaphore::new(long_scans())) }
    }

    /// The services it answers for.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Answers a request that is let in.
    pub(super) async fn call(&self, call: &Call<'_>) -> (Outgoing, Work) {
        match self.settings.serves.admit(call) {
            Err(failure) => refused(call, &failure),
            Ok(()) if uri::is_batch(call.rest, call.incoming.path_encoding) => self.batch(call).await,
            Ok(()) => self.single(call).await,
        }
    }

    /// The same engine with another handle of the table.
    pub(super) fn over(&self, store: Store) -> Self {
        Self { store, ..self.clone() }
    }

    /// Until when calls to the table are begun, when the edge waits for so long.
    pub(super) fn deadline(&self, time_left: Option<Duration>) -> Deadline {
        let budget = self.settings.time_budget;
        let budget = time_left.map_or(budget, |left| budget.min(left.saturating_sub(TO_ANSWER)));
        Deadline::after(budget.saturating_sub(ATTEMPT_TIMEOUT))
    }

    /// A request that came alone: a batch of one.
    async fn single(&self, call: &Call<'_>) -> (Outgoing, Work) {
        let context = self.context(call);
        let (outgoing, work) = match self.run_single(call, &context).await {
            Ok(outcome) => {
                let work = Work { repeated: outcome.repeated, ..Work::default() };
                (outgoing(outcome.response), work)
            }
            Err(failure) => refused(call, &failure),
        };
        (outgoing, Work { operations: 1, failed: usize::from(work.error.is_some()), ..work })
    }

    async fn run_single(&self, call: &Call<'_>, context: &Context<'_>) -> Result<Outcome, Failure> {
        let incoming = call.incoming;
        if let Some(answer) = catalogue(call, context) {
            return Ok(Outcome { response: answer?, reference: Reference::Nothing, repeated: false });
        }
        let limits = call.service.limits.uri();
        let query = incoming.query.as_deref();
        let place = Place {
            segments: uri::parse_path(call.rest, incoming.path_encoding, &limits).map_err(PlanError::from)?,
            options: QueryOptions::parse(query.unwrap_or_default(), &limits).map_err(PlanError::from)?,
            root: call.root.to_owned(),
            path: call.rest.to_owned(),
        };
        let method = if incoming.method == Method::HEAD { Method::GET } else { incoming.method.clone() };
        let body = if takes_body(&method) { incoming.body.clone() } else { Bytes::new() };
        let request = Request { method, headers: incoming.headers.clone(), body, ..Request::new(None) };
        let mut references = References::new();
        let prepared = prepare_at(context, &request, &references, place, query)?.alone();
        let mut jobs = [Job { index: 0, request: &request, prepared: Some(Arc::new(prepared)) }];
        let make = Uuid::new_v4;
        let fresh = Fresh::new(&make);
        let answer = |failed: &FailedUnit| error(call, &failed.failure);
        let deadline = call.deadline;
        let end = self.run_kept(context, &mut jobs, &mut references, &fresh, deadline, &mut admit_alone, &answer).await;
        let mut outcomes = end.map_err(|failed| failed.failure)?;
        outcomes.pop().ok_or_else(|| PlanError::Internal.into())
    }

    pub(super) fn context<'c>(&'c self, call: &'c Call<'_>) -> Context<'c> {
        Context {
            services: &self.services,
            service: call.service,
            origin: call.origin,
            root: call.root,
            now: crate::clock::now(),
            caller: call.caller,
            trace: Some(call.trace),
            batch: None,
            trusted: false,
        }
    }
}

/// Completes an answer by the method of its request: `Vary` on reads (Protocol §8.3), no body after HEAD.
pub(super) fn complete(outgoing: &mut Outgoing, incoming: &Incoming, found: &Found<'_, '_>) {
    let is_read = matches!(incoming.method, Method::GET | Method::HEAD);
    if is_read && !uri::is_batch(found.rest, incoming.path_encoding) {
        outgoing.headers.list(header::VARY, vary(found.service));
    }
    if incoming.method == Method::HEAD {
        outgoing.body.clear();
    }
}

/// As many as there are processors: more of them would end later, and all of them too late in the end.
fn long_scans() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Whether a request that came alone can be answered.
fn admit_alone(outcomes: &[Outcome]) -> Result<(), PlanError> {
    let weights = outcomes.iter().map(|Outcome { response, .. }| weigh(&response.headers, &response.body));
    if weights.sum::<usize>() > MAX_ANSWER { Err(PlanError::AnswerTooLarge { max: MAX_ANSWER }) } else { Ok(()) }
}

/// The answer to a call that failed as a whole.
pub(super) fn refused(call: &Call<'_>, failure: &Failure) -> (Outgoing, Work) {
    failed(call.subject, Some(call.service), version(call), failure)
}

fn error(call: &Call<'_>, failure: &Failure) -> Response {
    let (profile, correlation) = (Some(&call.service.profile), call.subject.correlation);
    error_response(ErrorContext { profile, version: version(call), correlation }, failure, None)
}

fn version(call: &Call<'_>) -> OdataVersion {
    plan::version(&call.incoming.headers, call.service).unwrap_or(OdataVersion::V40)
}

/// The answer to a request that failed as a whole, and what the log says about it.
pub(super) fn failed(
    subject: Subject<'_>,
    service: Option<&Service>,
    version: OdataVersion,
    failure: &Failure,
) -> (Outgoing, Work) {
    let context = ErrorContext { profile: service.map(|s| &s.profile), version, correlation: subject.correlation };
    let response = error_response(context, failure, None);
    subject.tell(failure, response.status);
    let work = Work { error: Some(error_code(failure)), repeated: failure.is_repeated(), ..Work::default() };
    (outgoing(response), work)
}

fn outgoing(response: Response) -> Outgoing {
    Outgoing { status: response.status, headers: response.headers, body: response.body }
}
