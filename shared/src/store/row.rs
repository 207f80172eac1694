//! Rows that are written once: what makes them may run again and changes nothing.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnConsumedCapacity::Total, ReturnValue},
};

use super::{Deadline, Due, ItemKey, Store, StoreError, Stored, attribute};
use crate::edm::{Entity, Model};

impl Store {
    /// Writes an entity unless there is an item with its key. True when it was written now; after a lost answer it
    /// may be there by this call and the answer is false all the same.
    pub async fn insert(
        &self,
        model: &Model,
        key: &ItemKey,
        entity: &Entity,
        due: Option<&Due>,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let mut item = attribute::item(model, key, &Stored::Entity(entity.clone().into()));
        item.insert(attribute::PREVIOUS_VERSION.into(), AttributeValue::S(attribute::NO_VERSION.into()));
        item.extend(due.into_iter().flat_map(attribute::due_attributes));
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#p)")
            .expression_attribute_names("#p", attribute::PARTITION)
            .return_consumed_capacity(Total);
        // A refusal is an answer, which a repeat would not change.
        let insert = || async {
            match self.send(request.clone().send()).await {
                Ok(_) => Ok(true),
                Err(SdkError::ServiceError(e))
                    if matches!(e.err(), PutItemError::ConditionalCheckFailedException(_)) =>
                {
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        };
        self.retry(insert, deadline).await
    }

    /// Takes `count` numbers from a counter; the last of them. A repeat after a lost answer leaves a gap.
    pub async fn take_numbers(&self, counter: &ItemKey, count: u32, deadline: Deadline) -> Result<i64, StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(attribute::key_attributes(counter)))
            .update_expression("ADD #n :count")
            .expression_attribute_names("#n", attribute::NUMBER)
            .expression_attribute_values(":count", AttributeValue::N(count.to_string()))
            .return_values(ReturnValue::UpdatedNew)
            .return_consumed_capacity(Total);
        let answer = self.retry(|| self.send(request.clone().send()), deadline).await?;
        let number = answer.attributes.as_ref().and_then(|item| item.get(attribute::NUMBER));
        attribute::integer(number.ok_or_else(|| StoreError::Corrupt("a counter without a number".into()))?)
    }

    /// Writes a note of the service for itself over what was there; `expires` is in seconds since 1970.
    pub async fn put_note(
        &self,
        key: &ItemKey,
        text: &str,
        expires: i64,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let mut item = attribute::key_attributes(key);
        item.insert(attribute::NOTE.into(), AttributeValue::S(text.to_owned()));
        item.insert(attribute::EXPIRES.into(), AttributeValue::N(expires.to_string()));
        let request =
            self.client.put_item().table_name(&*self.table).set_item(Some(item)).return_consumed_capacity(Total);
        self.retry(|| self.send(request.clone().send()), deadline).await.map(drop)
    }

    /// Removes a note, if it is there.
    pub async fn remove_note(&self, key: &ItemKey, deadline: Deadline) -> Result<(), StoreError> {
        let request = self.client.delete_item().table_name(&*self.table);
        let request = request.set_key(Some(attribute::key_attributes(key))).return_consumed_capacity(Total);
        self.retry(|| self.send(request.clone().send()), deadline).await.map(drop)
    }

    /// The text of a note.
    pub fn note_text(item: &super::Item) -> Option<&str> {
        item.get(attribute::NOTE)?.as_s().ok().map(String::as_str)
    }
}

impl StoreError {
    /// Whether the same could succeed later: the table did not answer, or not as it should. What cannot be read or is
    /// too large, or not what DynamoDB takes, stays so.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::OutcomeUnknown(_)
            | Self::Unavailable(_)
            | Self::OutOfTime
            | Self::Contention { .. }
            | Self::Refused(_) => true,
            Self::ItemTooLarge | Self::Invalid(_) | Self::Corrupt(_) => false,
        }
    }
}
