//! The one transaction that takes an event in.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Claim, DecisionRow, Ledger,
    entry::Entry,
    place::{counting, place},
};
use crate::{
    edm::{Entity, EntityKey, Value},
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
/// Claims that are kept of a job: more than any limit, and few enough for an item.
const MAX_CLAIMS: usize = 1_000;

/// What became of an event that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The event.
    pub event_id: Uuid,
    /// What is decided: by this delivery of the event or by the first one.
    pub decision: Decision,
    /// The rule that said so.
    pub rule: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// Whether the event had come before.
    pub duplicate: bool,
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
            let (writes, verdict) = arrival.writes(verdict, known.as_ref())?;
            let operation = operation_id(Uuid::new_v4());
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
        let key = |event: &JobEvent| {
            let (job, target) = (Value::Integer(event.job.unwrap_or(0)), Value::String(target.to_owned()));
            let key = self.0.decisions.entity_key(&EntityKey(vec![job, target, Value::Guid(event.id)]));
            key.map_err(|error| StoreError::Corrupt(error.to_string()))
        };
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

    /// What was decided when an event came for the first time.
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

    /// What is to be written, and what it is then decided: the rules' verdict, and what is known of the claims.
    fn writes(&self, verdict: &Verdict, known: Option<&Claims>) -> Result<(Vec<Write>, Verdict), StoreError> {
        let (decided, claims) = match (verdict.decision, verdict.limit, known) {
            (Decision::Requeue, Some(limit), None) => {
                let take = ClaimChange::Take { claim: self.own.0.clone(), most: limit.max_retries };
                (verdict.clone(), Some(self.claims(WriteKind::Claim(take), Condition::None)))
            }
            (Decision::Requeue, Some(limit), Some(known)) => {
                let seen = Condition::Claims(known.version.clone());
                let held = counting(known, &self.own, limit).count();
                if known.cleared.as_ref().is_some_and(|place| *place > self.own.0) {
                    let reason = "the job finished after this failure".into();
                    (Verdict { decision: Decision::Superseded, reason, ..verdict.clone() }, None)
                } else if held >= limit.max_retries as usize {
                    let reason = format!(
                        "{}; but {held} of its retries are taken already, and {} is the limit",
                        verdict.reason, limit.max_retries
                    );
                    let exhausted = Verdict { decision: Decision::Exhausted, reason, ..verdict.clone() };
                    (exhausted, None)
                } else {
                    let held = kept(known, &self.own);
                    let claims = Claims { held, cleared: known.cleared.clone(), version: operation_id(Uuid::new_v4()) };
                    let put = WriteKind::Put(Stored::Claims(claims), Schedule::Keep);
                    (verdict.clone(), Some(self.claims(put, seen)))
                }
            }
            (Decision::Reset, ..) => {
                let at = self.event.time.unwrap_or(self.received);
                let place = place(self.event.control_number, at);
                let is_later = known.and_then(|known| known.cleared.as_ref()).is_none_or(|cleared| *cleared < place);
                let clear = || self.claims(WriteKind::Claim(ClaimChange::Clear(place)), Condition::None);
                (verdict.clone(), is_later.then(clear))
            }
            _ => (verdict.clone(), None),
        };
        let mut writes = vec![self.decision(&decided)?];
        writes.extend(claims);
        Ok((writes, decided))
    }

    fn decision(&self, verdict: &Verdict) -> Result<Write, StoreError> {
        let pending = verdict.decision == Decision::Requeue;
        let entry = Entry {
            source: self.source,
            event: self.event,
            verdict,
            received: self.received,
            claim: pending.then_some(self.own.0.as_str()),
        };
        let entity = self.ledger.decision(&entry, Uuid::new_v4());
        let key = self.ledger.item_key(&self.ledger.0.decisions, &entity.record)?;
        let schedule = if pending {
            Schedule::At(Due::at_target(&self.ledger.service().name, &self.source.target, self.received))
        } else {
            Schedule::Done { expires: self.expires }
        };
        let kind = WriteKind::Put(Stored::Entity(entity.into()), schedule);
        Ok(Write { key, kind, condition: Condition::Absent })
    }

    fn claims(&self, kind: WriteKind, condition: Condition) -> Write {
        Write { key: self.claims_key.clone(), kind, condition }
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

impl DecisionRow {
    /// The write that gives its claim back, if it holds one.
    pub fn give_back(&self, ledger: &Ledger) -> Option<Write> {
        let change = ClaimChange::Return(self.claim.as_ref()?.0.clone());
        let key = ledger.claims_key(&self.target, self.job);
        Some(Write { key, kind: WriteKind::Claim(change), condition: Condition::None })
    }
}

/// The claims that are kept beside a new one. Those that are cleared go. What is merely too old for this failure may count
/// for another rule, or for a failure that comes late; so the newest stay, as many as no limit reaches.
fn kept(known: &Claims, own: &Claim) -> BTreeSet<String> {
    let cleared = |claim: &&String| known.cleared.as_ref().is_some_and(|place| *claim <= place);
    let newest = known.held.iter().rev().filter(|claim| !cleared(claim)).take(MAX_CLAIMS);
    newest.cloned().chain([own.0.clone()]).collect()
}

fn pauses() -> impl Iterator<Item = Duration> {
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(3));
    pauses.with_max_delay(Duration::from_millis(500)).with_max_times(TRIES).with_jitter().build()
}
