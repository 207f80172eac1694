//! The events of a request, each written down with what is decided about it.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Webhook, answer, error::Refusal};
use crate::{
    events::{EventFault, JobEvent},
    exchange::Outgoing,
    ledger::Recorded,
    policy::{Decision, Source, Verdict},
    store::{Deadline, StoreError},
    telemetry::{Decided, TraceContext},
};

/// How many jobs' events are written down at a time.
const SIDE_BY_SIDE: usize = 16;

/// An event, or what is left of one.
type Read = Result<JobEvent, EventFault>;

impl Webhook {
    /// Writes the events of a request down. If none of them can be read, none is, and the sender is told.
    pub(super) async fn record(
        &self,
        source: &Source,
        received: Vec<Read>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(Outgoing, Decided), Refusal> {
        if !received.is_empty() && received.iter().all(Result::is_err) {
            return Err(Refusal::NoEvents(received.into_iter().filter_map(Result::err).collect()));
        }
        let seen = self.seen(source, &received, deadline).await?;
        let groups = stream::iter(by_job(&received));
        let recorded = groups.map(|group| self.record_in_order(source, (&received, &seen), group, now, deadline));
        // What cannot be written down for one job does not keep those of others from being so.
        let recorded: Vec<Result<Vec<(usize, Recorded)>, _>> = recorded.buffer_unordered(SIDE_BY_SIDE).collect().await;
        let recorded: Vec<_> = recorded.into_iter().collect::<Result<_, _>>()?;
        let mut recorded: Vec<_> = recorded.into_iter().flatten().collect();
        recorded.sort_unstable_by_key(|(index, _)| *index);
        let recorded: Vec<Recorded> = recorded.into_iter().map(|(_, recorded)| recorded).collect();
        Ok((answer::recorded(&recorded), decided(&recorded)))
    }

    /// What was written down before: looked up at once for a delivery of several events, so that one that is repeated
    /// comes soon to what is left of it.
    async fn seen(
        &self,
        source: &Source,
        received: &[Read],
        deadline: Deadline,
    ) -> Result<HashMap<Uuid, Recorded>, StoreError> {
        if received.len() < 2 {
            return Ok(HashMap::new());
        }
        let events = received.iter().map(|read| read.as_ref().unwrap_or_else(|fault| &fault.event));
        self.ledger.seen(&self.store, &source.target, events, deadline).await
    }

    /// Writes the events of one job down, one after another.
    async fn record_in_order(
        &self,
        source: &Source,
        (received, seen): (&[Read], &HashMap<Uuid, Recorded>),
        group: Vec<usize>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<(usize, Recorded)>, StoreError> {
        let mut all = Vec::with_capacity(group.len());
        for index in group {
            let Some(read) = received.get(index) else { continue };
            let (event, verdict) = match read {
                Ok(event) => (event, self.policy.decide(source, event, now)),
                Err(fault) => (&*fault.event, unreadable(fault)),
            };
            if let Some(recorded) = seen.get(&event.id) {
                all.push((index, recorded.clone()));
                continue;
            }
            let keep = self.policy.keep_decisions();
            let recorded = self.ledger.record(&self.store, (source, event), &verdict, (now, keep), deadline).await?;
            all.push((index, recorded));
        }
        Ok(all)
    }
}

/// The same events, each in its own trace, or in that of the request where it tells none.
pub(super) fn in_trace(mut received: Vec<Read>, request: &TraceContext) -> Vec<Read> {
    for read in &mut received {
        let event = match read {
            Ok(event) => event,
            Err(fault) => &mut *fault.event,
        };
        let own = event.trace.as_deref().and_then(TraceContext::from_text).map(|own| own.child(Uuid::new_v4()));
        event.trace = Some(own.as_ref().unwrap_or(request).text());
    }
    received
}

/// How many of each decision there were.
fn decided(recorded: &[Recorded]) -> Decided {
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
fn by_job(received: &[Read]) -> Vec<Vec<usize>> {
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
