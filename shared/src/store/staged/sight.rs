//! What readers see of items that undecided units have.
//!
//! A read looks up what is decided about the units whose intents it meets, each once, and takes items as that says. A
//! *sight* remembers it for several reads that belong together: of each unit they show all or nothing. It is settled when
//! no unit was committed while they were made.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::store::{Deadline, Item, ItemKey, Store, StoreError, read::item_key};

use super::{
    decision::{Decision, State, record_key},
    intent::{after, before, unit_of},
};

/// The most items that a reader gives back for others.
const GIVEN_BACK: usize = 50;

/// What several reads know of undecided units.
#[derive(Debug, Default)]
pub struct Sight(Mutex<HashMap<String, Seen>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Pending,
    Aborted,
    /// When the reads began, or before that.
    Committed,
    /// Perhaps while the reads were made.
    JustCommitted,
}

/// The records of units that have some of these items, as far as they are not among `records`.
pub(in crate::store) fn records_lacking(items: &HashMap<ItemKey, Item>, records: &[ItemKey]) -> Vec<ItemKey> {
    let units: BTreeSet<&str> = items.values().filter_map(unit_of).collect();
    units.into_iter().map(record_key).filter(|record| !records.contains(record)).collect()
}

/// Items as they are at an instant, when all of these are of it and the records of their units are among them.
pub(in crate::store) fn at_instant(
    mut items: HashMap<ItemKey, Item>,
    records: &[ItemKey],
) -> Result<HashMap<ItemKey, Item>, StoreError> {
    let mut committed = BTreeSet::new();
    for record in records {
        let decision = items.remove(record).map(|item| Decision::read(&item)).transpose()?;
        if decision.is_some_and(|decision| decision.state == State::Committed) {
            committed.insert(record.clone());
        }
    }
    let see = |item: Item| {
        let is_committed = unit_of(&item).is_some_and(|unit| committed.contains(&record_key(unit)));
        if is_committed { after(item) } else { Ok(before(item)) }
    };
    let items = items.into_iter().map(|(key, item)| Ok(see(item)?.map(|item| (key, item))));
    items.filter_map(Result::transpose).collect()
}

impl Sight {
    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The same table for reads that belong together.
    #[must_use]
    pub fn with_sight(&self) -> Self {
        Self { sight: Some(Arc::default()), ..self.clone() }
    }

    /// Whether the reads since the last call show all or nothing of each unit. If not, they have to be made again: what
    /// kept them from it is known then.
    pub async fn is_settled(&self, deadline: Deadline) -> Result<bool, StoreError> {
        let Some(sight) = &self.sight else { return Ok(true) };
        let mut settled = true;
        let mut pending = Vec::new();
        for (unit, seen) in sight.seen().iter_mut() {
            match seen {
                Seen::Pending => pending.push(unit.clone()),
                Seen::JustCommitted => (*seen, settled) = (Seen::Committed, false),
                Seen::Aborted | Seen::Committed => {}
            }
        }
        if pending.is_empty() {
            return Ok(settled);
        }
        let decided = self.recorded(&pending, deadline).await?;
        for (unit, decision) in decided {
            if decision.state == State::Committed {
                sight.seen().insert(unit, Seen::Committed);
                settled = false;
            }
        }
        Ok(settled)
    }

    /// Items as readers see them. Those that are not there, for now or at all, are left out.
    pub(in crate::store) async fn see(&self, items: Vec<Item>, deadline: Deadline) -> Result<Vec<Item>, StoreError> {
        if !items.iter().any(|item| unit_of(item).is_some()) {
            return Ok(items);
        }
        Box::pin(self.see_through(items, deadline)).await
    }

    async fn see_through(&self, items: Vec<Item>, deadline: Deadline) -> Result<Vec<Item>, StoreError> {
        let units: BTreeSet<&str> = items.iter().filter_map(unit_of).collect();
        let alone = Sight::default();
        let sight = self.sight.as_deref().unwrap_or(&alone);
        let unknown: Vec<String> = {
            let seen = sight.seen();
            units.into_iter().filter(|unit| !seen.contains_key(*unit)).map(str::to_owned).collect()
        };
        let decided = self.decided(&unknown, None, deadline).await?;
        sight.seen().extend(decided.iter().map(|(unit, decision)| {
            let seen = match decision.state {
                State::Pending => Seen::Pending,
                State::Aborted => Seen::Aborted,
                State::Committed => Seen::JustCommitted,
            };
            (unit.clone(), seen)
        }));
        self.give_back_left(&items, &decided, deadline).await;
        let seen = sight.seen();
        let is_committed = |item: &Item| {
            let seen = unit_of(item).and_then(|unit| seen.get(unit));
            matches!(seen, Some(Seen::Committed | Seen::JustCommitted))
        };
        let items = items.into_iter().map(|item| if is_committed(&item) { after(item) } else { Ok(before(item)) });
        items.filter_map(Result::transpose).collect()
    }

    /// Gives back items that owners have left: their leases are over. It is no matter of the read if that fails.
    async fn give_back_left(&self, items: &[Item], decided: &HashMap<String, Decision>, deadline: Deadline) {
        let now = (self.staging.now)();
        let is_left = |item: &&Item| {
            let decision = unit_of(item).and_then(|unit| decided.get(unit));
            decision.is_some_and(|decision| decision.state != State::Pending && decision.lease < now)
        };
        let left = items.iter().filter(is_left).take(GIVEN_BACK);
        // In an order that does not depend on how they were read.
        let left: Result<BTreeSet<ItemKey>, _> = left.map(item_key).collect();
        let end = match left {
            Ok(left) => self.give_back_met(&Vec::from_iter(left), decided, deadline).await,
            Err(error) => Err(error),
        };
        if let Err(error) = end {
            tracing::debug!(%error, "what a unit left stays there");
        }
    }

    /// The items of these keys as readers see them.
    pub(in crate::store) async fn see_by_key(
        &self,
        items: HashMap<ItemKey, Item>,
        deadline: Deadline,
    ) -> Result<HashMap<ItemKey, Item>, StoreError> {
        if !items.values().any(|item| unit_of(item).is_some()) {
            return Ok(items);
        }
        let items = self.see(items.into_values().collect(), deadline).await?;
        items.into_iter().map(|item| Ok((item_key(&item)?, item))).collect()
    }
}
