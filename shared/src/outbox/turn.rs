//! One turn of one endpoint: all its lanes that have something due.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use uuid::Uuid;

use crate::store::{Deadline, Due, ItemKey, StoreError};

use super::{
    ANSWER_TIME, Outbox, STORE_TIME,
    attempt::Health,
    desk::{Desk, Mail},
    earlier,
    endpoint::Endpoint,
    gate::Gate,
    lane::{Pace, Visit, Worked, lane_of},
};

/// Lanes of one endpoint that are worked off side by side.
const LANES_AT_ONCE: usize = 8;
/// How old a row gets at an endpoint or a target that does not answer.
pub(super) const MAX_AGE: Duration = Duration::from_hours(24);
/// Rows that are given up in one turn.
pub(super) const BURIALS: usize = 500;
/// What an endpoint's queue has.
struct Queue {
    /// Of each lane the first row that is due, the earliest first.
    heads: Vec<String>,
    /// When the next row becomes due after those.
    next: Option<Timestamp>,
}

/// Whether a turn goes on.
enum After {
    Again,
    /// There is something to do then.
    End(Option<Timestamp>),
}

impl Outbox {
    /// Sends what is due for an endpoint, which is read anew for each round.
    pub(super) async fn turn(
        &self,
        (desk, mail): (&Desk, &Mail),
        (id, key): (Uuid, &ItemKey),
        pace: Pace<'_>,
    ) -> Result<Worked, StoreError> {
        let mut total = Worked::default();
        loop {
            let Some((endpoint, gate)) = self.look(desk, mail, (id, key)).await? else { return Ok(total) };
            if let Some(gate) = gate.filter(|gate| gate.until > self.now()) {
                total.next = Some(gate.until);
                return Ok(total);
            }
            let mut queue = self.queue(desk, &endpoint).await?;
            if queue.heads.is_empty() {
                total.next = queue.next;
                return Ok(total);
            }
            let failures = gate.map_or(0, |gate| gate.failures);
            let visit = Visit::new((desk, mail), &endpoint, pace, failures > 0);
            // Another lane is tried each time: one event may be what the endpoint fails at.
            let first = failures as usize % queue.heads.len();
            queue.heads.rotate_left(first);
            let worked = self.pass(&visit, &queue.heads).await;
            total.count(&worked);
            match self.after_round(&visit, failures, &worked, &queue, &mut total).await? {
                After::Again if pace.is_over(ANSWER_TIME) => {
                    total.next = Some(self.now());
                    return Ok(total);
                }
                After::Again => {}
                After::End(next) => {
                    total.next = next;
                    return Ok(total);
                }
            }
        }
    }

    /// What follows from what was seen of an endpoint in a round.
    async fn after_round(
        &self,
        visit: &Visit<'_>,
        failures: u32,
        worked: &Worked,
        queue: &Queue,
        total: &mut Worked,
    ) -> Result<After, StoreError> {
        let (desk, endpoint) = (visit.desk, visit.endpoint);
        match worked.health {
            // What was seen is no matter of the endpoint as it is now.
            _ if visit.is_stale() => Ok(After::Again),
            Some(Health::Failing(asked)) => {
                let gate = Gate::shut(failures, asked, self.now());
                self.set_gate(&endpoint.door(desk), Some(gate), Deadline::after(STORE_TIME)).await?;
                if gate.is_long_dead() {
                    total.given_up += self.bury_heads(visit, &queue.heads).await?;
                }
                Ok(After::End(Some(gate.until)))
            }
            Some(Health::Gone) => {
                self.disable(desk, endpoint, Deadline::after(STORE_TIME)).await?;
                Ok(After::End(None))
            }
            Some(Health::Doubtful) => Ok(After::Again),
            Some(Health::Well) => {
                if failures > 0 {
                    self.set_gate(&endpoint.door(desk), None, Deadline::after(STORE_TIME)).await?;
                }
                Ok(After::Again)
            }
            // Nothing was sent: it is all waiting for something, or done but still in the index.
            None => Ok(After::End(earlier(worked.next, queue.next))),
        }
    }

    /// Works off lanes side by side.
    async fn pass(&self, visit: &Visit<'_>, heads: &[String]) -> Worked {
        let mut worked = Worked::default();
        let lanes = stream::iter(heads.to_vec()).map(|sort| self.lane(visit, sort));
        let mut lanes = lanes.buffer_unordered(if visit.watch.probing { 1 } else { LANES_AT_ONCE });
        while let Some(lane) = lanes.next().await {
            worked.add(&lane);
        }
        worked
    }

    async fn queue(&self, desk: &Desk, endpoint: &Endpoint) -> Result<Queue, StoreError> {
        let name = Due::queue(&desk.service.name, endpoint.id);
        let now = Due::text(self.now());
        let mut heads: Vec<String> = Vec::new();
        let mut lanes: HashMap<String, usize> = HashMap::new();
        let mut after = None;
        loop {
            let page = self.store.due(&name, after, Deadline::after(STORE_TIME)).await?;
            for (key, time) in page.rows {
                if time > now {
                    return Ok(Queue { heads, next: Due::instant(&time) });
                }
                let at = *lanes.entry(lane_of(&key.sort).to_owned()).or_insert(heads.len());
                match heads.get_mut(at) {
                    None => heads.push(key.sort),
                    Some(head) if key.sort < *head => *head = key.sort,
                    Some(_) => {}
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(Queue { heads, next: None });
            }
        }
    }

    /// Gives up what is old at an endpoint that has not answered for long.
    async fn bury_heads(&self, visit: &Visit<'_>, heads: &[String]) -> Result<usize, StoreError> {
        let before = self.now().checked_sub(MAX_AGE).unwrap_or(Timestamp::MIN);
        let mut buried = 0;
        for sort in heads.iter().take(BURIALS) {
            if visit.pace.is_over(ANSWER_TIME) {
                break;
            }
            buried += usize::from(self.bury_old(visit, sort, before).await?);
        }
        Ok(buried)
    }
}
