//! The one transaction that takes an event in.

use std::{collections::HashMap, sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Claim, Ledger, Standing,
    entry::Entry,
    first_wait,
    place::place,
    queue::{MAX_WAITING, standing, taken},
};
use crate::{
    edm::{Entity, Value},
    events::JobEvent,
    plan::operation_id,
    policy::{Decision, Source, Verdict},
    store::{
        ClaimChange, Claims, Commit, Condition, Deadline, Due, ItemKey, Schedule, Store, StoreError, Stored, Write,
        WriteKind,
    },
};

/// How often it is decided anew when others change the same claims.
const TRIES: usize = 60;
/// After so many conflicts in a row it is read what others have made of it.
const BLIND: usize = 2;

/// What became of an event that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The event.
    pub event_id: Uuid,
    /// The decision; of an event that came before, its present state.
    pub decision: Decision,
    /// The rule that said so.
    pub rule: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// Whether the event had come before.
    pub duplicate: bool,
}

/// The record of an event.
struct Decided {
    verdict: Verdict,
    /// When the decision is due, where there is something to do.
    due: Option<Timestamp>,
    claims: Option<Write>,
}

/// One event on its way into the table.
struct Arrival<'a> {
    ledger: &'a Ledger,
    source: &'a Source,
    event: &'a JobEvent,
    received: Timestamp,
    /// When a decision may go that nothing is to be done about.
    expires: i64,
    /// Who claims a retry.
    own: Claim,
    claims_key: ItemKey,
}

impl Ledger {
    /// Writes down an event with what the rules say about it, and claims a retry where they want the job requeued: all of
    /// it or nothing. An event that was written down before is not again. `keep` is how long a decision is kept that
    /// nothing is to be done about.
    pub async fn record(
        &self,
        store: &Store,
        (source, event): (&Source, &JobEvent),
        verdict: &Verdict,
        (received, keep): (Timestamp, Duration),
        deadline: Deadline,
    ) -> Result<Recorded, StoreError> {
        let at = event.time.unwrap_or(received);
        let arrival = Arrival {
            ledger: self,
            source,
            event,
            received,
            expires: received.as_second().saturating_add(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX)),
            own: Claim::new(event.control_number, at, event.id),
            claims_key: self.claims_key(&source.target, event.job.unwrap_or(0)),
        };
        let mut known: Option<Claims> = None;
        let mut pauses = pauses();
        for attempt in 1..=TRIES {
            let operation = operation_id(Uuid::new_v4());
            let Decided { verdict, due, claims } = arrival.decide(verdict, known.as_ref(), &operation);
            let writes: Vec<Write> = [arrival.decision(&verdict, due)?].into_iter().chain(claims).collect();
            match store.commit(self.model(), &writes, &operation, deadline).await? {
                Commit::Done => return Ok(arrival.recorded(verdict)),
                Commit::Refused(items) => {
                    let items = items.into_iter().filter_map(|(_, item)| item);
                    if let Some(first) = Arrival::learn(items, &mut known) {
                        return self.known(&first);
                    }
                }
                Commit::Conflict => {
                    let Some(pause) = pauses.next().filter(|pause| !deadline.is_before(*pause)) else {
                        return Err(StoreError::Contention { attempts: attempt });
                    };
                    tokio::time::sleep(pause).await;
                    if attempt > BLIND {
                        let keys: Vec<ItemKey> = writes.into_iter().map(|write| write.key).collect();
                        let items = store.get(&keys, deadline).await?;
                        let items = items.values().map(|item| Stored::from_item(self.model(), item));
                        let items: Vec<Stored> = items.collect::<Result<_, _>>()?;
                        if let Some(first) = Arrival::learn(items, &mut known) {
                            return self.known(&first);
                        }
                    }
                }
            }
        }
        Err(StoreError::Contention { attempts: TRIES })
    }

    /// Of several events those that came before, with what was decided then: one call to the table for a hundred.
    pub async fn seen<'e>(
        &self,
        store: &Store,
        target: &str,
        events: impl IntoIterator<Item = &'e JobEvent>,
        deadline: Deadline,
    ) -> Result<HashMap<Uuid, Recorded>, StoreError> {
        let key = |event: &JobEvent| self.decision_key(target, event.job.unwrap_or(0), event.id);
        let keys: Vec<ItemKey> = events.into_iter().map(key).collect::<Result<_, _>>()?;
        let mut seen = HashMap::new();
        for item in store.get(&keys, deadline).await?.values() {
            if let Stored::Entity(first) = Stored::from_item(self.model(), item)? {
                let recorded = self.known(&first)?;
                seen.insert(recorded.event_id, recorded);
            }
        }
        Ok(seen)
    }

    /// The decision about an event that came before.
    fn known(&self, first: &Entity) -> Result<Recorded, StoreError> {
        let record = &first.record;
        let text = |name: &str| match record.get(self.model(), name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        let decision = self.model().member_name(record, "Decision");
        let Some(Value::Guid(event_id)) = record.get(self.model(), "EventId") else {
            return Err(StoreError::Corrupt("a decision without EventId".into()));
        };
        Ok(Recorded {
            event_id: *event_id,
            decision: Decision::from_name(&decision).ok_or_else(|| StoreError::Corrupt("a decision".into()))?,
            rule: text("Rule"),
            reason: text("Reason").unwrap_or_default(),
            duplicate: true,
        })
    }
}

impl Arrival<'_> {
    /// Takes in what is in the table: the decision about this event, if there is one, is returned.
    fn learn(items: impl IntoIterator<Item = Stored>, known: &mut Option<Claims>) -> Option<Arc<Entity>> {
        let mut first = None;
        for item in items {
            match item {
                Stored::Entity(decision) => first = Some(decision),
                Stored::Claims(claims) => *known = Some(claims),
                _ => {}
            }
        }
        first
    }

    /// The decision, by the rules' verdict and the claims of the job. As long as those are not known, none is assumed to be
    /// in the way.
    fn decide(&self, verdict: &Verdict, known: Option<&Claims>, operation: &str) -> Decided {
        let as_is = |claims| Decided { verdict: verdict.clone(), due: None, claims };
        let due = |at, claims| Decided { due: Some(at), ..as_is(Some(claims)) };
        let (claim, received) = (self.own.0.clone(), self.received);
        match (verdict.decision, verdict.limit, known) {
            (Decision::Requeue, Some(limit), None) => {
                due(received, self.claims(ClaimChange::Take { claim, most: limit.max_retries }))
            }
            (Decision::Requeue, Some(limit), Some(known)) => match standing(known, &self.own, limit) {
                standing @ (Standing::Superseded(_) | Standing::Exhausted(_)) => {
                    let dropped = standing.dropped(&verdict.reason, limit);
                    let dropped = dropped.map(|(decision, reason)| Verdict { decision, reason, ..verdict.clone() });
                    Decided { verdict: dropped.unwrap_or_else(|| verdict.clone()), ..as_is(None) }
                }
                Standing::Ahead(_) => {
                    let after = taken(known, &self.own);
                    due(received, Ledger::write_claims(self.claims_key.clone(), known, after, operation))
                }
                Standing::Waits => {
                    let has_place = known.waiting.len() < MAX_WAITING as usize;
                    let wait = ClaimChange::Wait { claim, most: MAX_WAITING };
                    Decided { due: Some(first_wait(received)), ..as_is(has_place.then(|| self.claims(wait))) }
                }
            },
            (Decision::Reset, ..) => {
                let place = place(self.event.control_number, self.event.time.unwrap_or(received));
                let is_later = known.and_then(|known| known.cleared.as_ref()).is_none_or(|cleared| *cleared < place);
                as_is(is_later.then(|| self.claims(ClaimChange::Clear(place))))
            }
            _ => as_is(None),
        }
    }

    fn decision(&self, verdict: &Verdict, due: Option<Timestamp>) -> Result<Write, StoreError> {
        let entry = Entry {
            source: self.source,
            event: self.event,
            verdict,
            received: self.received,
            due,
            claim: due.map(|_| self.own.0.as_str()),
        };
        let entity = self.ledger.decision(&entry, Uuid::new_v4());
        let key = self.ledger.item_key(&self.ledger.0.decisions, &entity.record)?;
        let schedule = match due {
            Some(at) => Schedule::At(Due::at_target(&self.ledger.service().name, &self.source.target, at)),
            None => Schedule::Done { expires: self.expires },
        };
        let kind = WriteKind::Put(Stored::Entity(entity.into()), schedule);
        Ok(Write { key, kind, condition: Condition::Absent })
    }

    fn claims(&self, change: ClaimChange) -> Write {
        Write { key: self.claims_key.clone(), kind: WriteKind::Claim(change), condition: Condition::None }
    }

    fn recorded(&self, verdict: Verdict) -> Recorded {
        if verdict.decision == Decision::Exhausted {
            let (job, target) = (self.event.job, &self.source.target);
            tracing::warn!(job, requeue_target = target, rule = verdict.rule, "the retries of a job are exhausted");
        }
        Recorded {
            event_id: self.event.id,
            decision: verdict.decision,
            rule: verdict.rule,
            reason: verdict.reason,
            duplicate: false,
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(3));
    pauses.with_max_delay(Duration::from_millis(500)).with_max_times(TRIES).with_jitter().build()
}
