//! One decision: when it is carried out, by whom, and what came of it.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    edm::{Value, Version},
    ledger::{AttemptNote, AttemptOutcome, DecisionRow, Ending, Ledger, Passed, RequeueStatus, Succession},
    outbox::{INDEX_LAG, KEPT, Outbox, STORE_TIME, attempt::Settled, earlier, jitter, lane::Worked, later},
    store::{Claims, Deadline, Due, ItemKey, Schedule, StoreError, Write},
    telemetry::AttemptLine,
};

use super::{
    answer::{Failure, Outcome},
    call::Called,
    queue::{Turn, learn},
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
pub(super) struct Plan {
    pub(super) at: Timestamp,
    /// Which retry of its job it is, where that was found out now.
    pub(super) retry: Option<u32>,
}

/// A row that was worked off, and the one that takes its place among those of its job.
pub(super) type Step = (Worked, Option<ItemKey>);

impl Outbox {
    /// Works off a row of the index, and then those that take its place.
    pub(super) async fn requeue(&self, round: &Round<'_>, key: &ItemKey) -> Result<Worked, StoreError> {
        let (mut worked, mut next) = self.work_off(round, key).await?;
        while let Some(key) = next.take() {
            // The index has it, too.
            if round.is_over() {
                worked.next = earlier(worked.next, Some(self.now()));
                break;
            }
            let (step, after) = self.work_off(round, &key).await.unwrap_or_else(|error| {
                tracing::warn!(%error, requeue_target = round.address.name(), "a decision was left");
                (Worked { next: Some(later(self.now(), STORE_TIME)), ..Worked::default() }, None)
            });
            worked.add(&step);
            next = after;
        }
        Ok(worked)
    }

    async fn work_off(&self, round: &Round<'_>, key: &ItemKey) -> Result<Step, StoreError> {
        let until = |at| Ok((Worked { next: Some(at), ..Worked::default() }, None));
        let Some(row) = self.decision(round, key).await?.filter(|row| row.status == RequeueStatus::Pending) else {
            return until(later(self.now(), INDEX_LAG));
        };
        let now = self.now();
        if let Some(at) = row.due_at().filter(|at| *at > now) {
            return until(at);
        }
        let claims = self.claims(round, &row).await?;
        let plan = match round.turn_of(&row, &claims, now) {
            Turn::Call(plan) => plan,
            Turn::Finished => return self.supersede(round, &row, claims).await,
            Turn::Dropped(decision, reason) => {
                return self.drop_decision(round, &row, claims, (decision, reason)).await;
            }
            Turn::Waits => return self.wait(round, &row, &claims).await,
            Turn::Takes => return self.take_place(round, &row, &claims).await,
        };
        // The index knows whole milliseconds.
        if Due::text(plan.at) > Due::text(now) {
            let due = [("DueDateTime", Ledger::time_value(plan.at))];
            let schedule = Schedule::At(round.due(plan.at));
            let properties = due.into_iter().chain(plan.retry_value()).collect();
            self.change_decision(round, &row, properties, schedule).await?;
            return until(plan.at);
        }
        // The turn knows that there are more.
        if round.watch.is_halted() {
            return Ok((Worked::default(), None));
        }
        let Some(claimed) = self.claim_decision(round, &row, &plan).await? else {
            return until(later(self.now(), INDEX_LAG));
        };
        round.watch.begin();
        let called = round.address.call(&round.requeues.courier, &self.clock, &row).await;
        let health = round.watch.judge(called.outcome.health());
        let mut worked = Worked { sent: 1, health: Some(health), ..Worked::default() };
        let end = self.end_of(round, &row, &called);
        let Some((end, next)) = self.finish_decision(round, (&row, claimed), claims, &called, end).await? else {
            return Ok((worked, None));
        };
        match end {
            End::Requeued => worked.requeued += 1,
            End::Refused => worked.refused += 1,
            End::Failed => worked.given_up += 1,
            End::Postponed(at) => worked.next = Some(at),
        }
        Ok((worked, next))
    }

    /// A decision as it is now.
    pub(super) async fn decision(&self, round: &Round<'_>, key: &ItemKey) -> Result<Option<DecisionRow>, StoreError> {
        let items = self.store.get(std::slice::from_ref(key), Deadline::after(STORE_TIME)).await?;
        items.get(key).map(|item| round.requeues.ledger.row(item)).transpose()
    }

    /// Concludes a decision whose job has finished since, without a call.
    async fn supersede(&self, round: &Round<'_>, row: &DecisionRow, claims: Claims) -> Result<Step, StoreError> {
        let outcome = Outcome::Refused(Passed::Finished.reason().to_owned());
        let called = Called { begun: self.now(), duration: Duration::ZERO, outcome, status: None };
        let ended = self.finish_decision(round, (row, row.clone()), claims, &called, End::Refused).await?;
        let (refused, next) = ended.map_or((0, None), |(_, next)| (1, next));
        Ok((Worked { refused, ..Worked::default() }, next))
    }

    /// Takes a row for an attempt; as it is then, or `None` when it is not what was read any more. Until it is finished it
    /// says that the outcome is unknown: whoever takes it next would not know either.
    async fn claim_decision(
        &self,
        round: &Round<'_>,
        row: &DecisionRow,
        plan: &Plan,
    ) -> Result<Option<DecisionRow>, StoreError> {
        let now = self.now();
        let lease = round.due(later(now, round.address.lease()));
        let due = Some(lease.time.clone());
        let called = row.called.filter(|_| row.outcome_unknown).unwrap_or(now);
        let begun = [("OutcomeUnknown", Value::Boolean(true)), ("CalledDateTime", Ledger::call_time_value(called))];
        let properties = begun.into_iter().chain(plan.retry_value()).collect();
        let version = self.change_decision(round, row, properties, Schedule::At(lease)).await?;
        Ok(version.map(|version| {
            let mut claimed = row.clone();
            claimed.etag.version = version;
            DecisionRow { due, retry: plan.retry.or(row.retry), called: Some(called), ..claimed }
        }))
    }

    /// Writes down what came of an attempt at a row, which was `before` and is claimed now: the row of the attempt, the
    /// decision, and what follows for the others of its job; the one of them that takes its place. `None` when the lease
    /// ran out meanwhile, and somebody else has the decision: then the row of the attempt is all that is written.
    async fn finish_decision(
        &self,
        round: &Round<'_>,
        (before, claimed): (&DecisionRow, DecisionRow),
        mut claims: Claims,
        called: &Called,
        end: End,
    ) -> Result<Option<(End, Option<ItemKey>)>, StoreError> {
        let (mut number, mut is_own) = (before.attempt_count.saturating_add(1), true);
        let (until, mut without) = (Deadline::after(NOTE_TIME), HashSet::new());
        let (job, target) = (before.job, round.address.name());
        let ending = ending(before, &claimed, called, &end);
        while !until.is_before(Duration::ZERO) {
            let succession = ending.filter(|_| is_own);
            let succession =
                succession.map(|ending| round.requeues.ledger.succession(&claimed, &claims, ending, &without));
            let succession = succession.transpose()?;
            let ends = is_own.then_some((before, &end));
            match self.write_down(round, &claimed, (called, number), (ends, succession.as_ref())).await? {
                Settled::Done(_) if is_own => {
                    tell(&round.requeues.ledger, before, (number, called), &end);
                    return Ok(Some((end, succession.and_then(|succession| succession.next().cloned()))));
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
                    for (key, item) in items {
                        if key == claimed.key {
                            is_own = false;
                        } else if !learn(&round.requeues.ledger, &claimed, (key, item), (&mut claims, &mut without)) {
                            number = number.saturating_add(1);
                        }
                    }
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
    /// before it was claimed, the decision and what follows from it.
    async fn write_down(
        &self,
        round: &Round<'_>,
        claimed: &DecisionRow,
        (called, number): (&Called, i64),
        (ends, succession): (Option<(&DecisionRow, &End)>, Option<&Succession>),
    ) -> Result<Settled, StoreError> {
        let ledger = &round.requeues.ledger;
        let next = if let Some((_, End::Postponed(at))) = ends { Some(*at) } else { None };
        let note = self.note(round, called, next);
        let writes = |operation: &str| {
            let attempt = ledger.attempt(claimed, number, &note, Uuid::new_v4())?;
            let Some((before, end)) = ends else { return Ok(vec![attempt]) };
            let mut writes = vec![self.conclusion(round, (before, claimed), (called, end), number, operation), attempt];
            writes.extend(succession.iter().flat_map(|others| self.succession_writes(round, others, operation)));
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
        let claims = self.claims(round, &row).await?;
        Ok(self.finish_decision(round, (&row, row.clone()), claims, &called, End::Failed).await?.is_some())
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
    pub(super) fn expires(&self, round: &Round<'_>) -> i64 {
        later(self.now(), KEPT.max(round.requeues.policy.keep_decisions())).as_second()
    }

    /// Changes a row that is still as it was read; its new version, or `None` when it is not.
    pub(super) async fn change_decision(
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

/// The end of the claim of a decision; nothing where it goes on, or has no place among them.
fn ending(before: &DecisionRow, claimed: &DecisionRow, called: &Called, end: &End) -> Option<Ending> {
    let requeued = match end {
        End::Postponed(_) => return None,
        End::Requeued => true,
        End::Failed => leaves_unknown(before, called),
        End::Refused => false,
    };
    let requeued = requeued.then(|| claimed.called.unwrap_or(called.begun));
    Some(Ending { returned: gives_back(before, called, end), requeued })
}

/// Writes the line of an attempt of this number that failed. What a target says is in the row of the attempt, not in the log.
fn tell(ledger: &Ledger, row: &DecisionRow, (number, called): (i64, &Called), end: &End) {
    let next = match end {
        End::Requeued => return,
        End::Refused | End::Failed => None,
        End::Postponed(at) => Some(*at),
    };
    let reason = match &called.outcome {
        Outcome::Again(failure) if called.status.is_none() => Some(failure.reason.as_str()),
        _ => None,
    };
    AttemptLine {
        service: &ledger.service().name,
        endpoint: None,
        requeue_target: Some(&row.target),
        event: row.event_id,
        job: Some(row.job),
        attempt: number,
        status: called.status,
        reason,
        next,
        refused: *end == End::Refused,
    }
    .write();
}
