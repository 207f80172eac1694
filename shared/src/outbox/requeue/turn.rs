//! One turn of one target: all decisions that are due there.

use std::time::Duration;

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
    store::{Deadline, Due, ItemKey, StoreError},
};

use super::{Address, Requeues};

/// Decisions that are carried out side by side at one target.
const ROWS_AT_ONCE: usize = 16;

/// What the rows of one round share.
pub(super) struct Round<'a> {
    pub(super) requeues: &'a Requeues,
    pub(super) address: &'a Address,
    pub(super) watch: Watch,
    pace: Pace<'a>,
}

impl Round<'_> {
    /// A place in the target's queue.
    pub(super) fn due(&self, at: Timestamp) -> Due {
        Due::at_target(&self.requeues.ledger.service().name, self.address.name(), at)
    }

    /// When a decision may be carried out, from then on: in its rule's window, or at any time when somebody wants it.
    pub(super) fn open_at(&self, row: &DecisionRow, at: Timestamp) -> Timestamp {
        if row.reruns > 0 { at } else { self.requeues.policy.open_at(&row.rule, at) }
    }

    fn is_over(&self) -> bool {
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
        let mut total = Worked::default();
        loop {
            let gate = self.target_gate(address).await?;
            if let Some(gate) = gate.filter(|gate| gate.until > self.now()) {
                return Ok(Worked { next: earlier(total.next, Some(gate.until)), ..total });
            }
            let (mut keys, next) = self.due_at(requeues, address).await?;
            total.next = earlier(total.next, next);
            if keys.is_empty() {
                return Ok(total);
            }
            let failures = gate.map_or(0, |gate| gate.failures);
            // Another row is tried each time: one job may be what the target fails at.
            let first = failures as usize % keys.len();
            keys.rotate_left(first);
            let round = Round { requeues, address, watch: Watch::new(failures > 0), pace };
            let worked = self.round(&round, &keys).await;
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
                // Nothing was called: it is all waiting for something, or done but still in the index.
                None => return Ok(total),
            }
            if pace.is_over(address.attempt_time()) {
                return Ok(Worked { next: Some(self.now()), ..total });
            }
        }
    }

    /// Works off rows side by side. One that the table does not answer about is left: its claim runs out.
    async fn round(&self, round: &Round<'_>, keys: &[ItemKey]) -> Worked {
        let work = async |key: ItemKey| {
            if round.is_over() {
                return Worked { next: Some(self.now()), ..Worked::default() };
            }
            self.requeue(round, key).await.unwrap_or_else(|error| {
                tracing::warn!(%error, target = round.address.name(), "a decision was left");
                Worked { next: Some(later(self.now(), STORE_TIME)), ..Worked::default() }
            })
        };
        let at_once = if round.watch.probing { 1 } else { ROWS_AT_ONCE };
        let mut rows = stream::iter(keys.to_vec()).map(work).buffer_unordered(at_once);
        let mut worked = Worked::default();
        while let Some(row) = rows.next().await {
            worked.add(&row);
        }
        worked
    }

    async fn target_gate(&self, address: &Address) -> Result<Option<Gate>, StoreError> {
        let note = &address.door.note;
        let items = self.store.get(std::slice::from_ref(note), Deadline::after(STORE_TIME)).await?;
        Ok(items.get(note).and_then(|item| Gate::read(item, &address.door)))
    }

    /// The rows that are due first, and when the next one is.
    async fn due_at(
        &self,
        requeues: &Requeues,
        address: &Address,
    ) -> Result<(Vec<ItemKey>, Option<Timestamp>), StoreError> {
        let queue = Due::target_queue(&requeues.ledger.service().name, address.name());
        let now = Due::text(self.now());
        let page = self.store.due(&queue, None, Deadline::after(STORE_TIME)).await?;
        let next = page.rows.iter().find(|(_, time)| *time > now).and_then(|(_, time)| Due::instant(time));
        Ok((page.rows.into_iter().take_while(|(_, time)| *time <= now).map(|(key, _)| key).collect(), next))
    }

    /// Gives up what has waited for a day at a target that does not answer.
    async fn bury_old_decisions(&self, round: &Round<'_>, keys: &[ItemKey]) -> Result<usize, StoreError> {
        let before = self.now().checked_sub(MAX_AGE).unwrap_or(Timestamp::MIN);
        let mut buried = 0;
        for key in keys.iter().take(BURIALS) {
            if round.pace.is_over(Duration::ZERO) {
                break;
            }
            buried += usize::from(self.bury_decision(round, key, before).await?);
        }
        Ok(buried)
    }
}
