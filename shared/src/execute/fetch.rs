//! Reads what an evaluation needs, as much of it as is kept in memory at once.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use futures_util::future::{join, join_all, try_join_all};

use crate::{
    edm::{Entity, Model},
    plan::{Collection, Context, Needs, Rows, Snapshot, Source, Wanted},
    store::{Deadline, Item, ItemKey, StoreError, Stored},
};

use super::Engine;

/// Collections that are read side by side.
const COLLECTIONS_AT_ONCE: usize = 8;
/// Items that are read at once: one BatchGetItem.
const ITEMS_AT_ONCE: usize = 100;
/// After so many bytes nothing more is read before what was read has been looked at.
pub(super) const ROUND_BYTES: usize = 8 << 20;
/// So many bytes of rows are enough for a page, however few rows they are.
const PAGE_BYTES: usize = 4 << 20;
/// Links that are read at once when they are filtered.
const LINKS: usize = 100;
/// How often the same is read when units are committed all the time while it is: half of one is never shown.
const MAX_READS: usize = 20;

impl Engine {
    /// Reads what is needed: keys in batches, collections side by side. Where it is a lot, the rest of it stays unread:
    /// it is needed again. Returns the bytes that were read. With an error, the snapshot has what was read before it.
    ///
    /// Of a staged unit that is committed meanwhile all or nothing is seen: else all is read again.
    pub(super) async fn fetch(
        &self,
        context: &Context<'_>,
        needs: Needs,
        snapshot: &mut Snapshot,
        deadline: Deadline,
    ) -> Result<usize, StoreError> {
        let model = &context.service.model;
        let keys: Vec<ItemKey> = needs.items.into_iter().collect();
        let seeing = self.over(self.store.with_sight());
        let mut reads = 0;
        let ((items, items_end), (rows, rows_end)) = loop {
            let items = seeing.items(model, &keys, deadline);
            let rows = seeing.collections(model, &needs.collections, deadline);
            let read = join(items, rows).await;
            reads += 1;
            if seeing.store.is_settled(deadline).await? {
                break read;
            }
            if reads == MAX_READS {
                return Err(StoreError::Contention { attempts: reads });
            }
        };
        let bytes = items.iter().flatten().map(|stored| stored.size(model)).sum::<usize>()
            + rows.iter().flatten().map(|rows| rows.bytes).sum::<usize>();
        for (key, stored) in keys.into_iter().zip(items) {
            snapshot.learn(key, stored);
        }
        for ((index, wanted), rows) in needs.collections.iter().zip(rows) {
            if let Some(rows) = rows {
                snapshot.learn_rows(*index, wanted.clone(), rows);
            }
        }
        items_end.and(rows_end).map(|()| bytes)
    }

    /// The items of the first keys, and what kept the others from being read.
    async fn items(
        &self,
        model: &Model,
        keys: &[ItemKey],
        deadline: Deadline,
    ) -> (Vec<Option<Stored>>, Result<(), StoreError>) {
        let mut all = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for some in keys.chunks(ITEMS_AT_ONCE) {
            if bytes >= ROUND_BYTES {
                break;
            }
            match self.items_at_once(model, some, deadline).await {
                Ok(items) => {
                    bytes += items.iter().flatten().map(|stored| stored.size(model)).sum::<usize>();
                    all.extend(items);
                }
                Err(error) => return (all, Err(error)),
            }
        }
        (all, Ok(()))
    }

    /// The items of these keys.
    async fn items_at_once(
        &self,
        model: &Model,
        keys: &[ItemKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<Stored>>, StoreError> {
        in_time(deadline)?;
        let mut items = self.store.get(keys, deadline).await?;
        keys.iter().map(|key| items.remove(key).map(|item| Stored::from_item(model, &item)).transpose()).collect()
    }

    /// The rows of the first collections, as far as they could be read, and what kept others from it.
    async fn collections(
        &self,
        model: &Model,
        wanted: &[(usize, Wanted)],
        deadline: Deadline,
    ) -> (Vec<Option<Rows>>, Result<(), StoreError>) {
        let mut all = Vec::with_capacity(wanted.len());
        let (mut bytes, mut end) = (0, Ok(()));
        for some in wanted.chunks(COLLECTIONS_AT_ONCE) {
            if bytes >= ROUND_BYTES || end.is_err() {
                break;
            }
            for rows in join_all(some.iter().map(|(_, wanted)| self.rows(model, wanted, deadline))).await {
                bytes += rows.as_ref().map_or(0, |rows| rows.bytes);
                all.push(rows.map_err(|error| end = Err(error)).ok());
            }
        }
        (all, end)
    }

    async fn rows(&self, model: &Model, wanted: &Wanted, deadline: Deadline) -> Result<Rows, StoreError> {
        match &wanted.source {
            Source::Entities(collection) => {
                let partitions = collection.partitions();
                let picked = || match partitions.len() {
                    0 | 1 => Picked::new(PAGE_BYTES, wanted.passed_over()),
                    // Which rows are passed over shows when those of all partitions are merged.
                    shards => Picked::new(PAGE_BYTES / shards, 0),
                };
                let found =
                    partitions.iter().map(|partition| self.partition(model, partition, wanted, picked(), deadline));
                Ok(Picked::merge(try_join_all(found).await?).finish(wanted, true))
            }
            Source::Links { partition, targets, owner } => {
                self.linked(model, wanted, partition, (targets, owner), deadline).await
            }
        }
    }

    /// Picks the wanted rows of one partition.
    async fn partition(
        &self,
        model: &Model,
        partition: &str,
        wanted: &Wanted,
        mut picked: Picked,
        deadline: Deadline,
    ) -> Result<Picked, StoreError> {
        let mut after = wanted.start();
        while !picked.is_enough(wanted) {
            in_time(deadline)?;
            let page = self
                .store
                .page(partition, wanted.prefix.as_deref(), after.as_deref(), picked.hint(wanted), deadline)
                .await?;
            for (sort, item) in page.items {
                picked.add(wanted, sort, entity(model, &item)?);
            }
            after = page.last;
            if after.is_none() {
                break;
            }
        }
        Ok(picked)
    }

    /// The wanted targets of links: a page of links, then their targets in a batch; the owner comes along.
    async fn linked(
        &self,
        model: &Model,
        wanted: &Wanted,
        partition: &str,
        (targets, owner): (&Collection, &ItemKey),
        deadline: Deadline,
    ) -> Result<Rows, StoreError> {
        let mut picked = Picked::new(PAGE_BYTES, wanted.passed_over());
        let mut after = wanted.start();
        let mut owner_exists = None;
        while owner_exists.is_none() || !picked.is_enough(wanted) {
            in_time(deadline)?;
            let hint = picked.hint(wanted).map_or(LINKS, |hint| hint as usize);
            let page = self
                .store
                .page(partition, wanted.prefix.as_deref(), after.as_deref(), u32::try_from(hint).ok(), deadline)
                .await?;
            let mut keys = Vec::with_capacity(page.items.len() + 1);
            for (sort, _) in &page.items {
                let key = targets.key(sort.clone()).map_err(|e| StoreError::Corrupt(e.to_string()))?;
                keys.push(key);
            }
            let with_owner = keys.iter().cloned().chain(owner_exists.is_none().then(|| owner.clone()));
            let with_owner: Vec<ItemKey> = with_owner.collect();
            in_time(deadline)?;
            let items =
                if with_owner.is_empty() { HashMap::new() } else { self.store.get(&with_owner, deadline).await? };
            if owner_exists.is_none() {
                let entity = items.get(owner).map(|item| entity(model, item)).transpose()?;
                picked.note("", entity.as_ref().map(|(entity, _)| &**entity));
                owner_exists = Some(entity.is_some());
            }
            for key in keys {
                match items.get(&key) {
                    Some(item) => picked.add(wanted, key.sort, entity(model, item)?),
                    None => picked.note(&key.sort, None),
                }
            }
            after = page.last;
            if after.is_none() {
                break;
            }
        }
        Ok(picked.finish(wanted, owner_exists.unwrap_or(false)))
    }
}

/// Rows picked so far.
#[derive(Debug)]
struct Picked {
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
    fn new(room: usize, skip: usize) -> Self {
        let seen = DefaultHasher::new();
        Self { rows: Vec::new(), count: 0, bytes: 0, room, skip, full: false, seen }
    }

    /// The rows of all partitions of a collection, up to where the first of them had no more room.
    fn merge(parts: Vec<Self>) -> Self {
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
    fn note(&mut self, sort: &str, entity: Option<&Entity>) {
        (sort, entity.map(|entity| (&entity.incarnation, &entity.version))).hash(&mut self.seen);
    }

    fn add(&mut self, wanted: &Wanted, sort: String, (entity, bytes): (Arc<Entity>, usize)) {
        self.note(&sort, Some(&entity));
        let fits = !wanted.except.contains(&sort) && wanted.predicate.as_ref().is_none_or(|p| p.matches(&entity));
        if !fits {
            return;
        }
        self.count += 1;
        let in_page = wanted.after.as_ref().is_none_or(|after| sort > *after);
        if !in_page || self.full || self.rows.len() > wanted.limit {
            return;
        }
        if self.rows.len() < self.skip {
            // Only its place counts: any entity will do there.
            let entity = self.rows.first().map_or(entity, |(_, first)| Arc::clone(first));
            self.rows.push((sort, entity));
            return;
        }
        if self.bytes > 0 && self.bytes + bytes > self.room {
            self.full = true;
            return;
        }
        self.bytes += bytes;
        self.rows.push((sort, entity));
    }

    /// One row more than wanted tells that there are more.
    fn is_enough(&self, wanted: &Wanted) -> bool {
        !wanted.count && (self.full || self.rows.len() > wanted.limit || wanted.limit == 0)
    }

    /// How many items to ask for, when each is a row.
    fn hint(&self, wanted: &Wanted) -> Option<u32> {
        if wanted.count || wanted.predicate.is_some() {
            return None;
        }
        let missing = wanted.limit.saturating_add(1 + wanted.except.len()).saturating_sub(self.rows.len());
        Some(u32::try_from(missing).unwrap_or(u32::MAX).max(1))
    }

    fn finish(mut self, wanted: &Wanted, owner_exists: bool) -> Rows {
        let more = self.full || self.rows.len() > wanted.limit;
        self.rows.truncate(wanted.limit);
        let (count, seen) = (wanted.count.then_some(self.count), self.seen.finish());
        Rows { rows: self.rows, bytes: self.bytes, more, count, owner_exists, seen }
    }
}

impl Wanted {
    /// How many of the first rows are never shown. Where the unit itself wrote some, all may be.
    fn passed_over(&self) -> usize {
        if self.except.is_empty() { self.skip } else { 0 }
    }

    /// Where reading starts: a count begins at the beginning.
    fn start(&self) -> Option<String> {
        if self.count { None } else { self.after.clone() }
    }
}

/// Another call to the table is begun only as long as it can end in time.
pub(super) fn in_time(deadline: Deadline) -> Result<(), StoreError> {
    if deadline.is_over() { Err(StoreError::OutOfTime) } else { Ok(()) }
}

/// An entity and its bytes.
fn entity(model: &Model, item: &Item) -> Result<(Arc<Entity>, usize), StoreError> {
    let stored = Stored::from_item(model, item)?;
    let bytes = stored.size(model);
    match stored {
        Stored::Entity(entity) => Ok((entity, bytes)),
        _ => Err(StoreError::Corrupt("an entity was expected".into())),
    }
}
