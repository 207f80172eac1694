//! Events that were read, each written down with what the policy decides about it.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Ledger, Recorded};
use crate::{
    events::{EventFault, JobEvent},
    policy::{Decision, Policy, Source, Verdict},
    store::{Deadline, Store, StoreError},
    telemetry::{Decided, count_events},
};

/// How many jobs' events are written down at a time.
const SIDE_BY_SIDE: usize = 16;

/// An event, or what is left of one.
pub type ReadEvent = Result<JobEvent, EventFault>;

/// Whose events come in, when, and which policy decides about them.
#[derive(Clone, Copy, Debug)]
pub struct Intake<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Their source.
    pub source: &'a Source,
    /// When they come in.
    pub now: Timestamp,
}

impl Ledger {
    /// Writes events down that came in together; what was decided about each, in their order. Those of one job are written
    /// down one after another. After an error some may be written down and some not: once all of them come again, those
    /// that are known change nothing.
    pub async fn take_in(
        &self,
        store: &Store,
        intake: Intake<'_>,
        received: &[ReadEvent],
        deadline: Deadline,
    ) -> Result<Vec<Recorded>, StoreError> {
        let seen = self.seen_before(store, intake.source, received, deadline).await?;
        let groups = stream::iter(by_job(received));
        let recorded = groups.map(|group| self.take_in_order(store, intake, (received, &seen), group, deadline));
        // A failure for one job does not keep the events of others from being written down.
        let recorded: Vec<Result<Vec<(usize, Recorded)>, _>> = recorded.buffer_unordered(SIDE_BY_SIDE).collect().await;
        let recorded: Vec<_> = recorded.into_iter().collect::<Result<_, _>>()?;
        let mut recorded: Vec<_> = recorded.into_iter().flatten().collect();
        recorded.sort_unstable_by_key(|(index, _)| *index);
        let recorded: Vec<Recorded> = recorded.into_iter().map(|(_, recorded)| recorded).collect();
        count_events(&decided(&recorded));
        Ok(recorded)
    }

    /// Decisions from before: looked up at once for several events, so that a delivery that is repeated comes soon
    /// to what is left of it.
    async fn seen_before(
        &self,
        store: &Store,
        source: &Source,
        received: &[ReadEvent],
        deadline: Deadline,
    ) -> Result<HashMap<Uuid, Recorded>, StoreError> {
        if received.len() < 2 {
            return Ok(HashMap::new());
        }
        let events = received.iter().map(|read| read.as_ref().unwrap_or_else(|fault| &fault.event));
        self.seen(store, &source.target, events, deadline).await
    }

    /// Writes the events of one job down, one after another.
    async fn take_in_order(
        &self,
        store: &Store,
        Intake { policy, source, now }: Intake<'_>,
        (received, seen): (&[ReadEvent], &HashMap<Uuid, Recorded>),
        group: Vec<usize>,
        deadline: Deadline,
    ) -> Result<Vec<(usize, Recorded)>, StoreError> {
        let mut all = Vec::with_capacity(group.len());
        for index in group {
            let Some(read) = received.get(index) else { continue };
            let (event, verdict) = match read {
                Ok(event) => (event, policy.decide(source, event, now)),
                Err(fault) => (&*fault.event, unreadable(fault)),
            };
            if let Some(recorded) = seen.get(&event.id) {
                all.push((index, recorded.clone()));
                continue;
            }
            let kept = (now, policy.keep_decisions());
            let recorded = self.record(store, (source, event), &verdict, kept, deadline).await?;
            all.push((index, recorded));
        }
        Ok(all)
    }
}

/// How many of each decision there were.
pub fn decided(recorded: &[Recorded]) -> Decided {
    let mut decided = Decided { events: recorded.len(), ..Decided::default() };
    for recorded in recorded {
        let count = match recorded.decision {
            _ if recorded.duplicate => &mut decided.duplicates,
            Decision::Requeue => &mut decided.requeue,
            Decision::Exhausted => &mut decided.exhausted,
            Decision::Superseded => &mut decided.superseded,
            Decision::Unreadable => &mut decided.unreadable,
            Decision::Ignored | Decision::NoRule | Decision::TooOld | Decision::Reset | Decision::Test => {
                &mut decided.other
            }
        };
        *count += 1;
    }
    decided
}

fn unreadable(fault: &EventFault) -> Verdict {
    Verdict { decision: Decision::Unreadable, rule: None, reason: fault.to_string(), limit: None }
}

/// The places of the events of each job, in their order; an event without a job is alone.
fn by_job(received: &[ReadEvent]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut of_job = HashMap::new();
    for (index, read) in received.iter().enumerate() {
        let new = groups.len();
        let at = match read.as_ref().ok().and_then(|event| event.job) {
            Some(job) => *of_job.entry(job).or_insert(new),
            None => new,
        };
        match groups.get_mut(at) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::What;
    use uuid::Uuid;

    #[test]
    fn events_of_a_job_stay_in_their_order_and_others_are_alone() {
        let event = |job| {
            Ok(JobEvent {
                id: Uuid::nil(),
                given_id: String::new(),
                what: What::Other,
                type_name: String::new(),
                control_number: 0,
                time: None,
                time_note: None,
                legal_entity: String::new(),
                job,
                job_description: String::new(),
                job_status: String::new(),
                error_text: String::new(),
                trace: None,
            })
        };
        let received = [Some(1), None, Some(2), Some(1), None, Some(1)].map(event);
        assert_eq!(by_job(&received), [vec![0, 3, 5], vec![1], vec![2], vec![4]]);
        assert!(by_job(&[]).is_empty());
    }
}
