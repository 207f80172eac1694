//! One turn of one endpoint: all its lanes that have something due.

use std::{collections::HashMap, sync::atomic::AtomicBool, time::Duration};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::store::{Deadline, Due, StoreError};

use super::{
    Outbox, STORE_TIME,
    attempt::Health,
    desk::{Desk, Mail},
    earlier,
    endpoint::Endpoint,
    gate::Gate,
    lane::{Pace, Visit, Worked, lane_of},
    later,
};

/// Lanes of one endpoint that are worked off side by side.
const LANES_AT_ONCE: usize = 8;
/// How old a row gets at an endpoint that does not answer.
const MAX_AGE: Duration = Duration::from_hours(24);
/// Rows that are given up in one turn.
const BURIALS: usize = 500;
/// The index may lag behind the rows that were changed just now.
const INDEX_LAG: Duration = Duration::from_secs(1);

/// What an endpoint's queue has.
struct Queue {
    /// Of each lane the first row that is due, the earliest first.
    heads: Vec<String>,
    /// When the next row becomes due after those.
    next: Option<Timestamp>,
}

impl Outbox {
    /// Sends what is due for an endpoint.
    pub(super) async fn turn(
        &self,
        (desk, mail, endpoint): (&Desk, &Mail, &Endpoint),
        gate: Option<Gate>,
        pace: Pace<'_>,
    ) -> Result<Worked, StoreError> {
        let mut total = Worked::default();
        if let Some(gate) = gate.filter(|gate| gate.until > self.now()) {
            total.next = Some(gate.until);
            return Ok(total);
        }
        let mut failures = gate.map_or(0, |gate| gate.failures);
        loop {
            let queue = self.queue(desk, endpoint).await?;
            total.next = queue.next;
            if queue.heads.is_empty() {
                return Ok(total);
            }
            let visit = Visit { desk, mail, endpoint, pace, probing: failures > 0, halt: AtomicBool::new(false) };
            let worked = self.pass(&visit, &queue.heads).await;
            total.add(&worked);
            match worked.health {
                Some(Health::Failing(asked)) => {
                    let gate = Gate::shut(failures, asked, self.now());
                    self.set_gate(desk, endpoint, Some(gate), Deadline::after(STORE_TIME)).await?;
                    if gate.is_long_dead() {
                        total.given_up += self.bury_heads(&visit, &queue.heads).await?;
                    }
                    total.next = Some(gate.until);
                    return Ok(total);
                }
                Some(Health::Gone) => {
                    self.disable(desk, endpoint, Deadline::after(STORE_TIME)).await?;
                    total.next = None;
                    return Ok(total);
                }
                Some(Health::Well) if failures > 0 => {
                    self.set_gate(desk, endpoint, None, Deadline::after(STORE_TIME)).await?;
                    failures = 0;
                }
                Some(Health::Well) => {}
                None => {
                    // Nothing was sent: it is all waiting for something, or done but still in the index.
                    total.next = earlier(worked.next, queue.next).or_else(|| Some(later(self.now(), INDEX_LAG)));
                    return Ok(total);
                }
            }
            if pace.is_over() {
                total.next = Some(self.now());
                return Ok(total);
            }
        }
    }

    /// Works off lanes side by side.
    async fn pass(&self, visit: &Visit<'_>, heads: &[String]) -> Worked {
        let mut worked = Worked::default();
        let lanes = stream::iter(heads.to_vec()).map(|sort| self.lane(visit, sort));
        let mut lanes = lanes.buffer_unordered(if visit.probing { 1 } else { LANES_AT_ONCE });
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
            buried += usize::from(self.bury_old(visit, sort, before).await?);
        }
        Ok(buried)
    }
}
