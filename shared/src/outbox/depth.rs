//! How much waits in each queue, and for how long.

use std::time::Duration;

use jiff::Timestamp;

use crate::store::{Deadline, Due, StoreError};

use super::{Outbox, requeue::Address};

/// Most rows that are counted of a queue: 20 calls to the table.
const MAX_COUNTED: usize = 10_000;

/// The kind of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// Deliveries to an endpoint.
    Endpoint,
    /// Requeues at a target.
    Target,
}

/// A queue of rows that are to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Name of the service.
    pub service: String,
    /// Its kind.
    pub kind: QueueKind,
    /// Id of the endpoint, name of the target.
    pub name: String,
    /// Rows that wait, those for a later time among them; at most 10,000 are counted.
    pub rows: usize,
    /// How long the first of them has been due.
    pub overdue: Duration,
}

impl QueueKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Target => "target",
        }
    }
}

impl Outbox {
    /// The queues of all endpoints and targets. Takes a call for each set of endpoints and one for each 500 rows.
    pub async fn depths(&self, deadline: Deadline) -> Result<Vec<QueueDepth>, StoreError> {
        let mut depths = Vec::new();
        for desk in self.desks.iter() {
            let Some(mail) = &desk.mail else { continue };
            let service = &desk.service.name;
            for endpoint in self.endpoints(desk, mail, deadline).await? {
                let (rows, overdue) = self.depth(&Due::queue(service, endpoint.id), deadline).await?;
                let (service, name) = (service.clone(), endpoint.id.to_string());
                depths.push(QueueDepth { service, kind: QueueKind::Endpoint, name, rows, overdue });
            }
        }
        if let Some(requeues) = &self.requeues {
            let service = &requeues.ledger.service().name;
            for name in requeues.addresses.iter().map(Address::name) {
                let (rows, overdue) = self.depth(&Due::target_queue(service, name), deadline).await?;
                let (service, name) = (service.clone(), name.to_owned());
                depths.push(QueueDepth { service, kind: QueueKind::Target, name, rows, overdue });
            }
        }
        Ok(depths)
    }

    async fn depth(&self, queue: &str, deadline: Deadline) -> Result<(usize, Duration), StoreError> {
        let (mut rows, mut first, mut after) = (0, None, None);
        loop {
            let page = self.store.due(queue, after.take(), deadline).await?;
            first = first.or_else(|| page.rows.first().and_then(|(_, time)| Due::instant(time)));
            rows += page.rows.len();
            after = page.next;
            if after.is_none() || rows >= MAX_COUNTED {
                let overdue = first.filter(|first: &Timestamp| *first < self.now());
                return Ok((rows, overdue.map(|first| self.since(first)).unwrap_or_default()));
            }
        }
    }
}
