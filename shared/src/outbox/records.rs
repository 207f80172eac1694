//! From records of the stream to rows: history, deliveries, and the end of what waits for an endpoint that is gone.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, future::try_join_all, stream};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    edm::Entity,
    events::{EventKind, event_id},
    jobs::history,
    store::{Deadline, Due, ItemKey, StoreError, StreamRecord},
};

use super::{
    Outbox,
    change::{Change, parcel},
    delivery::{Parcel, new_entity},
    desk::{Desk, Mail, Role, item_key},
    endpoint::Endpoint,
};

/// Items whose records are worked off side by side.
const ITEMS_AT_ONCE: usize = 8;
/// How long a record that cannot be read is remembered, in seconds.
const ASIDE: i64 = 14 * 24 * 60 * 60;

/// What became of a batch of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Sequence numbers of the records that have to come again: the table did not answer.
    pub failed: Vec<String>,
    /// Records that cannot be read, and were set aside.
    pub set_aside: usize,
    /// Rows of history that were written.
    pub history: usize,
    /// Deliveries that were written.
    pub deliveries: usize,
}

/// A record that means something.
struct Step {
    sequence: String,
    desk: Arc<Desk>,
    change: Change,
    /// The number of its event.
    control_number: i64,
}

/// What the records of a batch share.
struct Batch<'o> {
    outbox: &'o Outbox,
    until: Deadline,
    /// Endpoints of the desks, read once.
    endpoints: Vec<OnceCell<Vec<Endpoint>>>,
}

impl Outbox {
    /// Writes down what records of the table's stream tell. Records of one item must be in their order; those after one
    /// that failed are not touched, and are in [`Recorded::failed`] with it.
    pub async fn records(&self, records: &[Value], until: Deadline) -> Recorded {
        let mut recorded = Recorded::default();
        let mut items: Vec<(ItemKey, Vec<Step>)> = Vec::new();
        let mut positions = HashMap::new();
        for record in records {
            match self.step(record) {
                Ok(None) => {}
                Ok(Some((key, step))) => {
                    let at = *positions.entry(key.clone()).or_insert(items.len());
                    if at == items.len() {
                        items.push((key, Vec::new()));
                    }
                    if let Some((_, steps)) = items.get_mut(at) {
                        steps.push(step);
                    }
                }
                Err(error) => {
                    let sequence = StreamRecord::sequence(record).unwrap_or("-");
                    self.set_aside((sequence, &StreamRecord::key_text(record)), &error, until, &mut recorded).await;
                }
            }
        }
        let batch = Batch { outbox: self, until, endpoints: self.desks.iter().map(|_| OnceCell::new()).collect() };
        if let Err(error) = batch.number(&mut items).await {
            tracing::warn!(%error, "no numbers for events");
            let sequences = items.into_iter().flat_map(|(_, steps)| steps).map(|step| step.sequence);
            recorded.failed.extend(sequences);
            return recorded;
        }
        let mut done = stream::iter(items).map(|(key, steps)| batch.item(key, steps)).buffer_unordered(ITEMS_AT_ONCE);
        while let Some(part) = done.next().await {
            recorded.add(part);
        }
        drop(done);
        if recorded.deliveries > 0 {
            batch.bury_late().await;
        }
        recorded
    }

    /// Whether a record tells that there may be something to send: a row that is due, an endpoint that changed.
    pub fn is_due(&self, record: &Value) -> bool {
        let Ok(record) = StreamRecord::read(record) else { return false };
        let Some((_, role)) = self.role(&record.key) else { return false };
        let Some(new) = &record.new else { return false };
        match role {
            Role::Job => false,
            Role::Endpoint => true,
            Role::Delivery => Due::time_of(new).is_some_and(|time| time <= Due::text(self.now()).as_str()),
        }
    }

    fn role(&self, key: &ItemKey) -> Option<(&Arc<Desk>, Role)> {
        self.desks.iter().find_map(|desk| Some((desk, desk.role(key)?)))
    }

    fn step(&self, record: &Value) -> Result<Option<(ItemKey, Step)>, StoreError> {
        let record = StreamRecord::read(record)?;
        let Some((desk, role)) = self.role(&record.key) else { return Ok(None) };
        let change = Change::read(desk, role, &record)?;
        let step = |change| Step { sequence: record.sequence, desk: Arc::clone(desk), change, control_number: 0 };
        Ok(change.map(|change| (record.key, step(change))))
    }

    /// Remembers a record that will never be understood, so that it does not hold up the others.
    async fn set_aside(
        &self,
        (sequence, key): (&str, &str),
        error: &StoreError,
        until: Deadline,
        recorded: &mut Recorded,
    ) {
        tracing::error!(%error, sequence, key, "a record of the stream was set aside");
        recorded.set_aside += 1;
        let note = ItemKey { partition: "B|aside".into(), sort: sequence.to_owned() };
        let text = json!({ "key": key, "error": error.to_string() }).to_string();
        let expires = self.now().as_second().saturating_add(ASIDE);
        if let Err(error) = self.store.put_note(&note, &text, expires, until).await {
            tracing::warn!(%error, sequence, "the record will come again");
            recorded.failed.push(sequence.to_owned());
        }
    }
}

impl Recorded {
    fn add(&mut self, part: Self) {
        self.failed.extend(part.failed);
        self.set_aside += part.set_aside;
        self.history += part.history;
        self.deliveries += part.deliveries;
    }
}

impl Batch<'_> {
    async fn endpoints(&self, desk: &Desk, mail: &Mail) -> Result<&[Endpoint], StoreError> {
        let at = self.outbox.desks.iter().position(|other| std::ptr::eq(&raw const **other, desk));
        let cell = at.and_then(|at| self.endpoints.get(at)).ok_or_else(|| StoreError::Corrupt("no desk".into()))?;
        let read = || self.outbox.endpoints(desk, mail, self.until);
        cell.get_or_try_init(read).await.map(Vec::as_slice)
    }

    /// Gives each event that somebody is told of its number, in the order of the records: one call for all of a desk.
    async fn number(&self, items: &mut [(ItemKey, Vec<Step>)]) -> Result<(), StoreError> {
        for desk in self.outbox.desks.iter() {
            let Some(mail) = &desk.mail else { continue };
            let steps = items.iter_mut().flat_map(|(_, steps)| steps).filter(|step| Arc::ptr_eq(&step.desk, desk));
            let events = steps.filter(|step| matches!(step.change, Change::Job { event: Some(_), .. }));
            let mut events: Vec<&mut Step> = events.collect();
            if events.is_empty() || !self.endpoints(desk, mail).await?.iter().any(|endpoint| endpoint.active) {
                continue;
            }
            events.sort_by(|a, b| (a.sequence.len(), &a.sequence).cmp(&(b.sequence.len(), &b.sequence)));
            let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
            let last = self.outbox.store.take_numbers(&desk.note("number", "ControlNumber"), count, self.until).await?;
            for (step, number) in events.into_iter().zip(last - i64::from(count) + 1..) {
                step.control_number = number;
            }
        }
        Ok(())
    }

    /// Works off the records of one item.
    async fn item(&self, key: ItemKey, steps: Vec<Step>) -> Recorded {
        let mut recorded = Recorded::default();
        for step in steps {
            if !recorded.failed.is_empty() {
                recorded.failed.push(step.sequence);
                continue;
            }
            match self.work(&step, &mut recorded).await {
                Ok(()) => {}
                Err(error) if error.is_passing() => {
                    tracing::warn!(%error, ?key, "a record of the stream has to come again");
                    recorded.failed.push(step.sequence);
                }
                Err(error) => {
                    let key = format!("{key:?}");
                    self.outbox.set_aside((&step.sequence, &key), &error, self.until, &mut recorded).await;
                }
            }
        }
        recorded
    }

    async fn work(&self, step: &Step, recorded: &mut Recorded) -> Result<(), StoreError> {
        let desk = &*step.desk;
        match (&step.change, &desk.mail) {
            (Change::Job { old, new, event }, _) => {
                if let (Some(kind), Some(mail)) = (event, &desk.mail) {
                    recorded.deliveries += self.announce(desk, mail, new, *kind, step.control_number).await?;
                }
                recorded.history += usize::from(self.history(desk, old.as_deref(), new, event.is_some()).await?);
            }
            (Change::Activated(endpoint), Some(mail)) => {
                let parcel = Parcel::test(desk, endpoint);
                recorded.deliveries += usize::from(self.post(desk, mail, endpoint, &parcel).await?);
            }
            (Change::Gone(endpoint), Some(mail)) => {
                self.outbox.bury_all(desk, mail, endpoint, self.until).await?;
            }
            (Change::Activated(_) | Change::Gone(_), None) => {}
        }
        Ok(())
    }

    async fn history(&self, desk: &Desk, old: Option<&Entity>, new: &Entity, event: bool) -> Result<bool, StoreError> {
        let generation = desk.jobs.generation(&new.record);
        let id = event.then(|| event_id(&desk.service.name, &new.incarnation.0, generation));
        let record = history::changed(desk.model(), &desk.jobs, old, new, id);
        let key = item_key(desk, &desk.history, &record)?;
        self.outbox.store.insert(desk.model(), &key, &new_entity(desk, record), None, self.until).await
    }

    /// Writes a row for each endpoint that is told; how many there were not before.
    async fn announce(
        &self,
        desk: &Desk,
        mail: &Mail,
        job: &Entity,
        kind: EventKind,
        control_number: i64,
    ) -> Result<usize, StoreError> {
        let endpoints = self.endpoints(desk, mail).await?;
        let parcel = parcel(desk, job, kind, control_number, self.outbox.now());
        let told = endpoints.iter().filter(|endpoint| endpoint.is_told(kind, &parcel.legal_entity));
        let written = try_join_all(told.map(|endpoint| self.post(desk, mail, endpoint, &parcel))).await?;
        Ok(written.into_iter().filter(|written| *written).count())
    }

    async fn post(&self, desk: &Desk, mail: &Mail, endpoint: &Endpoint, parcel: &Parcel) -> Result<bool, StoreError> {
        let (entity, due) = parcel.row(desk, mail, endpoint, self.outbox.now());
        let key = item_key(desk, &mail.deliveries, &entity.record)?;
        self.outbox.store.insert(desk.model(), &key, &entity, Some(&due), self.until).await
    }

    /// An endpoint may have been deleted between reading it and writing rows for it, and its record worked off already.
    async fn bury_late(&self) {
        for (desk, known) in self.outbox.desks.iter().zip(&self.endpoints) {
            let (Some(mail), Some(known)) = (&desk.mail, known.get()) else { continue };
            let now = match self.outbox.endpoints(desk, mail, self.until).await {
                Ok(now) => now,
                Err(error) => {
                    tracing::warn!(%error, "rows of endpoints deleted just now may be left");
                    continue;
                }
            };
            let gone = known.iter().filter(|endpoint| !now.iter().any(|other| other.id == endpoint.id));
            for endpoint in gone {
                if let Err(error) = self.outbox.bury_all(desk, mail, endpoint, self.until).await {
                    tracing::warn!(%error, endpoint = %endpoint.id, "rows of a deleted endpoint may be left");
                }
            }
        }
    }
}
