//! The webhook: where events come in, `POST /events/{source}`.
//!
//! | file | what |
//! |---|---|
//! | `authenticate` | whether a request is one of its source |
//! | `handshake` | `OPTIONS`: whether CloudEvents may be sent here |
//! | `record` | the events of a request, each written down with what is decided about it |
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
//! get nowhere.

mod answer;
mod authenticate;
mod error;
mod handshake;
mod record;

use std::{sync::Arc, time::Duration};

use http::Method;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use self::{authenticate::authenticate, error::Refusal, handshake::handshake};
use crate::{
    events::{self, Received},
    exchange::{Incoming, Outgoing},
    ledger::Ledger,
    policy::{Policy, Source},
    store::{Deadline, Store},
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
}

impl Webhook {
    /// Whether a request is one for the webhook: its path is that of a source, whether there is one of that name or not.
    pub fn is_for(path: &str) -> bool {
        path.starts_with(PATH)
    }

    /// A webhook for the sources of a policy. The ledger and the store are where its decisions go.
    pub fn new(policy: Arc<Policy>, ledger: Ledger, store: Store) -> Self {
        Self { policy, ledger, store, time_budget: TIME_BUDGET }
    }

    /// The same with another time for an answer.
    #[must_use]
    pub fn with_time_budget(self, time_budget: Duration) -> Self {
        Self { time_budget, ..self }
    }

    /// Answers a request. Never fails: what goes wrong is in the answer.
    pub async fn handle(&self, incoming: Incoming) -> Outgoing {
        // Boxed: a caller's future would hold the state of the whole way to the table otherwise.
        let answered = Box::pin(timeout(self.time_budget, self.answer(incoming, Timestamp::now()))).await;
        answered.unwrap_or(Err(Refusal::Late)).unwrap_or_else(Refusal::into_outgoing)
    }

    async fn answer(&self, mut incoming: Incoming, now: Timestamp) -> Result<Outgoing, Refusal> {
        let deadline = Deadline::after(self.time_budget);
        let source = self.source(&incoming).ok_or(Refusal::NoSource)?;
        if incoming.method == Method::OPTIONS {
            return handshake(source, &incoming);
        }
        if incoming.method != Method::POST {
            return Err(Refusal::Method);
        }
        if incoming.body.len() > MAX_BODY {
            return Err(Refusal::TooLarge { got: incoming.body.len() });
        }
        authenticate(source, &mut incoming, now).await.inspect_err(|denied| {
            tracing::warn!(source = source.name, reason = %denied, "a request is not let in");
        })?;
        let kind_of = |id: &str| self.policy.event_kind(id);
        match events::read(source.format, kind_of, |name| incoming.headers.get(name), &incoming.body)? {
            Received::Validation { code } => {
                tracing::info!(source = source.name, "Event Grid's question is answered");
                Ok(answer::validation(&code))
            }
            Received::Events(received) => self.record(source, received, now, deadline).await,
        }
    }

    /// The source that a path names, in one segment.
    fn source(&self, incoming: &Incoming) -> Option<&Source> {
        // A gateway may have a stage or a base path before it.
        let (_, segment) = incoming.path.rsplit_once(PATH)?;
        match incoming.path_encoding {
            Encoding::Percent => self.policy.source(&percent_decode_str(segment).decode_utf8().ok()?),
            Encoding::Decoded => self.policy.source(segment),
        }
    }
}
