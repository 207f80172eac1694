//! One decision: when it is carried out, by whom, and what came of it.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    edm::{Value, Version},
    ledger::{AttemptNote, AttemptOutcome, DecisionRow, Ledger, RequeueStatus, counted},
    outbox::{INDEX_LAG, KEPT, Outbox, STORE_TIME, jitter, lane::Worked, later, operation},
    store::{Claims, Deadline, Due, ItemKey, Schedule, StoreError, Stored, Write},
};

use super::{
    answer::{Failure, Outcome},
    call::Called,
    turn::Round,
    wait::next_call,
};

/// How often it is tried to write down an attempt whose number somebody else has taken.
const TRIES: i64 = 5;

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
    pub(super) async fn requeue(&self, round: &Round<'_>, key: ItemKey) -> Result<Worked, StoreError> {
        let until = |at| Worked { next: Some(at), ..Worked::default() };
        let Some(row) = self.decision(round, &key).await?.filter(|row| row.status == RequeueStatus::Pending) else {
            return Ok(until(later(self.now(), INDEX_LAG)));
        };
        let now = self.now();
        if let Some(at) = row.due_at().filter(|at| *at > now) {
            return Ok(until(at));
        }
        let plan = self.plan(round, &row).await?;
        // The index knows whole milliseconds.
        if Due::text(plan.at) > Due::text(now) {
            let due = [("DueDateTime", Ledger::time_value(plan.at))];
            let schedule = Schedule::At(round.due(plan.at));
            let properties = due.into_iter().chain(plan.retry_value()).collect();
            self.change_decision(round, &row, properties, schedule).await?;
            return Ok(until(plan.at));
        }
        if round.watch.is_halted() {
            return Ok(until(now));
        }
        let Some(claimed) = self.claim_decision(round, &row, &plan).await? else {
            return Ok(until(later(self.now(), INDEX_LAG)));
        };
        round.watch.begin();
        let called = round.address.call(&round.requeues.courier, &self.clock, &row).await;
        let health = round.watch.judge(called.outcome.health());
        let mut worked = Worked { sent: 1, health: Some(health), ..Worked::default() };
        match self.finish_decision(round, &row, claimed, &called).await? {
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

    /// When a decision is to be carried out: at first after the backoff of its retry, and never outside of the rule's
    /// window.
    async fn plan(&self, round: &Round<'_>, row: &DecisionRow) -> Result<Plan, StoreError> {
        let (Some(claim), None, 0) = (&row.claim, row.retry, row.reruns) else {
            return Ok(Plan { at: round.open_at(row, self.now()), retry: None });
        };
        let policy = &round.requeues.policy;
        let ledger = &round.requeues.ledger;
        let key = ledger.claims_key(&row.target, row.job);
        let items = self.store.get(std::slice::from_ref(&key), Deadline::after(STORE_TIME)).await?;
        let claims = items.get(&key).map(|item| Stored::from_item(&ledger.service().model, item)).transpose()?;
        let claims = if let Some(Stored::Claims(claims)) = claims { claims } else { Claims::default() };
        let retry = policy.limit(&row.rule).map_or(1, |limit| counted(&claims, claim, limit));
        let from = row.received.unwrap_or_else(|| self.now());
        let at = policy.schedule(&row.rule, retry, from, jitter());
        Ok(Plan { at: round.open_at(row, at.max(self.now())), retry: Some(retry) })
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

    /// Writes down what came of an attempt: the row of the attempt, the decision, and where it was refused the claim that
    /// is given back. `None` when the claim ran out meanwhile, and somebody else has the row.
    async fn finish_decision(
        &self,
        round: &Round<'_>,
        row: &DecisionRow,
        claimed: DecisionRow,
        called: &Called,
    ) -> Result<Option<End>, StoreError> {
        let end = self.end_of(round, row, called);
        for number in row.attempt_count + 1..=row.attempt_count + TRIES {
            let operation = operation();
            let note = self.note(round, called, &end);
            let ledger = &round.requeues.ledger;
            let attempt = ledger.attempt(&claimed, number, &note, Uuid::new_v4())?;
            let mut writes = vec![self.conclusion(round, (row, &claimed), (called, &end), &operation), attempt];
            if gives_back(row, &end) {
                writes.extend(claimed.give_back(ledger));
            }
            if self.settle(&ledger.service().model, &writes, &operation).await? {
                if end == End::Failed {
                    tell_failed(row, called);
                }
                return Ok(Some(end));
            }
            let now = self.decision(round, &claimed.key).await?;
            if now.is_none_or(|now| now.etag != claimed.etag) {
                break;
            }
        }
        tracing::info!(job = row.job, target = round.address.name(), "somebody else has taken a decision meanwhile");
        Ok(None)
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
        let called = Called { begun, duration: std::time::Duration::ZERO, outcome, status: None };
        let (operation, ledger) = (operation(), &round.requeues.ledger);
        let note = self.note(round, &called, &End::Failed);
        let writes = [
            self.conclusion(round, (&row, &row), (&called, &End::Failed), &operation),
            ledger.attempt(&row, row.attempt_count + 1, &note, Uuid::new_v4())?,
        ];
        let done = self.settle(&ledger.service().model, &writes, &operation).await?;
        if done {
            tell_failed(&row, &called);
        }
        Ok(done)
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
                let at = wait.map(|wait| round.open_at(row, later(self.now(), wait)));
                at.map_or(End::Failed, End::Postponed)
            }
        }
    }

    fn note(&self, round: &Round<'_>, called: &Called, end: &End) -> AttemptNote {
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
            next: if let End::Postponed(at) = end { Some(*at) } else { None },
            expires: self.expires(round),
        }
    }

    /// The decision after an attempt; `before` is as it was before it was claimed.
    fn conclusion(
        &self,
        round: &Round<'_>,
        (before, claimed): (&DecisionRow, &DecisionRow),
        (called, end): (&Called, &End),
        operation: &str,
    ) -> Write {
        let status = match end {
            End::Postponed(_) => RequeueStatus::Pending,
            End::Requeued => RequeueStatus::Requeued,
            End::Refused => RequeueStatus::Refused,
            End::Failed => RequeueStatus::Failed,
        };
        let may_have_acted = matches!(&called.outcome, Outcome::Again(failure) if failure.may_have_acted);
        let unknown = *end != End::Requeued && (before.outcome_unknown || may_have_acted);
        let (due, concluded, schedule) = match end {
            End::Postponed(at) => (Ledger::time_value(*at), Value::Null, Schedule::At(round.due(*at))),
            _ => (Value::Null, Ledger::time_value(self.now()), Schedule::Done { expires: self.expires(round) }),
        };
        let mut properties = vec![
            ("Status", round.requeues.ledger.status_value(status)),
            ("DueDateTime", due),
            ("ConcludedDateTime", concluded),
            ("AttemptCount", Value::Integer(before.attempt_count.saturating_add(1))),
            ("LastStatusCode", called.status.map_or(Value::Null, |status| Value::Integer(status.into()))),
            ("LastError", called.error().map_or(Value::Null, |error| Value::String(error.to_owned()))),
            ("OutcomeUnknown", Value::Boolean(unknown)),
        ];
        if gives_back(before, end) {
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
        let operation = operation();
        let write = row.patch(properties, schedule, &operation);
        let done = self.settle(&round.requeues.ledger.service().model, &[write], &operation).await?;
        Ok(done.then(|| Version(format!("{operation}.0"))))
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

/// Whether the claim of a decision is given back at this end. One that is held when somebody has it carried out again is
/// kept: an earlier call may have worked.
fn gives_back(row: &DecisionRow, end: &End) -> bool {
    *end == End::Refused && row.reruns == 0
}

fn tell_failed(row: &DecisionRow, called: &Called) {
    let (job, target, rule) = (row.job, &row.target, &row.rule);
    tracing::warn!(job, target, rule, error = called.error(), "a requeue was given up: somebody has to look");
}
