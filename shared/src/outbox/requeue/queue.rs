//! The decisions about one job: the turn of each.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::{
    ledger::{DecisionRow, Ending, Ledger, Passed, RequeueStatus, Standing, Succession, next_wait, standing},
    outbox::{INDEX_LAG, Outbox, STORE_TIME, attempt::Settled, jitter, lane::Worked, later},
    policy::{Decision, Limit},
    store::{Claims, Deadline, ItemKey, Schedule, StoreError, Stored, Write},
};

use super::{
    row::{Plan, Step},
    turn::Round,
};

/// How often a decision is settled anew when others change the claims of its job.
const TRIES: usize = 20;

/// The turn of a decision that is due.
pub(super) enum Turn {
    /// The decision is carried out, then.
    Call(Plan),
    /// Its job has finished since: later failures have decisions of their own.
    Finished,
    /// The decision is not carried out.
    Dropped(Decision, String),
    /// Another one is ahead.
    Waits,
    /// None is ahead, so that it is.
    Takes,
}

impl Round<'_> {
    /// The turn of a decision that is due: at first it waits for the backoff of its retry, and for the rule's window. One
    /// that is carried out again by hand has no place among the others.
    pub(super) fn turn_of(&self, row: &DecisionRow, claims: &Claims, now: Timestamp) -> Turn {
        let now_or_later = Plan { at: self.open_at(row, row.outcome_unknown, now), retry: None };
        let (Some(claim), 0) = (&row.claim, row.reruns) else { return Turn::Call(now_or_later) };
        let policy = &self.requeues.policy;
        let known = policy.limit(&row.rule);
        let max_retries = row.max_retries.or(known.map(|limit| limit.max_retries)).unwrap_or(1);
        let limit = Limit { max_retries, reset_after: known.and_then(|limit| limit.reset_after) };
        let is_held = claims.held.contains(&claim.0);
        let standing = standing(claims, claim, limit);
        let is_settled = matches!(standing, Standing::Superseded(_));
        if is_held && row.retry.is_some() && !is_settled {
            return Turn::Call(now_or_later);
        }
        match standing {
            Standing::Superseded(Passed::Finished) if is_held => Turn::Finished,
            Standing::Waits if !is_held => Turn::Waits,
            Standing::Ahead(_) if !is_held => Turn::Takes,
            Standing::Superseded(_) | Standing::Exhausted(_) | Standing::Waits => {
                let dropped = standing.dropped(&row.reason, limit);
                dropped.map_or(Turn::Call(now_or_later), |(decision, reason)| Turn::Dropped(decision, reason))
            }
            Standing::Ahead(retry) => {
                let at = policy.schedule(&row.rule, retry, row.received.unwrap_or(now), jitter());
                let at = self.open_at(row, row.outcome_unknown, at.max(now));
                Turn::Call(Plan { at, retry: Some(retry) })
            }
        }
    }
}

impl Outbox {
    /// The claims on the retries of a decision's job.
    pub(super) async fn claims(&self, round: &Round<'_>, row: &DecisionRow) -> Result<Claims, StoreError> {
        let ledger = &round.requeues.ledger;
        let key = ledger.claims_key(&row.target, row.job);
        let items = self.store.get(std::slice::from_ref(&key), Deadline::after(STORE_TIME)).await?;
        let stored = items.get(&key).map(|item| Stored::from_item(&ledger.service().model, item)).transpose()?;
        Ok(claims_of(stored))
    }

    /// Concludes a decision that is not carried out, and what follows for the others of its job.
    pub(super) async fn drop_decision(
        &self,
        round: &Round<'_>,
        row: &DecisionRow,
        mut claims: Claims,
        (decision, reason): (Decision, String),
    ) -> Result<Step, StoreError> {
        // A call that may have worked has taken its retry.
        let ending = Ending { returned: !row.outcome_unknown, requeued: None };
        let mut without = HashSet::new();
        for _ in 0..TRIES {
            let succession = round.requeues.ledger.succession(row, &claims, ending, &without)?;
            let writes = |operation: &str| {
                let dropped = round.requeues.ledger.dropped(decision, reason.clone(), self.now());
                let schedule = Schedule::Done { expires: self.expires(round) };
                let others = self.succession_writes(round, &succession, operation);
                Ok([row.patch(dropped, schedule, operation)].into_iter().chain(others).collect())
            };
            match self.settle(&round.requeues.ledger.service().model, writes).await? {
                Settled::Done(_) => {
                    let is_exhausted = decision == Decision::Exhausted;
                    if is_exhausted {
                        tell_exhausted(row);
                    }
                    let worked = Worked { exhausted: usize::from(is_exhausted), ..Worked::default() };
                    return Ok((worked, succession.next().cloned()));
                }
                Settled::Refused(items) if items.iter().any(|(key, _)| *key == row.key) => break,
                Settled::Refused(items) => {
                    for item in items {
                        learn(&round.requeues.ledger, row, item, (&mut claims, &mut without));
                    }
                }
                Settled::Busy => {}
            }
        }
        Ok((Worked { next: Some(later(self.now(), STORE_TIME)), ..Worked::default() }, None))
    }

    /// Lets a decision wait on, in its place among the others where there is room. Should the one ahead have ended without
    /// a word, its place is taken.
    pub(super) async fn wait(&self, round: &Round<'_>, row: &DecisionRow, claims: &Claims) -> Result<Step, StoreError> {
        let ledger = &round.requeues.ledger;
        if let Some(ahead) = ledger.ahead(row, claims)? {
            let ahead = self.decision(round, &ahead).await?;
            if ahead.is_none_or(|ahead| ahead.status != RequeueStatus::Pending || ahead.reruns > 0) {
                return self.take_place(round, row, claims).await;
            }
        }
        let now = self.now();
        let at = next_wait(row.received.unwrap_or(now), now);
        let writes = |operation: &str| {
            let due = vec![("DueDateTime", Ledger::time_value(at))];
            let row_then = row.patch(due, Schedule::At(round.due(at)), operation);
            Ok([row_then].into_iter().chain(ledger.join(row, claims, operation)).collect())
        };
        let next = match self.settle(&ledger.service().model, writes).await? {
            Settled::Done(_) => at,
            Settled::Refused(_) | Settled::Busy => later(now, INDEX_LAG),
        };
        Ok((Worked { next: Some(next), ..Worked::default() }, None))
    }

    /// Puts a decision ahead of the others of its job, which is worked off then.
    pub(super) async fn take_place(
        &self,
        round: &Round<'_>,
        row: &DecisionRow,
        claims: &Claims,
    ) -> Result<Step, StoreError> {
        let ledger = &round.requeues.ledger;
        let writes = |operation: &str| {
            let row_then = row.patch(Vec::new(), Schedule::Keep, operation);
            Ok([row_then].into_iter().chain(ledger.take(row, claims, operation)).collect())
        };
        Ok(match self.settle(&ledger.service().model, writes).await? {
            Settled::Done(_) => (Worked::default(), Some(row.key.clone())),
            Settled::Refused(_) | Settled::Busy => {
                (Worked { next: Some(later(self.now(), INDEX_LAG)), ..Worked::default() }, None)
            }
        })
    }

    /// The writes of what follows for the others of a job.
    pub(super) fn succession_writes(&self, round: &Round<'_>, others: &Succession, operation: &str) -> Vec<Write> {
        let now = self.now();
        others.writes(&round.requeues.ledger, (now, &round.due(now), self.expires(round)), operation)
    }
}

/// Takes in an item that did not meet its condition: the claims of the job of `row`, or a decision that does not wait any
/// more. False when it is neither.
pub(super) fn learn(
    ledger: &Ledger,
    row: &DecisionRow,
    (key, item): (ItemKey, Option<Stored>),
    (claims, without): (&mut Claims, &mut HashSet<ItemKey>),
) -> bool {
    if key == ledger.claims_key(&row.target, row.job) {
        *claims = claims_of(item);
        return true;
    }
    let is_decision = ledger.is_decision(&key);
    if is_decision {
        without.insert(key);
    }
    is_decision
}

fn claims_of(stored: Option<Stored>) -> Claims {
    if let Some(Stored::Claims(claims)) = stored { claims } else { Claims::default() }
}

fn tell_exhausted(row: &DecisionRow) {
    let (job, target, rule) = (row.job, &row.target, &row.rule);
    tracing::warn!(job, requeue_target = target, rule, "the retries of a job are exhausted");
}
