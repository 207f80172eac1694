//! One lane: the rows of one endpoint and one job, one after another.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::{sync::Mutex, time::Instant};

use crate::store::{Deadline, Due, StoreError};

use super::{
    ANSWER_TIME, INDEX_LAG, Outbox, STORE_TIME,
    attempt::{End, Health, health},
    delivery::{Delivery, State},
    desk::{Desk, Mail},
    earlier,
    endpoint::Endpoint,
    later,
    watch::Watch,
};

/// How old may be what a visit knows of its endpoint.
const FRESH: Duration = Duration::from_secs(1);

/// How long work may go on.
#[derive(Clone, Copy)]
pub(super) struct Pace<'a> {
    pub(super) until: Deadline,
    /// Set when the process is to end.
    pub(super) stop: &'a AtomicBool,
}

/// What a turn of an endpoint shares among its lanes.
pub(super) struct Visit<'a> {
    pub(super) desk: &'a Desk,
    pub(super) mail: &'a Mail,
    pub(super) endpoint: &'a Endpoint,
    pub(super) pace: Pace<'a>,
    /// What is seen of the endpoint.
    pub(super) watch: Watch,
    /// Set when the endpoint was changed meanwhile.
    stale: AtomicBool,
    /// When it was looked whether it was.
    looked: Mutex<Instant>,
}

/// What came of work on lanes.
#[derive(Clone, Debug, Default)]
pub(super) struct Worked {
    pub(super) sent: usize,
    pub(super) delivered: usize,
    pub(super) requeued: usize,
    pub(super) refused: usize,
    pub(super) given_up: usize,
    pub(super) exhausted: usize,
    /// When there is something to do next.
    pub(super) next: Option<Timestamp>,
    /// The worst that was seen of the endpoint or target.
    pub(super) health: Option<Health>,
}

/// What a row of the index turned out to be.
enum Found {
    Ready(Box<Delivery>),
    /// It is not to be sent before then.
    Wait(Timestamp),
    /// It is done, or was not there.
    Nothing,
}

impl Pace<'_> {
    /// Whether the process is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether there is no time for another attempt that takes up to so long.
    pub(super) fn is_over(&self, attempt: Duration) -> bool {
        self.is_stopped() || self.until.is_before(attempt + STORE_TIME)
    }
}

impl<'a> Visit<'a> {
    /// A visit of an endpoint that was read just now.
    pub(super) fn new(
        (desk, mail): (&'a Desk, &'a Mail),
        endpoint: &'a Endpoint,
        pace: Pace<'a>,
        probing: bool,
    ) -> Self {
        let (watch, stale, looked) = (Watch::new(probing), AtomicBool::new(false), Mutex::new(Instant::now()));
        Self { desk, mail, endpoint, pace, watch, stale, looked }
    }

    /// Whether the endpoint was changed meanwhile.
    pub(super) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.watch.is_halted() || self.pace.is_over(ANSWER_TIME)
    }
}

impl Worked {
    /// Adds what was done.
    pub(super) fn count(&mut self, other: &Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.requeued += other.requeued;
        self.refused += other.refused;
        self.given_up += other.given_up;
        self.exhausted += other.exhausted;
    }

    /// Adds all of it.
    pub(super) fn add(&mut self, other: &Self) {
        self.count(other);
        self.next = earlier(self.next, other.next);
        self.health = match (self.health, other.health) {
            (Some(Health::Gone), _) | (_, Some(Health::Gone)) => Some(Health::Gone),
            (Some(Health::Failing(a)), Some(Health::Failing(b))) => Some(Health::Failing(a.max(b))),
            (Some(Health::Failing(after)), _) | (_, Some(Health::Failing(after))) => Some(Health::Failing(after)),
            (Some(Health::Well), _) | (_, Some(Health::Well)) => Some(Health::Well),
            (one, other) => one.or(other),
        };
    }
}

impl Outbox {
    /// Sends the rows of a lane from this one on, until one is not delivered. An error of the table ends the lane: what
    /// was claimed comes again when the claim has run out.
    pub(super) async fn lane(&self, visit: &Visit<'_>, sort: String) -> Worked {
        let mut worked = Worked::default();
        if let Err(error) = self.work_lane(visit, sort, &mut worked).await {
            tracing::warn!(%error, endpoint = %visit.endpoint.id, "a lane was left");
            worked.next = earlier(worked.next, Some(later(self.now(), STORE_TIME)));
        }
        worked
    }

    /// Looks now and then whether the endpoint is still what the visit knows.
    async fn look_again(&self, visit: &Visit<'_>) -> Result<(), StoreError> {
        let mut looked = visit.looked.lock().await;
        if looked.elapsed() >= FRESH {
            if !self.is_unchanged(visit.desk, visit.endpoint).await? {
                visit.stale.store(true, Ordering::Relaxed);
                visit.watch.halt();
            }
            *looked = Instant::now();
        }
        Ok(())
    }

    async fn work_lane(&self, visit: &Visit<'_>, mut sort: String, worked: &mut Worked) -> Result<(), StoreError> {
        let (desk, mail, endpoint) = (visit.desk, visit.mail, visit.endpoint);
        loop {
            self.look_again(visit).await?;
            if visit.is_over() {
                worked.next = earlier(worked.next, Some(self.now()));
                return Ok(());
            }
            match self.find(desk, mail, &sort).await? {
                Found::Nothing => worked.next = earlier(worked.next, Some(later(self.now(), INDEX_LAG))),
                Found::Wait(at) => {
                    worked.next = earlier(worked.next, Some(at));
                    return Ok(());
                }
                Found::Ready(row) => {
                    let Some(row) = self.claim(desk, endpoint, *row).await? else {
                        worked.next = earlier(worked.next, Some(later(self.now(), INDEX_LAG)));
                        return Ok(());
                    };
                    visit.watch.begin();
                    let (begun, attempt) = if endpoint.is_own() {
                        self.tell_itself(desk, &row, worked).await
                    } else {
                        self.send(desk, endpoint, &row).await
                    };
                    worked.sent += 1;
                    let health = visit.watch.judge(health(&attempt));
                    worked.add(&Worked { health: Some(health), ..Worked::default() });
                    match self.finish((desk, mail), row, (begun, &attempt)).await? {
                        None => return Ok(()),
                        Some(End::Postponed(at)) => {
                            worked.next = earlier(worked.next, Some(at));
                            return Ok(());
                        }
                        Some(End::Delivered) => worked.delivered += 1,
                        Some(End::GivenUp) => worked.given_up += 1,
                    }
                }
            }
            let Some(next) = self.after(mail, &sort).await? else { return Ok(()) };
            sort = next;
        }
    }

    /// The row of a key and whether it may be sent: it is due, and the row before it in its lane is done.
    async fn find(&self, desk: &Desk, mail: &Mail, sort: &str) -> Result<Found, StoreError> {
        let deadline = Deadline::after(STORE_TIME);
        let partitions = mail.deliveries.partitions();
        let range = (lane_of(sort), sort);
        let last = partitions.iter().map(|partition| self.store.last(partition, range, 2, deadline));
        let mut rows: Vec<_> = try_join_all(last).await?.into_iter().flatten().collect();
        rows.sort_by(|(a, _), (b, _)| b.cmp(a));
        let mut rows = rows.iter();
        let Some((_, item)) = rows.next().filter(|(found, _)| found == sort) else { return Ok(Found::Nothing) };
        let row = Delivery::read(desk, mail, item)?;
        if row.state != State::Pending {
            return Ok(Found::Nothing);
        }
        let before = rows.next().map(|(_, item)| Delivery::read(desk, mail, item)).transpose()?;
        let now = self.now();
        if let Some(before) = before.filter(|before| before.state == State::Pending) {
            // Should it be due already, it is up to whoever meets it in the index; this lane is looked at again soon.
            let soon = later(now, STORE_TIME);
            return Ok(Found::Wait(before.due_at().filter(|at| *at > now).unwrap_or(soon)));
        }
        match row.due_at().filter(|at| *at > now) {
            Some(at) => Ok(Found::Wait(at)),
            None => Ok(Found::Ready(Box::new(row))),
        }
    }

    /// The key of the next row of the same lane.
    async fn after(&self, mail: &Mail, sort: &str) -> Result<Option<String>, StoreError> {
        let deadline = Deadline::after(STORE_TIME);
        let partitions = mail.deliveries.partitions();
        let pages = partitions
            .iter()
            .map(|partition| self.store.page(partition, Some(lane_of(sort)), Some(sort), Some(1), deadline));
        let pages = try_join_all(pages).await?;
        Ok(pages.into_iter().flat_map(|page| page.items).map(|(sort, _)| sort).min())
    }

    /// Gives up a row of an endpoint that has not answered for long, when the row is old.
    pub(super) async fn bury_old(&self, visit: &Visit<'_>, sort: &str, before: Timestamp) -> Result<bool, StoreError> {
        let (desk, mail) = (visit.desk, visit.mail);
        let Found::Ready(row) = self.find(desk, mail, sort).await? else { return Ok(false) };
        if row.created.is_none_or(|created| created > before) {
            return Ok(false);
        }
        self.bury((desk, mail), &row, "the endpoint did not answer for a day").await
    }
}

impl Delivery {
    fn due_at(&self) -> Option<Timestamp> {
        Due::instant(self.due.as_deref()?)
    }
}

/// The keys of a lane begin with this: all up to the last point. (No part of a key has a point in it.)
pub(super) fn lane_of(sort: &str) -> &str {
    sort.rfind('.').and_then(|at| sort.get(..=at)).unwrap_or(sort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_an_endpoint_and_a_job() {
        assert_eq!(lane_of("endpoint.incarnation-_.000000000012"), "endpoint.incarnation-_.");
    }
}
