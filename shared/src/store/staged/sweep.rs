//! Units that nobody finished: their records stay in the index of what is due.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::store::{Deadline, Due, ItemKey, Store, StoreError, read::item_key};

use super::{
    decision::{Decision, QUEUE, State, partition, record_key, unit_of_partition},
    intent::{Intent, locks_of},
    part::{Part, resolve, unlock},
    transaction::Action,
};

/// What a sweep of units came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweptUnits {
    /// Units that were finished.
    pub finished: usize,
    /// When the next one may have to be, as far as is known.
    pub next: Option<Timestamp>,
}

impl Store {
    /// Decides and finishes the units whose owners did not come to their end. One that cannot be finished does not keep
    /// the others from it.
    pub async fn sweep_units(&self, deadline: Deadline) -> Result<SweptUnits, StoreError> {
        let mut swept = SweptUnits::default();
        let (mut met, mut failed) = (BTreeSet::new(), Ok(()));
        let mut after = None;
        loop {
            let page = self.due(QUEUE, after, deadline).await?;
            for (key, time) in page.rows {
                if time > Due::text((self.staging.now)()) {
                    swept.next = Due::instant(&time);
                    return failed.map(|()| swept);
                }
                if deadline.is_over() {
                    return failed.map(|()| swept);
                }
                let Some(unit) = unit_of_partition(&key.partition).filter(|unit| !met.contains(*unit)) else {
                    continue;
                };
                match self.finish(unit, deadline).await {
                    Ok(finished) => swept.finished += usize::from(finished),
                    Err(error) => {
                        tracing::warn!(%error, "a unit that was left is not finished");
                        failed = Err(error);
                    }
                }
                met.insert(unit.to_owned());
            }
            after = page.next;
            if after.is_none() {
                return failed.map(|()| swept);
            }
        }
    }

    /// Decides a unit whose lease is over, gives back its items, and closes it. False when it is still its owner's.
    async fn finish(&self, unit: &str, deadline: Deadline) -> Result<bool, StoreError> {
        let record = self.get_raw(&[record_key(unit)], deadline).await?.remove(&record_key(unit));
        // A part may have come late: after its unit was closed, or was forgotten.
        let is_open = record.as_ref().is_some_and(|record| Due::time_of(record).is_some());
        let decision = record.as_ref().map_or(Ok(Decision::ABORTED), Decision::read)?;
        let state = if self.may_abort(&decision, None) {
            self.decide(unit, State::Aborted, deadline).await?
        } else {
            decision.state
        };
        let committed = match state {
            State::Committed => true,
            State::Aborted => false,
            State::Pending => return Ok(false),
        };
        let mut after = Some("-".to_owned());
        while after.is_some() {
            let page = self.page_raw(&partition(unit), None, after.as_deref(), None, deadline).await?;
            for item in page.0 {
                let keys = Part::keys(&item)?;
                if !keys.is_empty() {
                    self.finish_part(unit, &item_key(&item)?, &keys, committed, deadline).await?;
                }
            }
            after = page.1;
        }
        if is_open {
            self.close(unit, deadline).await?;
        }
        Ok(true)
    }

    async fn finish_part(
        &self,
        unit: &str,
        part: &ItemKey,
        keys: &[ItemKey],
        committed: bool,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let mut actions: Vec<Action> = Vec::new();
        for (key, mut item) in self.get_raw(keys, deadline).await? {
            let is_locked = locks_of(&item).iter().any(|other| other == unit);
            match Intent::take(&mut item)?.filter(|intent| intent.unit == unit) {
                Some(intent) => actions.push((key.clone(), resolve(&self.table, &key, &intent, committed))),
                None if is_locked => actions.push((key.clone(), unlock(&self.table, &key, &[unit]))),
                None => {}
            }
        }
        self.give_back(actions, part, deadline).await
    }
}
