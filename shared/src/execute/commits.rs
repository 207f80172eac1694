//! Attempts to commit a unit of work, and what an attempt that failed leaves for the next one.

use std::{borrow::Cow, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use indexmap::IndexSet;

use crate::{
    edm::Model,
    plan::{Needs, Snapshot},
    store::{Commit, Condition, Deadline, ItemKey, Stage, Store, StoreError, Stored, Write, WriteKind},
};

use super::Engine;

/// How often a unit is run when other writers keep changing what it reads.
pub(super) const MAX_ATTEMPTS: usize = 60;
/// So many times a refused unit is run again at once, with what the refusal showed. After that the others get time.
pub(super) const AT_ONCE: usize = 3;

/// The attempts of one unit.
#[derive(Debug)]
pub(super) struct Commits<'e> {
    store: &'e Store,
    model: &'e Model,
    pub(super) deadline: Deadline,
    attempts: usize,
    pauses: ExponentialBackoff,
    /// Items that did not meet a condition once: they are known, not assumed, from then on.
    contested: IndexSet<ItemKey>,
    stage: Stage,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Attempted {
    /// All is stored.
    Done,
    /// Nothing is. The unit is run again once this is read, over what the snapshot has by then.
    Again(Needs),
}

impl<'e> Commits<'e> {
    pub(super) fn new(engine: &'e Engine, model: &'e Model, deadline: Deadline) -> Self {
        let store = &engine.store;
        let (contested, stage) = (IndexSet::new(), Stage::new(store));
        Self { store, model, deadline, attempts: 0, pauses: pauses(), contested, stage }
    }

    /// Tries to store all of `writes` or nothing. The snapshot is left with what is known for the next attempt.
    pub(super) async fn commit(
        &mut self,
        writes: &[Write],
        operation: &str,
        snapshot: &mut Snapshot,
    ) -> Result<Attempted, StoreError> {
        let staged = self.stage.holds() || self.store.is_staged(self.model, writes);
        let mut writes = Cow::Borrowed(writes);
        if staged {
            // What is staged is written whole, so it has to be known. All of it that was read still counts. And whether the
            // unit was carried out once is better known before so many items are taken.
            whole(self.model, &mut writes, snapshot);
            let unread = writes.iter().filter(|write| {
                let claimed = matches!(write.condition, Condition::Free(_)) && !snapshot.knows(&write.key);
                claimed || matches!(write.kind, WriteKind::Patch(_))
            });
            let items: IndexSet<ItemKey> = unread.map(|write| write.key.clone()).collect();
            if !items.is_empty() {
                self.contested.extend(items.iter().cloned());
                return Ok(Attempted::Again(Needs { items, ..Needs::default() }));
            }
        }
        self.attempts += 1;
        let end = if staged {
            Box::pin(self.store.commit_staged(self.model, &writes, &mut self.stage, self.deadline)).await?
        } else {
            self.store.commit(self.model, &writes, operation, self.deadline).await?
        };
        // Whatever was read may be stale by the next attempt; what a refusal has just shown is not.
        *snapshot = Snapshot::default();
        let at_once = match end {
            Commit::Done => return Ok(Attempted::Done),
            Commit::Refused(items) => {
                self.contested.extend(items.iter().map(|(key, _)| key.clone()));
                let at_once = !staged && self.attempts <= AT_ONCE;
                if at_once {
                    learn(snapshot, &writes, items);
                }
                at_once
            }
            Commit::Conflict => false,
        };
        let contention = StoreError::Contention { attempts: self.attempts };
        if self.attempts >= MAX_ATTEMPTS {
            return Err(contention);
        }
        let Some(pause) = self.pauses.next().filter(|pause| !self.deadline.is_before(*pause)) else {
            return Err(contention);
        };
        self.store.count_rerun();
        tracing::debug!(attempt = self.attempts, "unit of work is run again");
        if at_once {
            return Ok(Attempted::Again(Needs::default()));
        }
        tokio::time::sleep(pause).await;
        if staged {
            self.hold(&writes).await?;
        }
        Ok(Attempted::Again(Needs { items: self.contested.clone(), ..Needs::default() }))
    }

    /// Takes the items before they are read again: a large unit would hardly ever find all of them unchanged.
    async fn hold(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if !self.stage.holds() {
            self.store.hold(self.model, writes, &mut self.stage, self.deadline).await?;
        }
        self.contested.extend(writes.iter().map(|write| write.key.clone()));
        Ok(())
    }

    /// Gives back what is held for an attempt that does not come.
    pub(super) async fn release(mut self) {
        self.store.release(&mut self.stage, self.deadline).await;
    }
}

/// A refusal shows what is now: the items that do not meet their condition are given. What is not among them met its
/// condition: keys that were to be free are.
pub(super) fn learn(snapshot: &mut Snapshot, writes: &[Write], refused: Vec<(ItemKey, Option<Stored>)>) {
    let is_free = |condition: &Condition| matches!(condition, Condition::Absent | Condition::Free(_));
    let free = writes.iter().filter(|write| is_free(&write.condition));
    free.for_each(|write| snapshot.learn(write.key.clone(), None));
    for (key, stored) in refused {
        snapshot.learn(key, stored);
    }
}

/// Makes patches of entities that are known whole writes.
fn whole(model: &Model, writes: &mut Cow<'_, [Write]>, snapshot: &Snapshot) {
    if !writes.iter().any(|write| matches!(write.kind, WriteKind::Patch(_))) {
        return;
    }
    for write in writes.to_mut() {
        if let WriteKind::Patch(patch) = &write.kind
            && patch.requires.is_empty()
            && let Some(entity) = snapshot.entity(&write.key)
        {
            let new = Stored::Entity(patch.applied(model, entity).into());
            write.kind = WriteKind::Put(new, patch.schedule.clone());
            write.condition = Condition::Version(entity.etag());
        }
    }
}

/// The pauses between attempts: jittered, growing, bounded.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(100))
        .with_max_times(MAX_ATTEMPTS)
        .with_jitter()
        .build()
}
