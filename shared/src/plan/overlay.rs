//! What a unit of work sees: its own writes laid over what is known of the store.
//!
//! The overlay performs no I/O. What it does not know it either assumes (and makes a condition of the commit) or
//! asks for: evaluation then halts with [`Halt::Need`], the caller reads, and the unit is evaluated again from the
//! start. A refused commit returns the items that did not meet the assumptions; they become known, and the next
//! evaluation decides with them. So a client's mistake is always found here, never guessed from a failed write.

use std::{collections::HashSet, mem, sync::Arc};

use indexmap::IndexMap;

use crate::{
    edm::Entity,
    store::{Condition, ItemKey, Kept, Patch, Schedule, Stored, Write, WriteKind},
};

use super::{
    PlanError,
    snapshot::{Needs, Rows, Snapshot, Source, Wanted, strength},
};

/// Why an evaluation stops.
#[derive(Debug)]
pub(super) enum Halt {
    /// Something must be read first; it is in the overlay's [`Needs`].
    Need,
    /// The request fails.
    Fail(PlanError),
}

impl<E: Into<PlanError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Fail(error.into())
    }
}

/// A result that may have to wait for a read.
pub(super) type Step<T> = Result<T, Halt>;

/// One item as the unit left it, and what the unit relies on.
#[derive(Debug)]
struct State {
    base: Condition,
    now: Now,
}

#[derive(Debug)]
enum Now {
    /// Not written.
    Untouched,
    /// Written whole.
    Stored(Stored),
    /// Changed without being known: by these, one after another.
    Patched(Vec<Patch>),
    /// Deleted.
    Gone,
}

/// How a change of an item that was there at the last savepoint is taken back. The number is its position.
#[derive(Debug)]
enum Undo {
    /// It relied on this.
    Base(usize, Condition),
    /// It was this.
    Now(usize, Now),
    /// It had one patch fewer.
    Patch(usize),
}

/// The writes of a unit over a [`Snapshot`].
#[derive(Debug)]
pub(super) struct Overlay<'s> {
    snapshot: &'s Snapshot,
    states: IndexMap<ItemKey, State>,
    needs: Needs,
    /// How many states there were at the last savepoint.
    saved: usize,
    /// What happened to those since, in order.
    undo: Vec<Undo>,
}

impl<'s> Overlay<'s> {
    /// Nothing written yet.
    pub(super) fn new(snapshot: &'s Snapshot) -> Self {
        Self { snapshot, states: IndexMap::new(), needs: Needs::default(), saved: 0, undo: Vec::new() }
    }

    /// From now on, [`Self::roll_back`] leads back to here.
    pub(super) fn save(&mut self) {
        self.saved = self.states.len();
        self.undo.clear();
    }

    /// Takes back all that was written and relied upon since the savepoint.
    pub(super) fn roll_back(&mut self) {
        self.states.truncate(self.saved);
        while let Some(undo) = self.undo.pop() {
            let (Undo::Base(at, _) | Undo::Now(at, _) | Undo::Patch(at)) = undo;
            let Some((_, state)) = self.states.get_index_mut(at) else { continue };
            match (undo, &mut state.now) {
                (Undo::Base(_, base), _) => state.base = base,
                (Undo::Now(_, before), now) => *now = before,
                (Undo::Patch(_), Now::Patched(patches)) => drop(patches.pop()),
                (Undo::Patch(_), _) => {}
            }
        }
    }

    /// What was asked for.
    pub(super) fn into_needs(self) -> Needs {
        self.needs
    }

    /// The item as the unit sees it, without relying on it.
    pub(super) fn peek(&mut self, key: &ItemKey) -> Step<Option<Stored>> {
        match self.states.get(key).map(|state| &state.now) {
            Some(Now::Stored(stored)) => return Ok(Some(stored.clone())),
            Some(Now::Gone) => return Ok(None),
            Some(Now::Patched(_)) => return self.need(key),
            Some(Now::Untouched) | None => {}
        }
        match self.snapshot.items.get(key) {
            Some(known) => Ok(known.clone()),
            None => self.need(key),
        }
    }

    /// The entity as the unit sees it, without relying on it.
    pub(super) fn entity(&mut self, key: &ItemKey) -> Step<Option<Arc<Entity>>> {
        Ok(self.peek(key)?.and_then(|stored| match stored {
            Stored::Entity(entity) => Some(entity),
            _ => None,
        }))
    }

    /// The entity as the unit sees it; the commit happens only if it is still the same.
    pub(super) fn observe(&mut self, key: &ItemKey) -> Step<Option<Arc<Entity>>> {
        let entity = self.entity(key)?;
        if let Some(Some(Stored::Entity(known))) = self.snapshot.items.get(key) {
            let etag = known.etag();
            self.rely(key, Condition::Version(etag));
        } else if !self.states.contains_key(key) {
            self.rely(key, Condition::Absent);
        }
        Ok(entity)
    }

    /// Whether the item exists; when that is not known it is assumed, and the commit checks it.
    pub(super) fn require(&mut self, key: &ItemKey) -> bool {
        match self.states.get(key).map(|state| (&state.now, &state.base)) {
            Some((Now::Gone, _) | (Now::Untouched, Condition::Absent)) => return false,
            Some((Now::Stored(_) | Now::Patched(_), _)) => return true,
            Some((Now::Untouched, _)) | None => {}
        }
        if let Some(None) = self.snapshot.items.get(key) {
            return false;
        }
        self.rely(key, Condition::Exists);
        true
    }

    /// Whether the item is free; when that is not known it is assumed, and the commit checks it.
    pub(super) fn claim(&mut self, key: &ItemKey) -> bool {
        match self.states.get(key).map(|state| (&state.now, &state.base)) {
            Some((Now::Gone, _) | (Now::Untouched, Condition::Absent)) => return true,
            Some((Now::Untouched, Condition::None)) | None => {}
            Some(_) => return false,
        }
        if let Some(Some(_)) = self.snapshot.items.get(key) {
            return false;
        }
        self.rely(key, Condition::Absent);
        true
    }

    /// Whether an alternate key leads to the entity with that sort key; when that is not known it is assumed, and the
    /// commit checks it.
    pub(super) fn leads_to(&mut self, key: &ItemKey, sort: &str) -> bool {
        let leads = |stored: &Stored| matches!(stored, Stored::AlternateKey(target) if target == sort);
        match self.states.get(key).map(|state| &state.now) {
            Some(Now::Stored(stored)) => return leads(stored),
            Some(Now::Gone) => return false,
            Some(Now::Patched(_) | Now::Untouched) | None => {}
        }
        if self.snapshot.items.get(key).is_some_and(|known| !known.as_ref().is_some_and(leads)) {
            return false;
        }
        self.rely(key, Condition::AlternateKey(sort.to_owned()));
        true
    }

    /// What is kept under a key at that time (in seconds since 1970). Where nothing is known to be, nothing is assumed
    /// to be, and the commit checks it.
    pub(super) fn kept(&mut self, key: &ItemKey, now: i64) -> Option<Kept> {
        let own = match self.states.get(key) {
            Some(State { now: Now::Stored(stored), .. }) => Some(stored),
            _ => None,
        };
        let known = own.or_else(|| self.snapshot.items.get(key)?.as_ref());
        if let Some(Stored::Kept(kept)) = known
            && kept.expires > now
        {
            return Some(kept.clone());
        }
        self.rely(key, Condition::Free(now));
        None
    }

    /// Whether the item's state is known, from the store or because the unit wrote it whole.
    pub(super) fn knows(&self, key: &ItemKey) -> bool {
        matches!(self.states.get(key), Some(State { now: Now::Stored(_) | Now::Gone, .. }))
            || self.snapshot.items.contains_key(key)
    }

    /// The entity as it is stored, where that is known: without the unit's own writes.
    pub(super) fn stored(&self, key: &ItemKey) -> Option<&Arc<Entity>> {
        match self.snapshot.items.get(key)? {
            Some(Stored::Entity(entity)) => Some(entity),
            _ => None,
        }
    }

    /// Whether the unit itself has changed the entity without knowing it.
    pub(super) fn is_patched(&self, key: &ItemKey) -> bool {
        matches!(self.states.get(key), Some(State { now: Now::Patched(_), .. }))
    }

    /// Makes the commit depend on `condition`; a stronger one that is there already stays.
    pub(super) fn rely(&mut self, key: &ItemKey, condition: Condition) {
        match self.states.get_full_mut(key) {
            None => {
                self.states.insert(key.clone(), State { base: condition, now: Now::Untouched });
            }
            Some((at, _, state)) if strength(&condition) > strength(&state.base) => {
                let before = mem::replace(&mut state.base, condition);
                self.note(at, Undo::Base(at, before));
            }
            Some(_) => {}
        }
    }

    /// Writes an item whole.
    pub(super) fn put(&mut self, key: &ItemKey, stored: Stored) {
        self.write(key, Now::Stored(stored));
    }

    /// Deletes an item.
    pub(super) fn delete(&mut self, key: &ItemKey) {
        self.write(key, Now::Gone);
    }

    /// Changes an entity that is not known. A second patch adds to the first.
    pub(super) fn patch(&mut self, key: &ItemKey, patch: Patch) {
        if let Some((at, _, State { now: Now::Patched(patches), .. })) = self.states.get_full_mut(key) {
            patches.push(patch);
            self.note(at, Undo::Patch(at));
            return;
        }
        self.write(key, Now::Patched(vec![patch]));
    }

    fn write(&mut self, key: &ItemKey, now: Now) {
        match self.states.get_full_mut(key) {
            Some((at, _, state)) => {
                let before = mem::replace(&mut state.now, now);
                self.note(at, Undo::Now(at, before));
            }
            None => {
                self.states.insert(key.clone(), State { base: Condition::None, now });
            }
        }
    }

    /// What is newer than the savepoint goes as a whole.
    fn note(&mut self, at: usize, undo: Undo) {
        if at < self.saved {
            self.undo.push(undo);
        }
    }

    fn need<T>(&mut self, key: &ItemKey) -> Step<T> {
        self.needs.items.insert(key.clone());
        Err(Halt::Need)
    }

    /// Asks for an item that will be needed, without halting.
    pub(super) fn prefetch(&mut self, key: &ItemKey) {
        if !self.knows(key) {
            self.needs.items.insert(key.clone());
        }
    }

    /// The rows that the request with that index wants, the unit's own writes laid over them.
    pub(super) fn rows(&mut self, index: usize, mut wanted: Wanted) -> Step<Rows> {
        let own = self.own_rows(&mut wanted)?;
        let Some(mut rows) = self.snapshot.rows(index, &wanted).cloned() else {
            self.needs.collections.push((index, wanted));
            return Err(Halt::Need);
        };
        if own.is_empty() {
            return Ok(rows);
        }
        if let Some(count) = &mut rows.count {
            *count += own.len() as u64;
        }
        let last = rows.rows.last().map(|(sort, _)| sort.clone());
        let visible = own.into_iter().filter(|(sort, _)| {
            wanted.after.as_ref().is_none_or(|after| sort > after)
                && (!rows.more || last.as_ref().is_some_and(|last| sort <= last))
        });
        let mut merged: Vec<_> = rows.rows.into_iter().chain(visible).collect();
        merged.sort_by(|(a, _), (b, _)| a.cmp(b));
        rows.more |= merged.len() > wanted.limit;
        merged.truncate(wanted.limit);
        rows.rows = merged;
        Ok(rows)
    }

    /// The unit's own entities that belong to the wanted rows; `wanted.except` becomes all that it touched.
    fn own_rows(&mut self, wanted: &mut Wanted) -> Step<Vec<(String, Arc<Entity>)>> {
        let touched = self.states.iter().filter(|(key, state)| {
            !matches!(state.now, Now::Untouched)
                && match &wanted.source {
                    Source::Entities(collection) => collection.holds(key),
                    Source::Links { partition, targets, .. } => *partition == key.partition || targets.holds(key),
                }
        });
        let touched: HashSet<String> = touched.map(|(key, _)| key.sort.clone()).collect();
        let mut own = Vec::new();
        let mut halted = false;
        for sort in &touched {
            let member = match self.member(&wanted.source, sort) {
                Ok(member) => member,
                // All of them are asked for at once.
                Err(Halt::Need) => {
                    halted = true;
                    continue;
                }
                Err(fail) => return Err(fail),
            };
            let matching = member.filter(|e| wanted.predicate.as_ref().is_none_or(|p| p.matches(e)));
            own.extend(matching.map(|entity| (sort.clone(), entity)));
        }
        wanted.except = touched;
        if halted { Err(Halt::Need) } else { Ok(own) }
    }

    /// The entity with that sort key, when it belongs to the collection or is linked.
    fn member(&mut self, source: &Source, sort: &str) -> Step<Option<Arc<Entity>>> {
        let collection = match source {
            Source::Entities(collection) => collection,
            Source::Links { partition, targets, .. } => {
                let link = ItemKey { partition: partition.clone(), sort: sort.to_owned() };
                if self.peek(&link)?.is_none() {
                    return Ok(None);
                }
                targets
            }
        };
        match collection.key(sort.to_owned()) {
            Ok(key) => self.entity(&key),
            Err(_) => Ok(None),
        }
    }

    /// Asks for the items that something is assumed of since the savepoint without knowing them; whether there are any.
    /// What was assumed before it is a condition of the commit.
    pub(super) fn need_assumed(&mut self) -> bool {
        let relied = self.undo.iter().filter_map(|undo| match undo {
            Undo::Base(at, _) => Some(*at),
            Undo::Now(..) | Undo::Patch(_) => None,
        });
        let states = (self.saved..self.states.len()).chain(relied).filter_map(|at| self.states.get_index(at));
        let assumed =
            states.filter(|(key, state)| state.base != Condition::None && !self.snapshot.items.contains_key(*key));
        let assumed: Vec<ItemKey> = assumed.map(|(key, _)| key.clone()).collect();
        let any = !assumed.is_empty();
        self.needs.items.extend(assumed);
        any
    }

    /// The same for all that is assumed.
    pub(super) fn need_all_assumed(&mut self) -> bool {
        (self.saved, self.undo) = (0, Vec::new());
        self.need_assumed()
    }

    /// Whether anything is written.
    pub(super) fn is_written(&self) -> bool {
        self.states.values().any(|state| !matches!(state.now, Now::Untouched))
    }

    /// How many items the unit touches.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// One write for each item that is written or relied upon.
    pub(super) fn into_writes(self) -> Vec<Write> {
        if !self.is_written() {
            return Vec::new();
        }
        let writes = self.states.into_iter().filter_map(|(key, state)| {
            let kind = match (state.now, &state.base) {
                (Now::Untouched, Condition::None) => return None,
                (Now::Untouched, _) | (Now::Gone, Condition::Absent) => WriteKind::Check,
                (Now::Stored(stored), _) => WriteKind::Put(stored, Schedule::Keep),
                (Now::Patched(patches), _) => WriteKind::Patch(merged(patches)),
                (Now::Gone, _) => WriteKind::Delete,
            };
            Some(Write { key, kind, condition: state.base })
        });
        writes.collect()
    }
}

/// One patch in place of several that follow each other.
fn merged(patches: Vec<Patch>) -> Patch {
    let merge = |mut all: Patch, later| {
        all.merge(later);
        all
    };
    patches.into_iter().reduce(merge).unwrap_or_default()
}
