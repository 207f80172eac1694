//! What is due: the index of rows that wait for their time. Only whoever works them off reads it.
//!
//! The index is read eventually consistently: what it says is a hint, and is checked at the row itself. An item is in
//! it as long as it has both attributes.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity::Total};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Deadline, Item, ItemKey, Store, StoreError, attribute, read::item_key};
use crate::edm::DateTimeOffset;

/// Name of the index.
pub(super) const INDEX: &str = "due";

/// A place in the index: the queue, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Partition of the index (attribute `dp`).
    pub queue: String,
    /// When the row is due (attribute `dt`): UTC with milliseconds, so that the order of texts is that of times.
    pub time: String,
}

/// What a patch does to an item's place in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// It stays.
    #[default]
    Keep,
    /// It is due then, and stays until it is done.
    At(Due),
    /// It is done: not due any more, and may go at that time (in seconds since 1970).
    Done {
        /// When DynamoDB may remove the item.
        expires: i64,
    },
}

/// The most rows of a page.
const PAGE: i32 = 500;

/// Rows of the index, in the order of their times.
#[derive(Clone, Debug, Default)]
pub struct DuePage {
    /// Keys of the rows, and when each is due.
    pub rows: Vec<(ItemKey, String)>,
    /// Where the next page begins, when there is one.
    pub next: Option<Item>,
}

impl Due {
    /// The place of what a service wants to send to an endpoint.
    pub fn new(service: &str, endpoint: Uuid, at: Timestamp) -> Self {
        Self { queue: Self::queue(service, endpoint), time: Self::text(at) }
    }

    /// The place of what a service wants done at a target.
    pub fn at_target(service: &str, target: &str, at: Timestamp) -> Self {
        Self { queue: Self::target_queue(service, target), time: Self::text(at) }
    }

    /// The queue of a target.
    pub fn target_queue(service: &str, target: &str) -> String {
        format!("{service}|>{target}")
    }

    /// The queue of an endpoint.
    pub fn queue(service: &str, endpoint: Uuid) -> String {
        format!("{service}|{}", endpoint.as_hyphenated())
    }

    /// A time as the index has it. Later than now by a part of a millisecond is now.
    pub fn text(at: Timestamp) -> String {
        DateTimeOffset::from_timestamp(at, 3).to_string()
    }

    /// When an item is due, if it is.
    pub fn time_of(item: &Item) -> Option<&str> {
        item.get(attribute::DUE_TIME)?.as_s().ok().map(String::as_str)
    }

    /// The time of a text of the index.
    pub fn instant(text: &str) -> Option<Timestamp> {
        DateTimeOffset::parse(text).ok().map(|time| time.instant())
    }
}

impl Store {
    /// A page of a queue, of up to 500 rows, from the row that is due first; `after` is the [`DuePage::next`] of the page before.
    pub async fn due(&self, queue: &str, after: Option<Item>, deadline: Deadline) -> Result<DuePage, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name(INDEX)
            .key_condition_expression("#p = :p")
            .expression_attribute_names("#p", attribute::DUE_QUEUE)
            .expression_attribute_values(":p", AttributeValue::S(queue.to_owned()))
            .set_exclusive_start_key(after)
            .limit(PAGE)
            .return_consumed_capacity(Total);
        let answer = self.retry(|| self.send(request.clone().send()), deadline).await?;
        let mut rows = Vec::with_capacity(answer.items.as_ref().map_or(0, Vec::len));
        for item in answer.items.into_iter().flatten() {
            let time = Due::time_of(&item).unwrap_or_default().to_owned();
            rows.push((item_key(&item)?, time));
        }
        Ok(DuePage { rows, next: answer.last_evaluated_key.filter(|key| !key.is_empty()) })
    }

    /// The last items of a partition whose sort keys are between these two, both included; the last one first.
    pub async fn last(
        &self,
        partition: &str,
        (from, to): (&str, &str),
        limit: i32,
        deadline: Deadline,
    ) -> Result<Vec<(String, Item)>, StoreError> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let request = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("#p = :p AND #s BETWEEN :from AND :to")
            .expression_attribute_names("#p", attribute::PARTITION)
            .expression_attribute_names("#s", attribute::SORT)
            .expression_attribute_values(":p", text(partition))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .scan_index_forward(false)
            .limit(limit)
            .return_consumed_capacity(Total);
        let answer = self.retry(|| self.send(request.clone().send()), deadline).await?;
        answer.items.into_iter().flatten().map(|item| Ok((item_key(&item)?.sort, item))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_index_are_in_the_order_of_their_texts() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let texts =
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.0009Z", "2026-01-01T00:00:00.01Z"].map(at).map(Due::text);
        assert_eq!(texts, ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.010Z"]);
        assert_eq!(Due::instant(&texts[2]), Some(at("2026-01-01T00:00:00.01Z")));
    }

    #[test]
    fn a_queue_belongs_to_an_endpoint_of_a_service() {
        let due = Due::new("fo", Uuid::nil(), Timestamp::UNIX_EPOCH);
        assert_eq!(due.queue, "fo|00000000-0000-0000-0000-000000000000");
        assert_eq!(due.time, "1970-01-01T00:00:00.000Z");
    }
}
