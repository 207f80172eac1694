//! A service's jobs, who is told of them, and where all of it is in the table.

use std::sync::Arc;

use crate::{
    edm::{EntityKey, Model, Record, TypeId, TypeKind, Value},
    jobs::Jobs,
    plan::Collection,
    service::{Service, ServiceError},
    store::{ItemKey, StoreError},
};

/// Properties of `BatchJobHistory` that are written.
const HISTORY: [&str; 7] = ["Incarnation", "Change", "FromStatus", "ToStatus", "ChangedProperties", "EventId", "Trace"];
/// Properties of `BusinessEventEndpoints` that are read or written.
const ENDPOINT: [&str; 10] = [
    "EndpointId",
    "Url",
    "BusinessEventIds",
    "LegalEntity",
    "Format",
    "SendObjectInEventGridData",
    "Secret",
    "Active",
    "DisabledReason",
    "DisabledDateTime",
];
/// Properties of `BusinessEventDeliveries` that are read or written.
const DELIVERY: [&str; 16] = [
    "DeliveryId",
    "EndpointId",
    "EventId",
    "BusinessEventId",
    "LegalEntity",
    "ControlNumber",
    "BatchJobRecId",
    "Generation",
    "Status",
    "CreatedDateTime",
    "DueDateTime",
    "DeliveredDateTime",
    "AttemptCount",
    "Attempts",
    "Payload",
    "Trace",
];

/// The model of a service is not what its outbox needs.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OutboxError(#[from] ServiceError);

/// What an item is to the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Job,
    Endpoint,
    Delivery,
}

/// A service with jobs, from the outbox's side.
pub(super) struct Desk {
    pub(super) service: Arc<Service>,
    pub(super) jobs: Jobs,
    /// What events say they come from: the URL of the service's root.
    pub(super) source: String,
    jobs_at: Collection,
    pub(super) history: Collection,
    /// Endpoints and deliveries, where the service has them.
    pub(super) mail: Option<Mail>,
}

/// Where endpoints and deliveries are.
pub(super) struct Mail {
    pub(super) endpoints: Collection,
    pub(super) deliveries: Collection,
}

impl Desk {
    /// The desk of a service; `None` for one without jobs.
    pub(super) fn new(service: &Arc<Service>, public_url: Option<&str>) -> Result<Option<Self>, OutboxError> {
        let Some(jobs) = service.jobs.clone() else { return Ok(None) };
        let at = |set| Collection::of_set(service, set, None);
        let mail = service.events.map(|sets| Mail { endpoints: at(sets.endpoints), deliveries: at(sets.deliveries) });
        let desk = Self {
            source: format!("{}{}", public_url.unwrap_or_default().trim_end_matches('/'), service.root),
            service: Arc::clone(service),
            jobs_at: at(jobs.set),
            history: at(jobs.history),
            jobs,
            mail,
        };
        service.needs(desk.history.ty, "jobs", &HISTORY)?;
        if let Some(mail) = &desk.mail {
            service.needs(mail.endpoints.ty, "events", &ENDPOINT)?;
            service.needs(mail.deliveries.ty, "events", &DELIVERY)?;
        }
        Ok(Some(desk))
    }

    pub(super) fn model(&self) -> &Model {
        &self.service.model
    }

    /// What the item of a key is.
    pub(super) fn role(&self, key: &ItemKey) -> Option<Role> {
        if self.jobs_at.holds(key) {
            return Some(Role::Job);
        }
        let mail = self.mail.as_ref()?;
        if mail.endpoints.holds(key) {
            return Some(Role::Endpoint);
        }
        mail.deliveries.holds(key).then_some(Role::Delivery)
    }

    /// An item of the outbox's own book-keeping.
    pub(super) fn note(&self, kind: &str, of: &str) -> ItemKey {
        ItemKey { partition: format!("B|{kind}|{}", self.service.name), sort: of.to_owned() }
    }

    /// A new record of a type with these values. [`Self::check`] has seen their names.
    pub(super) fn record<'n>(&self, ty: TypeId, values: impl IntoIterator<Item = (&'n str, Value)>) -> Record {
        Record::of(self.model(), ty, values)
    }

    /// A member of the enumeration that a property of a type has.
    pub(super) fn member(&self, ty: TypeId, property: &str, name: &str) -> Value {
        self.model().member(ty, property, name)
    }

    /// The name of a value of an enumeration.
    pub(super) fn member_name(&self, record: &Record, property: &str) -> String {
        self.model().member_name(record, property)
    }

    pub(super) fn kind(&self, ty: TypeId, property: &str) -> Option<TypeKind> {
        self.model().kind(ty, property)
    }
}

/// The key of a record in its collection.
pub(super) fn item_key(desk: &Desk, collection: &Collection, record: &Record) -> Result<ItemKey, StoreError> {
    let key = EntityKey::of(desk.model(), record).ok_or_else(|| StoreError::Corrupt("a row without its key".into()))?;
    collection.entity_key(&key).map_err(|error| StoreError::Corrupt(error.to_string()))
}
