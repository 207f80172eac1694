//! From records of the stream to rows: history, deliveries, and notes of endpoints that are gone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all, stream};
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use crate::{
    edm::{Entity, Value},
    events::{EventKind, event_id},
    jobs::history,
    store::{Deadline, Due, ItemKey, StoreError, Stored, StreamRecord},
    telemetry::OutboxLine,
};

use super::{
    Outbox,
    change::{Change, parcel, shortened},
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
    pub async fn records(&self, records: &[Json], until: Deadline) -> Recorded {
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
        recorded
    }

    /// Whether a record tells that there may be something for a sweep: a row that is due, an endpoint that changed.
    pub fn is_due(&self, record: &Json) -> bool {
        let Ok(record) = StreamRecord::read(record) else { return false };
        if self.is_to_leave(&record.key) {
            let due = record.new.as_ref().and_then(Due::time_of);
            return due.is_some_and(|time| time <= Due::text(self.now()).as_str());
        }
        matches!(self.role(&record.key), Some((_, Role::Endpoint)))
    }

    /// Whether a record tells of what is to leave, a delivery or a decision: no row comes of it.
    pub fn is_outgoing(&self, record: &Json) -> bool {
        StreamRecord::read(record).is_ok_and(|record| self.is_to_leave(&record.key))
    }

    fn is_to_leave(&self, key: &ItemKey) -> bool {
        let is_decision = self.requeues.as_ref().is_some_and(|requeues| requeues.ledger.is_decision(key));
        is_decision || matches!(self.role(key), Some((_, Role::Delivery)))
    }

    fn role(&self, key: &ItemKey) -> Option<(&Arc<Desk>, Role)> {
        self.desks.iter().find_map(|desk| Some((desk, desk.role(key)?)))
    }

    fn step(&self, record: &Json) -> Result<Option<(ItemKey, Step)>, StoreError> {
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
    /// Adds what came of so many records to the line about them.
    pub fn tell(&self, records: usize, line: &mut OutboxLine) {
        line.records += records;
        line.come_again += self.failed.len();
        line.set_aside += self.set_aside;
        line.history += self.history;
        line.deliveries += self.deliveries;
    }

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
            if !recorded.failed.is_empty() || self.until.is_before(Duration::ZERO) {
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
                // Each is written whatever becomes of the other: a record that is set aside does not come again.
                let mut number = step.control_number;
                let history = self.history(desk, old.as_deref(), new, event.map(|_| &mut number)).await;
                let history = history.map(|new| recorded.history += usize::from(new));
                let told = match (event, &desk.mail) {
                    (Some(kind), Some(mail)) => {
                        let parcel = parcel(desk, new, *kind, number, self.outbox.now());
                        self.announce(desk, mail, *kind, &parcel, &mut recorded.deliveries).await
                    }
                    _ => Ok(()),
                };
                both(history, told)?;
            }
            (Change::Activated(endpoint), Some(mail)) if self.outbox.can_tell(desk, endpoint) => {
                let parcel = Parcel::test(desk, endpoint);
                recorded.deliveries += usize::from(self.post(desk, mail, endpoint, &parcel).await?);
            }
            (Change::Gone(endpoint), Some(_)) => self.outbox.tell_gone(desk, *endpoint, self.until).await?,
            (Change::Activated(_) | Change::Gone(_), _) => {}
        }
        Ok(())
    }

    /// Writes a row of history; whether there was none. `event` is the number of the event that came of the change: the
    /// one that it has already, when the row is there.
    async fn history(
        &self,
        desk: &Desk,
        old: Option<&Entity>,
        new: &Entity,
        event: Option<&mut i64>,
    ) -> Result<bool, StoreError> {
        let generation = desk.jobs.generation(&new.record);
        let id = event_id(&desk.service.name, &new.incarnation.0, generation);
        let mut record =
            history::changed(desk.model(), &desk.jobs, old, new, event.as_ref().map(|number| (id, **number)));
        let description = desk.model().ty(record.ty).property("JobDescription");
        if let Some(Some(Value::String(text))) = description.and_then(|at| record.values.get_mut(at)) {
            *text = shortened(text);
        }
        let key = item_key(desk, &desk.history, &record)?;
        let written = self.outbox.store.insert(desk.model(), &key, &new_entity(desk, record), None, self.until).await?;
        if let Some(number) = event.filter(|_| !written) {
            let row = self.outbox.store.get(std::slice::from_ref(&key), self.until).await?.remove(&key);
            let row = row.map(|item| Stored::from_item(desk.model(), &item)).transpose()?;
            if let Some(Stored::Entity(row)) = row
                && let Some(Value::Integer(kept)) = row.record.get(desk.model(), "ControlNumber")
            {
                *number = *kept;
            }
        }
        Ok(written)
    }

    /// Writes a row for each endpoint that is told; adds how many there were not before.
    async fn announce(
        &self,
        desk: &Desk,
        mail: &Mail,
        kind: EventKind,
        parcel: &Parcel,
        written: &mut usize,
    ) -> Result<(), StoreError> {
        let endpoints = self.endpoints(desk, mail).await?;
        let told = endpoints.iter().filter(|endpoint| endpoint.is_told(kind, &parcel.legal_entity));
        let posted = join_all(told.map(|endpoint| self.post(desk, mail, endpoint, parcel))).await;
        let mut all = Ok(());
        for posted in posted {
            all = both(all, posted.map(|new| *written += usize::from(new)));
        }
        all
    }

    async fn post(&self, desk: &Desk, mail: &Mail, endpoint: &Endpoint, parcel: &Parcel) -> Result<bool, StoreError> {
        let (entity, due) = parcel.row(desk, mail, endpoint, self.outbox.now());
        let key = item_key(desk, &mail.deliveries, &entity.record)?;
        self.outbox.store.insert(desk.model(), &key, &entity, Some(&due), self.until).await
    }
}

/// Both must succeed. An error that passes is told before one that lasts: the record has to come again for it.
fn both(one: Result<(), StoreError>, other: Result<(), StoreError>) -> Result<(), StoreError> {
    match (one, other) {
        (Err(_), Err(other)) if other.is_passing() => Err(other),
        (one, other) => one.and(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_again_for_an_error_that_passes_whatever_else_failed() {
        let (passing, lasting) = (|| Err(StoreError::Unavailable(String::new())), || Err(StoreError::ItemTooLarge));
        let comes_again = |one, other| both(one, other).map_err(|error| error.is_passing());
        assert_eq!(comes_again(lasting(), passing()), Err(true));
        assert_eq!(comes_again(passing(), lasting()), Err(true));
        assert_eq!(comes_again(lasting(), Ok(())), Err(false));
        assert_eq!(comes_again(Ok(()), lasting()), Err(false));
        assert_eq!(comes_again(Ok(()), Ok(())), Ok(()));
    }
}
