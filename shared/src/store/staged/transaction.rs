//! The transactions of a staged unit: each is repeated until its outcome is known.

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity::Total, TransactWriteItem};
use uuid::Uuid;

use crate::store::{
    Deadline, Item, ItemKey, Store, StoreError, attribute,
    commit::{Attempt, is_item_size},
    read::backoff,
    write::Builder,
};

use super::{
    End, Owner,
    decision::{Decision, record_key},
    intent::{locks_of, unit_of},
    part::{self, Grip, Part},
    way::Obstacle,
};

/// An action, and the item that it is about.
pub(super) type Action = (ItemKey, TransactWriteItem);

/// How a transaction ended.
pub(super) enum Ran {
    Done,
    /// Nothing happened: these items do not meet their conditions.
    Refused(Vec<(ItemKey, Option<Item>)>),
}

impl Store {
    /// Runs a transaction. One that meets another under way is begun again.
    pub(super) async fn run(&self, actions: &[Action], deadline: Deadline) -> Result<Ran, StoreError> {
        let keys: Vec<&ItemKey> = actions.iter().map(|(key, _)| key).collect();
        let request = self.client.transact_write_items().return_consumed_capacity(Total);
        let request = request.set_transact_items(Some(actions.iter().map(|(_, action)| action.clone()).collect()));
        let mut request = request.client_request_token(Uuid::new_v4().to_string());
        let mut unknown = false;
        let mut last = String::new();
        for pause in backoff() {
            match self.transact(&keys, request.clone()).await {
                Attempt::Done => return Ok(Ran::Done),
                Attempt::Refused(items) => return Ok(Ran::Refused(items)),
                Attempt::Conflict => {
                    self.meter.count_conflict();
                    if !unknown {
                        request = request.client_request_token(Uuid::new_v4().to_string());
                    }
                }
                Attempt::Throttled(reason) => {
                    self.meter.count_throttle();
                    last = reason;
                }
                Attempt::Unknown(reason) => (unknown, last) = (true, reason),
                Attempt::Fatal(reason) if is_item_size(&reason) => return Err(StoreError::ItemTooLarge),
                Attempt::Fatal(reason) => return Err(StoreError::Refused(reason)),
            }
            if deadline.is_before(pause) {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        Err(StoreError::Unavailable(last))
    }

    /// Takes the items of a part, with the record of its unit if it is the first one.
    pub(super) async fn take(
        &self,
        mut part: Part,
        owner: &Owner<'_>,
        is_first: bool,
        deadline: Deadline,
    ) -> Result<End, StoreError> {
        let table = &*self.table;
        loop {
            if deadline.is_over() {
                return Err(StoreError::OutOfTime);
            }
            let mut actions: Vec<Action> =
                part.items.iter().map(|taken| (taken.key.clone(), taken.take(table, owner.unit))).collect();
            // What is held already is written down already.
            if part.items.iter().any(|taken| !taken.is_held) {
                actions.push((part.key(owner.unit), part.write_down(table, owner)));
            }
            if is_first {
                let condition = format!("attribute_not_exists({})", attribute::PARTITION);
                let record = part::put(table, Decision::item(owner), condition, Builder::default());
                actions.push((record_key(owner.unit), record));
            }
            let Ran::Refused(items) = self.run(&actions, deadline).await? else {
                return Ok(End::Taken(part));
            };
            let (mut refused, mut obstacles) = (Vec::new(), Vec::new());
            for (key, item) in items {
                let item = item.filter(|item| !item.is_empty());
                // The part or the record is there: an attempt that was given up arrived after all.
                let Some(taken) = part.items.iter_mut().find(|taken| taken.key == key) else {
                    return Ok(End::GivesWay);
                };
                // Somebody has aborted the unit and taken its intent off.
                if taken.is_held {
                    return Ok(End::GivesWay);
                }
                match item {
                    Some(item) if is_in_the_way(&item, &taken.grip) => obstacles.push(Obstacle { key, item }),
                    item if taken.guess_again(item.as_ref()) => {}
                    item => refused.push((key, item)),
                }
            }
            if !refused.is_empty() {
                return Ok(End::Refused(refused));
            }
            if !obstacles.is_empty() && !self.clear_way(obstacles, Some(owner.age), deadline).await? {
                return Ok(End::GivesWay);
            }
        }
    }

    /// Gives back items of a decided unit, and ends their part. What others gave back already is left as it is.
    pub(super) async fn give_back(
        &self,
        mut actions: Vec<Action>,
        part: &ItemKey,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let expires = self.kept_until();
        loop {
            if deadline.is_over() {
                return Err(StoreError::OutOfTime);
            }
            let mut all = actions.clone();
            all.push((part.clone(), Part::end(&self.table, part, expires)));
            let Ran::Refused(items) = self.run(&all, deadline).await? else { return Ok(()) };
            actions.retain(|(key, _)| !items.iter().any(|(refused, _)| refused == key));
        }
    }
}

/// Whether another unit has what this one wants.
fn is_in_the_way(item: &Item, grip: &Grip) -> bool {
    unit_of(item).is_some() || matches!(grip, Grip::Alone(_)) && !locks_of(item).is_empty()
}
