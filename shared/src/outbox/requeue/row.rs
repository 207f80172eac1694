//! One decision: when it is carried out, by whom, and what came of it.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    edm::{Value, Version},
    ledger::{AttemptNote, AttemptOutcome, DecisionRow, Ledger, RequeueStatus, counted},
    outbox::{INDEX_LAG, KEPT, Outbox, STORE_TIME, attempt::Settled, jitter, lane::Worked, later},
    store::{Claims, Deadline, Due, ItemKey, Schedule, StoreError, Stored, Write},
};

use super::{
    answer::{Failure, Outcome},
    call::Called,
    turn::Round,
    wait::next_call,
};

/// For writing down an attempt, where others have its number or the rows.
const NOTE_TIME: Duration = Duration::from_secs(15);

/// How a decision ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Requeued,
    Refused,
    /// There were enough attempts, or the target refused a repeat of a call that may have worked.
    Failed,
    Postponed(Timestamp),
}

/// When a decision is to be carried out.
struct Plan {
    at: Timestamp,
    /// Which retry of its job it is, where that was found out now.
    retry: Option<u32>,
}

impl Outbox {
    /// Works off a row of the index.
    pub(super) async fn requeue(&self, round: &Round<'_>, key: &ItemKey) -> Result<Worked, StoreError> {
        let until = |at| Worked { next: Some(at), ..Worked::default() };
        let Some(row) = self.decision(round, key).await?.filter(|row| row.status == RequeueStatus::Pending) else {
            return Ok(until(later(self.now(), INDEX_LAG)));
        };
        let now = self.now();
        if let Some(at) = row.due_at().filter(|at| *at > now) {
            return Ok(until(at));
        }
        let Some(plan) = self.plan(round, &row, now).await? else {
            return self.supersede(round, &row).await;
        };
        // The index knows whole milliseconds.
        if Due::text(plan.at) > Due::text(now) {
            let due = [("DueDateTime", Ledger::time_value(plan.at))];
            let schedule = Schedule::At(round.due(plan.at));
            let properties = due.into_iter().chain(plan.retry_value()).collect();
            self.change_decision(round, &row, properties, schedule).await?;
            return Ok(until(plan.at));
        }
        // The turn knows that there are more.
        if round.watch.is_halted() {
            return Ok(Worked::default());
        }
        let Some(claimed) = self.claim_decision(round, &row, &plan).await? else {
            return Ok(until(later(self.now(), INDEX_LAG)));
        };
        round.watch.begin();
        let called = round.address.call(&round.requeues.courier, &self.clock, &row).await;
        let health = round.watch.judge(called.outcome.health());
        let mut worked = Worked { sent: 1, health: Some(health), ..Worked::default() };
        let end = self.end_of(round, &row, &called);
        match self.finish_decision(round, &row, claimed, &called, end).await? {
            None => {}
            Some(End::Requeued) => worked.requeued += 1,
            Some(End::Refused) => worked.refused += 1,
            Some(End::Failed) => worked.given_up += 1,
            Some(End::Postponed(at)) => worked.next = Some(at),
        }
        Ok(worked)
    }

    /// A decision as it is now.
    async fn decision(&self, round: &Round<'_>, key: &ItemKey) -> Result<Option<DecisionRow>, StoreError> {
        let items = self.store.get(std::slice::from_ref(key), Deadline::after(STORE_TIME)).await?;
        items.get(key).map(|item| round.requeues.ledger.row(item)).transpose()
    }

    /// When a decision is to be carried out: at first after the backoff of its retry, and in the rule's window. `None` when
    /// the job has finished since: what it fails with from then on is decided by itself.
    async fn plan(&self, round: &Round<'_>, row: &DecisionRow, now: Timestamp) -> Result<Option<Plan>, StoreError> {
        let now_or_later = Plan { at: round.open_at(row, row.outcome_unknown, now), retry: None };
        let (Some(claim), 0) = (&row.claim, row.reruns) else { return Ok(Some(now_or_later)) };
        let policy = &round.requeues.policy;
        let ledger = &round.requeues.ledger;
        let key = ledger.claims_key(&row.target, row.job);
        let items = self.store.get(std::slice::from_ref(&key), Deadline::after(STORE_TIME)).await?;
        let claims = items.get(&key).map(|item| Stored::from_item(&ledger.service().model, item)).transpose()?;
        let claims = if let Some(Stored::Claims(claims)) = claims { claims } else { Claims::default() };
        if claims.cleared.as_ref().is_some_and(|place| *place > claim.0) {
            return Ok(None);
        }
        if row.retry.is_some() {
            return Ok(Some(now_or_later));
        }
        let retry = policy.limit(&row.rule).map_or(1, |limit| counted(&claims, claim, limit));
        let from = row.received.unwrap_or(now);
        let at = policy.schedule(&row.rule, retry, from, jitter());
        Ok(Some(Plan { at: round.open_at(row, row.outcome_unknown, at.max(now)), retry: Some(retry) }))
    }

    /// Concludes a decision whose job has finished since, without a call.
    async fn supersede(&self, round: &Round<'_>, row: &DecisionRow) -> Result<Worked, StoreError> {
        let outcome = Outcome::Refused("the job finished after this failure".to_owned());
        let called = Called { begun: self.now(), duration: Duration::ZERO, outcome, status: None };
        let end = self.finish_decision(round, row, row.clone(), &called, End::Refused).await?;
        Ok(Worked { refused: usize::from(end == Some(End::Refused)), ..Worked::default() })
    }

    /// Takes a row for an attempt; as it is then, or `None` when it is not what was read any more. Until it is finished it
    /// says that the outcome is unknown: whoever takes it next would not know either.
    async fn claim_decision(
        &self,
        round: &Round<'_>,
        row: &DecisionRow,
        plan: &Plan,
    ) -> Result<Option<DecisionRow>, StoreError> {
        let lease = round.due(later(self.now(), round.address.lease()));
        let due = Some(lease.time.clone());
        let unknown = [("OutcomeUnknown", Value::Boolean(true))];
        let properties = unknown.into_iter().chain(plan.retry_value()).collect();
        let version = self.change_decision(round, row, properties, Schedule::At(lease)).await?;
        Ok(version.map(|version| {
            let mut claimed = row.clone();
            claimed.etag.version = version;
            DecisionRow { due, retry: plan.retry.or(row.retry), ..claimed }
        }))
    }

    /// Writes down what came of an attempt: the row of the attempt, the decision, and where nothing was done for good the
    /// claim that is given back. `None` when the lease ran out meanwhile, and somebody else has the decision: then the row
    /// of the attempt is all that is written.
    async fn finish_decision(
        &self,
        round: &Round<'_>,
        row: &DecisionRow,
        claimed: DecisionRow,
        called: &Called,
        end: End,
    ) -> Result<Option<End>, StoreError> {
        let (mut number, mut is_own, until) = (row.attempt_count.saturating_add(1), true, Deadline::after(NOTE_TIME));
        let (job, target) = (row.job, round.address.name());
        while !until.is_before(Duration::ZERO) {
            let ends = is_own.then_some((row, &end));
            match self.write_down(round, &claimed, (called, number), ends).await? {
                Settled::Done(_) if is_own => {
                    if end == End::Failed {
                        tell_failed(row, called);
                    }
                    return Ok(Some(end));
                }
                Settled::Done(_) => {
                    tracing::info!(
                        job,
                        requeue_target = target,
                        "somebody else has taken a decision: an attempt outlived its lease"
                    );
                    return Ok(None);
                }
                Settled::Refused(items) => {
                    is_own &= !items.contains(&claimed.key);
                    number = number.saturating_add(i64::from(items.iter().any(|key| *key != claimed.key)));
                }
                Settled::Busy => {}
            }
        }
        tracing::warn!(
            job,
            requeue_target = target,
            status = called.status,
            "an attempt was not written down: others kept the rows"
        );
        Ok(None)
    }

    /// Writes the row of the attempt of this number, if there is none; and if a decision `ends` by it, which was that
    /// before it was claimed, the decision and its claim.
    async fn write_down(
        &self,
        round: &Round<'_>,
        claimed: &DecisionRow,
        (called, number): (&Called, i64),
        ends: Option<(&DecisionRow, &End)>,
    ) -> Result<Settled, StoreError> {
        let ledger = &round.requeues.ledger;
        let next = if let Some((_, End::Postponed(at))) = ends { Some(*at) } else { None };
        let note = self.note(round, called, next);
        let writes = |operation: &str| {
            let attempt = ledger.attempt(claimed, number, &note, Uuid::new_v4())?;
            let Some((before, end)) = ends else { return Ok(vec![attempt]) };
            let mut writes = vec![self.conclusion(round, (before, claimed), (called, end), number, operation), attempt];
            writes.extend(claimed.give_back(ledger).filter(|_| gives_back(before, called, end)));
            Ok(writes)
        };
        self.settle(&ledger.service().model, writes).await
    }

    /// Gives a decision up that has waited for long at a target that does not answer. False when it is not so.
    pub(super) async fn bury_decision(
        &self,
        round: &Round<'_>,
        key: &ItemKey,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = self.decision(round, key).await?.filter(|row| row.status == RequeueStatus::Pending);
        let Some(row) = row.filter(|row| row.due_at().is_some_and(|due| due < before)) else { return Ok(false) };
        let failure = Failure::of_target("the target did not answer for a day", None);
        let (begun, outcome) = (self.now(), Outcome::Again(failure));
        let called = Called { begun, duration: Duration::ZERO, outcome, status: None };
        let mut number = row.attempt_count.saturating_add(1);
        loop {
            match self.write_down(round, &row, (&called, number), Some((&row, &End::Failed))).await? {
                Settled::Done(_) => {
                    tell_failed(&row, &called);
                    return Ok(true);
                }
                Settled::Refused(items) if !items.contains(&row.key) => number = number.saturating_add(1),
                Settled::Refused(_) | Settled::Busy => return Ok(false),
            }
        }
    }

    /// How a decision ends by an attempt.
    fn end_of(&self, round: &Round<'_>, row: &DecisionRow, called: &Called) -> End {
        match &called.outcome {
            Outcome::Done(_) => End::Requeued,
            // Where ids are kept, the refusal of a repeat says that no call before it worked.
            Outcome::Refused(_) if row.outcome_unknown && !round.address.target.repeatability => End::Failed,
            Outcome::Refused(_) => End::Refused,
            Outcome::Again(failure) => {
                let made = u32::try_from(row.attempt_count.saturating_add(1)).unwrap_or(u32::MAX);
                let wait = next_call(made, jitter(), failure.after);
                let unknown = leaves_unknown(row, called);
                let at = wait.map(|wait| round.open_at(row, unknown, later(self.now(), wait)));
                at.map_or(End::Failed, End::Postponed)
            }
        }
    }

    fn note(&self, round: &Round<'_>, called: &Called, next: Option<Timestamp>) -> AttemptNote {
        AttemptNote {
            begun: called.begun,
            duration: called.duration,
            outcome: match &called.outcome {
                Outcome::Done(_) => AttemptOutcome::Requeued,
                Outcome::Refused(_) => AttemptOutcome::Refused,
                Outcome::Again(failure) if failure.may_have_acted => AttemptOutcome::Unknown,
                Outcome::Again(_) => AttemptOutcome::NotDone,
            },
            status_code: called.status,
            error: called.error().map(str::to_owned),
            next,
            expires: self.expires(round),
        }
    }

    /// The decision after the attempt of this number; `before` is as it was before it was claimed.
    fn conclusion(
        &self,
        round: &Round<'_>,
        (before, claimed): (&DecisionRow, &DecisionRow),
        (called, end): (&Called, &End),
        number: i64,
        operation: &str,
    ) -> Write {
        let status = match end {
            End::Postponed(_) => RequeueStatus::Pending,
            End::Requeued => RequeueStatus::Requeued,
            End::Refused => RequeueStatus::Refused,
            End::Failed => RequeueStatus::Failed,
        };
        let unknown = *end != End::Requeued && leaves_unknown(before, called);
        let (due, concluded, schedule) = match end {
            End::Postponed(at) => (Ledger::time_value(*at), Value::Null, Schedule::At(round.due(*at))),
            _ => (Value::Null, Ledger::time_value(self.now()), Schedule::Done { expires: self.expires(round) }),
        };
        let mut properties = vec![
            ("Status", round.requeues.ledger.status_value(status)),
            ("DueDateTime", due),
            ("ConcludedDateTime", concluded),
            ("AttemptCount", Value::Integer(number)),
            ("LastStatusCode", called.status.map_or(Value::Null, |status| Value::Integer(status.into()))),
            ("LastError", called.error().map_or(Value::Null, |error| Value::String(error.to_owned()))),
            ("OutcomeUnknown", Value::Boolean(unknown)),
        ];
        if gives_back(before, called, end) {
            properties.push(("Claim", Value::Null));
        }
        claimed.patch(properties, schedule, operation)
    }

    /// When rows of what is done now may go, in seconds since 1970: not before a late duplicate of the event could come.
    fn expires(&self, round: &Round<'_>) -> i64 {
        later(self.now(), KEPT.max(round.requeues.policy.keep_decisions())).as_second()
    }

    /// Changes a row that is still as it was read; its new version, or `None` when it is not.
    async fn change_decision(
        &self,
        round: &Round<'_>,
        row: &DecisionRow,
        properties: Vec<(&'static str, Value)>,
        schedule: Schedule,
    ) -> Result<Option<Version>, StoreError> {
        let write = |operation: &str| Ok(vec![row.patch(properties.clone(), schedule.clone(), operation)]);
        Ok(match self.settle(&round.requeues.ledger.service().model, write).await? {
            Settled::Done(operation) => Some(Version(format!("{operation}.0"))),
            Settled::Refused(_) | Settled::Busy => None,
        })
    }
}

impl Plan {
    fn retry_value(&self) -> Option<(&'static str, Value)> {
        self.retry.map(|retry| ("Retry", Value::Integer(retry.into())))
    }
}

impl Called {
    /// What went wrong, or how it is known that it went well.
    fn error(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Done(note) => note.as_deref(),
            Outcome::Refused(reason) => Some(reason),
            Outcome::Again(failure) => Some(&failure.reason),
        }
    }
}

/// Whether after an attempt it is not known of each whether it worked; `row` is as it was before.
fn leaves_unknown(row: &DecisionRow, called: &Called) -> bool {
    row.outcome_unknown || matches!(&called.outcome, Outcome::Again(failure) if failure.may_have_acted)
}

/// Whether the claim of a decision is given back at this end: the target refused for good, or nothing that was sent can
/// have worked. One that is held when somebody has it carried out again is kept: an earlier call may have worked.
fn gives_back(row: &DecisionRow, called: &Called, end: &End) -> bool {
    let was_refused = *end == End::Refused || *end == End::Failed && !leaves_unknown(row, called);
    was_refused && row.reruns == 0
}

fn tell_failed(row: &DecisionRow, called: &Called) {
    let (job, target, rule) = (row.job, &row.target, &row.rule);
    tracing::warn!(
        job,
        requeue_target = target,
        rule,
        status = called.status,
        "a requeue was given up: somebody has to look"
    );
}
