//! The events of a request, written down, and what the sender is told of them.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Webhook, answer, error::Refusal};
use crate::{
    exchange::Outgoing,
    ledger::{Intake, ReadEvent, decided},
    policy::Source,
    store::Deadline,
    telemetry::{Decided, TraceContext},
};

impl Webhook {
    /// Writes the events of a request down. If none of them can be read, none is, and the sender is told.
    pub(super) async fn record(
        &self,
        source: &Source,
        received: Vec<ReadEvent>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(Outgoing, Decided), Refusal> {
        if !received.is_empty() && received.iter().all(Result::is_err) {
            return Err(Refusal::NoEvents(received.into_iter().filter_map(Result::err).collect()));
        }
        let intake = Intake { policy: &self.policy, source, now };
        let recorded = self.ledger.take_in(&self.store, intake, &received, deadline).await?;
        Ok((answer::recorded(&recorded), decided(&recorded)))
    }
}

/// The same events, each in its own trace, or in that of the request where it tells none.
pub(super) fn in_trace(mut received: Vec<ReadEvent>, request: &TraceContext) -> Vec<ReadEvent> {
    for read in &mut received {
        let event = match read {
            Ok(event) => event,
            Err(fault) => &mut *fault.event,
        };
        let own = event.trace.as_deref().and_then(TraceContext::from_text).map(|own| own.child(Uuid::new_v4()));
        event.trace = Some(own.as_ref().unwrap_or(request).text());
    }
    received
}
