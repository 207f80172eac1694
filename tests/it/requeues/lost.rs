//! Calls that worked and whose answer was lost: no second effect where the target keeps ids, and the gap where it does not.

use std::time::Duration;

use tests::environment::{Kind, Trouble};

use super::Loop;

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
