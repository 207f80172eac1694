//! The failures of one job: which one is carried out, which wait for it, and what becomes of those. Pure.
//!
//! One claim is ahead. As long as its outcome is not known, it is no reason to call a job exhausted: other failures wait.
//! A claim ends in one of two ways. When the job was requeued, or may have been, that answers each failure up to then: those are
//! superseded, and only later ones go on waiting. When the claim is given back, all of them do. Either way the oldest that
//! still waits is ahead next, in the same transaction; so no failure waits for a claim that has ended.

use std::collections::{BTreeSet, HashSet};

use jiff::{Timestamp, ToSpan};

use super::{
    Claim, DecisionRow, Ledger, RequeueStatus,
    place::{counting, place},
};
use crate::{
    edm::Value,
    policy::{Decision, Limit},
    store::{Claims, Condition, Due, ItemKey, Patch, Requirement, Schedule, StoreError, Stored, Write, WriteKind},
};

/// Claims that are kept of a job: more than any limit, and few enough for an item.
const MAX_CLAIMS: usize = 1_000;
/// Claims that wait for the one ahead. A decision without a place among them is due again later.
pub(super) const MAX_WAITING: u32 = 200;
/// Failures that are superseded at once: with what ends the claim ahead they fit into one transaction.
const MAX_SUPERSEDED: usize = 90;

/// The standing of a failure among the others of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Something that came after it has settled it.
    Superseded(Passed),
    /// So many retries are taken for good, and no more are allowed.
    Exhausted(u32),
    /// Another one is ahead.
    Waits,
    /// The failure is the one to carry out: this retry of the job, from 1.
    Ahead(u32),
}

/// An event that settles the failures before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The job finished.
    Finished,
    /// The job was requeued, or may have been.
    Requeued,
}

/// How a claim that was ahead ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whether it is given back: nothing was done for it.
    pub returned: bool,
    /// When the job was requeued, or may have been: not before then.
    pub requeued: Option<Timestamp>,
}

/// The consequences of the end of a claim for the others of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    key: ItemKey,
    seen: Claims,
    after: Claims,
    superseded: Vec<(ItemKey, Passed)>,
    next: Option<ItemKey>,
}

impl Passed {
    /// Why a failure is superseded, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Finished => "the job finished after this failure",
            Self::Requeued => "a requeue of the job came after this failure",
        }
    }
}

impl Standing {
    /// The decision about a failure that is not carried out, and why: after the rule's `reason`.
    pub fn dropped(self, reason: &str, limit: Limit) -> Option<(Decision, String)> {
        let (decision, why) = match self {
            Self::Superseded(passed) => (Decision::Superseded, passed.reason().to_owned()),
            Self::Exhausted(held) => {
                let most = limit.max_retries;
                (Decision::Exhausted, format!("{held} of its retries are taken already, and {most} is the limit"))
            }
            Self::Waits | Self::Ahead(_) => return None,
        };
        Some((decision, format!("{reason}; but {why}")))
    }
}

/// The standing of a failure among the others of its job.
pub fn standing(claims: &Claims, own: &Claim, limit: Limit) -> Standing {
    if let Some(passed) = passed(claims, &own.0) {
        return Standing::Superseded(passed);
    }
    let is_settled = |claim: &&String| **claim != own.0 && claims.ahead.as_ref() != Some(*claim);
    let settled = u32::try_from(counting(claims, own, limit).filter(is_settled).count()).unwrap_or(u32::MAX);
    if settled >= limit.max_retries {
        return Standing::Exhausted(settled);
    }
    let other = claims.ahead.as_ref().filter(|ahead| **ahead != own.0 && !is_cleared(claims, ahead));
    if other.is_some() { Standing::Waits } else { Standing::Ahead(settled.saturating_add(1)) }
}

/// The event that has settled the failure of a claim, if one has.
fn passed(claims: &Claims, claim: &String) -> Option<Passed> {
    if is_cleared(claims, claim) {
        return Some(Passed::Finished);
    }
    claims.requeued.as_ref().is_some_and(|place| claim < place).then_some(Passed::Requeued)
}

fn is_cleared(claims: &Claims, claim: &String) -> bool {
    claims.cleared.as_ref().is_some_and(|place| claim < place)
}

/// The claims once this one is ahead. Those that are cleared go. What is merely too old for this failure may count for
/// another rule, or for a failure that comes late; so the newest stay, as many as no limit reaches.
pub(super) fn taken(claims: &Claims, own: &Claim) -> Claims {
    let newest = claims.held.iter().rev().filter(|claim| !is_cleared(claims, claim)).take(MAX_CLAIMS);
    let held = newest.chain([&own.0]).cloned().collect();
    let mut waiting = claims.waiting.clone();
    waiting.remove(&own.0);
    Claims { held, ahead: Some(own.0.clone()), waiting, ..claims.clone() }
}

/// The claims once this one has ended; those among the waiting that are superseded by then, as many as fit; and the one
/// that is ahead instead. What is in `without` waits no more.
fn ended(
    claims: &Claims,
    own: Option<&Claim>,
    ending: Ending,
    without: &BTreeSet<String>,
) -> (Claims, Vec<String>, Option<String>) {
    let mut after = claims.clone();
    // Nothing up to that instant is later than it.
    let requeued = ending.requeued.map(|at| place(i64::MIN, at.checked_add(100.nanoseconds()).unwrap_or(at)));
    after.requeued = after.requeued.max(requeued);
    after.waiting.retain(|claim| !without.contains(claim));
    if let Some(Claim(own)) = own {
        after.waiting.remove(own);
        if ending.returned {
            after.held.remove(own);
        }
        after.ahead.take_if(|ahead| ahead == own);
    }
    let superseded = after.waiting.iter().filter(|claim| passed(&after, claim).is_some());
    let superseded: Vec<String> = superseded.take(MAX_SUPERSEDED).cloned().collect();
    after.waiting.retain(|claim| !superseded.contains(claim));
    let next = if after.ahead.is_none() { after.waiting.pop_first() } else { None };
    if let Some(next) = &next {
        after.held.insert(next.clone());
        after.ahead = Some(next.clone());
    }
    (after, superseded, next)
}

impl Ledger {
    /// The consequences of the end of a decision for the others of its job, whose claims are as they were `seen`. Decisions
    /// in `without` are left out: they do not wait.
    pub fn succession(
        &self,
        row: &DecisionRow,
        seen: &Claims,
        ending: Ending,
        without: &HashSet<ItemKey>,
    ) -> Result<Succession, StoreError> {
        let key_of = |claim: &String| {
            let event = Claim::event(claim).ok_or_else(|| StoreError::Corrupt("a claim without its event".into()))?;
            self.decision_key(&row.target, row.job, event)
        };
        let mut left_out = BTreeSet::new();
        for claim in seen.waiting.iter().filter(|_| !without.is_empty()) {
            if without.contains(&key_of(claim)?) {
                left_out.insert(claim.clone());
            }
        }
        let (after, superseded, next) = ended(seen, row.claim.as_ref(), ending, &left_out);
        let superseded = superseded.into_iter().filter_map(|claim| {
            let passed = passed(&after, &claim)?;
            Some(key_of(&claim).map(|key| (key, passed)))
        });
        Ok(Succession {
            key: self.claims_key(&row.target, row.job),
            seen: seen.clone(),
            superseded: superseded.collect::<Result<_, _>>()?,
            next: next.as_ref().map(key_of).transpose()?,
            after,
        })
    }

    /// Where the decision is that is ahead of the others of a job, if one is.
    pub fn ahead(&self, row: &DecisionRow, claims: &Claims) -> Result<Option<ItemKey>, StoreError> {
        let Some(event) = claims.ahead.as_ref().and_then(|claim| Claim::event(claim)) else { return Ok(None) };
        self.decision_key(&row.target, row.job, event).map(Some)
    }

    /// The write that puts a decision ahead of the others of its job, whose claims are as they were `seen`.
    pub fn take(&self, row: &DecisionRow, seen: &Claims, operation: &str) -> Option<Write> {
        let after = taken(seen, row.claim.as_ref()?);
        Some(Self::write_claims(self.claims_key(&row.target, row.job), seen, after, operation))
    }

    /// The write that gives a decision a place among those that wait, where it has none and there is room.
    pub fn join(&self, row: &DecisionRow, seen: &Claims, operation: &str) -> Option<Write> {
        let Claim(own) = row.claim.as_ref()?;
        if seen.waiting.contains(own) || seen.waiting.len() >= MAX_WAITING as usize {
            return None;
        }
        let waiting = seen.waiting.iter().chain([own]).cloned().collect();
        let after = Claims { waiting, ..seen.clone() };
        Some(Self::write_claims(self.claims_key(&row.target, row.job), seen, after, operation))
    }

    /// The write of claims that are as they were `seen`, by the operation of that id.
    pub(super) fn write_claims(key: ItemKey, seen: &Claims, after: Claims, operation: &str) -> Write {
        let condition =
            if seen.version.is_empty() { Condition::Absent } else { Condition::Claims(seen.version.clone()) };
        let claims = Claims { version: operation.to_owned(), ..after };
        Write { key, kind: WriteKind::Put(Stored::Claims(claims), Schedule::Keep), condition }
    }

    /// The properties of a decision that is not carried out; `now` is when that is found out.
    pub fn dropped(&self, decision: Decision, reason: String, now: Timestamp) -> Vec<(&'static str, Value)> {
        let ty = self.0.decisions.ty;
        vec![
            ("Decision", self.model().member(ty, "Decision", decision.name())),
            ("Reason", Value::String(reason)),
            ("Status", self.status_value(RequeueStatus::None)),
            ("DueDateTime", Value::Null),
            ("ConcludedDateTime", Self::time_value(now)),
            ("OutcomeUnknown", Value::Boolean(false)),
            ("Claim", Value::Null),
        ]
    }

    /// A change of a decision that waits, whatever else it is.
    fn waiting(
        &self,
        key: &ItemKey,
        properties: Vec<(&'static str, Value)>,
        schedule: Schedule,
        operation: &str,
    ) -> Write {
        let pending = self.status_value(RequeueStatus::Pending);
        let patch = Patch {
            properties: properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            requires: vec![Requirement::OneOf { property: "Status".into(), values: vec![pending] }],
            schedule,
            version: format!("{operation}.0"),
            ..Patch::default()
        };
        Write { key: key.clone(), kind: WriteKind::Patch(patch), condition: Condition::Exists }
    }
}

impl Succession {
    /// The decision that is ahead from then on; it is due at once.
    pub fn next(&self) -> Option<&ItemKey> {
        self.next.as_ref()
    }

    /// Its writes, by the operation of that id: the claims, the decisions that are superseded, which may go at `expires`
    /// (in seconds since 1970), and the one that is ahead, which is `due`. None where nothing changes.
    pub fn writes(&self, ledger: &Ledger, (now, due, expires): (Timestamp, &Due, i64), operation: &str) -> Vec<Write> {
        if self.seen == self.after {
            return Vec::new();
        }
        let superseded = self.superseded.iter().map(|(key, passed)| {
            let properties = ledger.dropped(Decision::Superseded, passed.reason().to_owned(), now);
            ledger.waiting(key, properties, Schedule::Done { expires }, operation)
        });
        let next = self.next.iter().map(|key| {
            let properties = vec![("DueDateTime", Ledger::time_value(now))];
            ledger.waiting(key, properties, Schedule::At(due.clone()), operation)
        });
        let claims = Ledger::write_claims(self.key.clone(), &self.seen, self.after.clone(), operation);
        [claims].into_iter().chain(superseded).chain(next).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const LIMIT: Limit = Limit { max_retries: 2, reset_after: None };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn claim(second: i64) -> Claim {
        Claim::new(second, at(second), Uuid::from_u128(second.unsigned_abs().into()))
    }

    fn set(seconds: &[i64]) -> BTreeSet<String> {
        seconds.iter().map(|second| claim(*second).0).collect()
    }

    #[test]
    fn what_is_under_way_exhausts_nothing_and_what_was_requeued_does() {
        let mut claims = Claims::default();
        assert_eq!(standing(&claims, &claim(5), LIMIT), Standing::Ahead(1));
        claims = taken(&claims, &claim(5));
        assert_eq!(standing(&claims, &claim(5), LIMIT), Standing::Ahead(1), "it is itself");
        assert_eq!(standing(&claims, &claim(4), LIMIT), Standing::Waits);
        claims.held = set(&[1, 5]);
        assert_eq!(standing(&claims, &claim(6), LIMIT), Standing::Waits, "one is taken for good");
        claims.ahead = None;
        assert_eq!(standing(&claims, &claim(6), LIMIT), Standing::Exhausted(2));
        claims.cleared = Some(place(6, at(6)));
        assert_eq!(standing(&claims, &claim(6), LIMIT), Standing::Ahead(1), "the job finished");
        assert_eq!(standing(&claims, &claim(5), LIMIT), Standing::Superseded(Passed::Finished));
        claims.ahead = Some(claim(5).0);
        assert_eq!(standing(&claims, &claim(7), LIMIT), Standing::Ahead(1), "that one is not carried out any more");
    }

    #[test]
    fn a_requeue_settles_what_is_not_later_and_the_oldest_of_the_others_is_next() {
        let claims = Claims { waiting: set(&[1, 9, 10, 11, 12]), ..taken(&Claims::default(), &claim(5)) };
        let requeued = Ending { returned: false, requeued: Some(at(10)) };
        let (after, superseded, next) = ended(&claims, Some(&claim(5)), requeued, &BTreeSet::new());
        assert_eq!((superseded, next), (set(&[1, 9, 10]).into_iter().collect(), Some(claim(11).0)));
        assert_eq!((after.held.clone(), after.waiting.clone()), (set(&[5, 11]), set(&[12])));
        assert_eq!(standing(&after, &claim(10), LIMIT), Standing::Superseded(Passed::Requeued));
        // An earlier requeue that is told of later takes nothing back.
        let earlier = Ending { returned: false, requeued: Some(at(3)) };
        assert_eq!(ended(&after, None, earlier, &BTreeSet::new()), (after.clone(), vec![], None));
    }

    #[test]
    fn a_claim_that_is_given_back_leaves_its_place_to_the_oldest() {
        let claims = Claims { waiting: set(&[9, 1, 4]), ..taken(&Claims::default(), &claim(5)) };
        let returned = Ending { returned: true, requeued: None };
        let (after, superseded, next) = ended(&claims, Some(&claim(5)), returned, &BTreeSet::new());
        assert_eq!((superseded.len(), next), (0, Some(claim(1).0)));
        assert_eq!((after.held, after.ahead, after.waiting), (set(&[1]), Some(claim(1).0), set(&[4, 9])));
        let (after, _, next) = ended(&claims, Some(&claim(5)), returned, &set(&[1, 4]));
        assert_eq!((next, after.waiting.len()), (Some(claim(9).0), 0), "what does not wait any more is left out");
    }

    proptest! {
        /// Whatever comes in and ends in whatever order: one is ahead as long as any waits, no more are requeued than are
        /// allowed, and never one that came before a requeue.
        #[test]
        fn one_is_carried_out_at_a_time(steps in proptest::collection::vec((0..3_u8, 1..60_i64), 1..120)) {
            let (mut claims, mut requeues, mut now) = (Claims::default(), Vec::new(), 0);
            let mut seen = BTreeSet::new();
            for (kind, second) in steps {
                now += 1;
                let own = claim(second);
                // An event is taken in once.
                if kind == 0 && !seen.insert(second) {
                    continue;
                }
                let ahead = claims.ahead.clone();
                match (kind, ahead) {
                    (0, _) => match standing(&claims, &own, LIMIT) {
                        Standing::Ahead(_) => claims = taken(&claims, &own),
                        Standing::Waits => _ = claims.waiting.insert(own.0),
                        Standing::Superseded(_) | Standing::Exhausted(_) => {}
                    },
                    (kind, Some(ahead)) => {
                        let standing = standing(&claims, &Claim(ahead.clone()), LIMIT);
                        let carried_out = kind == 1 && matches!(standing, Standing::Ahead(_));
                        let requeued = carried_out.then(|| at(now));
                        if carried_out {
                            let last = requeues.last().map(|at| place(i64::MAX, *at));
                            prop_assert!(last.is_none_or(|last| ahead > last), "{} {:?}", ahead, claims);
                            requeues.push(at(now));
                        }
                        let ending = Ending { returned: !carried_out, requeued };
                        claims = ended(&claims, Some(&Claim(ahead)), ending, &BTreeSet::new()).0;
                    }
                    (_, None) => {}
                }
                prop_assert!(claims.ahead.is_some() || claims.waiting.is_empty(), "{:?}", claims);
                prop_assert!(claims.ahead.iter().all(|ahead| claims.held.contains(ahead)));
                prop_assert!(requeues.len() <= LIMIT.max_retries as usize);
            }
        }
    }
}
