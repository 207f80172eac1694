//! Accidents at every call of a turn to the table: nothing is lost, nothing is done twice.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use shared::store::Deadline;
use tests::{
    environment::{Environment, Kind, Trouble},
    strict::{Fault, Plan, WRITE_FAULTS},
};

use super::{LONG, Loop};
use crate::soak::rounds;

/// The fault at a call and at those that follow, so many in all.
fn strikes(at: usize, times: usize, fault: Fault) -> Plan {
    Plan::from_fn(move |call| (call.number >= at && call.number - at < times).then_some(fault))
}

/// Two jobs fail; an outbox works them off that suffers, another one goes on.
async fn suffer(it: &Loop, environment: &Environment, n: i64, plan: Plan, what: &str) {
    let jobs = [2 * n, 2 * n + 1];
    for job in jobs {
        environment.set(job, "Error");
        environment.keeps_failing(job);
        it.fail(job, 1).await;
    }
    let rig = it.rig.again();
    rig.strict.set_plan(plan);
    it.beside(&rig).sweep(Deadline::after(LONG)).await;
    it.finish().await;
    for job in jobs {
        let decision = it.decision(job).await;
        assert_eq!(decision["Status"], "Requeued", "{what}: {decision}");
        let effects = environment.effects();
        assert_eq!(effects.iter().filter(|effect| effect.job == job).count(), 1, "{what}: job {job}");
        let ids: BTreeSet<_> = environment
            .requests(Kind::Action)
            .into_iter()
            .filter(|request| request.body.contains(&format!(":{job}}}")))
            .map(|request| request.header("repeatability-request-id").to_owned())
            .collect();
        assert_eq!(ids.len(), 1, "{what}: all calls have the same id");
        let outcomes = it.outcomes(job).await;
        assert_eq!(outcomes.last().map(String::as_str), Some("Requeued"), "{what}");
    }
}

#[tokio::test]
async fn soak_every_decision_is_carried_out_once_whatever_call_fails() {
    let (it, environment) = Loop::with_ids(|_| None).await;
    it.rig.strict.forget();
    let rig = it.rig.again();
    for job in [2, 3] {
        environment.set(job, "Error");
        it.fail(job, 1).await;
    }
    assert_eq!(it.beside(&rig).sweep(Deadline::after(LONG)).await.requeued, 2);
    let calls = rig.strict.calls();
    eprintln!("{:?}", calls.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>());
    let mut n = 1;
    for at in 0..calls.len() {
        for (number, fault) in WRITE_FAULTS.into_iter().enumerate() {
            if !(at + number).is_multiple_of(rounds(4, 1)) {
                continue;
            }
            n += 1;
            let what = format!("{fault:?} at call {at} of {}", calls.len());
            suffer(&it, &environment, n, strikes(at, 1, fault), &what).await;
        }
    }
    eprintln!("{} turns with one accident each at {} calls", n - 1, calls.len());
}

/// The table stops answering in the midst of a turn, as it is when the process ends there; the target has its accidents, too.
#[tokio::test]
async fn soak_every_decision_is_carried_out_once_wherever_a_turn_is_cut_off() {
    let mut cases = tokio::task::JoinSet::new();
    for at in (0..14).step_by(rounds(3, 1)) {
        for fault in [Fault::DropBefore, Fault::DropAfterCommit] {
            cases.spawn(async move {
                let (it, environment) = Loop::with_ids(|call| match call.number % 4 {
                    0 if call.kind == Kind::Action => Some(Trouble::LostAfter),
                    2 if call.kind == Kind::Action => Some(Trouble::HtmlAfter(503)),
                    _ => None,
                })
                .await;
                let what = format!("{fault:?} from call {at} on");
                suffer(&it, &environment, 1, strikes(at, usize::MAX, fault), &what).await;
            });
        }
    }
    let count = cases.len();
    cases.join_all().await;
    eprintln!("{count} turns cut off");
}

#[tokio::test]
async fn a_transaction_that_was_cancelled_is_another_one_the_next_time() {
    let (it, environment) = Loop::with_ids(|_| None).await;
    environment.set(2, "Error");
    it.fail(2, 1).await;
    let rig = it.rig.again();
    let cancelled = AtomicBool::new(false);
    rig.strict.set_plan(Plan::from_fn(move |call| {
        let first = call.operation == "TransactWriteItems" && !cancelled.swap(true, Ordering::Relaxed);
        first.then_some(Fault::Conflict)
    }));
    assert_eq!(it.beside(&rig).sweep(Deadline::after(LONG)).await.requeued, 1);
    let calls = rig.strict.calls().into_iter().filter(|call| call.operation == "TransactWriteItems");
    let tokens: BTreeSet<_> = calls.map(|call| call.token.unwrap()).collect();
    assert_eq!(tokens.len(), 2, "{tokens:?}");
}
