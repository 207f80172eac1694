//! Endpoints that were deleted, and what waited for them.
//!
//! A note tells of each for a while, longer than the stream could still bring records that were turned into rows for it.
//! Sweeps give up what is in its queue: there may be many rows, and whoever works off the stream is not to wait for that.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use uuid::Uuid;

use crate::{
    edm::{EntityKey, Value},
    store::{Deadline, Due, ItemKey, StoreError},
};

use super::{
    ANSWER_TIME, Outbox, STORE_TIME,
    delivery::State,
    desk::{Desk, Mail},
    lane::{Pace, Worked},
    later,
};

/// How long is looked for rows of an endpoint: twice as long as the stream keeps records.
const REMEMBERED: Duration = Duration::from_hours(48);
/// Rows that are given up side by side.
const ROWS_AT_ONCE: usize = 8;
/// How often a row is tried to give up that others change at the same time.
const TRIES: usize = 5;

impl Outbox {
    /// Remembers that an endpoint was deleted.
    pub(super) async fn tell_gone(&self, desk: &Desk, endpoint: Uuid, deadline: Deadline) -> Result<(), StoreError> {
        let key = desk.note("gone", &endpoint.to_string());
        let expires = later(self.now(), REMEMBERED).as_second();
        self.store.put_note(&key, "", expires, deadline).await
    }

    /// The endpoints that were deleted not long ago.
    pub(super) async fn gone(&self, desk: &Desk, deadline: Deadline) -> Result<Vec<Uuid>, StoreError> {
        let partition = desk.note("gone", "").partition;
        let (mut gone, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.page(&partition, None, after.as_deref(), None, deadline).await?;
            gone.extend(page.items.iter().filter_map(|(sort, _)| Uuid::parse_str(sort).ok()));
            after = page.last;
            if after.is_none() {
                return Ok(gone);
            }
        }
    }

    /// Gives up what waits for an endpoint that was deleted.
    pub(super) async fn clear(
        &self,
        (desk, mail): (&Desk, &Mail),
        endpoint: Uuid,
        pace: Pace<'_>,
    ) -> Result<Worked, StoreError> {
        let (mut worked, mut after) = (Worked::default(), None);
        let key = EntityKey(vec![Value::Guid(endpoint)]);
        let key = mail.endpoints.entity_key(&key).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let queue = Due::queue(&desk.service.name, endpoint);
        loop {
            // Its id may be another's by now.
            let deadline = Deadline::after(STORE_TIME);
            if !self.store.get(std::slice::from_ref(&key), deadline).await?.is_empty() {
                return Ok(worked);
            }
            let waiting = self.store.due(&queue, after, deadline).await?;
            let rows = stream::iter(waiting.rows).map(|(key, _)| self.give_up((desk, mail), key, pace));
            let mut rows = rows.buffer_unordered(ROWS_AT_ONCE);
            while let Some(given_up) = rows.next().await {
                worked.given_up += usize::from(given_up?);
            }
            if pace.is_over(ANSWER_TIME) {
                worked.next = Some(self.now());
                return Ok(worked);
            }
            after = waiting.next;
            if after.is_none() {
                return Ok(worked);
            }
        }
    }

    /// Gives up a row of an endpoint that was deleted, also when it is under way: what comes of the attempt is added.
    async fn give_up(&self, (desk, mail): (&Desk, &Mail), key: ItemKey, pace: Pace<'_>) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            if pace.is_over(ANSWER_TIME) {
                break;
            }
            let row = self.row(desk, mail, &key).await?;
            let Some(row) = row.filter(|row| row.state == State::Pending) else { return Ok(false) };
            if self.bury((desk, mail), &row, "the endpoint was deleted").await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
