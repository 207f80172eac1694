//! A request from its head to its answer: what the head alone decides, what follows once the body is there, and its line.
//!
//! The head decides by itself: questions about the health of the process, preflights, whether a service is there, and who
//! calls. No step of it asks the table, so an edge may take it on the threads that own its sockets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, header};
use uuid::Uuid;

use crate::{
    auth::Caller,
    clock,
    exchange::{Admitted, Incoming, Outgoing, Unread, Verdict, below_public, origin},
    plan::{self, OdataVersion},
    respond::Failure,
    service::{Found, Service},
    telemetry::{RequestLine, TraceContext, Work},
};

use super::{
    Engine,
    engine::{Call, complete, failed},
    failures::Subject,
    health::Question,
};

/// The longest body of a question that needs none.
const NO_BODY: usize = 1024;

/// A request on its way.
pub(super) struct Visit {
    /// With counters of its own for what is asked of the table.
    engine: Engine,
    incoming: Incoming,
    trace: TraceContext,
    correlation: Uuid,
    /// Headers of every answer about the page that calls.
    of_origin: Vec<(HeaderName, HeaderValue)>,
    /// Time spent on it before `since`. The time in which its body arrived is that of the client.
    spent: Duration,
    since: Instant,
}

/// The destination of a request.
enum Entry {
    /// Whether the table answers.
    Ready,
    /// A service.
    Service {
        service: Arc<Service>,
        /// Its root as called.
        root: String,
        /// The path behind the root.
        rest: String,
        caller: Caller,
    },
}

/// The answer to a request, and what its line says about it.
struct Answered {
    outgoing: Outgoing,
    service: Option<Arc<Service>>,
    caller: Option<String>,
    work: Work,
}

impl Answered {
    /// An answer that no service gave.
    fn of_host(mut outgoing: Outgoing, method: &Method) -> Self {
        if *method == Method::HEAD {
            outgoing.body.clear();
        }
        Self { outgoing, service: None, caller: None, work: Work::default() }
    }
}

impl Engine {
    /// Answers a request. Never fails: what goes wrong is in the answer.
    pub async fn handle(&self, mut incoming: Incoming) -> Outgoing {
        let body = std::mem::take(&mut incoming.body);
        // Boxed: a caller's future would hold the state of all that a head decides otherwise.
        let verdict: BoxFuture<'_, Verdict> = Box::pin(self.admit(incoming));
        verdict.await.with(body).await
    }

    /// Answers a request of the host itself: it is `caller` who makes it, whatever its headers say.
    pub async fn handle_as(&self, caller: Caller, mut incoming: Incoming) -> Outgoing {
        let body = std::mem::take(&mut incoming.body);
        let verdict: BoxFuture<'_, Verdict> = Box::pin(self.visit(incoming).decide(Some(caller)));
        verdict.await.with(body).await
    }

    /// Decides what the head of a request leads to, before its body is read; `head` has none. Asks nothing of the table.
    pub async fn admit(&self, head: Incoming) -> Verdict {
        self.visit(head).decide(None).await
    }

    fn visit(&self, incoming: Incoming) -> Visit {
        Visit {
            engine: self.over(self.store.metered()),
            trace: TraceContext::of(&incoming.headers, [Uuid::new_v4(), Uuid::new_v4()]),
            correlation: Uuid::new_v4(),
            of_origin: self.settings.cors.headers(&incoming.headers),
            incoming,
            spent: Duration::ZERO,
            since: Instant::now(),
        }
    }
}

impl Visit {
    async fn decide(mut self, caller: Option<Caller>) -> Verdict {
        if let Some(answer) = self.engine.settings.cors.preflight(&self.incoming) {
            self.of_origin.clear();
            let answered = Answered::of_host(answer, &self.incoming.method);
            return Verdict::Answered(self.end(answered));
        }
        match self.check(caller).await {
            Err(answered) => Verdict::Answered(self.end(answered)),
            Ok(entry) => {
                self.spent = self.since.elapsed();
                let body_limit = match &entry {
                    Entry::Ready => NO_BODY,
                    Entry::Service { service, .. } => service.limits.body_bytes,
                };
                Verdict::Admitted(Admitted::new(body_limit, |body| self.enter(entry, body)))
            }
        }
    }

    /// All that the head decides: whatever a head is refused for belongs here.
    async fn check(&mut self, caller: Option<Caller>) -> Result<Entry, Answered> {
        let (path, encoding) = (self.incoming.path.as_str(), self.incoming.path_encoding);
        let settings = &self.engine.settings;
        let public_url = settings.public_url.as_deref();
        match Question::of(path, public_url) {
            Some(Question::Ready) => return Ok(Entry::Ready),
            Some(question) => {
                let answer = self.engine.health(question, &self.incoming).await;
                return Err(Answered::of_host(answer, &self.incoming.method));
            }
            None => {}
        }
        let services = &self.engine.services;
        let below_base = || services.find(below_public(public_url, path)?, encoding);
        let Some(found) = services.find(path, encoding).or_else(below_base) else {
            return Err(self.refused(None, OdataVersion::V40, &Failure::NoService));
        };
        let identified = self.identify(caller).await;
        let (root, rest) = (found.root.to_owned(), found.rest.to_owned());
        let service = Arc::clone(found.service);
        // From here on the token is of no use, and cannot get anywhere.
        while self.incoming.headers.take(header::AUTHORIZATION.as_str()).is_some() {}
        match identified {
            Ok(caller) => Ok(Entry::Service { service, root, rest, caller }),
            Err(failure) => {
                let found = Found { service: &service, root: &root, rest: &rest };
                let version = plan::version(&self.incoming.headers, &service).unwrap_or(OdataVersion::V40);
                let mut answered = self.refused(Some(&service), version, &failure);
                complete(&mut answered.outgoing, &self.incoming, &found);
                Err(answered)
            }
        }
    }

    /// The caller of a request, if a request from where it comes may do what it does.
    async fn identify(&self, caller: Option<Caller>) -> Result<Caller, Failure> {
        if let Some(caller) = caller {
            return Ok(caller);
        }
        let settings = &self.engine.settings;
        settings.cors.check_write(&self.incoming, settings.public_url.as_deref())?;
        Ok(settings.authenticator.authenticate(&self.incoming.headers, clock::now()).await?)
    }

    /// Does what the request asks for, now that its body is there or cannot be taken.
    async fn enter(mut self, entry: Entry, body: Result<Bytes, Unread>) -> Outgoing {
        self.since = Instant::now();
        let answered = match (entry, body) {
            (Entry::Ready, Ok(_)) => {
                Answered::of_host(self.engine.health(Question::Ready, &self.incoming).await, &self.incoming.method)
            }
            (Entry::Ready, Err(unread)) => self.refused(None, OdataVersion::V40, &unread.into()),
            (Entry::Service { service, root, rest, caller }, body) => {
                let found = Found { service: &service, root: &root, rest: &rest };
                let (mut outgoing, work) = match body {
                    Ok(body) => {
                        self.incoming.body = body;
                        // Boxed: the future of the answer would hold the state of the whole pipeline otherwise.
                        Box::pin(self.call(&found, &caller)).await
                    }
                    Err(unread) => {
                        let version = plan::version(&self.incoming.headers, &service).unwrap_or(OdataVersion::V40);
                        failed(self.subject(Some(&service)), Some(&service), version, &unread.into())
                    }
                };
                complete(&mut outgoing, &self.incoming, &found);
                Answered { outgoing, service: Some(service), caller: Some(caller.name), work }
            }
        };
        self.end(answered)
    }

    async fn call(&self, found: &Found<'_, '_>, caller: &Caller) -> (Outgoing, Work) {
        let public_url = self.engine.settings.public_url.as_deref();
        let call = Call {
            incoming: &self.incoming,
            service: found.service,
            root: found.root,
            rest: found.rest,
            origin: &origin(public_url, &self.incoming),
            caller,
            subject: self.subject(Some(found.service)),
            trace: &self.trace.text(),
            deadline: self.engine.deadline(self.incoming.time_left),
        };
        self.engine.call(&call).await
    }

    fn subject<'s>(&'s self, service: Option<&'s Arc<Service>>) -> Subject<'s> {
        Subject {
            id: &self.incoming.id,
            method: &self.incoming.method,
            path: &self.incoming.path,
            service: service.map(|service| service.name.as_str()),
            correlation: self.correlation,
            trace: &self.trace,
        }
    }

    fn refused(&self, service: Option<&Arc<Service>>, version: OdataVersion, failure: &Failure) -> Answered {
        let (mut outgoing, work) = failed(self.subject(service), service.map(|s| &**s), version, failure);
        if self.incoming.method == Method::HEAD && service.is_none() {
            outgoing.body.clear();
        }
        Answered { outgoing, service: service.map(Arc::clone), caller: None, work }
    }

    /// Completes an answer, and writes the line of the request.
    fn end(&self, answered: Answered) -> Outgoing {
        let Answered { mut outgoing, service, caller, work } = answered;
        for (name, value) in &self.of_origin {
            outgoing.headers.list(name.clone(), value.clone());
        }
        self.trace.tell(&mut outgoing.headers);
        RequestLine {
            id: &self.incoming.id,
            correlation: self.correlation,
            service: service.as_ref().map(|service| service.name.as_str()),
            caller: caller.as_deref(),
            method: self.incoming.method.as_str(),
            path: &self.incoming.path,
            status: outgoing.status.as_u16(),
            work,
            usage: self.engine.store.usage(),
            duration: self.spent + self.since.elapsed(),
            trace: &self.trace,
        }
        .write();
        outgoing
    }
}
