//! One turn of one target: all decisions that are due there.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::{
    ledger::DecisionRow,
    outbox::{
        Outbox, STORE_TIME,
        attempt::Health,
        earlier,
        gate::Gate,
        lane::{Pace, Worked},
        later,
        turn::{BURIALS, MAX_AGE},
        watch::Watch,
    },
    store::{Deadline, Due, Item, ItemKey, StoreError},
};

use super::{Address, Requeues};

/// Decisions that are carried out side by side at one target.
const ROWS_AT_ONCE: usize = 16;
/// Before a row is looked at again that cannot be read.
const UNREADABLE: Duration = Duration::from_mins(1);

/// What the rows of one round share.
pub(super) struct Round<'a> {
    pub(super) requeues: &'a Requeues,
    pub(super) address: &'a Address,
    pub(super) watch: Watch,
    pace: Pace<'a>,
}

/// A page of a target's queue.
struct Rows {
    /// The rows that are due.
    due: Vec<ItemKey>,
    /// When the next row is due after those, where the page says it.
    next: Option<Timestamp>,
    /// Where further rows are that may be due.
    more: Option<Item>,
}

impl Round<'_> {
    /// A place in the target's queue.
    pub(super) fn due(&self, at: Timestamp) -> Due {
        Due::at_target(&self.requeues.ledger.service().name, self.address.name(), at)
    }

    /// When a decision may be carried out, from then on: in its rule's window. At any time when somebody wants it, or when
    /// it is a repeat of what may have worked (`unknown`): the longer such a repeat waits, the further its job has gone on.
    pub(super) fn open_at(&self, row: &DecisionRow, unknown: bool, at: Timestamp) -> Timestamp {
        if unknown || row.reruns > 0 { at } else { self.requeues.policy.open_at(&row.rule, at) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.watch.is_halted() || self.pace.is_over(self.address.attempt_time())
    }
}

impl Outbox {
    /// Carries out what is due at a target.
    pub(in crate::outbox) async fn target_turn(
        &self,
        (requeues, address): (&Requeues, &Address),
        pace: Pace<'_>,
    ) -> Result<Worked, StoreError> {
        let (mut total, mut unreadable, mut after) = (Worked::default(), HashSet::new(), None);
        loop {
            if pace.is_over(address.attempt_time()) {
                return Ok(Worked { next: Some(self.out_of_time(address, pace, total.sent)), ..total });
            }
            let gate = self.target_gate(address).await?;
            if let Some(gate) = gate.filter(|gate| gate.until > self.now()) {
                return Ok(Worked { next: earlier(total.next, Some(gate.until)), ..total });
            }
            let rows = self.due_at(requeues, address, after.take()).await?;
            total.next = earlier(total.next, rows.next);
            let mut keys = rows.due;
            keys.retain(|key| !unreadable.contains(key));
            if keys.is_empty() && rows.more.is_none() {
                return Ok(total);
            }
            let failures = gate.map_or(0, |gate| gate.failures);
            // Another row is tried each time: one job may be what the target fails at.
            let first = failures as usize % keys.len().max(1);
            keys.rotate_left(first);
            let round = Round { requeues, address, watch: Watch::new(failures > 0), pace };
            let worked = self.round(&round, &keys, &mut unreadable).await;
            total.add(&Worked { health: None, ..worked.clone() });
            match worked.health {
                Some(Health::Failing(_) | Health::Gone) => {
                    let asked = if let Some(Health::Failing(asked)) = worked.health { asked } else { None };
                    let gate = Gate::shut(failures, asked, self.now());
                    self.set_gate(&address.door, Some(gate), Deadline::after(STORE_TIME)).await?;
                    if gate.is_long_dead() {
                        total.given_up += self.bury_old_decisions(&round, &keys).await?;
                    }
                    return Ok(Worked { next: Some(gate.until), ..total });
                }
                Some(Health::Well) if failures > 0 => {
                    self.set_gate(&address.door, None, Deadline::after(STORE_TIME)).await?;
                }
                Some(Health::Well | Health::Doubtful) => {}
                // Nothing was called: it is all waiting for something, or done but still in the index. What is behind it
                // may be due all the same.
                None if rows.more.is_some() => after = rows.more,
                // Then it ends at once.
                None if pace.is_over(address.attempt_time()) => {}
                None => return Ok(total),
            }
        }
    }

    /// When the turn comes after one in which no further attempt can be made. Where none was made at all, the next turn may
    /// have no more time for it: it does not begin at once.
    fn out_of_time(&self, address: &Address, pace: Pace<'_>, sent: usize) -> Timestamp {
        if sent > 0 || pace.is_stopped() {
            return self.now();
        }
        let seconds = address.attempt_time().as_secs();
        tracing::warn!(
            requeue_target = address.name(),
            seconds,
            "a turn had no time for an attempt, which may take so long"
        );
        later(self.now(), STORE_TIME)
    }

    /// Works off rows side by side. One that the table does not answer about is left: its claim runs out. One that cannot
    /// be read is added to `unreadable`.
    async fn round(&self, round: &Round<'_>, keys: &[ItemKey], unreadable: &mut HashSet<ItemKey>) -> Worked {
        let target = round.address.name();
        let work = async |key: ItemKey| {
            // The turn knows that there are more.
            if round.is_over() {
                return Ok(Worked::default());
            }
            match self.requeue(round, &key).await {
                Err(error) if !error.is_passing() => {
                    tracing::error!(%error, requeue_target = target, ?key, "a decision cannot be carried out as it is");
                    Err(key)
                }
                Err(error) => {
                    tracing::warn!(%error, requeue_target = target, "a decision was left");
                    Ok(Worked { next: Some(later(self.now(), STORE_TIME)), ..Worked::default() })
                }
                Ok(worked) => Ok(worked),
            }
        };
        let at_once = if round.watch.probing { 1 } else { ROWS_AT_ONCE };
        let mut rows = stream::iter(keys.to_vec()).map(work).buffer_unordered(at_once);
        let mut worked = Worked::default();
        while let Some(row) = rows.next().await {
            let again = || Worked { next: Some(later(self.now(), UNREADABLE)), ..Worked::default() };
            worked.add(&row.unwrap_or_else(|key| {
                unreadable.insert(key);
                again()
            }));
        }
        worked
    }

    async fn target_gate(&self, address: &Address) -> Result<Option<Gate>, StoreError> {
        let note = &address.door.note;
        let items = self.store.get(std::slice::from_ref(note), Deadline::after(STORE_TIME)).await?;
        Ok(items.get(note).and_then(|item| Gate::read(item, &address.door)))
    }

    /// The rows that are due first; after those of another page, if it is given.
    async fn due_at(&self, requeues: &Requeues, address: &Address, after: Option<Item>) -> Result<Rows, StoreError> {
        let queue = Due::target_queue(&requeues.ledger.service().name, address.name());
        let now = Due::text(self.now());
        let page = self.store.due(&queue, after, Deadline::after(STORE_TIME)).await?;
        let next = page.rows.iter().find(|(_, time)| *time > now).and_then(|(_, time)| Due::instant(time));
        let due = page.rows.into_iter().take_while(|(_, time)| *time <= now).map(|(key, _)| key).collect();
        Ok(Rows { due, next, more: page.next.filter(|_| next.is_none()) })
    }

    /// Gives up what has waited for a day at a target that does not answer.
    async fn bury_old_decisions(&self, round: &Round<'_>, keys: &[ItemKey]) -> Result<usize, StoreError> {
        let before = self.now().checked_sub(MAX_AGE).unwrap_or(Timestamp::MIN);
        let mut buried = 0;
        for key in keys.iter().take(BURIALS) {
            if round.pace.is_over(Duration::ZERO) {
                break;
            }
            match self.bury_decision(round, key, before).await {
                Ok(done) => buried += usize::from(done),
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => tracing::error!(%error, ?key, "a decision cannot be given up as it is"),
            }
        }
        Ok(buried)
    }
}
