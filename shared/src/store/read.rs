//! Reads: by key in batches or at one instant, and page by page along a partition. All strongly consistent, none through
//! an index.

use std::{collections::HashMap, future::Future, time::Duration};

use aws_sdk_dynamodb::{
    error::{ErrorMetadata, ProvideErrorMetadata, SdkError},
    operation::{query::builders::QueryFluentBuilder, transact_get_items::TransactGetItemsError},
    types::{AttributeValue, Get, KeysAndAttributes, ReturnConsumedCapacity::Total, TransactGetItem},
};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::try_join_all;

use super::{
    Deadline, Item, ItemKey, Store, StoreError, attribute, commit::is_item_size, commit::is_throttle, error::told,
    staged,
};

/// DynamoDB's limit of keys in a BatchGetItem.
const BATCH_KEYS: usize = 100;
/// So many times a read of one instant meets a transaction at one of its items before it is given up.
const CONFLICTS: usize = 3;

/// A page along a partition.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Sort keys and items, in key order.
    pub items: Vec<(String, Item)>,
    /// The sort key to go on after, when there is more.
    pub last: Option<String>,
}

/// The pauses between attempts: jittered, growing, bounded.
pub(super) fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(15))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(40)
        .with_jitter()
        .build()
}

impl Store {
    /// The items of these keys; absent ones are missing in the answer. Duplicate keys are read once. Items that undecided
    /// units have are what they are without these.
    pub async fn get(&self, keys: &[ItemKey], deadline: Deadline) -> Result<HashMap<ItemKey, Item>, StoreError> {
        self.see_by_key(self.get_raw(keys, deadline).await?, deadline).await
    }

    /// The items of these keys, with what units have left on them.
    pub(super) async fn get_raw(
        &self,
        keys: &[ItemKey],
        deadline: Deadline,
    ) -> Result<HashMap<ItemKey, Item>, StoreError> {
        let mut keys: Vec<&ItemKey> = keys.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        if let [key] = keys.as_slice() {
            let item = self.get_one(key, deadline).await?;
            return Ok(item.map(|item| ((*key).clone(), item)).into_iter().collect());
        }
        let chunks = keys.chunks(BATCH_KEYS).map(|chunk| self.get_chunk(chunk, deadline));
        Ok(try_join_all(chunks).await?.into_iter().flatten().collect())
    }

    async fn get_one(&self, key: &ItemKey, deadline: Deadline) -> Result<Option<Item>, StoreError> {
        let request = || {
            let request = self.client.get_item().table_name(&*self.table).consistent_read(true);
            let request = request.set_key(Some(attribute::key_attributes(key))).return_consumed_capacity(Total);
            self.send(request.send())
        };
        Ok(self.retry(request, deadline).await?.item)
    }

    async fn get_chunk(&self, keys: &[&ItemKey], deadline: Deadline) -> Result<Vec<(ItemKey, Item)>, StoreError> {
        let mut wanted: Vec<Item> = keys.iter().map(|key| attribute::key_attributes(key)).collect();
        let mut found = Vec::with_capacity(wanted.len());
        for pause in backoff() {
            let request = || {
                let keys = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(wanted.clone())).build();
                let request = self.client.batch_get_item().return_consumed_capacity(Total);
                let request = keys.map(|keys| request.request_items(&*self.table, keys));
                self.send(async { request.map_err(SdkError::construction_failure)?.send().await })
            };
            let answer = self.retry(request, deadline).await?;
            for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                found.push((item_key(&item)?, item));
            }
            let unprocessed = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, keys)| keys.keys);
            wanted = unprocessed.collect();
            if wanted.is_empty() {
                return Ok(found);
            }
            if deadline.is_before(pause) {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        Err(StoreError::Unavailable("keys stayed unprocessed".into()))
    }

    /// The items of these keys, at most [`super::TRANSACTION_ITEMS`], all at one instant; absent ones are missing in the
    /// answer. Duplicate keys are read once. `None`: they weigh more than DynamoDB reads at once, or others keep writing
    /// them.
    pub async fn at_once(
        &self,
        keys: &[ItemKey],
        deadline: Deadline,
    ) -> Result<Option<HashMap<ItemKey, Item>>, StoreError> {
        let mut keys: Vec<&ItemKey> = keys.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        if let [key] = keys.as_slice() {
            return self.get(std::slice::from_ref(*key), deadline).await.map(Some);
        }
        // Records of the units that have some of the items: what is decided has to be of the same instant.
        let mut records: Vec<ItemKey> = Vec::new();
        let mut pauses = backoff().take(CONFLICTS - 1);
        loop {
            let all: Vec<&ItemKey> = keys.iter().copied().chain(&records).collect();
            if all.len() > super::TRANSACTION_ITEMS {
                return Ok(None);
            }
            match self.retry(|| self.transact_get(&all), deadline).await {
                Ok(Some(found)) => {
                    let found = found.into_iter().map(|item| Ok((item_key(&item)?, item)));
                    let found = found.collect::<Result<_, StoreError>>()?;
                    let lacking = staged::records_lacking(&found, &records);
                    if lacking.is_empty() {
                        return staged::at_instant(found, &records).map(Some);
                    }
                    records.extend(lacking);
                    continue;
                }
                Ok(None) => self.meter.count_conflict(),
                Err(StoreError::Invalid(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
            match pauses.next() {
                Some(pause) if !deadline.is_before(pause) => tokio::time::sleep(pause).await,
                _ => return Ok(None),
            }
        }
    }

    /// The items that are there of these keys; `None` where a transaction had one of them.
    async fn transact_get(&self, keys: &[&ItemKey]) -> Result<Option<Vec<Item>>, SdkError<TransactGetItemsError>> {
        let get = |key: &&ItemKey| {
            let get = Get::builder().table_name(&*self.table).set_key(Some(attribute::key_attributes(key))).build();
            get.map(|get| TransactGetItem::builder().get(get).build())
        };
        let gets = keys.iter().map(get).collect::<Result<_, _>>().map_err(SdkError::construction_failure)?;
        let request = self.client.transact_get_items().set_transact_items(Some(gets)).return_consumed_capacity(Total);
        match self.send(request.send()).await {
            Ok(answer) => Ok(Some(answer.responses.into_iter().flatten().filter_map(|one| one.item).collect())),
            Err(error) if cancelled_by(&error, "TransactionConflict") => Ok(None),
            Err(error) => Err(named(error)),
        }
    }

    /// Up to `limit` items of a partition (`None`: as many as one answer holds) whose sort keys begin with `prefix` and
    /// come after `after`. Items that undecided units have are what they are without these.
    pub async fn page(
        &self,
        partition: &str,
        prefix: Option<&str>,
        after: Option<&str>,
        limit: Option<u32>,
        deadline: Deadline,
    ) -> Result<Page, StoreError> {
        let (items, last) = self.page_raw(partition, prefix, after, limit, deadline).await?;
        let items = self.see(items, deadline).await?;
        let items = items.into_iter().map(|item| Ok((item_key(&item)?.sort, item)));
        Ok(Page { items: items.collect::<Result<_, StoreError>>()?, last })
    }

    /// The same with what units have left on the items, and the sort key to go on after.
    pub(super) async fn page_raw(
        &self,
        partition: &str,
        prefix: Option<&str>,
        after: Option<&str>,
        limit: Option<u32>,
        deadline: Deadline,
    ) -> Result<(Vec<Item>, Option<String>), StoreError> {
        let mut request = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .expression_attribute_names("#p", attribute::PARTITION)
            .expression_attribute_values(":p", AttributeValue::S(partition.to_owned()))
            .set_limit(limit.map(|l| i32::try_from(l).unwrap_or(i32::MAX)))
            .return_consumed_capacity(Total);
        let sort = |request: QueryFluentBuilder, condition: &str, value: &str| {
            let request = request.expression_attribute_names("#s", attribute::SORT);
            let request = request.expression_attribute_values(":s", AttributeValue::S(value.to_owned()));
            request.key_condition_expression(format!("#p = :p AND {condition}"))
        };
        request = match (prefix, after) {
            (None, None) => request.key_condition_expression("#p = :p"),
            (None, Some(after)) => sort(request, "#s > :s", after),
            (Some(prefix), None) => sort(request, "begins_with(#s, :s)", prefix),
            (Some(prefix), Some(after)) => {
                let key = ItemKey { partition: partition.to_owned(), sort: after.to_owned() };
                let request = sort(request, "begins_with(#s, :s)", prefix);
                request.set_exclusive_start_key(Some(attribute::key_attributes(&key)))
            }
        };
        let answer = self.retry(|| self.send(request.clone().send()), deadline).await?;
        let last = answer.last_evaluated_key.filter(|key| !key.is_empty());
        let last = last.map(|key| item_key(&key).map(|key| key.sort)).transpose()?;
        Ok((answer.items.unwrap_or_default(), last))
    }

    /// Repeats a read until it is answered, refused for good or the time is up.
    pub(super) async fn retry<T, E, F, R>(&self, mut request: F, deadline: Deadline) -> Result<T, StoreError>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut pauses = backoff();
        loop {
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let text = told(&error);
            let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
            if code.is_some_and(is_throttle) {
                self.meter.count_throttle();
            }
            let lasting = match (&error, code) {
                (SdkError::ConstructionFailure(_), _) => true,
                (SdkError::ServiceError(e), Some(code)) => {
                    e.raw().status().is_client_error() && !is_throttle(code) && code != "TransactionConflictException"
                }
                _ => false,
            };
            if lasting {
                return Err(match code {
                    Some("ValidationException") if is_item_size(&text) => StoreError::ItemTooLarge,
                    Some("ValidationException") => StoreError::Invalid(text),
                    _ => StoreError::Refused(text),
                });
            }
            match pauses.next() {
                Some(pause) if !deadline.is_before(pause) => tokio::time::sleep(pause).await,
                _ => return Err(StoreError::Unavailable(text)),
            }
        }
    }
}

/// The primary key of an item.
pub(super) fn item_key(item: &Item) -> Result<ItemKey, StoreError> {
    let part =
        |name: &str| item.get(name).ok_or_else(|| StoreError::Corrupt("no key".into())).and_then(attribute::text);
    Ok(ItemKey { partition: part(attribute::PARTITION)?.into(), sort: part(attribute::SORT)?.into() })
}

/// Whether a read of several items was cancelled for this reason at one of them.
fn cancelled_by(error: &SdkError<TransactGetItemsError>, code: &str) -> bool {
    match error.as_service_error() {
        Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some(code))
        }
        _ => false,
    }
}

/// A cancelled read under the name that its reason has elsewhere.
fn named(error: SdkError<TransactGetItemsError>) -> SdkError<TransactGetItemsError> {
    let throttled = ["ThrottlingError", "ProvisionedThroughputExceeded"].iter().any(|code| cancelled_by(&error, code));
    let code = if throttled { "ThrottlingException" } else { "ValidationException" };
    error.map_service_error(|error| match error {
        TransactGetItemsError::TransactionCanceledException(cancelled) => {
            let message = cancelled.message().unwrap_or_default();
            TransactGetItemsError::generic(ErrorMetadata::builder().code(code).message(message).build())
        }
        other => other,
    })
}
