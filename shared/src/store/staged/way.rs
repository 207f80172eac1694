//! Items that other units have: whoever needs one waits for the unit, aborts it, or gives back what it left.

use std::collections::{BTreeSet, HashMap};

use crate::store::{Deadline, Item, ItemKey, Store, StoreError, Write, WriteKind, read::backoff};

use super::{
    decision::{Decision, State},
    intent::{Intent, locks_of, unit_of},
    part::{resolve, unlock},
    transaction::{Action, Ran},
};

/// An item that another unit has.
#[derive(Clone, Debug)]
pub(in crate::store) struct Obstacle {
    pub(super) key: ItemKey,
    pub(super) item: Item,
}

/// Items that are given back in one transaction.
const AT_ONCE: usize = 50;

impl Obstacle {
    /// Those of the items that refused a commit of `writes` which other units have.
    pub(in crate::store) fn among(writes: &[Write], items: &[(ItemKey, Option<Item>)]) -> Vec<Self> {
        let needs_alone = |key: &ItemKey| {
            let write = writes.iter().find(|write| write.key == *key);
            write.is_some_and(|write| matches!(write.kind, WriteKind::Put(..) | WriteKind::Delete))
        };
        let has =
            |key: &ItemKey, item: &Item| unit_of(item).is_some() || needs_alone(key) && !locks_of(item).is_empty();
        let items = items.iter().filter_map(|(key, item)| Some((key, item.as_ref()?)));
        items
            .filter(|(key, item)| has(key, item))
            .map(|(key, item)| Self { key: key.clone(), item: item.clone() })
            .collect()
    }

    fn units(&self) -> impl Iterator<Item = &str> {
        unit_of(&self.item).into_iter().chain(locks_of(&self.item).iter().map(String::as_str))
    }
}

impl Store {
    /// Waits until none of these items is another unit's, and gives back what is left on them. `age` is that of a unit which
    /// has taken items itself: it waits only for those that began before it, and aborts the others. False when the time was
    /// over first.
    pub(in crate::store) async fn clear_way(
        &self,
        mut obstacles: Vec<Obstacle>,
        age: Option<&str>,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let mut pauses = backoff();
        loop {
            let units: BTreeSet<String> = obstacles.iter().flat_map(Obstacle::units).map(str::to_owned).collect();
            let units: Vec<String> = units.into_iter().collect();
            let decided = self.decided(&units, age, deadline).await?;
            let pending = |unit: &str| decided.get(unit).is_some_and(|one| one.state == State::Pending);
            let (waiting, clear): (Vec<_>, Vec<_>) =
                obstacles.into_iter().partition(|obstacle| obstacle.units().any(pending));
            let clear: Vec<ItemKey> = clear.into_iter().map(|obstacle| obstacle.key).collect();
            self.give_back_met(&clear, &decided, deadline).await?;
            if waiting.is_empty() {
                return Ok(true);
            }
            obstacles = waiting;
            let Some(pause) = pauses.next().filter(|pause| !deadline.is_before(*pause)) else { return Ok(false) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether a unit is pending and may be aborted by one of that age, or of none. One of the same age is an earlier attempt,
    /// which began with a call that came late.
    pub(super) fn may_abort(&self, decision: &Decision, age: Option<&str>) -> bool {
        let yields = || decision.lease <= (self.staging.now)() || age.is_some_and(|age| age <= decision.age.as_str());
        decision.state == State::Pending && yields()
    }

    /// Gives back items that were met, as far as their units are decided. They are read again: before its decision a unit may
    /// have changed what it wants to become of an item.
    pub(super) async fn give_back_met(
        &self,
        met: &[ItemKey],
        decided: &HashMap<String, Decision>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        if met.is_empty() {
            return Ok(());
        }
        let state = |unit: &str| decided.get(unit).map(|one| one.state).filter(|state| *state != State::Pending);
        let mut items = self.get_raw(met, deadline).await?;
        let mut actions: Vec<Action> = Vec::with_capacity(met.len());
        for key in met {
            let Some(mut item) = items.remove(key) else { continue };
            // An item has an intent or locks, never both.
            if let Some(intent) = Intent::take(&mut item)? {
                if let Some(state) = state(&intent.unit) {
                    let committed = state == State::Committed;
                    actions.push((key.clone(), resolve(&self.table, key, &intent, committed)));
                }
                continue;
            }
            let locks = locks_of(&item).iter().map(String::as_str);
            let done: Vec<&str> = locks.filter(|unit| state(unit).is_some()).collect();
            if !done.is_empty() {
                actions.push((key.clone(), unlock(&self.table, key, &done)));
            }
        }
        for some in actions.chunks(AT_ONCE) {
            let mut some = some.to_vec();
            while let Ran::Refused(items) = self.run(&some, deadline).await? {
                some.retain(|(key, _)| !items.iter().any(|(refused, _)| refused == key));
                if some.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }
}
