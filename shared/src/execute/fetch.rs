//! Reads what an evaluation needs.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::{try_join, try_join_all};

use crate::{
    edm::{Entity, Model},
    plan::{Collection, Context, Needs, Rows, Snapshot, Source, Wanted},
    store::{Deadline, Item, ItemKey, StoreError, Stored},
};

use super::Engine;

/// Collections that are read side by side.
const COLLECTIONS_AT_ONCE: usize = 8;
/// Links that are read at once when they are filtered.
const LINKS: usize = 100;

impl Engine {
    /// Reads everything at once: keys in batches, collections side by side.
    pub(super) async fn fetch(
        &self,
        context: &Context<'_>,
        needs: Needs,
        snapshot: &mut Snapshot,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let model = &context.service.model;
        let keys: Vec<ItemKey> = needs.items.into_iter().collect();
        let items = async { if keys.is_empty() { Ok(HashMap::new()) } else { self.store.get(&keys, deadline).await } };
        let rows = async {
            let mut all = Vec::with_capacity(needs.collections.len());
            for some in needs.collections.chunks(COLLECTIONS_AT_ONCE) {
                all.extend(try_join_all(some.iter().map(|(_, wanted)| self.rows(model, wanted, deadline))).await?);
            }
            Ok::<_, StoreError>(all)
        };
        let (mut items, rows) = try_join(items, rows).await?;
        for key in keys {
            let stored = items.remove(&key).map(|item| Stored::from_item(model, &item)).transpose()?;
            snapshot.learn(key, stored);
        }
        for ((index, wanted), rows) in needs.collections.iter().zip(rows) {
            snapshot.learn_rows(*index, wanted.except.clone(), rows);
        }
        Ok(())
    }

    async fn rows(&self, model: &Model, wanted: &Wanted, deadline: Deadline) -> Result<Rows, StoreError> {
        match &wanted.source {
            Source::Entities(collection) => {
                let partitions = collection.partitions();
                let found = partitions.iter().map(|partition| self.partition(model, partition, wanted, deadline));
                let found = try_join_all(found).await?;
                let mut rows = Picked::default();
                for picked in found {
                    rows.count += picked.count;
                    rows.rows.extend(picked.rows);
                }
                rows.rows.sort_by(|(a, _), (b, _)| a.cmp(b));
                Ok(rows.finish(wanted, true))
            }
            Source::Links { partition, targets, owner } => {
                self.linked(model, wanted, partition, (targets, owner), deadline).await
            }
        }
    }

    /// The wanted rows of one partition.
    async fn partition(
        &self,
        model: &Model,
        partition: &str,
        wanted: &Wanted,
        deadline: Deadline,
    ) -> Result<Picked, StoreError> {
        let mut picked = Picked::default();
        let mut after = wanted.start();
        while !picked.is_enough(wanted) {
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
        let mut picked = Picked::default();
        let mut after = wanted.start();
        let mut owner_exists = None;
        while owner_exists.is_none() || !picked.is_enough(wanted) {
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
            let items =
                if with_owner.is_empty() { HashMap::new() } else { self.store.get(&with_owner, deadline).await? };
            owner_exists.get_or_insert_with(|| items.contains_key(owner));
            for key in keys {
                if let Some(item) = items.get(&key) {
                    picked.add(wanted, key.sort, entity(model, item)?);
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
#[derive(Debug, Default)]
struct Picked {
    rows: Vec<(String, Arc<Entity>)>,
    count: u64,
}

impl Picked {
    fn add(&mut self, wanted: &Wanted, sort: String, entity: Arc<Entity>) {
        let fits = !wanted.except.contains(&sort) && wanted.predicate.as_ref().is_none_or(|p| p.matches(&entity));
        if !fits {
            return;
        }
        self.count += 1;
        let in_page = wanted.after.as_ref().is_none_or(|after| sort > *after);
        if in_page && self.rows.len() <= wanted.limit {
            self.rows.push((sort, entity));
        }
    }

    /// One row more than wanted tells that there are more.
    fn is_enough(&self, wanted: &Wanted) -> bool {
        !wanted.count && (self.rows.len() > wanted.limit || wanted.limit == 0)
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
        let more = self.rows.len() > wanted.limit;
        self.rows.truncate(wanted.limit);
        Rows { rows: self.rows, more, count: wanted.count.then_some(self.count), owner_exists }
    }
}

impl Wanted {
    /// Where reading starts: a count begins at the beginning.
    fn start(&self) -> Option<String> {
        if self.count { None } else { self.after.clone() }
    }
}

fn entity(model: &Model, item: &Item) -> Result<Arc<Entity>, StoreError> {
    match Stored::from_item(model, item)? {
        Stored::Entity(entity) => Ok(entity),
        _ => Err(StoreError::Corrupt("an entity was expected".into())),
    }
}
