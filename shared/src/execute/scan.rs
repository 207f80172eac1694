//! Reading along partitions, once for all who want rows of them.
//!
//! A batch may ask a thousand times for rows of one collection. What it asks for is known before anything is read, so a
//! partition is read once for all of its filters: each page is looked at by all who still want something. How much is held
//! for them is bounded, and so is the time of looking; where it is more, the last of them go away and come again.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::{
    edm::{Entity, Model},
    plan::{Collection, Rows, Source, Wanted},
    store::{Deadline, Item, StoreError, Stored},
};

use super::{
    Engine,
    fetch::{PAGE_BYTES, in_time},
    picked::Picked,
    share::Share,
};

/// Bytes of a row in memory beside its sort key and its entity.
const ROW: usize = 48;
/// After so many looks at rows it is asked whether other requests are to have their turn.
const LOOKS: usize = 2_000;
/// A scan of so many pages is short: it waits for no other.
const SHORT: usize = 4;
/// After so long at looking, half of those who look go away, and again after each further time.
const LOOKING: Duration = Duration::from_secs(2);
/// With so many of the last different ones of a group another is compared: those that are not found equal are read
/// together all the same.
const COMPARED: usize = 64;

/// How to read what is wanted.
#[derive(Debug)]
pub(super) struct Plan<'w> {
    /// Each that differs from all others, once.
    pub(super) distinct: Vec<&'w Wanted>,
    /// Which of them each is that is wanted.
    pub(super) places: Vec<usize>,
    /// Those that are read together, the first first.
    pub(super) groups: Vec<Vec<usize>>,
}

/// A range that is read in one go.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Reach<'w> {
    partition: &'w str,
    /// The owner of links.
    owner: Option<&'w str>,
    prefix: Option<&'w str>,
    /// Whether they read no more than they show.
    bounded: bool,
    /// Where reading begins, for those: others read to the end anyway.
    start: Option<&'w str>,
}

impl<'w> Plan<'w> {
    /// Finds equal ones, and those that read the same.
    pub(super) fn of(wanted: impl Iterator<Item = &'w Wanted>) -> Self {
        let mut plan = Self { distinct: Vec::new(), places: Vec::new(), groups: Vec::new() };
        let mut of_reach: HashMap<Reach<'w>, (usize, Vec<usize>)> = HashMap::new();
        for wanted in wanted {
            let (group, alike) = of_reach.entry(Reach::of(wanted)).or_insert_with(|| {
                plan.groups.push(Vec::new());
                (plan.groups.len() - 1, Vec::new())
            });
            let is_same = |place: &&usize| plan.distinct.get(**place).is_some_and(|other| other.finds_same(wanted));
            let place = alike.iter().rev().take(COMPARED).find(is_same).copied();
            let place = place.unwrap_or_else(|| {
                let place = plan.distinct.len();
                plan.distinct.push(wanted);
                alike.push(place);
                // Links are followed for each on its own.
                match (&wanted.source, plan.groups.get_mut(*group)) {
                    (Source::Entities(_), Some(group)) => group.push(place),
                    (Source::Links { .. }, Some(group)) if group.is_empty() => group.push(place),
                    _ => plan.groups.push(vec![place]),
                }
                place
            });
            plan.places.push(place);
        }
        plan
    }
}

impl<'w> Reach<'w> {
    fn of(wanted: &'w Wanted) -> Self {
        let (partition, owner) = match &wanted.source {
            Source::Entities(collection) => (collection.partition.as_str(), None),
            Source::Links { partition, owner, .. } => (partition.as_str(), Some(owner.sort.as_str())),
        };
        let bounded = !wanted.count && wanted.predicate.is_none();
        Self { partition, owner, prefix: wanted.prefix.as_deref(), bounded, start: wanted.start().filter(|_| bounded) }
    }
}

/// One who wants rows, and what is picked for them.
struct Picker<'w> {
    wanted: &'w Wanted,
    picked: Picked,
    /// Bytes that are held for them. An entity that several picked is shared among them.
    held: usize,
}

impl Engine {
    /// The rows that the first of these want of a collection, as many as `room` bytes are enough for; at least those of the
    /// very first.
    pub(super) async fn scan(
        &self,
        model: &Model,
        collection: &Collection,
        group: &[&Wanted],
        room: usize,
        deadline: Deadline,
    ) -> Result<Vec<Rows>, StoreError> {
        let partitions = collection.partitions();
        let shards = partitions.len().max(1);
        let scans = partitions.iter().map(|partition| {
            let pickers = group.iter().map(|wanted| {
                // Which rows are passed over shows when those of all partitions are merged.
                let skip = if shards == 1 { wanted.passed_over() } else { 0 };
                Picker { wanted, picked: Picked::new(PAGE_BYTES / shards, skip), held: 0 }
            });
            self.partition(model, partition, pickers.collect(), room / shards, deadline)
        });
        let mut scans: Vec<_> = try_join_all(scans).await?.into_iter().map(Vec::into_iter).collect();
        let mut rows = Vec::with_capacity(group.len());
        for wanted in group {
            let parts: Option<Vec<Picked>> = scans.iter_mut().map(Iterator::next).collect();
            let Some(parts) = parts else { break };
            rows.push(Picked::merge(parts).finish(wanted, true));
        }
        Ok(rows)
    }

    /// Picks the wanted rows of one partition, for as many of the first as `room` bytes are enough for.
    async fn partition(
        &self,
        model: &Model,
        partition: &str,
        mut pickers: Vec<Picker<'_>>,
        room: usize,
        deadline: Deadline,
    ) -> Result<Vec<Picked>, StoreError> {
        let prefix = pickers.first().and_then(|first| first.wanted.prefix.clone());
        // Without a start, reading begins at the beginning: that is the least.
        let mut after = pickers.iter().map(|one| one.wanted.start()).min().flatten().map(str::to_owned);
        let (mut share, mut looking, mut patience) = (Share::begin(), Duration::ZERO, LOOKING);
        let (mut pages, mut long) = (0, None);
        while pickers.iter().any(|one| !one.picked.is_enough(one.wanted)) {
            in_time(deadline)?;
            if pages == SHORT && long.is_none() {
                let leave = timeout(deadline.left(), self.long_scans.acquire()).await;
                long = Some(leave.map_err(|_| StoreError::OutOfTime)?);
            }
            pages += 1;
            let hint = hint(&pickers);
            let page = self.store.page(partition, prefix.as_deref(), after.as_deref(), hint, deadline).await?;
            after = page.last;
            let (mut looks, begun) = (0, Instant::now());
            for (sort, item) in page.items {
                let (entity, bytes) = entity(model, &item)?;
                show(&mut pickers, &sort, &entity, bytes);
                looks += pickers.len();
                if looks > LOOKS {
                    looks = 0;
                    share.pass().await;
                }
            }
            looking += begun.elapsed();
            if looking > patience {
                // Too many look for the time that there is: the first of them are answered at least.
                pickers.truncate(pickers.len().div_ceil(2));
                patience += LOOKING;
            }
            while pickers.len() > 1 && pickers.iter().map(|one| one.held).sum::<usize>() > room {
                pickers.truncate(pickers.len() / 2);
            }
            if after.is_none() {
                break;
            }
            // Between pages nothing of a page is held.
            share.pass().await;
        }
        Ok(pickers.into_iter().map(|one| one.picked).collect())
    }
}

/// Lets all look at an entity.
fn show(pickers: &mut [Picker<'_>], sort: &str, entity: &Arc<Entity>, bytes: usize) {
    let mut takers = 0;
    for one in pickers.iter_mut() {
        let took = one.picked.add(one.wanted, sort, entity, bytes);
        takers += usize::from(took);
        one.held += if took { sort.len() + ROW } else { 0 };
    }
    if takers > 0 {
        let last = |one: &&mut Picker<'_>| one.picked.ends_with(sort);
        pickers.iter_mut().filter(last).for_each(|one| one.held += bytes / takers);
    }
}

/// How many items to ask for: as many as the one who wants most, when each is a row.
fn hint(pickers: &[Picker<'_>]) -> Option<u32> {
    let unsatisfied = pickers.iter().filter(|one| !one.picked.is_enough(one.wanted));
    unsatisfied.map(|one| one.picked.hint(one.wanted)).try_fold(1, |most, hint| Some(most.max(hint?)))
}

/// An entity and its bytes.
pub(super) fn entity(model: &Model, item: &Item) -> Result<(Arc<Entity>, usize), StoreError> {
    let stored = Stored::from_item(model, item)?;
    let bytes = stored.size(model);
    match stored {
        Stored::Entity(entity) => Ok((entity, bytes)),
        _ => Err(StoreError::Corrupt("an entity was expected".into())),
    }
}
