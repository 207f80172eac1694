//! The one entrance: an HTTP request in, its answer out.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode, header};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    auth::{Authenticator, Caller},
    batch::{Request, Response},
    exchange::{Incoming, Outgoing},
    plan::{self, Context, Fresh, Job, OdataVersion, Place, PlanError, References, prepare_at},
    respond::{BatchError, ErrorContext, Failure, error_response},
    service::{Service, Services},
    store::{Deadline, Store},
    uri::{self, QueryOptions},
};

use super::{
    Serves,
    catalogue::catalogue,
    origin::{below_public, origin},
};

/// What a host configures.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The requests it answers.
    pub serves: Serves,
    /// The URL clients call this host by, where no header says it right.
    pub public_url: Option<String>,
    /// How long one request may take at the table before the client is told to try again.
    pub time_budget: Duration,
    /// How callers show who they are. Open by default.
    pub authenticator: Authenticator,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            serves: Serves::default(),
            public_url: None,
            time_budget: Duration::from_secs(25),
            authenticator: Authenticator::Open,
        }
    }
}

/// Answers OData requests from a table. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) services: Arc<Services>,
    pub(super) store: Store,
    settings: Arc<Settings>,
}

/// One HTTP request, with the service it is for.
#[derive(Debug)]
pub(super) struct Call<'c> {
    pub(super) incoming: &'c Incoming,
    pub(super) service: &'c Arc<Service>,
    pub(super) root: &'c str,
    pub(super) rest: &'c str,
    pub(super) origin: &'c str,
    pub(super) caller: &'c Caller,
    pub(super) deadline: Deadline,
}

impl Engine {
    /// An engine over these services and this table.
    pub fn new(services: Arc<Services>, store: Store, settings: Settings) -> Self {
        Self { services, store, settings: Arc::new(settings) }
    }

    /// The services it answers for.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Answers a request. Never fails: what goes wrong is in the answer.
    pub async fn handle(&self, incoming: Incoming) -> Outgoing {
        // Boxed: a caller's future would hold the state of the whole pipeline otherwise.
        Box::pin(self.answer(incoming, None)).await
    }

    /// Answers a request of the host itself: it is `caller` who makes it, whatever its headers say.
    pub async fn handle_as(&self, caller: Caller, incoming: Incoming) -> Outgoing {
        Box::pin(self.answer(incoming, Some(caller))).await
    }

    async fn answer(&self, mut incoming: Incoming, caller: Option<Caller>) -> Outgoing {
        let (path, encoding) = (incoming.path.as_str(), incoming.path_encoding);
        let public_url = self.settings.public_url.as_deref();
        let below_base = || self.services.find(below_public(public_url, path)?, encoding);
        let Some(found) = self.services.find(path, encoding).or_else(below_base) else {
            return outgoing(failed(None, OdataVersion::V40, &Failure::NoService));
        };
        let authenticated = match caller {
            Some(caller) => Ok(caller),
            None => self.settings.authenticator.authenticate(&incoming.headers, Timestamp::now()).await,
        };
        // From here on the token is of no use, and cannot get anywhere.
        while incoming.headers.take(header::AUTHORIZATION.as_str()).is_some() {}
        let is_head = incoming.method == Method::HEAD;
        let mut answer = match authenticated {
            Ok(caller) => {
                let origin = origin(public_url, &incoming);
                self.call(&Call {
                    incoming: &incoming,
                    service: found.service,
                    root: found.root,
                    rest: found.rest,
                    origin: &origin,
                    caller: &caller,
                    deadline: self.deadline(),
                })
                .await
            }
            Err(error) => {
                let version = plan::version(&incoming.headers, found.service).unwrap_or(OdataVersion::V40);
                outgoing(failed(Some(found.service), version, &error.into()))
            }
        };
        if is_head {
            answer.body.clear();
        }
        answer
    }

    async fn call(&self, call: &Call<'_>) -> Outgoing {
        match self.settings.serves.admit(call) {
            Err(failure) => outgoing(refused(call, &failure)),
            Ok(()) if call.rest == "$batch" => self.batch(call).await,
            Ok(()) => outgoing(self.single(call).await),
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.settings.time_budget)
    }

    /// A request that came alone: a batch of one.
    async fn single(&self, call: &Call<'_>) -> Response {
        let context = self.context(call);
        self.run_single(call, &context).await.unwrap_or_else(|failure| refused(call, &failure))
    }

    async fn run_single(&self, call: &Call<'_>, context: &Context<'_>) -> Result<Response, Failure> {
        let incoming = call.incoming;
        let max = call.service.limits.body_bytes;
        if incoming.body.len() > max {
            return Err(BatchError::BodyTooLarge { got: incoming.body.len(), max }.into());
        }
        if let Some(answer) = catalogue(call, context) {
            return Ok(answer?);
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
        let request = Request {
            id: None,
            method,
            url: String::new(),
            headers: incoming.headers.clone(),
            body: incoming.body.clone(),
            depends_on: Vec::new(),
            condition: None,
        };
        let mut references = References::new();
        let prepared = prepare_at(context, &request, &references, place, query)?;
        let mut jobs = [Job { index: 0, request: &request, prepared: Some(Arc::new(prepared)) }];
        let make = Uuid::new_v4;
        let fresh = Fresh::new(&make);
        let end = self.run_unit(context, &mut jobs, &mut references, &fresh, call.deadline).await;
        let mut outcomes = end.map_err(|failed| failed.failure)?;
        Ok(outcomes.pop().map_or_else(|| no_answer(request.id), |outcome| outcome.response))
    }

    pub(super) fn context<'c>(&'c self, call: &'c Call<'_>) -> Context<'c> {
        Context {
            services: &self.services,
            service: call.service,
            origin: call.origin,
            root: call.root,
            now: Timestamp::now(),
            caller: call.caller,
        }
    }
}

/// The answer to a call that failed as a whole.
fn refused(call: &Call<'_>, failure: &Failure) -> Response {
    let version = plan::version(&call.incoming.headers, call.service).unwrap_or(OdataVersion::V40);
    failed(Some(call.service), version, failure)
}

/// The answer to a request that failed.
pub(super) fn failed(service: Option<&Service>, version: OdataVersion, failure: &Failure) -> Response {
    let context = ErrorContext { profile: service.map(|s| &s.profile), version, correlation: Uuid::new_v4() };
    error_response(context, failure, None)
}

fn no_answer(id: Option<crate::batch::RequestId>) -> Response {
    let headers = crate::batch::Headers::new();
    Response { id, status: StatusCode::INTERNAL_SERVER_ERROR, headers, body: bytes::Bytes::new() }
}

pub(super) fn outgoing(response: Response) -> Outgoing {
    Outgoing { status: response.status, headers: response.headers, body: response.body }
}
