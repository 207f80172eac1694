//! The one record of a unit that decides, and who may write it when.
//!
//! | from | to | who | when |
//! |---|---|---|---|
//! | – | pending | the unit's owner | with the first of its intents, in one transaction |
//! | pending | committed | the owner alone | once all its intents are there |
//! | pending | aborted | anybody | the owner gives up; its lease is over; a unit that began earlier needs an item of it |
//! | committed, aborted | done | anybody | no item of it has an intent or a lock any more |
//!
//! Each is one conditional write. What is decided never changes. A record that is not there stands for an aborted unit: a
//! committed one goes only long after it is done.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnConsumedCapacity::Total, ReturnValuesOnConditionCheckFailure},
};
use jiff::{SignedDuration, Timestamp};

use crate::store::{Deadline, Due, Item, ItemKey, Store, StoreError, attribute};

use super::Owner;

/// Queue of the units that are not done, in the index of what is due.
pub(super) const QUEUE: &str = "U";
/// Sort key of the record, among the parts of the unit.
const RECORD: &str = "-";
/// How long the record and the parts of a unit that is done are kept, in seconds: no write of it is under way any more by
/// then.
const KEPT: i64 = 24 * 60 * 60;

/// What is decided about a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Committed,
    Aborted,
}

/// A unit's record.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) state: State,
    /// Until when others leave it to its owner.
    pub(super) lease: Timestamp,
    /// Its place among all units, by their beginning: what begins with a smaller text goes first.
    pub(super) age: String,
}

impl Decision {
    pub(super) const ABORTED: Self = Self { state: State::Aborted, lease: Timestamp::MIN, age: String::new() };

    /// Reads a record.
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let text = |name: &str| item.get(name).map(attribute::text).transpose();
        let state = match text(attribute::STATE)? {
            Some("pending") => State::Pending,
            Some("committed") => State::Committed,
            Some("aborted") => State::Aborted,
            _ => return Err(StoreError::Corrupt("at a unit's record".into())),
        };
        let lease = text(attribute::LEASE)?.and_then(Due::instant).unwrap_or(Timestamp::MIN);
        Ok(Self { state, lease, age: text(attribute::AGE)?.unwrap_or_default().to_owned() })
    }

    /// The item of a pending unit.
    pub(super) fn item(owner: &Owner<'_>) -> Item {
        let mut item = attribute::key_attributes(&record_key(owner.unit));
        let due = Due { queue: QUEUE.to_owned(), time: Due::text(owner.lease) };
        let texts = [(attribute::STATE, "pending"), (attribute::LEASE, &due.time), (attribute::AGE, owner.age)];
        item.extend(texts.map(|(name, text)| (name.to_owned(), AttributeValue::S(text.to_owned()))));
        item.extend(attribute::due_attributes(&due));
        item
    }
}

/// Partition of a unit: its record and its parts.
pub(super) fn partition(unit: &str) -> String {
    format!("U|{unit}")
}

/// Key of a unit's record.
pub(super) fn record_key(unit: &str) -> ItemKey {
    ItemKey { partition: partition(unit), sort: RECORD.to_owned() }
}

/// The unit that a partition is of.
pub(super) fn unit_of_partition(partition: &str) -> Option<&str> {
    partition.strip_prefix("U|")
}

impl Store {
    /// What is decided about these units, as it is recorded.
    pub(super) async fn recorded(
        &self,
        units: &[String],
        deadline: Deadline,
    ) -> Result<HashMap<String, Decision>, StoreError> {
        let keys: Vec<ItemKey> = units.iter().map(|unit| record_key(unit)).collect();
        let items = self.get_raw(&keys, deadline).await?;
        let decision = |unit: &String| match items.get(&record_key(unit)) {
            Some(item) => Decision::read(item),
            None => Ok(Decision::ABORTED),
        };
        units.iter().map(|unit| Ok((unit.clone(), decision(unit)?))).collect()
    }

    /// The same, once what may be aborted is: by a unit of that age, or by one of none. The oldest goes first.
    pub(super) async fn decided(
        &self,
        units: &[String],
        age: Option<&str>,
        deadline: Deadline,
    ) -> Result<HashMap<String, Decision>, StoreError> {
        let mut decided = self.recorded(units, deadline).await?;
        let mut open: Vec<_> = decided.iter_mut().filter(|(_, one)| self.may_abort(one, age)).collect();
        open.sort_unstable_by(|(_, a), (_, b)| a.age.cmp(&b.age));
        for (unit, decision) in open {
            decision.state = self.decide(unit, State::Aborted, deadline).await?;
        }
        Ok(decided)
    }

    /// When what is left of a unit that is done may go, in seconds since 1970.
    pub(super) fn kept_until(&self) -> i64 {
        let until = (self.staging.now)().saturating_add(SignedDuration::from_secs(KEPT)).unwrap_or(Timestamp::MAX);
        until.as_second()
    }

    /// Commits or aborts a unit, unless it is decided; what is decided then. After a lost answer the second attempt finds
    /// what the first one wrote.
    pub(super) async fn decide(&self, unit: &str, to: State, deadline: Deadline) -> Result<State, StoreError> {
        let text = match to {
            State::Committed => "committed",
            State::Pending | State::Aborted => "aborted",
        };
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(attribute::key_attributes(&record_key(unit))))
            .update_expression(format!("SET {} = :to", attribute::STATE))
            .condition_expression(format!("{} = :pending", attribute::STATE))
            .expression_attribute_values(":to", AttributeValue::S(text.into()))
            .expression_attribute_values(":pending", AttributeValue::S("pending".into()))
            .return_consumed_capacity(Total)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let decide = || async {
            match self.send(request.clone().send()).await {
                Ok(_) => Ok(None),
                Err(error) => refusal(&error).map(Some).ok_or(error),
            }
        };
        match self.retry(decide, deadline).await? {
            None => Ok(to),
            Some(item) if item.is_empty() => Ok(State::Aborted),
            Some(item) => Ok(Decision::read(&item)?.state),
        }
    }

    /// The unit is done: nothing of it is on any item any more.
    pub(super) async fn close(&self, unit: &str, deadline: Deadline) -> Result<(), StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(attribute::key_attributes(&record_key(unit))))
            .update_expression(format!(
                "SET {} = :expires REMOVE {}, {}",
                attribute::EXPIRES,
                attribute::DUE_QUEUE,
                attribute::DUE_TIME
            ))
            .condition_expression(format!("attribute_exists({})", attribute::STATE))
            .expression_attribute_values(":expires", AttributeValue::N(self.kept_until().to_string()))
            .return_consumed_capacity(Total);
        let close = || async {
            match self.send(request.clone().send()).await {
                Ok(_) => Ok(()),
                Err(error) => refusal(&error).map(drop).ok_or(error),
            }
        };
        self.retry(close, deadline).await
    }
}

/// The item that did not meet the condition, where that is the error; empty when there is none.
fn refusal(error: &SdkError<UpdateItemError>) -> Option<Item> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
            Some(refused.item.clone().unwrap_or_default())
        }
        _ => None,
    }
}
