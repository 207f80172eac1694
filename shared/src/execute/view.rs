//! What a batch sees whose reads are of one instant, and whether they are.
//!
//! **Keys alone.** Up to 100 keys are read by one TransactGetItems, and that is the instant. Where reading them shows that
//! more are needed, all of them are read again together.
//!
//! **Collections, and more keys.** All is read once, and then all is read once more. A version is random and never comes
//! back: an entity that has the same one both times had it all the time in between, and so had all that was read, from
//! the end of the first reading to the begin of the second. That is the instant. What was looked at and left out (rows
//! that a filter does not want, a row beyond the page, a link without target) is compared as well.
//!
//! One thing has no version: nothing. Where nothing was found both times, something may have been there in between: created
//! after the first reading came by and deleted before the second did. Only then an answer can lack what was there at the
//! instant, or a link that was removed and set again be taken for one that stayed. Keys that are read at once, and those
//! that a commit checks, do not have this gap.
//!
//! **Writes.** A commit of up to 100 items checks everything that was read by key: then its instant is that of the reads,
//! and nothing is read twice. A larger one, or one beside collections, depends on what was read of the items that it
//! writes: whoever changed one of them first wins.

use crate::{
    plan::{Context, Needs, PlanError, Snapshot},
    respond::Failure,
    store::{Deadline, ItemKey, StoreError, Stored, TRANSACTION_ITEMS},
};

use super::{Engine, fetch::in_time, unit::MAX_BYTES};

/// What was read for a batch.
#[derive(Debug)]
pub(super) struct View {
    /// All that was needed so far.
    pub(super) asked: Needs,
    pub(super) snapshot: Snapshot,
    /// Whether all of the snapshot is of one instant.
    pub(super) one_instant: bool,
    /// Whether keys are read at once from the beginning: no commit will check them.
    only_reads: bool,
    /// Reading at once was given up: too much, or too many writers.
    one_by_one: bool,
    /// Bytes of the snapshot.
    bytes: usize,
}

impl View {
    /// Nothing is known yet.
    pub(super) fn new(only_reads: bool) -> Self {
        let (asked, snapshot) = (Needs::default(), Snapshot::default());
        Self { asked, snapshot, one_instant: true, only_reads, one_by_one: false, bytes: 0 }
    }

    /// Whether it is so few keys, and nothing else, that one transaction takes them.
    pub(super) fn is_small(&self) -> bool {
        self.asked.collections.is_empty() && self.asked.items.len() <= TRANSACTION_ITEMS
    }

    /// Reads what else is needed.
    pub(super) async fn read(
        &mut self,
        engine: &Engine,
        context: &Context<'_>,
        needs: Needs,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        self.asked.update(needs);
        if self.only_reads && self.read_at_once(engine, context, deadline).await?.is_some() {
            return Ok(());
        }
        // One item alone is of one instant however it is read.
        self.one_instant = self.is_small() && self.asked.items.len() == 1;
        self.read_lacking(engine, context, deadline).await
    }

    /// Reads all anew unless it is of one instant already; whether that leaves it as it was.
    pub(super) async fn confirm(
        &mut self,
        engine: &Engine,
        context: &Context<'_>,
        deadline: Deadline,
    ) -> Result<bool, Failure> {
        if self.one_instant {
            return Ok(true);
        }
        let before = if let Some(before) = self.read_at_once(engine, context, deadline).await? {
            before
        } else {
            let before = self.forget();
            self.read_lacking(engine, context, deadline).await?;
            before
        };
        Ok(before.agrees(&self.snapshot))
    }

    /// Forgets all that is known, but not what was asked for. Returns what was known.
    pub(super) fn forget(&mut self) -> Snapshot {
        (self.one_instant, self.bytes) = (self.asked.is_empty(), 0);
        std::mem::take(&mut self.snapshot)
    }

    /// Reads what was asked for and is not known.
    pub(super) async fn read_lacking(
        &mut self,
        engine: &Engine,
        context: &Context<'_>,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        loop {
            let needs = self.snapshot.lacks(&self.asked);
            if needs.is_empty() {
                break;
            }
            self.bytes += engine.fetch(context, needs, &mut self.snapshot, deadline).await?;
            if self.bytes > MAX_BYTES {
                return Err(PlanError::ReadsTooMuch { max: MAX_BYTES }.into());
            }
        }
        self.snapshot.learn_from_rows();
        Ok(())
    }

    /// Reads all keys at one instant, where that is possible. Returns what was known before.
    async fn read_at_once(
        &mut self,
        engine: &Engine,
        context: &Context<'_>,
        deadline: Deadline,
    ) -> Result<Option<Snapshot>, StoreError> {
        if self.one_by_one || !self.is_small() {
            return Ok(None);
        }
        in_time(deadline)?;
        let keys: Vec<ItemKey> = self.asked.items.iter().cloned().collect();
        let Some(mut items) = engine.store.at_once(&keys, deadline).await? else {
            self.one_by_one = true;
            return Ok(None);
        };
        let before = self.forget();
        self.one_instant = true;
        for key in keys {
            let stored = items.remove(&key).map(|item| Stored::from_item(&context.service.model, &item)).transpose()?;
            self.snapshot.learn(key, stored);
        }
        Ok(Some(before))
    }
}
