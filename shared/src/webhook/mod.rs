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

use http::Method;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use uuid::Uuid;

use self::{authenticate::authenticate, error::Refusal, handshake::handshake, record::in_trace};
use crate::{
    cors::Cors,
    events::{self, Received},
    exchange::{Incoming, Outgoing},
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
    pub async fn handle(&self, incoming: Incoming) -> Outgoing {
        let metered = Self { store: self.store.metered(), ..self.clone() };
        // Boxed: a caller's future would hold the state of the whole way to the table otherwise.
        Box::pin(metered.observe(incoming)).await
    }

    /// Answers a request, and writes its line.
    async fn observe(&self, mut incoming: Incoming) -> Outgoing {
        let (begun, now) = (Instant::now(), crate::clock::now());
        let trace = TraceContext::of(&incoming.headers, [Uuid::new_v4(), Uuid::new_v4()]);
        let answered = timeout(self.time_budget, self.answer(&mut incoming, &trace, now)).await;
        let (mut outgoing, decided, error) = match answered.unwrap_or(Err(Refusal::Late)) {
            Ok((outgoing, decided)) => (outgoing, decided, None),
            Err(refusal) => {
                self.tell(&refusal, &incoming, &trace);
                (refusal.to_outgoing(), Decided::default(), Some(refusal.code()))
            }
        };
        trace.tell(&mut outgoing.headers);
        let source = self.source(&incoming).map(|source| source.name.as_str());
        EventsLine {
            id: &incoming.id,
            service: &self.ledger.service().name,
            source,
            method: incoming.method.as_str(),
            // What names no source may be anything, a secret that was put in the wrong place among it.
            path: if source.is_some() { &incoming.path } else { PATH },
            status: outgoing.status.as_u16(),
            error,
            decided,
            usage: self.store.usage(),
            duration: begun.elapsed(),
            trace: &trace,
        }
        .write();
        outgoing
    }

    async fn answer(
        &self,
        incoming: &mut Incoming,
        trace: &TraceContext,
        now: Timestamp,
    ) -> Result<(Outgoing, Decided), Refusal> {
        let deadline = Deadline::after(self.time_budget);
        let source = self.source(incoming).ok_or_else(|| self.missing(incoming))?;
        if incoming.method == Method::OPTIONS {
            return Ok((handshake(source, incoming)?, Decided::default()));
        }
        if incoming.method != Method::POST {
            return Err(Refusal::Method);
        }
        if incoming.body.len() > MAX_BODY {
            return Err(Refusal::TooLarge { got: incoming.body.len() });
        }
        if source.is_open() {
            self.cors.check_write(incoming, self.public_url.as_deref())?;
        }
        authenticate(source, incoming, now).await?;
        let kind_of = |id: &str| self.policy.event_kind(id);
        match events::read(source.format, kind_of, |name| incoming.headers.get(name), &incoming.body)? {
            Received::Validation { code } => Ok((answer::validation(&code), Decided::default())),
            Received::Events(received) => self.record(source, in_trace(received, trace), now, deadline).await,
        }
    }

    /// Writes down why a request is refused, where its line does not say it.
    fn tell(&self, refusal: &Refusal, incoming: &Incoming, trace: &TraceContext) {
        let Some(reason) = refusal.reason() else { return };
        FailureLine {
            id: &incoming.id,
            correlation: None,
            service: Some(&self.ledger.service().name),
            index: None,
            operation: None,
            method: incoming.method.as_str(),
            url: &incoming.path,
            undone: 0,
            status: refusal.status().as_u16(),
            error: refusal.code(),
            reason: Some(reason),
            trace,
        }
        .write();
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
