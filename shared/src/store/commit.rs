//! Commits: one request for a unit of work, and its outcome known for sure before anyone is told.
//!
//! Every write ends as committed, refused or unknown. Unknown (a timeout, a lost connection, a 5xx) is resolved by
//! the identical request: a transaction carries a `ClientRequestToken`, a single write carries the unit's operation
//! id into the item, where a refused repeat finds it again. (`reference/aws-facts.md`, DynamoDB.)

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        put_item::PutItemError,
        transact_write_items::{TransactWriteItemsError, builders::TransactWriteItemsFluentBuilder},
        update_item::UpdateItemError,
    },
    types::{CancellationReason, ReturnConsumedCapacity::Total, ReturnValuesOnConditionCheckFailure},
};
use tokio::time::Instant;

use crate::edm::Model;

use super::{
    Condition, Item, ItemKey, Store, StoreError, Stored, Write, WriteKind, attribute,
    attribute::NO_VERSION,
    error::{said, told},
    read::backoff,
    staged::{Obstacle, Stage},
    write,
};

/// Until when calls to the table may be begun. The last one may go on for [`super::ATTEMPT_TIMEOUT`] beyond it.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// That long from now.
    pub fn after(budget: Duration) -> Self {
        Self(Instant::now() + budget)
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        self.is_before(Duration::ZERO)
    }

    /// The same, earlier by `pause`.
    #[must_use]
    pub fn sooner(self, pause: Duration) -> Self {
        Self(self.0.checked_sub(pause).unwrap_or(self.0))
    }

    /// How long it is until then.
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed once `pause` more has gone by.
    pub fn is_before(&self, pause: Duration) -> bool {
        Instant::now() + pause >= self.0
    }
}

/// How a commit ended, when that is known.
#[derive(Debug)]
pub enum Commit {
    /// All of it is stored.
    Done,
    /// Nothing is stored: these items do not meet their conditions. They are as given here (`None`: absent).
    Refused(Vec<(ItemKey, Option<Stored>)>),
    /// Nothing is stored: another transaction held one of the items.
    Conflict,
}

/// How one attempt ended.
pub(super) enum Attempt {
    Done,
    Refused(Vec<(ItemKey, Option<Item>)>),
    Conflict,
    Throttled(String),
    Unknown(String),
    Fatal(String),
}

impl Store {
    /// Writes all of `writes` or nothing. `operation` is the unit's operation id, unique to this commit; it is the
    /// request token and the first part of each version written.
    pub async fn commit(
        &self,
        model: &Model,
        writes: &[Write],
        operation: &str,
        deadline: Deadline,
    ) -> Result<Commit, StoreError> {
        if self.is_staged(model, writes) {
            return Box::pin(self.commit_staged(model, writes, &mut Stage::new(self), deadline)).await;
        }
        let transaction = self.transaction(model, writes, operation);
        let mut unknown = false;
        for pause in backoff() {
            let (attempt, reason) = match self.attempt(model, writes, operation, transaction.as_ref()).await {
                Attempt::Done => return Ok(Commit::Done),
                Attempt::Refused(items) => match trace(writes, &items, operation) {
                    Trace::Found => return Ok(Commit::Done),
                    Trace::Covered if unknown => {
                        return Err(StoreError::OutcomeUnknown("other writers came after it".into()));
                    }
                    Trace::Covered | Trace::Missing => {
                        let obstacles = Obstacle::among(writes, &items);
                        if obstacles.is_empty() {
                            return refused(model, items);
                        }
                        Box::pin(self.clear_way(obstacles, None, deadline)).await?;
                        return Ok(Commit::Conflict);
                    }
                },
                Attempt::Conflict => {
                    self.meter.count_conflict();
                    if !unknown {
                        return Ok(Commit::Conflict);
                    }
                    ("conflict", String::new())
                }
                Attempt::Throttled(reason) => {
                    self.meter.count_throttle();
                    ("throttled", reason)
                }
                Attempt::Unknown(reason) => {
                    unknown = true;
                    ("unknown", reason)
                }
                Attempt::Fatal(reason) if unknown => return Err(StoreError::OutcomeUnknown(reason)),
                Attempt::Fatal(reason) if is_item_size(&reason) => return Err(StoreError::ItemTooLarge),
                Attempt::Fatal(reason) => return Err(StoreError::Refused(reason)),
            };
            tracing::debug!(attempt, reason, "commit not answered yet");
            if deadline.is_before(pause) {
                return Err(if unknown { StoreError::OutcomeUnknown(reason) } else { StoreError::Unavailable(reason) });
            }
            tokio::time::sleep(pause).await;
        }
        Err(if unknown {
            StoreError::OutcomeUnknown("no answer".into())
        } else {
            StoreError::Unavailable("throttled".into())
        })
    }

    async fn attempt(
        &self,
        model: &Model,
        writes: &[Write],
        operation: &str,
        transaction: Option<&TransactWriteItemsFluentBuilder>,
    ) -> Attempt {
        match transaction {
            Some(request) => {
                let keys: Vec<&ItemKey> = writes.iter().map(|write| &write.key).collect();
                self.transact(&keys, request.clone()).await
            }
            None => self.single(model, writes, operation).await,
        }
    }

    /// The transaction that a commit needs, if it needs one. It is built once: the token stands for this request and
    /// no other.
    fn transaction(&self, model: &Model, writes: &[Write], operation: &str) -> Option<TransactWriteItemsFluentBuilder> {
        if writes.is_empty() || matches!(writes, [only] if refuses_itself(only)) {
            return None;
        }
        let items = writes.iter().map(|w| write::transact_item(model, w, &self.table, operation)).collect();
        let request = self.client.transact_write_items().return_consumed_capacity(Total);
        Some(request.set_transact_items(Some(items)).client_request_token(operation))
    }

    /// One item: half the cost of a transaction.
    async fn single(&self, model: &Model, writes: &[Write], operation: &str) -> Attempt {
        let Some(single) = writes.first() else { return Attempt::Done };
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let expression = write::expression(model, single, operation);
        if let WriteKind::Put(stored, schedule) = &single.kind {
            let item = write::put_item(model, single, (stored, schedule));
            let request = self.client.put_item().table_name(&*self.table).set_item(Some(item));
            let request = request
                .set_condition_expression(expression.condition)
                .set_expression_attribute_names(expression.names)
                .set_expression_attribute_values(expression.values)
                .return_consumed_capacity(Total)
                .return_values_on_condition_check_failure(old);
            return match self.send(request.send()).await {
                Ok(_) => Attempt::Done,
                Err(SdkError::ServiceError(e)) => match e.into_err() {
                    PutItemError::ConditionalCheckFailedException(e) => {
                        Attempt::Refused(vec![(single.key.clone(), e.item)])
                    }
                    e => service_error(&e),
                },
                Err(e) => transport_error(&e),
            };
        }
        let request = self.client.update_item().table_name(&*self.table);
        let request = request
            .set_key(Some(attribute::key_attributes(&single.key)))
            .set_update_expression(expression.update)
            .set_condition_expression(expression.condition)
            .set_expression_attribute_names(expression.names)
            .set_expression_attribute_values(expression.values)
            .return_consumed_capacity(Total)
            .return_values_on_condition_check_failure(old);
        match self.send(request.send()).await {
            Ok(_) => Attempt::Done,
            Err(SdkError::ServiceError(e)) => match e.into_err() {
                UpdateItemError::ConditionalCheckFailedException(e) => {
                    Attempt::Refused(vec![(single.key.clone(), e.item)])
                }
                e => service_error(&e),
            },
            Err(e) => transport_error(&e),
        }
    }

    /// One attempt at a transaction with one action on each of these items.
    pub(super) async fn transact(&self, keys: &[&ItemKey], request: TransactWriteItemsFluentBuilder) -> Attempt {
        match self.send(request.send()).await {
            Ok(_) => Attempt::Done,
            Err(SdkError::ServiceError(e)) => match e.into_err() {
                TransactWriteItemsError::TransactionCanceledException(e) => {
                    cancelled(keys, e.cancellation_reasons.unwrap_or_default())
                }
                TransactWriteItemsError::TransactionInProgressException(_) => Attempt::Unknown("in progress".into()),
                e => service_error(&e),
            },
            Err(e) => transport_error(&e),
        }
    }
}

/// Whether a write that is repeated has no second effect. Any other put could overwrite what came after the first time.
fn refuses_itself(write: &Write) -> bool {
    use Condition::{Absent, Free, Version, Writer};
    match &write.kind {
        WriteKind::Patch(_) => true,
        WriteKind::Put(..) => matches!(write.condition, Absent | Version(_) | Free(_) | Writer(_)),
        WriteKind::Claim(_) | WriteKind::Delete | WriteKind::Check => false,
    }
}

/// The reasons of a cancelled transaction, one an action. A failed condition outranks a conflict: it can be told.
fn cancelled(keys: &[&ItemKey], reasons: Vec<CancellationReason>) -> Attempt {
    let mut refused = Vec::new();
    let mut conflict = false;
    let mut throttled = false;
    let mut fatal = None;
    for (&key, reason) in keys.iter().zip(reasons) {
        match reason.code.as_deref() {
            None | Some("None") => {}
            Some("ConditionalCheckFailed") => refused.push((key.clone(), reason.item)),
            Some("TransactionConflict") => conflict = true,
            Some("ThrottlingError" | "ProvisionedThroughputExceeded") => throttled = true,
            Some(other) => fatal = Some(format!("{other}: {}", reason.message.unwrap_or_default())),
        }
    }
    match fatal {
        Some(reason) => Attempt::Fatal(reason),
        None if !refused.is_empty() => Attempt::Refused(refused),
        None if throttled && !conflict => Attempt::Throttled("ThrottlingError".into()),
        None => Attempt::Conflict,
    }
}

/// An error that DynamoDB answered with.
fn service_error(error: &impl ProvideErrorMetadata) -> Attempt {
    let text = said(error);
    match error.code() {
        Some("TransactionConflictException") => Attempt::Conflict,
        Some(code) if is_throttle(code) => Attempt::Throttled(code.to_owned()),
        Some(
            "ValidationException"
            | "AccessDeniedException"
            | "ResourceNotFoundException"
            | "IdempotentParameterMismatchException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException",
        ) => Attempt::Fatal(text),
        _ => Attempt::Unknown(text),
    }
}

/// Whether an error code says "slow down": nothing was done.
pub(super) fn is_throttle(code: &str) -> bool {
    matches!(code, "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded")
}

/// No answer from DynamoDB. A request that could not even be built was not sent.
fn transport_error<E>(error: &SdkError<E>) -> Attempt
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let text = told(error);
    match error {
        SdkError::ConstructionFailure(_) => Attempt::Fatal(text),
        _ => Attempt::Unknown(text),
    }
}

/// What the item that refuses a single write tells of an attempt whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trace {
    /// That attempt changed it.
    Found,
    /// That attempt did not.
    Missing,
    /// So much happened to the item that it cannot tell.
    Covered,
}

/// An item shows its last two writers, and which write created it. (A transaction has its token and needs no trace.)
fn trace(writes: &[Write], items: &[(ItemKey, Option<Item>)], operation: &str) -> Trace {
    let ([Write { kind, condition, .. }], [(_, item)]) = (writes, items) else { return Trace::Missing };
    if matches!(kind, WriteKind::Delete | WriteKind::Check) {
        return Trace::Missing;
    }
    let marks = item.as_ref().and_then(|item| attribute::marks(item).ok()).unwrap_or_default();
    if marks.iter().any(|mark| mark == operation) {
        return Trace::Found;
    }
    let text = |name: &str| item.as_ref()?.get(name)?.as_s().ok().map(String::as_str);
    let (version, previous) = (text(attribute::VERSION), text(attribute::PREVIOUS_VERSION));
    let is_own = |version: &str| version.split_once('.').is_some_and(|(by, _)| by == operation);
    if version.is_some_and(is_own) || previous.is_some_and(is_own) {
        return Trace::Found;
    }
    let incarnation = text(attribute::INCARNATION);
    match (kind, condition) {
        (WriteKind::Put(Stored::Entity(entity), _), Condition::Absent) => {
            if incarnation == Some(&entity.incarnation.0) { Trace::Found } else { Trace::Missing }
        }
        (WriteKind::Put(Stored::Kept(kept), _), _) => {
            if text(attribute::WRITER) == Some(&kept.writer) {
                Trace::Found
            } else {
                Trace::Missing
            }
        }
        (_, Condition::Version(old)) if incarnation == Some(&old.incarnation.0) => {
            // Somebody else's write is what followed the version expected here, or nothing came before that write.
            let told = [old.version.0.as_str(), NO_VERSION].map(Some);
            if told.contains(&previous) { Trace::Missing } else { Trace::Covered }
        }
        // It is not there, or another one is there by now: nothing of that attempt is left either way.
        _ => Trace::Missing,
    }
}

/// Whether DynamoDB refused a write because the item would become too large.
pub(super) fn is_item_size(reason: &str) -> bool {
    reason.contains("Item size")
}

/// The items that refused a commit, understood.
pub(super) fn refused(model: &Model, items: Vec<(ItemKey, Option<Item>)>) -> Result<Commit, StoreError> {
    let items = items.into_iter().map(|(key, item)| {
        let stored = item.filter(|item| !item.is_empty()).map(|item| Stored::from_item(model, &item)).transpose()?;
        Ok((key, stored))
    });
    items.collect::<Result<_, _>>().map(Commit::Refused)
}
