//! Reads what an evaluation needs, as much of it as is kept in memory at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::future::{join, join_all};

use crate::{
    edm::Model,
    plan::{Collection, Context, Needs, Rows, Snapshot, Source, Wanted},
    store::{Deadline, ItemKey, StoreError, Stored},
};

use super::{
    Engine,
    picked::Picked,
    scan::{Plan, entity},
};

/// Collections that are read side by side.
const COLLECTIONS_AT_ONCE: usize = 8;
/// Items that are read at once: one BatchGetItem.
const ITEMS_AT_ONCE: usize = 100;
/// After so many bytes nothing more is read before what was read has been looked at.
pub(super) const ROUND_BYTES: usize = 8 << 20;
/// So many bytes of rows are enough for a page, however few rows they are.
pub(super) const PAGE_BYTES: usize = 4 << 20;
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
        let bytes = items.iter().flatten().map(|stored| stored.size(model)).sum::<usize>() + distinct_bytes(&rows);
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

    /// The rows of the first collections, as far as they could be read, and what kept others from it. Those that want the
    /// same are read once, and those of one partition together ([`scan`](super::scan)).
    async fn collections(
        &self,
        model: &Model,
        wanted: &[(usize, Wanted)],
        deadline: Deadline,
    ) -> (Vec<Option<Arc<Rows>>>, Result<(), StoreError>) {
        let plan = Plan::of(wanted.iter().map(|(_, wanted)| wanted));
        let mut found: Vec<Option<Arc<Rows>>> = vec![None; plan.distinct.len()];
        let (mut bytes, mut end) = (0, Ok(()));
        for some in plan.groups.chunks(COLLECTIONS_AT_ONCE) {
            if bytes >= ROUND_BYTES || end.is_err() {
                break;
            }
            let room = ROUND_BYTES / some.len();
            let read = some.iter().map(|group| self.group(model, &plan.distinct, group, room, deadline));
            for (group, rows) in some.iter().zip(join_all(read).await) {
                // Of a group, the first may have been read alone: the others are needed again.
                for (place, rows) in group.iter().zip(rows.unwrap_or_else(|error| {
                    end = Err(error);
                    Vec::new()
                })) {
                    bytes += rows.bytes;
                    if let Some(found) = found.get_mut(*place) {
                        *found = Some(Arc::new(rows));
                    }
                }
            }
        }
        (plan.places.iter().map(|place| found.get(*place).cloned().flatten()).collect(), end)
    }

    /// The rows of the first of a group, at least of one.
    async fn group(
        &self,
        model: &Model,
        distinct: &[&Wanted],
        group: &[usize],
        room: usize,
        deadline: Deadline,
    ) -> Result<Vec<Rows>, StoreError> {
        let group: Vec<&Wanted> = group.iter().filter_map(|place| distinct.get(*place).copied()).collect();
        let Some(first) = group.first() else { return Ok(Vec::new()) };
        match &first.source {
            Source::Entities(collection) => self.scan(model, collection, &group, room, deadline).await,
            Source::Links { partition, targets, owner } => {
                Ok(vec![self.linked(model, first, partition, (targets, owner), deadline).await?])
            }
        }
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
        let mut after = wanted.start().map(str::to_owned);
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
                    Some(item) => {
                        let (entity, bytes) = entity(model, item)?;
                        picked.add(wanted, &key.sort, &entity, bytes);
                    }
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

/// Another call to the table is begun only as long as it can end in time.
pub(super) fn in_time(deadline: Deadline) -> Result<(), StoreError> {
    if deadline.is_over() { Err(StoreError::OutOfTime) } else { Ok(()) }
}

/// The bytes of rows, those that several have in common once.
fn distinct_bytes(all: &[Option<Arc<Rows>>]) -> usize {
    let mut seen = HashSet::new();
    all.iter().flatten().filter(|rows| seen.insert(Arc::as_ptr(rows))).map(|rows| rows.bytes).sum()
}
