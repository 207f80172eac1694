//! Calls that worked and whose answer was lost: no second effect where the target keeps ids, and the gap where it does not.

use std::time::Duration;

use shared::store::Deadline;
use tests::environment::{Kind, Trouble};

use super::{LONG, Loop};

const JOB: i64 = 7;

#[tokio::test]
async fn a_target_that_keeps_ids_is_never_called_twice_with_effect() {
    for trouble in [Trouble::LostAfter, Trouble::HtmlAfter(200), Trouble::HtmlAfter(503), Trouble::HtmlAfter(500)] {
        let (it, environment) =
            Loop::with_ids(move |call| (call.kind == Kind::Action && call.number < 3).then_some(trouble)).await;
        // The job fails again before the repeat, which must not answer that newer failure.
        environment.keeps_failing(JOB);
        environment.set(JOB, "Error");
        it.fail(JOB, 1).await;
        it.finish().await;
        assert_eq!((environment.effects().len(), environment.status(JOB).as_str()), (1, "Error"), "{trouble:?}");
        assert_eq!(it.outcomes(JOB).await, ["Unknown", "Unknown", "Unknown", "Requeued"]);
        assert_eq!(it.decision(JOB).await["Status"], "Requeued");
        assert_eq!(environment.requests(Kind::Status).len(), 0);
    }
}

#[tokio::test]
async fn a_target_without_ids_is_asked_for_the_state_before_a_repeat() {
    let (it, environment) =
        Loop::with(|call| (call.kind == Kind::Action && call.number == 0).then_some(Trouble::LostAfter)).await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    it.finish().await;
    assert_eq!((environment.requests(Kind::Action).len(), environment.effects().len()), (1, 1));
    let decision = it.decision(JOB).await;
    assert_eq!(decision["LastError"], "the job is Waiting after a call whose answer is not known");
    assert_eq!(decision["Status"], "Requeued");
}

/// What the documentation of `requeue` calls the gap.
#[tokio::test]
async fn a_job_that_fails_again_before_its_state_is_read_is_requeued_early() {
    let (it, environment) =
        Loop::with(|call| (call.kind == Kind::Action && call.number == 0).then_some(Trouble::LostAfter)).await;
    environment.keeps_failing(JOB);
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    it.finish().await;
    assert_eq!(environment.effects().len(), 2);
    let ids: Vec<_> = environment.effects().into_iter().map(|effect| effect.request_id).collect();
    assert_eq!(ids[0], ids[1], "both carry the id of the one decision");
}

#[tokio::test]
async fn a_refusal_after_a_call_that_may_have_worked_keeps_the_claim() {
    let (it, environment) = Loop::with(|call| match (call.kind, call.number) {
        (Kind::Action, 0) => Some(Trouble::LostAfter),
        (Kind::Action, _) => Some(Trouble::Denied(409)),
        _ => None,
    })
    .await;
    environment.keeps_failing(JOB);
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    assert_eq!(it.finish().await.given_up, 1);
    let decision = it.decision(JOB).await;
    assert_eq!((&decision["Status"], &decision["OutcomeUnknown"]), (&"Failed".into(), &true.into()));
    assert!(decision["Claim"].is_string());
    assert_eq!(it.outcomes(JOB).await, ["Unknown", "Refused"]);
}

#[tokio::test]
async fn whoever_takes_a_row_that_was_left_under_way_knows_that_it_may_have_worked() {
    let (it, environment) =
        Loop::with(|call| (call.kind == Kind::Action).then_some(Trouble::Slow(Duration::from_millis(300)))).await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    // The process ends while the call is under way.
    let cut = tokio::time::timeout(Duration::from_millis(150), it.sweep()).await;
    assert!(cut.is_err());
    assert_eq!(it.decision(JOB).await["OutcomeUnknown"], true);
    let swept = it.finish().await;
    assert_eq!((swept.requeued, environment.effects().len()), (1, 1));
    assert_eq!(it.outcomes(JOB).await, ["Requeued"]);
}

#[tokio::test]
async fn a_state_that_somebody_else_set_is_no_success_of_a_call_whose_answer_was_lost() {
    for (state, status) in [("Hold", "Failed"), ("Canceled", "Failed"), ("NotRun", "Failed"), ("Executing", "Requeued")]
    {
        let (it, environment) =
            Loop::with(|call| (call.kind == Kind::Action && call.number == 0).then_some(Trouble::Lost)).await;
        environment.set(JOB, "Error");
        it.fail(JOB, 1).await;
        assert_eq!(it.sweep().await.sent, 1);
        environment.set(JOB, state);
        it.finish().await;
        let decision = it.decision(JOB).await;
        assert_eq!((decision["Status"].as_str(), decision["Claim"].is_string()), (Some(status), true), "{decision}");
    }
}

#[tokio::test]
async fn an_attempt_that_outlives_its_lease_is_written_down_beside_that_of_whoever_took_over() {
    let (it, environment) = Loop::with_ids(|call| {
        (call.kind == Kind::Action && call.number == 0).then_some(Trouble::Slow(Duration::from_millis(700)))
    })
    .await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    let slow = it.outbox.clone();
    let slow = tokio::spawn(async move { slow.sweep(Deadline::after(LONG)).await });
    while environment.requests(Kind::Action).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    it.wait(Duration::from_mins(5));
    assert_eq!(it.beside(&it.rig.again()).sweep(Deadline::after(LONG)).await.requeued, 1);
    let slow = slow.await.unwrap();
    assert_eq!((slow.sent, slow.requeued, environment.effects().len()), (1, 0, 1));
    assert_eq!(it.outcomes(JOB).await, ["Requeued", "Requeued"]);
    let decision = it.decision(JOB).await;
    assert_eq!((&decision["Status"], &decision["AttemptCount"]), (&"Requeued".into(), &1.into()));
}
