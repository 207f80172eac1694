//! Endpoints as the outbox reads them. Nothing here can be printed: URLs and secrets are their owners' business.

use uuid::Uuid;

use crate::{
    edm::{DateTimeOffset, ETag, Entity, Record, Value},
    events::{EventKind, Format, Secret, SecretFault, subscribes},
    store::{Commit, Condition, Deadline, ItemKey, Patch, StoreError, Stored, Write, WriteKind},
};

use super::{
    Outbox, STORE_TIME,
    desk::{Desk, Mail, item_key},
    gate::{Door, Gate},
    operation,
};

/// Who is told of what.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) id: Uuid,
    pub(super) key: ItemKey,
    pub(super) etag: ETag,
    pub(super) url: String,
    events: Vec<String>,
    pub(super) legal_entity: String,
    pub(super) format: Format,
    pub(super) secret: Result<Option<Secret>, SecretFault>,
    pub(super) active: bool,
}

impl Endpoint {
    pub(super) fn read(desk: &Desk, mail: &Mail, entity: &Entity) -> Result<Self, StoreError> {
        let record = &entity.record;
        let missing = |name: &str| StoreError::Corrupt(format!("an endpoint without {name}"));
        let Some(Value::Guid(id)) = get(desk, record, "EndpointId") else { return Err(missing("EndpointId")) };
        let events = match get(desk, record, "BusinessEventIds") {
            Some(Value::Collection(ids)) => ids.iter().filter_map(as_text).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let object_data = get(desk, record, "SendObjectInEventGridData") == Some(&Value::Boolean(true));
        let secret = text(desk, record, "Secret").filter(|secret| !secret.is_empty());
        Ok(Self {
            id: *id,
            key: item_key(desk, &mail.endpoints, record)?,
            etag: entity.etag(),
            url: text(desk, record, "Url").ok_or_else(|| missing("Url"))?.to_owned(),
            events,
            legal_entity: text(desk, record, "LegalEntity").unwrap_or_default().to_owned(),
            format: Format::from_name(&desk.member_name(record, "Format"), object_data)
                .unwrap_or(Format::FinanceOperations),
            secret: secret.map(Secret::parse).transpose(),
            active: get(desk, record, "Active") == Some(&Value::Boolean(true)),
        })
    }

    /// Where its gate is.
    pub(super) fn door(&self, desk: &Desk) -> Door {
        Door { note: gate_note(desk, self.id), of: self.etag.version.0.clone() }
    }

    /// Whether it is told of an event of a company now.
    pub(super) fn is_told(&self, kind: EventKind, company: &str) -> bool {
        let events: Vec<&str> = self.events.iter().map(String::as_str).collect();
        self.active && subscribes(&events, &self.legal_entity, kind, company)
    }
}

impl Outbox {
    /// All endpoints of a service as they are now, but for its own where no policy takes its events in.
    pub(super) async fn endpoints(
        &self,
        desk: &Desk,
        mail: &Mail,
        deadline: Deadline,
    ) -> Result<Vec<Endpoint>, StoreError> {
        let mut endpoints = self.stored_endpoints(desk, mail, deadline).await?;
        endpoints.retain(|endpoint| self.can_tell(desk, endpoint));
        Ok(endpoints)
    }

    /// All endpoints that are stored. One that cannot be read is left out: it is nobody else's fault.
    pub(super) async fn stored_endpoints(
        &self,
        desk: &Desk,
        mail: &Mail,
        deadline: Deadline,
    ) -> Result<Vec<Endpoint>, StoreError> {
        let mut endpoints = Vec::new();
        for partition in mail.endpoints.partitions() {
            let mut after = None;
            loop {
                let page = self.store.page(&partition, None, after.as_deref(), None, deadline).await?;
                for (sort, item) in &page.items {
                    let read = Stored::from_item(desk.model(), item).and_then(|stored| match stored {
                        Stored::Entity(entity) => Endpoint::read(desk, mail, &entity),
                        _ => Err(StoreError::Corrupt("no endpoint".into())),
                    });
                    match read {
                        Ok(endpoint) => endpoints.push(endpoint),
                        Err(error) => tracing::error!(%error, endpoint = sort, "an endpoint cannot be read"),
                    }
                }
                after = page.last;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(endpoints)
    }

    /// An endpoint as it is now, and its gate; `None` when it is gone, switched off, or cannot be told.
    pub(super) async fn look(
        &self,
        desk: &Desk,
        mail: &Mail,
        (id, key): (Uuid, &ItemKey),
    ) -> Result<Option<(Endpoint, Option<Gate>)>, StoreError> {
        let note = gate_note(desk, id);
        let items = self.store.get(&[key.clone(), note.clone()], Deadline::after(STORE_TIME)).await?;
        let Some(item) = items.get(key) else { return Ok(None) };
        let Stored::Entity(entity) = Stored::from_item(desk.model(), item)? else { return Ok(None) };
        let endpoint = Endpoint::read(desk, mail, &entity)?;
        let gate = items.get(&note).and_then(|item| Gate::read(item, &endpoint.door(desk)));
        let is_told = endpoint.active && self.can_tell(desk, &endpoint);
        Ok(is_told.then_some((endpoint, gate)))
    }

    /// Whether an endpoint is still what was read.
    pub(super) async fn is_unchanged(&self, desk: &Desk, endpoint: &Endpoint) -> Result<bool, StoreError> {
        let items = self.store.get(std::slice::from_ref(&endpoint.key), Deadline::after(STORE_TIME)).await?;
        let now = items.get(&endpoint.key).map(|item| Stored::from_item(desk.model(), item)).transpose()?;
        Ok(matches!(now, Some(Stored::Entity(entity)) if entity.etag() == endpoint.etag))
    }

    /// Switches an endpoint off that says that it is gone, unless it was changed since.
    pub(super) async fn disable(&self, desk: &Desk, endpoint: &Endpoint, deadline: Deadline) -> Result<(), StoreError> {
        let operation = operation();
        let at = DateTimeOffset::from_timestamp(self.now(), 7);
        let properties = [
            ("Active", Value::Boolean(false)),
            ("DisabledReason", Value::String("The endpoint answered 410 (Gone).".into())),
            ("DisabledDateTime", Value::DateTimeOffset(at)),
        ];
        let patch = Patch {
            properties: properties.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            version: format!("{operation}.0"),
            ..Patch::default()
        };
        let condition = Condition::Version(endpoint.etag.clone());
        let write = Write { key: endpoint.key.clone(), kind: WriteKind::Patch(patch), condition };
        match self.store.commit(desk.model(), &[write], &operation, deadline).await? {
            Commit::Done => tracing::warn!(endpoint = %endpoint.id, "switched off: it answered 410"),
            Commit::Refused(_) | Commit::Conflict => {}
        }
        Ok(())
    }
}

fn gate_note(desk: &Desk, endpoint: Uuid) -> ItemKey {
    desk.note("gate", &endpoint.to_string())
}

fn get<'r>(desk: &Desk, record: &'r Record, name: &str) -> Option<&'r Value> {
    record.get(desk.model(), name)
}

fn text<'r>(desk: &Desk, record: &'r Record, name: &str) -> Option<&'r str> {
    get(desk, record, name).and_then(as_text)
}

fn as_text(value: &Value) -> Option<&str> {
    if let Value::String(text) = value { Some(text) } else { None }
}
