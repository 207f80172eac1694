//! Units of work that one transaction cannot hold, and what they mean for everybody else.
//!
//! # States
//!
//! A unit has a record, parts, and something on each item that it touches:
//!
//! | item | state | what it says |
//! |---|---|---|
//! | record (`U\|unit`, `-`) | pending, committed, aborted | the decision ([`decision`]) |
//! | part (`U\|unit`, number) | there, or ended | keys of items that may have something of the unit |
//! | touched item | intent `w` | what it becomes; a placeholder where there is no item yet ([`intent`]) |
//! | item relied on | lock `l` | it must go on existing; any number of units at once |
//!
//! # Steps
//!
//! 1. **Take.** Each part is one transaction: the intents and locks of its items under the unit's conditions, and the part's
//!    own item. The first one writes the record too, before any other is begun. Nothing that counts has changed.
//! 2. **Decide.** One conditional write of the record: pending → committed. From here on the unit has happened.
//! 3. **Give back.** Each part is one transaction again: items become what their intents say, or what they were; the part ends
//!    with them. At last the record is no longer due. Ended parts and the record stay for a day, then they expire.
//!
//! A unit of *n* items takes 2⌈n / 98⌉ + 2 calls when nobody is in its way.
//!
//! # Who may do what
//!
//! The owner alone takes items and commits. Anybody may abort a pending unit whose lease is over, and give back items
//! of a decided one: a condition on the intent's unit makes that happen once. Until the decision the owner may change
//! what an intent says, so whoever gives an item back reads it after the decision. A unit that meets another's intent
//! or lock while it takes items waits for it if that one began earlier, else aborts it; so it does with what an earlier
//! attempt of its own has left. A unit in one transaction waits: it has nothing that others wait for. So nobody waits
//! in a circle, and of all units that need the same items the one that began first is never in the wait: no deadlock,
//! and nobody starves. A unit that was refused takes its items before it reads them again ([`Stage`]), so that small
//! writers cannot keep it from its end.
//!
//! # What others see
//!
//! Before the decision an item is what it was: intents and locks are taken off by whoever reads ([`sight`]). After it an item
//! is what its intent says, whether or not that has taken its place. A write's condition refuses an item with an intent; the
//! refusal returns the item, so nothing more is read where nobody is in the way.
//!
//! # Why each crash is harmless
//!
//! | the owner stops | what is left | what becomes of it |
//! |---|---|---|
//! | before the first part | nothing | |
//! | between parts, or with one whose answer is lost | intents, pending | items are what they were; once the lease is over the first who meets one aborts the unit |
//! | before the decision, or with its answer lost | all intents, pending or committed | whoever looks at the record finds it decided, or aborts it: one conditional write wins |
//! | between parts that are given back | some items done, some with intents, committed | all readers see the new state of both; who writes, or the sweep, gives the others back |
//! | before the record is closed | no intents | the sweep closes it |
//!
//! A transaction that arrives after its unit was aborted leaves intents of an aborted unit: items are what they were, and the
//! part that came with them is due, so that the sweep gives them back. One that arrives after its unit was committed finds its
//! part there or ended, and is refused.

mod decision;
mod hold;
mod intent;
mod part;
mod pending;
mod sight;
mod sweep;
mod transaction;
mod way;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::edm::Model;

use super::{Commit, Deadline, Item, ItemKey, Store, StoreError, Write, write};
use decision::State;
use part::{Part, Taken};
use pending::Pending;

pub use sight::Sight;
pub use sweep::SweptUnits;

pub(super) use intent::before;
pub(super) use sight::{at_instant, records_lacking};
pub(super) use way::Obstacle;

/// How large units are committed. The default is DynamoDB's; tests make everything smaller.
#[derive(Clone, Copy, Debug)]
pub struct Staging {
    /// A unit of more items than this is staged.
    pub direct_items: usize,
    /// Items of a part: with the part and the record, what one transaction takes.
    pub part_items: usize,
    /// Bytes of a part. An item that is changed counts with its old bytes too, which are not known here.
    pub part_bytes: usize,
    /// Parts that are under way at once.
    pub at_once: usize,
    /// What a call of a part is expected to take.
    pub call_time: Duration,
    /// What a unit's lease is longer than its calls are expected to take.
    pub lease: Duration,
    /// Tells the time.
    pub now: fn() -> Timestamp,
}

impl Default for Staging {
    fn default() -> Self {
        Self {
            direct_items: write::TRANSACTION_ITEMS,
            part_items: 98,
            part_bytes: 2 << 20,
            at_once: 4,
            call_time: Duration::from_millis(100),
            lease: Duration::from_secs(2),
            now: crate::clock::now,
        }
    }
}

/// A unit's place among others, and what it has taken. It goes through all attempts to commit the unit.
#[derive(Debug)]
pub struct Stage {
    age: String,
    /// Attempts so far: each has a longer lease.
    attempts: u32,
    pending: Option<Pending>,
}

/// Who takes items.
#[derive(Clone, Copy, Debug)]
struct Owner<'p> {
    unit: &'p str,
    age: &'p str,
    lease: Timestamp,
}

/// How taking a part ended.
enum End {
    Taken(Part),
    /// These do not meet their conditions.
    Refused(Vec<(ItemKey, Option<Item>)>),
    /// Another unit goes first.
    GivesWay,
    /// It was not begun.
    Skipped,
}

impl Stage {
    /// A unit that begins now.
    pub fn new(store: &Store) -> Self {
        let now = super::Due::text((store.staging.now)());
        Self { age: format!("{now}|{}", Uuid::new_v4().simple()), attempts: 0, pending: None }
    }

    /// Whether it has taken items, which only it can write now.
    pub fn holds(&self) -> bool {
        self.pending.is_some()
    }
}

impl Store {
    /// The same table, with other sizes of staged units.
    #[must_use]
    pub fn with_staging(&self, staging: Staging) -> Self {
        Self { staging, ..self.clone() }
    }

    /// Whether one transaction cannot hold these writes.
    pub fn is_staged(&self, model: &Model, writes: &[Write]) -> bool {
        !write::fits_transaction(model, writes, self.staging.direct_items)
    }

    /// Writes all of `writes` or nothing, however many they are. None may be a patch. A unit that would not come to its end in
    /// time is not begun.
    pub async fn commit_staged(
        &self,
        model: &Model,
        writes: &[Write],
        stage: &mut Stage,
        deadline: Deadline,
    ) -> Result<Commit, StoreError> {
        let mut wanted = Vec::with_capacity(writes.len());
        for one in writes {
            wanted.push(Taken::of(model, one)?);
        }
        let end = self.take_all(wanted, stage, deadline).await;
        let Some(pending) = stage.pending.take() else { return end_of(model, end) };
        let end = if deadline.is_over() { end.and(Err(StoreError::OutOfTime)) } else { end };
        match end {
            Ok(None) => {}
            // It keeps what it holds: the next attempt goes on from there.
            Ok(Some(End::Refused(items))) if stage.attempts > 1 => {
                stage.pending = Some(pending);
                return super::commit::refused(model, items);
            }
            end => {
                self.abandon(&pending, deadline).await;
                return end_of(model, end);
            }
        }
        let decided = self.decide(&pending.unit, State::Committed, deadline).await;
        match decided {
            Ok(State::Committed) => {
                self.give_all_back(&pending, true, deadline).await;
                Ok(Commit::Done)
            }
            Ok(State::Pending | State::Aborted) => {
                self.abandon(&pending, deadline).await;
                Ok(Commit::Conflict)
            }
            Err(error) => Err(StoreError::OutcomeUnknown(error.to_string())),
        }
    }

    /// Takes all items, beginning a unit unless one is begun. `None`: it has them.
    async fn take_all(
        &self,
        wanted: Vec<Taken>,
        stage: &mut Stage,
        deadline: Deadline,
    ) -> Result<Option<End>, StoreError> {
        let (fresh, held) = match &stage.pending {
            None => (wanted, Vec::new()),
            Some(pending) => pending.divide(wanted),
        };
        let first = stage.pending.as_ref().map_or(0, |pending| pending.parts);
        let mut parts = self.parts(fresh, first);
        let again = self.parts(held, usize::MAX / 2);
        let time = self.time_of(&parts, &again);
        if deadline.is_before(time) {
            return Err(StoreError::OutOfTime);
        }
        if stage.pending.is_none() {
            if parts.is_empty() {
                return Ok(None);
            }
            stage.attempts += 1;
            let lease = (self.staging.lease + time).saturating_mul(stage.attempts);
            let (unit, lease) = (Uuid::new_v4().simple().to_string(), self.after(lease));
            let owner = Owner { unit: &unit, age: &stage.age, lease };
            match self.take(parts.remove(0), &owner, true, deadline).await? {
                End::Taken(part) => {
                    let mut pending = Pending { unit, lease, taken: IndexMap::new(), parts: 1 };
                    pending.keep(part);
                    stage.pending = Some(pending);
                }
                end => return Ok(Some(end)),
            }
        }
        let Some(pending) = stage.pending.as_mut() else { return Ok(None) };
        pending.parts += parts.len();
        parts.extend(again);
        self.take_rest(parts, pending, &stage.age, deadline).await
    }

    /// Takes the parts after the first, some at a time; none is begun after one that failed.
    async fn take_rest(
        &self,
        parts: Vec<Part>,
        pending: &mut Pending,
        age: &str,
        deadline: Deadline,
    ) -> Result<Option<End>, StoreError> {
        let stop = AtomicBool::new(false);
        let (unit, stop) = (pending.unit.clone(), &stop);
        let owner = &Owner { unit: &unit, age, lease: pending.lease };
        let parts = parts.into_iter().map(|part| async move {
            if stop.load(Ordering::Relaxed) {
                return Ok(End::Skipped);
            }
            let end = self.take(part, owner, false, deadline).await;
            if !matches!(end, Ok(End::Taken(_))) {
                stop.store(true, Ordering::Relaxed);
            }
            end
        });
        // Each is brought to its end: what it took has to be known.
        let ends: Vec<_> = stream::iter(parts).buffer_unordered(self.staging.at_once.max(1)).collect().await;
        let mut failed = Ok(None);
        for end in ends {
            match (end, &mut failed) {
                (Ok(End::Taken(part)), _) => pending.keep(part),
                (Ok(End::Skipped), _) | (_, Err(_)) => {}
                (Ok(End::Refused(items)), Ok(Some(End::Refused(all)))) => all.extend(items),
                (Ok(end), Ok(_)) => failed = Ok(Some(end)),
                (Err(error), Ok(_)) => failed = Err(error),
            }
        }
        failed
    }

    /// Cuts what is taken into parts.
    fn parts(&self, items: Vec<Taken>, first: usize) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for one in items {
            let has_room = |part: &Part| {
                part.items.len() < self.staging.part_items && part.bytes + one.bytes <= self.staging.part_bytes
            };
            if !parts.last().is_some_and(has_room) {
                parts.push(Part { number: first + parts.len(), ..Part::default() });
            }
            if let Some(part) = parts.last_mut() {
                part.bytes += one.bytes;
                part.items.push(one);
            }
        }
        parts
    }

    /// What the calls of a unit are expected to take that still has to take these parts.
    fn time_of(&self, fresh: &[Part], again: &[Part]) -> Duration {
        let rounds = |parts: usize| parts.div_ceil(self.staging.at_once.max(1));
        // The first part, the decision and the end of the record are calls on their own.
        let calls = 3 + rounds(fresh.len().saturating_sub(1) + again.len()) + rounds(fresh.len() + again.len());
        self.staging.call_time.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX))
    }

    /// That long from now.
    fn after(&self, time: Duration) -> Timestamp {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        (self.staging.now)().saturating_add(time).unwrap_or(Timestamp::MAX)
    }

    /// Aborts a unit and gives back what it has, as far as there is time: whoever meets the rest does that.
    async fn abandon(&self, pending: &Pending, deadline: Deadline) {
        if deadline.is_over() {
            return;
        }
        match self.decide(&pending.unit, State::Aborted, deadline).await {
            Ok(State::Aborted) => self.give_all_back(pending, false, deadline).await,
            Ok(State::Committed | State::Pending) => {}
            Err(error) => tracing::warn!(%error, "a unit that was given up is left to its lease"),
        }
    }

    /// Gives back all items of a decided unit, and closes it. What cannot be given back now is left to others.
    async fn give_all_back(&self, pending: &Pending, committed: bool, deadline: Deadline) {
        let mut parts: IndexMap<usize, Part> = IndexMap::new();
        for (number, taken) in pending.taken.values() {
            let part = parts.entry(*number).or_insert_with(|| Part { number: *number, ..Part::default() });
            part.items.push(taken.clone());
        }
        let parts = parts.into_values().map(|part| async move {
            if deadline.is_over() {
                return Err(StoreError::OutOfTime);
            }
            let back = part.items.iter();
            let back = back.map(|taken| (taken.key.clone(), taken.give_back(&self.table, &pending.unit, committed)));
            self.give_back(back.collect(), &part.key(&pending.unit), deadline).await
        });
        let ends: Vec<_> = stream::iter(parts).buffer_unordered(self.staging.at_once.max(1)).collect().await;
        let end = match ends.into_iter().find_map(Result::err) {
            Some(error) => Err(error),
            None if deadline.is_over() => Err(StoreError::OutOfTime),
            None => self.close(&pending.unit, deadline).await,
        };
        if let Err(error) = end {
            tracing::warn!(%error, committed, "what is left of a decided unit is left to others");
        }
    }
}

fn end_of(model: &Model, end: Result<Option<End>, StoreError>) -> Result<Commit, StoreError> {
    match end? {
        Some(End::Refused(items)) => super::commit::refused(model, items),
        // Nothing to write.
        None => Ok(Commit::Done),
        Some(End::GivesWay | End::Skipped | End::Taken(_)) => Ok(Commit::Conflict),
    }
}
