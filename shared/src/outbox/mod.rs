//! What leaves the service: business events on their way to endpoints, calls that requeue jobs, and the history of jobs.
//!
//! Two halves, which meet only in the table:
//!
//! - [`Outbox::records`] turns records of the table's stream into rows: one of the job's history, and one of what is to
//!   be delivered for each endpoint that is told. Each row is written only where there is none, and everything in it
//!   that matters follows from the record: a record that comes again changes nothing.
//! - [`Outbox::sweep`] and [`Outbox::run`] send what is due. A row is claimed by a conditional write before it is sent
//!   and finished by another one afterwards. Whoever stops in between leaves a claim that runs out: the row is sent
//!   again, with the same event id.
//!
//! The rows of one endpoint and one job are a *lane*: a row is sent when the one before it is delivered or given up.
//! Lanes of an endpoint, and endpoints, are worked off side by side. An endpoint that fails is left alone as a whole for
//! a while (`gate`), so that what waits for it costs nobody else time.
//!
//! # The service as an endpoint of its own
//!
//! An endpoint with the URL [`OWN_EVENTS`](crate::events::OWN_EVENTS) is the service itself: a row for it is sent as any
//! other, but to send it is to have the ledger take it in, as an event of the source `self`. There is no request, so nothing
//! has to show who it is, and what no client may say no client can bring about. An event that the table does not take is an
//! attempt that failed. Without a policy that has the service as a target, and for a service without a ledger, such an
//! endpoint cannot be told: it is as if it were not active.
//!
//! # How long rows are kept
//!
//! A delivery goes [`KEPT`] after it was delivered or given up, by the table's time to live; a Resend in time keeps it.
//! History is kept for ever: it is what tells who did what. Texts of a job that events and history tell of are cut to
//! 1,000 characters, so that a row has room for its attempts whatever a job is called.
//!
//! | file | what |
//! |---|---|
//! | `desk` | a service's jobs, endpoints and deliveries, and where they are |
//! | `records`, `change` | from the stream to rows |
//! | `delivery`, `endpoint` | the rows: how they are written and read |
//! | `sweep`, `turn`, `lane`, `attempt` | all endpoints, one endpoint, one lane, one row |
//! | `requeue` | from decisions to jobs that wait again, at targets |
//! | `gate`, `watch` | endpoints and targets that fail are left alone |
//! | `depth` | how much waits in each queue |
//! | `gone` | endpoints that were deleted, and what waited for them |
//! | `courier`, `address` | one request |
//! | `itself` | the endpoint that is the service itself |

mod address;
mod attempt;
mod change;
mod courier;
mod delivery;
mod depth;
mod desk;
mod endpoint;
mod gate;
mod gone;
mod itself;
mod lane;
mod records;
mod requeue;
mod sweep;
mod turn;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

pub use courier::{Answer, Attempt, Courier, CourierError};
pub use depth::{QueueDepth, QueueKind};
pub use desk::OutboxError;
pub use itself::LoopError;
pub use records::Recorded;
pub use requeue::RequeueError;
pub use sweep::Swept;

use crate::{
    plan::operation_id,
    service::Services,
    store::{Store, Usage},
};
use desk::Desk;
use requeue::Requeues;

/// How long an endpoint has for its answer (`reference/microsoft-wire.md` §2.3).
pub const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long a claim holds: longer than an attempt and the two writes around it take.
const LEASE: Duration = Duration::from_secs(30);
/// How long a delivery is kept once it is delivered or given up. It has to be longer than the stream keeps a record: what
/// comes again from there must find the row that it wrote.
pub const KEPT: Duration = Duration::from_hours(30 * 24);
/// The index may lag behind the rows that were changed just now.
const INDEX_LAG: Duration = Duration::from_secs(1);
/// How long a call of the outbox to the table may take.
const STORE_TIME: Duration = Duration::from_secs(5);

/// Tells what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Writes down and sends what the changes of batch jobs are to the outside. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    desks: Arc<Vec<Arc<Desk>>>,
    store: Store,
    courier: Courier,
    /// Where jobs are requeued, if they are.
    requeues: Option<Arc<Requeues>>,
    clock: Clock,
}

impl Outbox {
    /// The outbox of these services. `public_url` is what clients call the root of the host: events say it as their
    /// source.
    pub fn new(
        services: &Services,
        store: Store,
        courier: Courier,
        public_url: Option<&str>,
    ) -> Result<Self, OutboxError> {
        let desks = services
            .iter()
            .filter_map(|service| Desk::new(service, public_url).transpose().map(|desk| desk.map(Arc::new)));
        let desks = Arc::new(desks.collect::<Result<_, _>>()?);
        Ok(Self { desks, store, courier, requeues: None, clock: Arc::new(crate::clock::now) })
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same with counters of its own, for one invocation.
    #[must_use]
    pub fn metered(&self) -> Self {
        Self { store: self.store.metered(), ..self.clone() }
    }

    /// What its calls to the table came to.
    pub fn usage(&self) -> Usage {
        self.store.usage()
    }

    /// How long ago something was.
    pub fn since(&self, at: Timestamp) -> Duration {
        Duration::try_from(self.now().duration_since(at)).unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("desks", &self.desks.len()).finish_non_exhaustive()
    }
}

/// A new operation id.
fn operation() -> String {
    operation_id(Uuid::new_v4())
}

/// A random number from 0 up to 1.
fn jitter() -> f64 {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    f64::from(u32::try_from(low & u64::from(u32::MAX)).unwrap_or(0)) / f64::from(u32::MAX)
}

/// That much later; at the end of time, the end of time.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The earlier of two times, of which there may be none.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
