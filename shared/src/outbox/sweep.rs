//! All endpoints and targets, side by side: once, as a function is invoked, or for as long as a process lives.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{
    sync::{Notify, Semaphore},
    time::sleep,
};
use uuid::Uuid;

use crate::{
    store::{Deadline, StoreError, SweptUnits, Usage},
    telemetry::OutboxLine,
};

use super::{
    Outbox, STORE_TIME, earlier,
    endpoint::Endpoint,
    lane::{Pace, Worked},
    later,
    requeue::Address,
};

/// Endpoints that have their turn at a time.
const ENDPOINTS_AT_ONCE: usize = 32;
/// How long a turn begins attempts in a process that lives on.
const TURN: Duration = Duration::from_mins(1);
/// The longest sleep: an endpoint that is switched on elsewhere is found then at the latest.
const MAX_SLEEP: Duration = Duration::from_mins(1);

/// The longest time without a line while turns follow each other without an end.
const MAX_UNTOLD: Duration = Duration::from_secs(10);

/// What a sweep came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Attempts.
    pub sent: usize,
    /// Rows that were delivered.
    pub delivered: usize,
    /// Jobs that were requeued.
    pub requeued: usize,
    /// Jobs that targets refused to requeue.
    pub refused: usize,
    /// Rows that were given up.
    pub given_up: usize,
    /// Failures that are not answered: their jobs had met the limit once it was their turn.
    pub exhausted: usize,
    /// When the next row is due, as far as is known.
    pub next_due: Option<Timestamp>,
}

impl Swept {
    /// Adds what was done to the line about it.
    pub fn tell(&self, line: &mut OutboxLine) {
        line.sent += self.sent;
        line.delivered += self.delivered;
        line.requeued += self.requeued;
        line.refused += self.refused;
        line.given_up += self.given_up;
        line.exhausted += self.exhausted;
    }

    fn did_nothing(&self) -> bool {
        *self == Self { next_due: self.next_due, ..Self::default() }
    }
}

/// Who has a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    /// An endpoint: position of its desk, and its id.
    Endpoint(usize, Uuid),
    /// A target: its position.
    Target(usize),
    /// Units of work that nobody finished.
    Units,
}

/// The turns under way.
struct Sweep<'o> {
    outbox: &'o Outbox,
    stop: &'o AtomicBool,
    turns: FuturesUnordered<BoxFuture<'o, (Name, Result<Worked, StoreError>)>>,
    busy: HashSet<Name>,
    /// Busy ones that may have got something to do after they looked.
    again: HashSet<Name>,
    slots: &'o Semaphore,
    next: HashMap<Name, Timestamp>,
    swept: Swept,
    /// When what was done began to be counted, and what all calls to the table came to by then.
    counted: (Instant, Usage),
}

impl Outbox {
    /// Sends what is due, until nothing is or the time is up: an attempt is begun only when it can end in time.
    pub async fn sweep(&self, until: Deadline) -> Swept {
        let (stop, slots) = (AtomicBool::new(false), Semaphore::new(ENDPOINTS_AT_ONCE));
        let mut sweep = Sweep::new(self, &stop, &slots);
        if let Err(error) = sweep.begin(Some(until)).await {
            tracing::warn!(%error, "not all endpoints had their turn");
            sweep.swept.next_due = Some(self.now());
        }
        while let Some((name, worked)) = sweep.turns.next().await {
            sweep.end(name, worked);
        }
        let next = sweep.next.into_values().min();
        Swept { next_due: earlier(sweep.swept.next_due, next), ..sweep.swept }
    }

    /// Finishes units of work whose owners did not come to their end.
    async fn units(&self, until: Deadline) -> Result<Worked, StoreError> {
        let SweptUnits { finished, next } = self.store.sweep_units(until).await?;
        if finished > 0 {
            tracing::info!(finished, "units of work that were left were brought to their end");
        }
        Ok(Worked { next, ..Worked::default() })
    }

    /// Names of the targets at which no attempt can end in so long, whatever is due there.
    pub fn too_slow_for(&self, time: Duration) -> Vec<&str> {
        let addresses = self.requeues.iter().flat_map(|requeues| &requeues.addresses);
        addresses.filter(|address| address.turn_time() > time).map(Address::name).collect()
    }

    /// Sends what is due as it becomes due, until `stop` completes; attempts under way are brought to their end. `woken`
    /// tells that something may be due now.
    pub async fn run(&self, woken: &Notify, stop: impl Future<Output = ()>) {
        let (stopping, slots) = (AtomicBool::new(false), Semaphore::new(ENDPOINTS_AT_ONCE));
        let mut sweep = Sweep::new(self, &stopping, &slots);
        tokio::pin!(stop);
        loop {
            let mut wait = MAX_SLEEP;
            if let Err(error) = sweep.begin(None).await {
                tracing::warn!(%error, "not all endpoints had their turn");
                wait = STORE_TIME;
            }
            loop {
                let now = self.now();
                let next = sweep.next.values().min().copied().unwrap_or(Timestamp::MAX);
                let due = Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO);
                tokio::select! {
                    Some((name, worked)) = sweep.turns.next() => {
                        sweep.end(name, worked);
                        sweep.tell();
                    }
                    () = woken.notified() => break,
                    () = sleep(due.min(wait)) => break,
                    () = &mut stop => {
                        stopping.store(true, Ordering::Relaxed);
                        while let Some((name, worked)) = sweep.turns.next().await {
                            sweep.end(name, worked);
                        }
                        sweep.tell();
                        return;
                    }
                }
            }
        }
    }
}

impl<'o> Sweep<'o> {
    fn new(outbox: &'o Outbox, stop: &'o AtomicBool, slots: &'o Semaphore) -> Self {
        let (busy, again) = (HashSet::new(), HashSet::new());
        let (turns, next) = (FuturesUnordered::new(), HashMap::new());
        let counted = (Instant::now(), outbox.usage());
        Self { outbox, stop, slots, turns, busy, again, next, swept: Swept::default(), counted }
    }

    /// Writes the line of a sweep that did something: when no turn is under way any more, or one has been for long.
    fn tell(&mut self) {
        let (since, before) = self.counted;
        if self.swept.did_nothing() || !self.turns.is_empty() && since.elapsed() < MAX_UNTOLD {
            return;
        }
        let usage = self.outbox.usage();
        let mut line = OutboxLine { usage: usage - before, duration: since.elapsed(), ..OutboxLine::default() };
        std::mem::take(&mut self.swept).tell(&mut line);
        line.write("sweep");
        self.counted = (Instant::now(), usage);
    }

    /// Gives each endpoint a turn that has none, and is active; and each that was deleted not long ago. Without `until`,
    /// for as long as turns go on in a process that lives on.
    async fn begin(&mut self, until: Option<Deadline>) -> Result<(), StoreError> {
        let outbox = self.outbox;
        let pace = Pace { until: until.unwrap_or_else(|| Deadline::after(TURN)), stop: self.stop };
        self.next.clear();
        self.begin_targets(until);
        if self.is_free(Name::Units) {
            self.push(Name::Units, outbox.units(pace.until));
        }
        for (at, desk) in outbox.desks.iter().enumerate() {
            let Some(mail) = &desk.mail else { continue };
            let deadline = Deadline::after(STORE_TIME);
            let mut endpoints = outbox.endpoints(desk, mail, deadline).await?;
            endpoints.retain(|endpoint| endpoint.active && self.is_free(Name::Endpoint(at, endpoint.id)));
            let slots = self.slots;
            for Endpoint { id, key, .. } in endpoints {
                self.push(Name::Endpoint(at, id), async move {
                    // The semaphore is never closed.
                    let _slot = slots.acquire().await;
                    outbox.turn((desk, mail), (id, &key), pace).await
                });
            }
            for id in outbox.gone(desk, deadline).await? {
                if !self.busy.contains(&Name::Endpoint(at, id)) {
                    self.push(Name::Endpoint(at, id), async move {
                        let _slot = slots.acquire().await;
                        outbox.clear((desk, mail), id, pace).await
                    });
                }
            }
        }
        Ok(())
    }

    /// Gives each target a turn that has none. They are few, and no endpoint is to make them wait.
    /// Attempts may take longer there than a turn of an endpoint does: without `until` there is time for them.
    fn begin_targets(&mut self, until: Option<Deadline>) {
        let outbox = self.outbox;
        let Some(requeues) = &outbox.requeues else { return };
        for (at, address) in requeues.addresses.iter().enumerate() {
            if self.is_free(Name::Target(at)) {
                let until = until.unwrap_or_else(|| Deadline::after(TURN + address.turn_time()));
                let pace = Pace { until, stop: self.stop };
                self.push(Name::Target(at), outbox.target_turn((requeues, address), pace));
            }
        }
    }

    /// Whether somebody has no turn; who has one is remembered to have another one after it.
    fn is_free(&mut self, name: Name) -> bool {
        let busy = self.busy.contains(&name);
        if busy {
            self.again.insert(name);
        }
        !busy
    }

    fn push(&mut self, name: Name, turn: impl Future<Output = Result<Worked, StoreError>> + Send + 'o) {
        self.busy.insert(name);
        self.turns.push(turn.map(move |worked| (name, worked)).boxed());
    }

    fn end(&mut self, name: Name, worked: Result<Worked, StoreError>) {
        self.busy.remove(&name);
        let worked = worked.unwrap_or_else(|error| {
            tracing::warn!(%error, ?name, "a turn ended early");
            Worked { next: Some(later(self.outbox.now(), STORE_TIME)), ..Worked::default() }
        });
        self.swept.sent += worked.sent;
        self.swept.delivered += worked.delivered;
        self.swept.requeued += worked.requeued;
        self.swept.refused += worked.refused;
        self.swept.given_up += worked.given_up;
        self.swept.exhausted += worked.exhausted;
        let again = self.again.remove(&name).then(|| self.outbox.now());
        if let Some(next) = earlier(worked.next, again) {
            self.next.insert(name, next);
        }
    }
}
