//! The endpoint that is the service itself: what happens to its jobs is told to its own policy, without a request.

use std::time::Instant;

use jiff::Timestamp;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    edm::{Record, Value},
    events::{EventKind, OWN_EVENTS, Received, read},
    ledger::{Intake, Ledger, ReadEvent, Recorded},
    policy::{Decision, Policy, Source},
    store::{Condition, Deadline, ItemKey, Schedule, StoreError, Stored, Write, WriteKind},
    telemetry::TraceContext,
};

use super::{
    ANSWER_TIME, Outbox, STORE_TIME,
    attempt::Settled,
    courier::Attempt,
    delivery::{Delivery, new_entity},
    desk::{Desk, Mail, item_key},
    endpoint::Endpoint,
    lane::Worked,
};

/// The status of an attempt whose event is written down.
const TAKEN: u16 = 200;
/// The endpoint's name.
const NAME: &str = "own loop";
/// Its id, the same as in the seed of the shipped service: of two that write it, one does.
const ID: Uuid = Uuid::from_u128(0x5e1f_0000_0000_4000_8000_0000_0000_0001);
/// The events that it is told of: those that a rule can be about, and that a job finished, which resets its retries.
const EVENTS: [EventKind; 3] = [EventKind::Failed, EventKind::Finished, EventKind::Canceled];

/// There is no endpoint through which the service tells itself.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// Nothing would come of what it is told.
    #[error(
        "the service cannot tell itself: no policy has a target without url, or no service has both [events] and [requeues]"
    )]
    Nowhere,
    /// The table did not take it, or it is not known whether it did.
    #[error("the endpoint through which the service tells itself was not written: {0}")]
    Store(#[from] StoreError),
}

impl Endpoint {
    /// Whether it is the service itself.
    pub(super) fn is_own(&self) -> bool {
        self.url == OWN_EVENTS
    }
}

impl Outbox {
    /// Whether there is a way to an endpoint: there is one to all but the service itself where nobody takes its events in.
    pub(super) fn can_tell(&self, desk: &Desk, endpoint: &Endpoint) -> bool {
        !endpoint.is_own() || self.own_books(desk).is_some()
    }

    /// Whether an endpoint is the service itself, and no policy takes its events in.
    pub async fn is_cut_off(&self) -> Result<bool, StoreError> {
        for desk in self.desks.iter() {
            let Some(mail) = &desk.mail else { continue };
            let endpoints = self.stored_endpoints(desk, mail, Deadline::after(STORE_TIME)).await?;
            if endpoints.iter().any(|endpoint| !self.can_tell(desk, endpoint)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where events of a service's own jobs are taken in.
    fn own_books(&self, desk: &Desk) -> Option<(&Ledger, &Policy, &Source)> {
        let requeues = self.requeues.as_ref()?;
        let source = requeues.policy.own_source()?;
        let is_same = requeues.ledger.service().name == desk.service.name;
        is_same.then_some((&requeues.ledger, &*requeues.policy, source))
    }

    /// Has the ledger take in what a row tells.
    pub(super) async fn tell_itself(&self, desk: &Desk, row: &Delivery, worked: &mut Worked) -> (Timestamp, Attempt) {
        let (begun, start) = (self.now(), Instant::now());
        // Boxed: the lane would hold the state of the whole way to the table otherwise.
        let taken = timeout(ANSWER_TIME, Box::pin(self.take_in(desk, row, begun))).await;
        let taken = taken.unwrap_or_else(|_| Err(format!("not written down within {} s", ANSWER_TIME.as_secs())));
        let result = taken.map(|recorded| {
            worked.exhausted += recorded.iter().filter(|recorded| is_newly_exhausted(recorded)).count();
            TAKEN
        });
        (begun, Attempt { result, retry_after: None, duration: start.elapsed() })
    }

    async fn take_in(&self, desk: &Desk, row: &Delivery, now: Timestamp) -> Result<Vec<Recorded>, String> {
        let (ledger, policy, source) = self.own_books(desk).ok_or("no policy has this service as a target")?;
        let kind_of = |id: &str| policy.event_kind(id);
        let header = |name: &str| (name == "content-type").then_some("application/json");
        let received = read(source.format, kind_of, header, row.payload.as_bytes());
        let Received::Events(received) = received.map_err(|error| error.to_string())? else {
            return Err("the payload is no event".to_owned());
        };
        let trace = TraceContext::from_text(&row.trace);
        let received = received.into_iter().map(|read| in_trace(read, trace.as_ref())).collect::<Vec<_>>();
        let (intake, deadline) = (Intake { policy, source, now }, Deadline::after(STORE_TIME));
        ledger.take_in(&self.store, intake, &received, deadline).await.map_err(|error| {
            tracing::warn!(%error, event = %row.event_id, "an event of the service itself was not written down");
            // Its text may quote what the table said, and rows are read by clients.
            "not written down: the table does not take it".to_owned()
        })
    }

    /// Writes the endpoint through which the service tells itself, once for a table: one that somebody has deleted since
    /// stays deleted, one that is there already stays as it is.
    pub async fn wire_itself(&self) -> Result<(), LoopError> {
        let there = self.desks.iter().find(|desk| self.own_books(desk).is_some());
        let Some((desk, mail)) = there.and_then(|desk| Some((desk, desk.mail.as_ref()?))) else {
            return Err(LoopError::Nowhere);
        };
        let marker = desk.note("own-loop", "-");
        let known = self.store.get(std::slice::from_ref(&marker), Deadline::after(STORE_TIME)).await?;
        if known.contains_key(&marker) {
            return Ok(());
        }
        let entity = new_entity(desk, endpoint(desk, mail));
        let key = item_key(desk, &mail.endpoints, &entity.record)?;
        let put = |key: &ItemKey, stored| Write {
            key: key.clone(),
            kind: WriteKind::Put(stored, Schedule::Keep),
            condition: Condition::Absent,
        };
        let mark = put(&marker, Stored::Link);
        let both = [mark.clone(), put(&key, Stored::Entity(entity.into()))];
        let settled = self.settle(desk.model(), |_| Ok(both.to_vec())).await?;
        match settled {
            Settled::Done(_) => tracing::info!(service = desk.service.name, "the service tells itself of its jobs"),
            // A seed has written it: that counts.
            Settled::Refused(items) if items.iter().all(|(refused, item)| *refused != marker || item.is_none()) => {
                self.settle(desk.model(), |_| Ok(vec![mark.clone()])).await?;
            }
            Settled::Refused(_) => {}
            Settled::Busy => return Err(StoreError::Contention { attempts: 1 }.into()),
        }
        Ok(())
    }
}

/// The endpoint through which a service tells itself.
fn endpoint(desk: &Desk, mail: &Mail) -> Record {
    let ty = mail.endpoints.ty;
    let text = |text: &str| Value::String(text.to_owned());
    let events = EVENTS.map(|kind| text(kind.business_event_id())).into();
    let values = [
        ("EndpointId", Value::Guid(ID)),
        ("Name", text(NAME)),
        ("Url", text(OWN_EVENTS)),
        ("BusinessEventIds", Value::Collection(events)),
        ("LegalEntity", text("")),
        ("Format", desk.member(ty, "Format", "FinanceOperations")),
        ("SendObjectInEventGridData", Value::Boolean(false)),
        ("Active", Value::Boolean(true)),
    ];
    desk.record(ty, values)
}

/// The same event in the trace of the change that it tells of.
fn in_trace(mut read: ReadEvent, trace: Option<&TraceContext>) -> ReadEvent {
    let event = match &mut read {
        Ok(event) => event,
        Err(fault) => &mut *fault.event,
    };
    event.trace = trace.map(|trace| trace.child(Uuid::new_v4()).text());
    read
}

fn is_newly_exhausted(recorded: &Recorded) -> bool {
    recorded.decision == Decision::Exhausted && !recorded.duplicate
}
