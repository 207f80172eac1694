//! What a unit of work sees: its own writes laid over what is known of the store.
//!
//! The overlay performs no I/O. What it does not know it either assumes (and makes a condition of the commit) or
//! asks for: evaluation then halts with [`Halt::Need`], the caller reads, and the unit is evaluated again from the
//! start. A refused commit returns the items that did not meet the assumptions; they become known, and the next
//! evaluation decides with them. So a client's mistake is always found here, never guessed from a failed write.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use indexmap::{IndexMap, IndexSet};

use crate::{
    edm::Entity,
    query::Predicate,
    store::{Condition, ItemKey, Patch, Schedule, Stored, Write, WriteKind},
};

use super::{PlanError, place::Collection};

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

/// What is known of the store.
#[derive(Debug, Default)]
pub struct Snapshot {
    items: HashMap<ItemKey, Option<Stored>>,
    collections: HashMap<usize, (HashSet<String>, Rows)>,
}

impl Snapshot {
    /// Adds an item, or that there is none.
    pub fn learn(&mut self, key: ItemKey, stored: Option<Stored>) {
        self.items.insert(key, stored);
    }

    /// The entity with that key, if one is known.
    pub fn entity(&self, key: &ItemKey) -> Option<&Entity> {
        match self.items.get(key)? {
            Some(Stored::Entity(entity)) => Some(entity),
            _ => None,
        }
    }

    /// Adds the rows that the request with that index asked for, and the sort keys that were left out of them.
    pub fn learn_rows(&mut self, index: usize, except: HashSet<String>, rows: Rows) {
        self.collections.insert(index, (except, rows));
    }

    /// Forgets the rows of a request that is answered.
    pub fn forget_rows(&mut self, index: usize) {
        self.collections.remove(&index);
    }
}

/// What an evaluation has to know before it can go on.
#[derive(Debug, Default)]
pub struct Needs {
    /// Items to read, each once; those that the first requests need come first.
    pub items: IndexSet<ItemKey>,
    /// Collections to read, by index of the request.
    pub collections: Vec<(usize, Wanted)>,
}

impl Needs {
    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.collections.is_empty()
    }

    /// Adds another's.
    pub fn merge(&mut self, other: Self) {
        self.items.extend(other.items);
        self.collections.extend(other.collections);
    }
}

/// Rows to read from a collection.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where from.
    pub source: Source,
    /// Rows whose sort key begins with this: the filter allows no others.
    pub prefix: Option<String>,
    /// Rows whose sort key comes after this one.
    pub after: Option<String>,
    /// How many rows at most, with those that are passed over.
    pub limit: usize,
    /// How many of the first rows are passed over.
    pub skip: usize,
    /// Whether to count all matching rows, beyond `limit` and from the start.
    pub count: bool,
    /// Which rows.
    pub predicate: Option<Arc<Predicate>>,
    /// Sort keys to leave out: the unit itself wrote them.
    pub except: HashSet<String>,
}

/// Where rows come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The entities of a collection.
    Entities(Collection),
    /// The targets of links.
    Links {
        /// Partition of the links.
        partition: String,
        /// Where the targets are.
        targets: Collection,
        /// The entity that the links start from.
        owner: ItemKey,
    },
}

/// Rows read from a collection.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Sort key and entity, in key order.
    pub rows: Vec<(String, Arc<Entity>)>,
    /// Bytes of the items read.
    pub bytes: usize,
    /// Whether there are more after the last one.
    pub more: bool,
    /// How many there are in all, when asked for.
    pub count: Option<u64>,
    /// For links: whether their owner exists.
    pub owner_exists: bool,
}

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
    /// Changed without being known.
    Patched(Patch),
    /// Deleted.
    Gone,
}

/// The writes of a unit over a [`Snapshot`].
#[derive(Debug)]
pub(super) struct Overlay<'s> {
    snapshot: &'s Snapshot,
    states: IndexMap<ItemKey, State>,
    needs: Needs,
}

impl<'s> Overlay<'s> {
    /// Nothing written yet.
    pub(super) fn new(snapshot: &'s Snapshot) -> Self {
        Self { snapshot, states: IndexMap::new(), needs: Needs::default() }
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
        match self.states.get_mut(key) {
            None => {
                self.states.insert(key.clone(), State { base: condition, now: Now::Untouched });
            }
            Some(state) if strength(&condition) > strength(&state.base) => state.base = condition,
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
        if let Some(State { now: Now::Patched(first), .. }) = self.states.get_mut(key) {
            first.merge(patch);
            return;
        }
        self.write(key, Now::Patched(patch));
    }

    fn write(&mut self, key: &ItemKey, now: Now) {
        match self.states.get_mut(key) {
            Some(state) => state.now = now,
            None => {
                self.states.insert(key.clone(), State { base: Condition::None, now });
            }
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
        // Rows that were read before the unit wrote what it has written by now do not count.
        let mut rows = match self.snapshot.collections.get(&index) {
            Some((except, rows)) if *except == wanted.except => rows.clone(),
            _ => {
                self.needs.collections.push((index, wanted));
                return Err(Halt::Need);
            }
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
        for sort in &touched {
            let matching = self.member(&wanted.source, sort)?;
            let matching = matching.filter(|e| wanted.predicate.as_ref().is_none_or(|p| p.matches(e)));
            own.extend(matching.map(|entity| (sort.clone(), entity)));
        }
        wanted.except = touched;
        Ok(own)
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

    /// Items that the unit assumes something of without knowing them.
    pub(super) fn assumed(&self) -> IndexSet<ItemKey> {
        let assumed = self
            .states
            .iter()
            .filter(|(key, state)| state.base != Condition::None && !self.snapshot.items.contains_key(*key));
        assumed.map(|(key, _)| key.clone()).collect()
    }

    /// How many items the unit touches.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// One write for each item that is written or relied upon.
    pub(super) fn into_writes(self) -> Vec<Write> {
        if self.states.values().all(|state| matches!(state.now, Now::Untouched)) {
            return Vec::new();
        }
        let writes = self.states.into_iter().filter_map(|(key, state)| {
            let kind = match (state.now, &state.base) {
                (Now::Untouched, Condition::None) => return None,
                (Now::Untouched, _) | (Now::Gone, Condition::Absent) => WriteKind::Check,
                (Now::Stored(stored), _) => WriteKind::Put(stored, Schedule::Keep),
                (Now::Patched(patch), _) => WriteKind::Patch(patch),
                (Now::Gone, _) => WriteKind::Delete,
            };
            Some(Write { key, kind, condition: state.base })
        });
        writes.collect()
    }
}

/// How much a condition says: the one that implies the other is kept.
fn strength(condition: &Condition) -> u8 {
    match condition {
        Condition::None => 0,
        Condition::Exists => 1,
        Condition::Incarnation(_) => 2,
        Condition::Absent
        | Condition::Version(_)
        | Condition::Sequence(_)
        | Condition::AlternateKey(_)
        | Condition::Claims(_) => 3,
    }
}
