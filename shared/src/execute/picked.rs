//! Which of the rows that are read are picked, for one who wants some.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use crate::{
    edm::Entity,
    plan::{Rows, Wanted},
};

use super::fetch::PAGE_BYTES;

/// Rows picked so far.
#[derive(Debug)]
pub(super) struct Picked {
    rows: Vec<(String, Arc<Entity>)>,
    count: u64,
    /// Of the rows.
    bytes: usize,
    /// How many of these are enough.
    room: usize,
    /// How many of the first rows are never shown.
    skip: usize,
    /// A row had no room, so none after it is picked.
    full: bool,
    /// Digests all that was looked at. Not of use against who can choose versions: nobody can.
    seen: DefaultHasher,
}

impl Picked {
    /// Nothing yet; `room` bytes are enough, and the first `skip` rows are passed over.
    pub(super) fn new(room: usize, skip: usize) -> Self {
        let seen = DefaultHasher::new();
        Self { rows: Vec::new(), count: 0, bytes: 0, room, skip, full: false, seen }
    }

    /// The rows of all partitions of a collection, up to where the first of them had no more room.
    pub(super) fn merge(parts: Vec<Self>) -> Self {
        let mut all = Self::new(PAGE_BYTES, 0);
        let ends = parts.iter().filter(|part| part.full).filter_map(|part| part.rows.last());
        let end = ends.map(|(sort, _)| sort.clone()).min();
        for part in parts {
            all.count += part.count;
            all.bytes += part.bytes;
            all.full |= part.full;
            part.seen.finish().hash(&mut all.seen);
            all.rows.extend(part.rows);
        }
        all.rows.retain(|(sort, _)| end.as_ref().is_none_or(|end| sort <= end));
        all.rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Remembers what was looked at: the version under a sort key, or that there is none.
    pub(super) fn note(&mut self, sort: &str, entity: Option<&Entity>) {
        (sort, entity.map(|entity| (&entity.incarnation, &entity.version))).hash(&mut self.seen);
    }

    /// Looks at the next entity; whether it is picked. Those before the first that is wanted, and those after the last, are
    /// not looked at: what else was read beside them makes no difference.
    pub(super) fn add(&mut self, wanted: &Wanted, sort: &str, entity: &Arc<Entity>, bytes: usize) -> bool {
        if self.is_enough(wanted) || wanted.start().is_some_and(|start| sort <= start) {
            return false;
        }
        self.note(sort, Some(entity));
        let fits = !wanted.except.contains(sort) && wanted.predicate.as_ref().is_none_or(|p| p.matches(entity));
        if !fits {
            return false;
        }
        self.count += 1;
        let in_page = wanted.after.as_deref().is_none_or(|after| sort > after);
        if !in_page || self.full || self.rows.len() > wanted.limit {
            return false;
        }
        if self.rows.len() < self.skip {
            // Only its place counts: any entity will do there.
            let entity = self.rows.first().map_or(entity, |(_, first)| first);
            self.rows.push((sort.to_owned(), Arc::clone(entity)));
            return true;
        }
        if self.bytes > 0 && self.bytes + bytes > self.room {
            self.full = true;
            return false;
        }
        self.bytes += bytes;
        self.rows.push((sort.to_owned(), Arc::clone(entity)));
        true
    }

    /// Whether the last row that is picked is this one.
    pub(super) fn ends_with(&self, sort: &str) -> bool {
        self.rows.last().is_some_and(|(last, _)| last == sort)
    }

    /// One row more than wanted tells that there are more.
    pub(super) fn is_enough(&self, wanted: &Wanted) -> bool {
        !wanted.count && (self.full || self.rows.len() > wanted.limit || wanted.limit == 0)
    }

    /// How many items to ask for, when each is a row.
    pub(super) fn hint(&self, wanted: &Wanted) -> Option<u32> {
        if wanted.count || wanted.predicate.is_some() {
            return None;
        }
        let missing = wanted.limit.saturating_add(1 + wanted.except.len()).saturating_sub(self.rows.len());
        Some(u32::try_from(missing).unwrap_or(u32::MAX).max(1))
    }

    /// The rows for an answer.
    pub(super) fn finish(mut self, wanted: &Wanted, owner_exists: bool) -> Rows {
        let more = self.full || self.rows.len() > wanted.limit;
        self.rows.truncate(wanted.limit);
        let (count, seen) = (wanted.count.then_some(self.count), self.seen.finish());
        Rows { rows: self.rows, bytes: self.bytes, more, count, owner_exists, seen }
    }
}

impl Wanted {
    /// How many of the first rows are never shown. Where the unit itself wrote some, all may be.
    pub(super) fn passed_over(&self) -> usize {
        if self.except.is_empty() { self.skip } else { 0 }
    }

    /// Where reading starts: a count begins at the beginning.
    pub(super) fn start(&self) -> Option<&str> {
        if self.count { None } else { self.after.as_deref() }
    }
}
