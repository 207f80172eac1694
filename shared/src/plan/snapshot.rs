//! What is known of the store, and what else has to be read.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use indexmap::IndexSet;

use crate::{
    edm::Entity,
    query::Predicate,
    store::{Condition, ItemKey, Stored, Write, WriteKind},
};

use super::place::Collection;

/// What is known of the store.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) items: HashMap<ItemKey, Option<Stored>>,
    collections: HashMap<usize, (Wanted, Arc<Rows>)>,
}

impl Snapshot {
    /// Adds an item, or that there is none.
    pub fn learn(&mut self, key: ItemKey, stored: Option<Stored>) {
        self.items.insert(key, stored);
    }

    /// The items of which it is known what is there, or that nothing is.
    pub fn known(&self) -> impl Iterator<Item = &ItemKey> {
        self.items.keys()
    }

    /// Whether it is known what is there, or that nothing is.
    pub fn knows(&self, key: &ItemKey) -> bool {
        self.items.contains_key(key)
    }

    /// The entity with that key, if one is known.
    pub fn entity(&self, key: &ItemKey) -> Option<&Entity> {
        match self.items.get(key)? {
            Some(Stored::Entity(entity)) => Some(entity),
            _ => None,
        }
    }

    /// Adds the rows that the request with that index asked for.
    pub fn learn_rows(&mut self, index: usize, wanted: Wanted, rows: Arc<Rows>) {
        self.collections.insert(index, (wanted, rows));
    }

    /// The rows that the request with that index asks for. Those that were read before the unit wrote what it has written
    /// by now do not count, nor do those of another place that its path led to.
    pub(super) fn rows(&self, index: usize, wanted: &Wanted) -> Option<&Rows> {
        let (read, rows) = self.collections.get(&index)?;
        read.is_same(wanted).then_some(rows)
    }

    /// Forgets the rows of a request that is answered.
    pub fn forget_rows(&mut self, index: usize) {
        self.collections.remove(&index);
    }

    /// Makes the entities among all rows known as items: whoever changes one relies on what was seen of it.
    pub fn learn_from_rows(&mut self) {
        for (wanted, rows) in self.collections.values() {
            let (Source::Entities(collection) | Source::Links { targets: collection, .. }) = &wanted.source;
            // Rows that are passed over may stand for others.
            for (sort, entity) in rows.rows.iter().skip(wanted.skip) {
                if let Ok(key) = collection.key(sort.clone()) {
                    self.items.entry(key).or_insert_with(|| Some(Stored::Entity(Arc::clone(entity))));
                }
            }
        }
    }

    /// What of these needs is not known yet.
    pub fn lacks(&self, asked: &Needs) -> Needs {
        let items = asked.items.iter().filter(|key| !self.items.contains_key(*key));
        let unread = |(index, wanted): &&(usize, Wanted)| self.rows(*index, wanted).is_none();
        Needs {
            items: items.cloned().collect(),
            collections: asked.collections.iter().filter(unread).cloned().collect(),
        }
    }

    /// Whether all that is known here is known to `later` as the same: the same versions, the same absences, the same
    /// rows in the same order.
    pub fn agrees(&self, later: &Self) -> bool {
        let same_item = |(key, item): (&ItemKey, &Option<Stored>)| {
            later.items.get(key).is_some_and(|other| same(item.as_ref(), other.as_ref()))
        };
        let summary = |rows: &Rows| (rows.seen, rows.rows.len(), rows.more, rows.count, rows.owner_exists);
        let same_rows = |(index, (wanted, rows)): (&usize, &(Wanted, Arc<Rows>))| {
            later.rows(*index, wanted).is_some_and(|other| summary(rows) == summary(other))
        };
        self.items.iter().all(same_item) && self.collections.iter().all(same_rows)
    }

    /// Makes writes depend on what is known of their items. Returns the checks that make a commit depend on all else that
    /// is known.
    pub fn hold(&self, writes: &mut [Write]) -> Vec<Write> {
        let mut checks = self.items.clone();
        for write in writes {
            let Some(known) = checks.remove(&write.key).map(|known| condition(known.as_ref())) else { continue };
            if strength(&known) > strength(&write.condition) {
                write.condition = known;
            }
        }
        let check = |(key, known): (ItemKey, Option<Stored>)| Write {
            key,
            kind: WriteKind::Check,
            condition: condition(known.as_ref()),
        };
        let mut checks: Vec<Write> = checks.into_iter().map(check).collect();
        checks.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        checks
    }
}

/// What an evaluation has to know before it can go on.
#[derive(Clone, Debug, Default)]
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

    /// Adds another's, whose collections take the place of those of the same requests.
    pub fn update(&mut self, other: Self) {
        let newer: HashSet<usize> = other.collections.iter().map(|(index, _)| *index).collect();
        self.collections.retain(|(index, _)| !newer.contains(index));
        self.merge(other);
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

impl Wanted {
    /// Whether both find the same rows, whichever request wants them.
    pub fn finds_same(&self, other: &Self) -> bool {
        let bounds = |one: &Self| (one.limit, one.skip, one.count);
        self.is_same(other)
            && bounds(self) == bounds(other)
            && (&self.prefix, &self.after) == (&other.prefix, &other.after)
            && self.predicate == other.predicate
    }

    /// Whether the same request finds the same rows by both.
    fn is_same(&self, other: &Self) -> bool {
        self.source == other.source && self.except == other.except
    }
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq)]
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
    /// A digest of all that was looked at to find them, in order: keys and versions.
    pub seen: u64,
}

/// Whether two reads of an item saw the same. A version never comes back.
fn same(one: Option<&Stored>, other: Option<&Stored>) -> bool {
    match (one, other) {
        (Some(Stored::Entity(one)), Some(Stored::Entity(other))) => one.etag() == other.etag(),
        _ => one == other,
    }
}

/// How much a condition says: the one that implies the other is kept.
pub(super) fn strength(condition: &Condition) -> u8 {
    match condition {
        Condition::None => 0,
        Condition::Exists => 1,
        Condition::Incarnation(_) => 2,
        Condition::Absent
        | Condition::Version(_)
        | Condition::Sequence(_)
        | Condition::AlternateKey(_)
        | Condition::Claims(_)
        | Condition::Free(_)
        | Condition::Writer(_) => 3,
    }
}

/// What holds of an item that is as it was read.
fn condition(known: Option<&Stored>) -> Condition {
    match known {
        None => Condition::Absent,
        Some(Stored::Entity(entity)) => Condition::Version(entity.etag()),
        Some(Stored::AlternateKey(target)) => Condition::AlternateKey(target.clone()),
        Some(Stored::Sequence(sequence)) => Condition::Sequence(Some(sequence.clone())),
        Some(_) => Condition::Exists,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sequence;

    fn key(sort: &str) -> ItemKey {
        ItemKey { partition: "p".into(), sort: sort.into() }
    }

    fn snapshot(items: &[(&str, Option<Stored>)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (sort, stored) in items {
            snapshot.learn(key(sort), stored.clone());
        }
        snapshot
    }

    #[test]
    fn snapshots_agree_where_all_that_is_known_stays() {
        let link = Some(Stored::Link);
        let before = snapshot(&[("a", link.clone()), ("b", None)]);
        assert!(before.agrees(&snapshot(&[("a", link.clone()), ("b", None), ("c", None)])));
        assert!(!before.agrees(&snapshot(&[("a", link.clone())])), "it is not known any more");
        assert!(!before.agrees(&snapshot(&[("a", None), ("b", None)])));
        assert!(!before.agrees(&snapshot(&[("a", link.clone()), ("b", link)])));
    }

    #[test]
    fn rows_agree_where_all_that_was_looked_at_stays() {
        let wanted = |owner: &str| {
            let ty = crate::edm::TypeId(0);
            let targets = Collection { partition: "E".into(), shards: 1, ty, set: None, path: "Es".into() };
            let source = Source::Links { partition: "L".into(), targets, owner: key(owner) };
            let (prefix, after, predicate, except) = (None, None, None, HashSet::new());
            Wanted { source, prefix, after, limit: 10, skip: 0, count: false, predicate, except }
        };
        let rows = |seen, more| {
            let mut snapshot = Snapshot::default();
            snapshot.learn_rows(3, wanted("owner"), Arc::new(Rows { more, seen, ..Rows::default() }));
            snapshot
        };
        assert!(rows(1, false).agrees(&rows(1, false)));
        assert!(!rows(1, false).agrees(&rows(2, false)) && !rows(1, false).agrees(&rows(1, true)));
        assert!(!rows(1, false).agrees(&Snapshot::default()));
        assert!(
            rows(1, false).rows(3, &wanted("owner")).is_some() && rows(1, false).rows(3, &wanted("other")).is_none()
        );
    }

    #[test]
    fn a_commit_holds_what_was_read() {
        let counted = Sequence { number: 7, of: "p".into() };
        let known = snapshot(&[("a", None), ("b", Some(Stored::Sequence(counted.clone()))), ("c", Some(Stored::Link))]);
        let write = |sort: &str, condition| Write { key: key(sort), kind: WriteKind::Delete, condition };
        let mut writes = [write("a", Condition::None), write("d", Condition::Exists)];
        let checks = known.hold(&mut writes);
        assert_eq!(writes, [write("a", Condition::Absent), write("d", Condition::Exists)]);
        let conditions: Vec<_> = checks.iter().map(|check| (check.key.sort.as_str(), &check.condition)).collect();
        assert_eq!(conditions, [("b", &Condition::Sequence(Some(counted))), ("c", &Condition::Exists)]);
        assert!(checks.iter().all(|check| check.kind == WriteKind::Check));
    }
}
