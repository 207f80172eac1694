//! When a decision is carried out: backoff, window, what a target asks for, and its end.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    events::{EventKind, JobEvent, What},
    store::Deadline,
};
use tests::environment::{Call, Environment, Kind, Trouble};

use super::{LONG, Loop, environment_policy, failed};

const JOB: i64 = 7;

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// How long after now something is, in seconds.
fn seconds(it: &Loop, value: &Value) -> f64 {
    instant(value).duration_since(it.now()).as_secs_f64()
}

async fn with_rule(environment: &Environment, rule: &str) -> Loop {
    let rule = format!("[[rules]]\nname = \"again\"\naction = \"requeue\"\n{rule}");
    Loop::new(&(environment_policy(environment, "") + &rule)).await
}

#[tokio::test]
async fn each_retry_waits_as_its_rule_says() {
    let environment = Environment::start(false, |_| None).await;
    let rule = "backoff = { initial = \"1m\", factor = 3.0, jitter = 0.0 }";
    let it = with_rule(&environment, rule).await;
    for (number, wait) in [(1, 60.0), (2, 180.0), (3, 540.0)] {
        environment.set(JOB, "Error");
        let event = it.fail(JOB, number).await.event_id;
        let swept = it.sweep().await;
        assert_eq!((swept.sent, swept.next_due.is_some()), (0, true));
        let rows = it.rows("RequeueDecisions").await;
        let row = rows.iter().find(|row| row["EventId"] == event.to_string()).unwrap();
        assert_eq!((&row["Retry"], &row["Status"]), (&number.into(), &"Pending".into()));
        assert!((seconds(&it, &row["DueDateTime"]) - wait).abs() < 0.01, "{row}");
        it.wait(Duration::from_secs_f64(wait - 0.5));
        assert_eq!(it.sweep().await.sent, 0);
        it.wait(Duration::from_millis(500));
        assert_eq!(it.sweep().await.requeued, 1, "{number}");
    }
}

#[tokio::test]
async fn outside_of_its_window_nothing_is_called_and_a_person_may_all_the_same() {
    let environment = Environment::start(false, |_| None).await;
    let policy = environment_policy(&environment, "")
        + "[windows.never-now]\ntime_zone = \"UTC\"\nopen = [{ from = \"22:00\", to = \"23:00\" }]\n\
           [[rules]]\nname = \"again\"\naction = \"requeue\"\nwindow = \"never-now\"\n";
    let it = Loop::new(&policy).await;
    *it.clock.lock().unwrap() = "2026-03-04T12:00:00Z".parse().unwrap();
    for job in [1, 2] {
        environment.set(job, "Error");
        it.fail(job, 1).await;
    }
    let swept = it.sweep().await;
    assert_eq!((swept.sent, swept.next_due), (0, Some("2026-03-04T22:00:00Z".parse().unwrap())));
    *it.clock.lock().unwrap() = "2026-03-04T22:00:00Z".parse().unwrap();
    assert_eq!(it.sweep().await.requeued, 2);
    // Somebody wants it carried out again: at once, by a request of its own.
    *it.clock.lock().unwrap() = "2026-03-05T09:00:00Z".parse().unwrap();
    environment.set(1, "Error");
    let decision = it.decision(1).await;
    let url = format!(
        "/data/RequeueDecisions(BatchJobRecId=1,Target='fo',EventId={})",
        decision["EventId"].as_str().unwrap()
    );
    let action = format!("{url}/Microsoft.Dynamics.DataEntities.Rerun");
    // The engine has the time of this machine.
    *it.clock.lock().unwrap() = Timestamp::now();
    assert_eq!(it.rig.send("POST", &action, &[], "{}").await.status, 204);
    *it.clock.lock().unwrap() = Timestamp::now();
    assert_eq!(it.sweep().await.requeued, 1);
    let ids: Vec<_> = environment.effects().into_iter().map(|effect| effect.request_id).collect();
    assert_eq!((ids.len(), ids[2].ends_with(".1")), (3, true), "{ids:?}");
    assert_eq!(it.outcomes(1).await, ["Requeued", "Requeued"]);
}

/// The longer it waits, the more its job has gone on.
#[tokio::test]
async fn a_repeat_of_what_may_have_worked_does_not_wait_for_the_window() {
    let lost = |call: &Call| (call.kind == Kind::Action && call.number == 0).then_some(Trouble::LostAfter);
    let environment = Environment::start(false, lost).await;
    let policy = environment_policy(&environment, "")
        + "[windows.late]\ntime_zone = \"UTC\"\nopen = [{ from = \"22:00\", to = \"23:00\" }]\n\
           [[rules]]\nname = \"again\"\naction = \"requeue\"\nwindow = \"late\"\n";
    let it = Loop::new(&policy).await;
    *it.clock.lock().unwrap() = "2026-03-04T22:59:59Z".parse().unwrap();
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    let swept = it.sweep().await;
    let due = instant(&it.decision(JOB).await["DueDateTime"]);
    assert!(swept.sent == 1 && due < "2026-03-04T23:00:02Z".parse().unwrap(), "{due}");
    it.wait(Duration::from_secs(10));
    assert_eq!((it.sweep().await.requeued, environment.effects().len()), (1, 1));
}

#[tokio::test]
async fn what_is_given_up_without_a_call_that_may_have_worked_gives_the_claim_back() {
    let (it, environment) = Loop::with(|call| (call.kind == Kind::Action).then_some(Trouble::Denied(429))).await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    assert_eq!(it.finish().await.given_up, 1);
    let decision = it.decision(JOB).await;
    let shown = ["Status", "OutcomeUnknown", "Claim"].map(|name| decision[name].clone());
    assert_eq!(json!(shown), json!(["Failed", false, null]));
    let retries: Vec<_> = it.outcomes(JOB).await;
    assert!(retries.iter().all(|outcome| outcome == "NotDone"), "{retries:?}");
}

#[tokio::test]
async fn a_target_that_wants_to_be_left_alone_is_and_one_row_tries_it_afterwards() {
    let (it, environment) =
        Loop::with(|call| (call.kind == Kind::Status && call.number < 40).then_some(Trouble::Throttled(90))).await;
    for job in 1..=60 {
        environment.set(job, "Error");
        it.fail(job, job).await;
    }
    let swept = it.sweep().await;
    assert!((1..=16).contains(&swept.sent), "{swept:?}");
    let wait = swept.next_due.unwrap().duration_since(it.now()).as_secs();
    assert!((90..=91).contains(&wait), "{wait}");
    let before = environment.requests(Kind::Status).len();
    it.wait(Duration::from_secs(89));
    assert_eq!(it.sweep().await.sent, 0);
    it.wait(Duration::from_secs(3));
    assert_eq!(it.sweep().await.sent, 1, "one tries it");
    assert_eq!(environment.requests(Kind::Status).len(), before + 1);
    let total = it.finish().await;
    assert_eq!((total.requeued, environment.effects().len()), (60, 60));
}

#[tokio::test]
async fn after_a_day_of_failures_it_is_given_up_and_the_claim_is_kept() {
    let (it, environment) = Loop::with(|call| (call.kind == Kind::Action).then_some(Trouble::Html(500))).await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    let begun = it.now();
    let swept = it.finish().await;
    assert_eq!((swept.given_up, swept.sent), (1, 12));
    let hours = it.now().duration_since(begun).as_hours();
    assert!((17..=31).contains(&hours), "{hours} h");
    let decision = it.decision(JOB).await;
    let shown = ["Status", "AttemptCount", "LastStatusCode", "LastError", "OutcomeUnknown", "DueDateTime"];
    let expected = json!(["Failed", 12, 500, "the answer was 500", true, null]);
    assert_eq!(json!(shown.map(|name| decision[name].clone())), expected);
    assert!(decision["Claim"].is_string());
    assert_eq!(it.outcomes(JOB).await, ["Unknown"; 12]);
}

#[tokio::test]
async fn what_waits_for_a_day_at_a_target_that_is_gone_is_given_up() {
    let (it, environment) = Loop::with(|_| Some(Trouble::Lost)).await;
    for job in 1..=5 {
        environment.set(job, "Error");
        it.fail(job, job).await;
    }
    let swept = it.finish().await;
    assert_eq!((swept.given_up, environment.effects().len()), (5, 0));
    for row in it.rows("RequeueDecisions").await {
        assert_eq!((&row["Status"], row["Claim"].is_null()), (&"Failed".into(), true), "nothing was sent: {row}");
    }
}

#[tokio::test]
async fn jobs_that_the_target_fails_at_do_not_hold_up_the_others() {
    for trouble in [Trouble::Html(500), Trouble::Html(200), Trouble::Html(403)] {
        let bad = |job: Option<i64>| job.is_some_and(|job| job <= 3);
        let (it, environment) =
            Loop::with(move |call| (call.kind == Kind::Action && bad(call.job)).then_some(trouble)).await;
        for job in 1..=20 {
            environment.set(job, "Error");
            it.fail(job, job).await;
        }
        let swept = it.sweep().await;
        assert_eq!((swept.requeued, environment.effects().len()), (17, 17), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_decision_whose_job_finishes_while_it_waits_is_not_carried_out() {
    let environment = Environment::start(false, |_| None).await;
    let it = with_rule(&environment, "backoff = { initial = \"10m\", factor = 1, cap = \"10m\", jitter = 0 }").await;
    environment.set(JOB, "Error");
    let failure = it.fail(JOB, 1).await.event_id;
    assert_eq!(it.sweep().await.sent, 0);
    it.wait(Duration::from_mins(5));
    // A person has restarted it, it finished, and then it failed with something that no rule is for.
    let finished = JobEvent { what: What::Job(EventKind::Finished), ..failed(JOB, 2, it.now()) };
    let source = it.policy.sources().next().unwrap();
    let verdict = it.policy.decide(source, &finished, it.now());
    let (kept, deadline) = ((it.now(), it.policy.keep_decisions()), Deadline::after(LONG));
    it.ledger.record(it.rig.store(), (source, &finished), &verdict, kept, deadline).await.unwrap();
    it.wait(Duration::from_mins(10));
    assert_eq!((it.sweep().await.refused, environment.requests(Kind::Action).len()), (1, 0));
    let url = format!("RequeueDecisions?$filter=EventId eq {failure}");
    let row = &it.rows(&url).await[0];
    assert_eq!((&row["Status"], &row["LastError"]), (&json!("Refused"), &json!("the job finished after this failure")));
}
