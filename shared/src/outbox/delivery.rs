//! Rows of what is to be delivered: `BusinessEventDeliveries`.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    edm::{DateTimeOffset, ETag, Entity, Incarnation, Record, TypeKind, Value, Version},
    events::{TEST_EVENT, event_id, test_payload},
    store::{Deadline, Due, Item, ItemKey, StoreError, Stored},
};

use super::{
    Outbox, STORE_TIME,
    courier::Attempt,
    desk::{Desk, Mail, item_key},
    endpoint::Endpoint,
    operation,
};

/// Fraction digits of the times of deliveries.
const TIME_DIGITS: u8 = 3;
/// So many attempts are kept with a row.
const ATTEMPTS_KEPT: usize = 50;

/// What is to be delivered, before it has a row.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// The part of the row's key after the endpoint: what it is about, and its place among those about the same.
    pub(super) subject: String,
    pub(super) number: i64,
    pub(super) event_id: Uuid,
    pub(super) business_event_id: &'static str,
    pub(super) legal_entity: String,
    pub(super) control_number: i64,
    /// The job and its generation; `None` for a test event.
    pub(super) job: Option<(i64, i64)>,
    pub(super) payload: String,
    /// The trace of whoever caused it.
    pub(super) trace: Option<String>,
}

impl Parcel {
    /// The event that tests an endpoint, after the change with that operation id.
    pub(super) fn test(desk: &Desk, endpoint: &Endpoint) -> Self {
        let version = &endpoint.etag.version.0;
        let operation = version.split_once('.').map_or(version.as_str(), |(operation, _)| operation);
        let id = event_id(&desk.service.name, operation, 0);
        Self {
            subject: operation.to_owned(),
            number: 0,
            event_id: id,
            business_event_id: TEST_EVENT,
            legal_entity: endpoint.legal_entity.clone(),
            control_number: i64::MIN,
            job: None,
            payload: test_payload(id, &endpoint.legal_entity),
            trace: None,
        }
    }

    /// Its row for an endpoint, due at once. The order of the keys of one endpoint and one subject is that of `number`.
    pub(super) fn row(&self, desk: &Desk, mail: &Mail, endpoint: &Endpoint, now: Timestamp) -> (Entity, Due) {
        let ty = mail.deliveries.ty;
        let text = |text: &str| Value::String(text.to_owned());
        let at = time(now);
        let number = |number: Option<i64>| number.map_or(Value::Null, Value::Integer);
        let values = [
            ("DeliveryId", Value::String(format!("{}.{}.{:012}", endpoint.id, self.subject, self.number))),
            ("EndpointId", Value::Guid(endpoint.id)),
            ("EventId", Value::Guid(self.event_id)),
            ("BusinessEventId", text(self.business_event_id)),
            ("LegalEntity", text(&self.legal_entity)),
            ("ControlNumber", Value::Integer(self.control_number)),
            ("BatchJobRecId", number(self.job.map(|(id, _)| id))),
            ("Generation", number(self.job.map(|(_, generation)| generation))),
            ("Status", desk.member(ty, "Status", "Pending")),
            ("CreatedDateTime", at.clone()),
            ("DueDateTime", at),
            ("AttemptCount", Value::Integer(0)),
            ("Attempts", Value::Collection(Vec::new())),
            ("Payload", text(&self.payload)),
            ("Trace", self.trace.as_deref().map_or(Value::Null, text)),
        ];
        let due = Due::new(&desk.service.name, endpoint.id, now);
        (new_entity(desk, desk.record(ty, values)), due)
    }
}

/// A new entity of the outbox's own.
pub(super) fn new_entity(desk: &Desk, record: Record) -> Entity {
    let lookups = vec![None; desk.model().ty(record.ty).navigation.len()];
    let operation = operation();
    let version = Version(format!("{operation}.0"));
    Entity { record, lookups, incarnation: Incarnation(operation), version, marks: Vec::new() }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Delivered,
    /// Given up.
    Failed,
}

/// A row as it is worked off.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) key: ItemKey,
    pub(super) etag: ETag,
    pub(super) endpoint: Uuid,
    pub(super) state: State,
    /// When it is due, in the words of the index.
    pub(super) due: Option<String>,
    pub(super) event_id: Uuid,
    pub(super) business_event_id: String,
    pub(super) job: Option<i64>,
    pub(super) created: Option<Timestamp>,
    pub(super) payload: String,
    pub(super) trace: String,
    pub(super) attempt_count: i64,
    attempts: Vec<Value>,
}

impl Outbox {
    /// A row as it is now.
    pub(super) async fn row(&self, desk: &Desk, mail: &Mail, key: &ItemKey) -> Result<Option<Delivery>, StoreError> {
        let items = self.store.get(std::slice::from_ref(key), Deadline::after(STORE_TIME)).await?;
        items.get(key).map(|item| Delivery::read(desk, mail, item)).transpose()
    }
}

impl Delivery {
    pub(super) fn read(desk: &Desk, mail: &Mail, item: &Item) -> Result<Self, StoreError> {
        let Stored::Entity(entity) = Stored::from_item(desk.model(), item)? else {
            return Err(StoreError::Corrupt("no delivery".into()));
        };
        let record = &entity.record;
        let get = |name: &str| record.get(desk.model(), name);
        let text = |name: &str| match get(name) {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        let Some(Value::Guid(event_id)) = get("EventId") else {
            return Err(StoreError::Corrupt("a delivery without EventId".into()));
        };
        let Some(Value::Guid(endpoint)) = get("EndpointId") else {
            return Err(StoreError::Corrupt("a delivery without EndpointId".into()));
        };
        Ok(Self {
            key: item_key(desk, &mail.deliveries, record)?,
            etag: entity.etag(),
            endpoint: *endpoint,
            state: match desk.member_name(record, "Status").as_str() {
                "Pending" => State::Pending,
                "Delivered" => State::Delivered,
                _ => State::Failed,
            },
            due: Due::time_of(item).map(str::to_owned),
            event_id: *event_id,
            business_event_id: text("BusinessEventId"),
            job: if let Some(Value::Integer(id)) = get("BatchJobRecId") { Some(*id) } else { None },
            created: if let Some(Value::DateTimeOffset(at)) = get("CreatedDateTime") {
                Some(at.instant())
            } else {
                None
            },
            payload: text("Payload"),
            trace: text("Trace"),
            attempt_count: if let Some(Value::Integer(count)) = get("AttemptCount") { *count } else { 0 },
            attempts: if let Some(Value::Collection(attempts)) = get("Attempts") {
                attempts.clone()
            } else {
                Vec::new()
            },
        })
    }

    /// The attempts of the row and one more; the newest are kept.
    pub(super) fn attempts_with(&self, desk: &Desk, mail: &Mail, begun: Timestamp, attempt: &Attempt) -> Value {
        let mut attempts = self.attempts.clone();
        if let Some(TypeKind::Complex(ty)) = desk.kind(mail.deliveries.ty, "Attempts") {
            let (status, error) = match &attempt.result {
                Ok(status) => (Value::Integer((*status).into()), Value::Null),
                Err(reason) => (Value::Null, Value::String(reason.clone())),
            };
            let milliseconds = i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX);
            let values = [
                ("AttemptDateTime", time(begun)),
                ("StatusCode", status),
                ("Error", error),
                ("DurationMilliseconds", Value::Integer(milliseconds)),
            ];
            attempts.push(Value::Complex(Box::new(desk.record(ty, values))));
        }
        let surplus = attempts.len().saturating_sub(ATTEMPTS_KEPT);
        Value::Collection(attempts.split_off(surplus))
    }
}

/// A time as rows have it.
pub(super) fn time(at: Timestamp) -> Value {
    Value::DateTimeOffset(DateTimeOffset::from_timestamp(at, TIME_DIGITS))
}
