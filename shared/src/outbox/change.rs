//! What a change of a job or of an endpoint is to the outbox. Pure but for the fresh ids of rows.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    edm::{DateTimeOffset, Entity, Value},
    events::{Event, EventKind, event_id, payload},
    jobs::{Status, history},
    store::{Item, StoreError, Stored, StreamRecord},
};

use super::{
    delivery::Parcel,
    desk::{Desk, Mail, Role},
    endpoint::Endpoint,
};

/// So much of each text of a job is told, in characters. In Finance & Operations they are shorter. A character takes up
/// to six bytes of JSON: a payload stays far below what an item can be, and leaves room for the attempts.
const MAX_TEXT: usize = 1_000;

/// What a record of the stream tells.
pub(super) enum Change {
    /// A job was made or changed.
    Job { old: Option<Arc<Entity>>, new: Arc<Entity>, event: Option<EventKind> },
    /// An endpoint begins to be told, or is told elsewhere from now on.
    Activated(Endpoint),
    /// An endpoint is gone.
    Gone(Uuid),
}

impl Change {
    /// What a record tells; `None` when it is nothing to the outbox, as its own rows are.
    pub(super) fn read(desk: &Desk, role: Role, record: &StreamRecord) -> Result<Option<Self>, StoreError> {
        let entity = |item: &Option<Item>| item.as_ref().map(|item| entity(desk, item)).transpose();
        match (role, &desk.mail) {
            (Role::Job, _) => {
                let (old, new) = (entity(&record.old)?, entity(&record.new)?);
                // Marks that an undecided unit of work left on the item are no change; nor is a write of the values that
                // were there.
                let is_change = |new: &Arc<Entity>| {
                    let differs = |old: &Arc<Entity>| history::is_change(desk.model(), &desk.jobs, old, new);
                    old.as_ref().is_none_or(|old| old.etag() != new.etag() && differs(old))
                };
                Ok(new.filter(is_change).map(|new| Self::job(desk, old, new)))
            }
            (Role::Endpoint, Some(mail)) => {
                let endpoint =
                    |item: &Option<Item>| entity(item)?.map(|entity| Endpoint::read(desk, mail, &entity)).transpose();
                Ok(Self::endpoint(endpoint(&record.old)?, endpoint(&record.new)?))
            }
            (Role::Endpoint | Role::Delivery, _) => Ok(None),
        }
    }

    fn job(desk: &Desk, old: Option<Arc<Entity>>, new: Arc<Entity>) -> Self {
        let jobs = &desk.jobs;
        // Another incarnation is another job, which took the place of a deleted one.
        let old = old.filter(|old| old.incarnation == new.incarnation);
        let from = old.as_ref().and_then(|old| jobs.status(&old.record));
        let event = jobs.status(&new.record).and_then(|to| EventKind::from_transition(from, to));
        Self::Job { old, new, event }
    }

    fn endpoint(old: Option<Endpoint>, new: Option<Endpoint>) -> Option<Self> {
        match (old, new) {
            (old, Some(new)) => {
                let same = old.is_some_and(|old| old.active && old.url == new.url);
                (new.active && !same).then_some(Self::Activated(new))
            }
            (Some(old), None) => Some(Self::Gone(old.id)),
            (None, None) => None,
        }
    }
}

fn entity(desk: &Desk, item: &Item) -> Result<Arc<Entity>, StoreError> {
    match Stored::from_item(desk.model(), item)? {
        Stored::Entity(entity) => Ok(entity),
        _ => Err(StoreError::Corrupt("no entity".into())),
    }
}

/// The event that a change of a job is.
pub(super) fn parcel(desk: &Desk, job: &Entity, kind: EventKind, control_number: i64, now: Timestamp) -> Parcel {
    let (jobs, record) = (&desk.jobs, &job.record);
    let value = |at: usize| record.values.get(at).and_then(Option::as_ref);
    let text = |at: usize| if let Some(Value::String(text)) = value(at) { shortened(text) } else { String::new() };
    let time = |at: usize| if let Some(Value::DateTimeOffset(at)) = value(at) { Some(at.instant()) } else { None };
    let fields = &jobs.fields;
    let generation = jobs.generation(record);
    let event = Event {
        id: event_id(&desk.service.name, &job.incarnation.0, generation),
        kind,
        control_number,
        time: time(fields.last_changed_date_time).unwrap_or(now),
        legal_entity: text(fields.company_accounts),
        job_id: jobs.id(record),
        job_description: text(fields.job_description),
        job_status: jobs.status(record).unwrap_or(Status::Hold),
        // A job that has just started has no end, whatever its last run left.
        job_end: time(fields.end_date_time).filter(|end| *end > empty_date() && kind != EventKind::Started),
        owner_email: text(fields.job_owner_email_id),
        executed_by_email: text(fields.job_executed_by_email_id),
        admin_email: text(fields.admin_email_id),
        initiating_user: if let Some(Value::Guid(id)) = value(fields.last_changed_by_object_id) {
            Some(*id)
        } else {
            None
        },
    };
    Parcel {
        subject: job.incarnation.0.clone(),
        number: generation,
        event_id: event.id,
        business_event_id: kind.business_event_id(),
        legal_entity: event.legal_entity.clone(),
        control_number,
        job: Some((event.job_id, generation)),
        payload: payload(&event),
        trace: if let Some(Value::String(trace)) = value(fields.last_change_trace) {
            Some(trace.clone())
        } else {
            None
        },
    }
}

/// A text of a job as rows have it.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The empty date of Finance & Operations: the first of 1900.
fn empty_date() -> Timestamp {
    DateTimeOffset::parse("1900-01-01T00:00:00Z").map_or(Timestamp::MIN, |at| at.instant())
}

/// What an event is about, relative to the service's root.
pub(super) fn subject(desk: &Desk, job: Option<i64>, endpoint: &Endpoint) -> String {
    let set = |name: &str, key: &dyn std::fmt::Display| format!("{name}({key})");
    let model = desk.model();
    match (job, &desk.mail) {
        (Some(id), _) => set(&model.set(desk.jobs.set).name, &id),
        (None, Some(Mail { endpoints, .. })) => set(&endpoints.path, &endpoint.id),
        (None, None) => String::new(),
    }
}
