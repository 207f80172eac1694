//! The webhook: where events come in, `POST /events/{source}`.
//!
//! | file | what |
//! |---|---|
//! | `authenticate` | whether a request is one of its source |
//! | `handshake` | `OPTIONS`: whether CloudEvents may be sent here |
//! | `record` | the events of a request, which the ledger takes in |
//! | `answer` | what the sender is told |
//! | `error` | the table of refusals |
//!
//! # What an answer means
//!
//! 2xx: every event of the request is in the table, those that cannot be read among them; the sender may forget them.
//! 503: some may be and some are not; the sender is to send all of them again, and those that are known then change
//! nothing. Everything else: nothing of the request was kept, and it would be refused again.
//!
//! The head of a request decides before its body is read: whether there is such a source, and every proof of
//! who sends but a signature. A body that is signed has to be read first, and so is bounded by [`MAX_BODY`].
//!
//! Nothing is asked of the table before the sender has shown who it is. After that its secret is forgotten, so that it can
//! get nowhere. A source that lets everybody in takes nothing from web pages of other origins ([`Cors::check_write`]); all
//! others may send an `Origin`, as CloudEvents wants it.

mod answer;
mod authenticate;
mod error;
mod handshake;
mod record;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Method;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use uuid::Uuid;

use self::{error::Refusal, handshake::handshake, record::in_trace};
use crate::{
    clock,
    cors::Cors,
    events::{self, Received},
    exchange::{Admitted, Incoming, Outgoing, Unread, Verdict},
    ledger::Ledger,
    policy::{Policy, Source},
    store::{Deadline, Store},
    telemetry::{Decided, EventsLine, FailureLine, TraceContext},
    uri::Encoding,
};

/// What stands before the name of a source in the path of its URL.
pub const PATH: &str = "/events/";
/// Longest body, in bytes: the batches of Event Grid have up to a MiB of events.
pub const MAX_BODY: usize = 1_536 << 10;
/// How long an answer may take. Finance & Operations waits for 10 seconds, all of the way included.
const TIME_BUDGET: Duration = Duration::from_secs(8);

/// Takes events in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhook {
    policy: Arc<Policy>,
    ledger: Ledger,
    store: Store,
    time_budget: Duration,
    cors: Cors,
    public_url: Option<String>,
}

impl Webhook {
    /// Whether a request is one for the webhook: its path is that of a source, whether there is one of that name or not.
    pub fn is_for(path: &str) -> bool {
        path.starts_with(PATH)
    }

    /// A webhook for the sources of a policy. The ledger and the store are where its decisions go.
    pub fn new(policy: Arc<Policy>, ledger: Ledger, store: Store) -> Self {
        Self { policy, ledger, store, time_budget: TIME_BUDGET, cors: Cors::Off, public_url: None }
    }

    /// The same on a host with this public URL, where these pages may write to sources that let everybody in.
    #[must_use]
    pub fn with_pages(self, cors: Cors, public_url: Option<String>) -> Self {
        Self { cors, public_url, ..self }
    }

    /// The same with another time for an answer.
    #[must_use]
    pub fn with_time_budget(self, time_budget: Duration) -> Self {
        Self { time_budget, ..self }
    }

    /// Answers a request. Never fails: what goes wrong is in the answer.
    pub async fn handle(&self, mut incoming: Incoming) -> Outgoing {
        let body = std::mem::take(&mut incoming.body);
        self.admit(incoming).await.with(body).await
    }

    /// Decides what the head of a request leads to, before its body is read; `head` has none. Asks nothing of the table.
    pub async fn admit(&self, head: Incoming) -> Verdict {
        let webhook = Self { store: self.store.metered(), ..self.clone() };
        let trace = TraceContext::of(&head.headers, [Uuid::new_v4(), Uuid::new_v4()]);
        let mut visit = Visit { webhook, incoming: head, trace, spent: Duration::ZERO, since: Instant::now() };
        let decided = timeout(self.time_budget, visit.check()).await;
        match decided.unwrap_or(Err(Refusal::Late)) {
            Err(refusal) => Verdict::Answered(visit.end(Err(refusal))),
            Ok(Some(consent)) => Verdict::Answered(visit.end(Ok((consent, Decided::default())))),
            Ok(None) => {
                visit.spent = visit.since.elapsed();
                // Boxed: a caller's future would hold the state of the whole way to the table otherwise.
                Verdict::Admitted(Admitted::new(MAX_BODY, |body| Box::pin(visit.enter(body))))
            }
        }
    }

    /// The source that a path names.
    fn source(&self, incoming: &Incoming) -> Option<&Source> {
        self.policy.source(&source_name(incoming)?)
    }

    /// Why a path names no source.
    fn missing(&self, incoming: &Incoming) -> Refusal {
        let is_left_out = |name: Cow<'_, str>| self.policy.left_out().contains(&name.into_owned());
        if source_name(incoming).is_some_and(is_left_out) { Refusal::LeftOut } else { Refusal::NoSource }
    }
}

/// The name in a path, which is one segment of it.
fn source_name(incoming: &Incoming) -> Option<Cow<'_, str>> {
    // A gateway may have a stage or a base path before it.
    let (_, segment) = incoming.path.rsplit_once(PATH)?;
    match incoming.path_encoding {
        Encoding::Percent => percent_decode_str(segment).decode_utf8().ok(),
        Encoding::Decoded => Some(segment.into()),
    }
}

/// A request on its way.
struct Visit {
    /// With counters of its own for what is asked of the table.
    webhook: Webhook,
    incoming: Incoming,
    trace: TraceContext,
    /// Time spent on it before `since`. The time in which its body arrived is that of the sender.
    spent: Duration,
    since: Instant,
}

impl Visit {
    /// All that the head decides; the answer to a question that needs no body.
    async fn check(&mut self) -> Result<Option<Outgoing>, Refusal> {
        let webhook = &self.webhook;
        let source = webhook.source(&self.incoming).ok_or_else(|| webhook.missing(&self.incoming))?;
        match self.incoming.method {
            Method::OPTIONS => handshake(source, &self.incoming).map(Some),
            Method::POST => {
                if source.is_open() {
                    webhook.cors.check_write(&self.incoming, webhook.public_url.as_deref())?;
                }
                authenticate::by_head(source, &mut self.incoming, clock::now()).await?;
                Ok(None)
            }
            _ => Err(Refusal::Method),
        }
    }

    /// Takes the events in, now that the body is there or cannot be taken.
    async fn enter(mut self, body: Result<Bytes, Unread>) -> Outgoing {
        self.since = Instant::now();
        let left = self.webhook.time_budget.saturating_sub(self.spent);
        let answered = match body {
            Ok(body) => {
                self.incoming.body = body;
                timeout(left, self.take(left)).await.unwrap_or(Err(Refusal::Late))
            }
            Err(unread) => Err(unread.into()),
        };
        self.end(answered)
    }

    async fn take(&mut self, left: Duration) -> Result<(Outgoing, Decided), Refusal> {
        let (deadline, now) = (Deadline::after(left), clock::now());
        let webhook = &self.webhook;
        let source = webhook.source(&self.incoming).ok_or(Refusal::NoSource)?;
        authenticate::by_body(source, &mut self.incoming, now)?;
        let incoming = &self.incoming;
        let kind_of = |id: &str| webhook.policy.event_kind(id);
        match events::read(source.format, kind_of, |name| incoming.headers.get(name), &incoming.body)? {
            Received::Validation { code } => Ok((answer::validation(&code), Decided::default())),
            Received::Events(received) => webhook.record(source, in_trace(received, &self.trace), now, deadline).await,
        }
    }

    /// Completes an answer, and writes the line of the request.
    fn end(&self, answered: Result<(Outgoing, Decided), Refusal>) -> Outgoing {
        let incoming = &self.incoming;
        let (mut outgoing, decided, error) = match answered {
            Ok((outgoing, decided)) => (outgoing, decided, None),
            Err(refusal) => {
                self.tell(&refusal);
                (refusal.to_outgoing(), Decided::default(), Some(refusal.code()))
            }
        };
        self.trace.tell(&mut outgoing.headers);
        let source = self.webhook.source(incoming).map(|source| source.name.as_str());
        EventsLine {
            id: &incoming.id,
            service: &self.webhook.ledger.service().name,
            source,
            method: incoming.method.as_str(),
            // What names no source may be anything, a secret that was put in the wrong place among it.
            path: if source.is_some() { &incoming.path } else { PATH },
            status: outgoing.status.as_u16(),
            error,
            decided,
            usage: self.webhook.store.usage(),
            duration: self.spent + self.since.elapsed(),
            trace: &self.trace,
        }
        .write();
        outgoing
    }

    /// Writes down why a request is refused, where its line does not say it.
    fn tell(&self, refusal: &Refusal) {
        let Some(reason) = refusal.reason() else { return };
        FailureLine {
            id: &self.incoming.id,
            correlation: None,
            service: Some(&self.webhook.ledger.service().name),
            index: None,
            operation: None,
            method: self.incoming.method.as_str(),
            url: &self.incoming.path,
            undone: 0,
            status: refusal.status().as_u16(),
            error: refusal.code(),
            reason: Some(reason),
            trace: &self.trace,
        }
        .write();
    }
}
