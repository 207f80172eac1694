//! What is sent to a target, and what becomes of each answer.

use std::time::Duration;

use serde_json::{Value, json};
use tests::environment::{CLIENT_SECRET, Call, Environment, Kind, Trouble};

use super::{Loop, RULE, environment_policy};

const JOB: i64 = 7;

#[tokio::test]
async fn a_failed_job_is_requeued_by_calls_as_the_environment_wants_them() {
    let (it, environment) = Loop::with(|_| None).await;
    environment.set(JOB, "Error");
    let event = it.fail(JOB, 1).await.event_id.to_string().to_uppercase();
    it.rig.calls();
    let swept = it.sweep().await;
    assert_eq!((swept.sent, swept.requeued, swept.next_due), (1, 1, None));
    let calls = it.rig.calls();
    // Endpoints and units that were left are looked for at the same time, and the gate and the queue are looked at again in
    // the end.
    assert_eq!(calls.iter().filter(|call| *call == "Query").count(), 5, "{calls:?}");
    let expected = ["GetItem", "GetItem", "UpdateItem", "TransactWriteItems", "GetItem"];
    let others: Vec<&String> = calls.iter().filter(|call| *call != "Query").collect();
    assert_eq!(others[others.len() - expected.len()..], expected, "{calls:?}");
    assert_eq!((environment.status(JOB).as_str(), environment.effects().len()), ("Waiting", 1));
    let [read] = &environment.requests(Kind::Status)[..] else { panic!() };
    assert_eq!(read.path, "/data/BatchJobs(BatchJobRecId=7)?$select=BatchJobRecId,Status");
    let [call] = &environment.requests(Kind::Action)[..] else { panic!() };
    assert_eq!(call.path, "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting");
    assert_eq!(call.body, r#"{"batchJobId":7}"#);
    let reason = format!("rule \"again\", event {event}");
    for (name, value) in [
        ("authorization", "Bearer token-1"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("odata-version", "4.0"),
        ("repeatability-request-id", event.as_str()),
        ("requeue-from", "Error"),
        ("change-reason", &reason),
    ] {
        assert_eq!(call.header(name), value, "{name}");
    }
    assert!(call.header("repeatability-first-sent").ends_with(" GMT"), "{}", call.header("repeatability-first-sent"));
    let decision = it.decision(JOB).await;
    let shown = ["Status", "Retry", "AttemptCount", "LastStatusCode", "LastError", "OutcomeUnknown", "DueDateTime"];
    assert_eq!(json!(shown.map(|name| decision[name].clone())), json!(["Requeued", 1, 1, 200, null, false, null]));
    assert!(decision["ConcludedDateTime"].is_string());
    let attempt = &it.rows("RequeueAttempts").await[0];
    let shown = ["BatchJobRecId", "Target", "Attempt", "Rule", "Outcome", "StatusCode", "Error", "NextDateTime"];
    let expected = json!([7, "fo", 1, "again", "Requeued", 200, null, null]);
    assert_eq!(json!(shown.map(|name| attempt[name].clone())), expected);
    assert_eq!(attempt["RequestId"], event);
}

#[tokio::test]
async fn many_are_carried_out_with_one_token() {
    let (it, environment) = Loop::with(|_| None).await;
    for job in 1..=40 {
        environment.set(job, "Error");
        it.fail(job, job).await;
    }
    assert_eq!(it.sweep().await.requeued, 40);
    assert_eq!((environment.effects().len(), environment.requests(Kind::Token).len()), (40, 1));
    let form = environment.requests(Kind::Token)[0].clone();
    assert_eq!(form.header("content-type"), "application/x-www-form-urlencoded");
    // The token is used until shortly before its end.
    for (hours, fetched) in [(0, 1), (1, 2)] {
        it.wait(Duration::from_hours(hours));
        environment.set(1, "Error");
        it.fail(1, 100 + i64::try_from(hours).unwrap()).await;
        it.sweep().await;
        assert_eq!(environment.requests(Kind::Token).len(), fetched);
    }
}

/// What a trouble at the first call of the action leads to: attempts, and the end.
async fn outcomes(trouble: Trouble) -> (Vec<String>, Value, usize) {
    let plan = move |call: &Call| (call.kind == Kind::Action && call.number == 0).then_some(trouble);
    let environment = Environment::start(false, plan).await;
    let timeout = if let Trouble::Slow(_) = trouble { "timeout = \"1s\"" } else { "" };
    let it = Loop::new(&(environment_policy(&environment, timeout) + RULE)).await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    it.finish().await;
    (it.outcomes(JOB).await, it.decision(JOB).await, environment.effects().len())
}

#[tokio::test]
async fn what_passes_is_tried_again_and_has_one_effect() {
    for (trouble, first) in [
        (Trouble::Throttled(7), "NotDone"),
        (Trouble::Html(503), "Unknown"),
        (Trouble::Html(500), "Unknown"),
        (Trouble::Html(200), "Unknown"),
        (Trouble::Html(302), "NotDone"),
        (Trouble::Lost, "Unknown"),
        (Trouble::LostAfter, "Unknown"),
        (Trouble::HtmlAfter(500), "Unknown"),
        (Trouble::HtmlAfter(200), "Unknown"),
        (Trouble::Slow(Duration::from_millis(1_500)), "Unknown"),
        (Trouble::Denied(429), "NotDone"),
        (Trouble::Denied(500), "NotDone"),
    ] {
        let (attempts, decision, effects) = outcomes(trouble).await;
        assert_eq!(attempts, [first, "Requeued"], "{trouble:?}: {decision}");
        assert_eq!((decision["Status"].as_str(), effects), (Some("Requeued"), 1), "{trouble:?}");
        assert_eq!(decision["OutcomeUnknown"], false, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_in_the_same_attempt() {
    let (attempts, decision, effects) = outcomes(Trouble::Unauthorized).await;
    assert_eq!((attempts, effects), (vec!["Requeued".to_owned()], 1), "{decision}");
    let (it, environment) = Loop::with(|_| None).await;
    for number in 1..=3 {
        environment.set(JOB, "Error");
        environment.forget_tokens();
        it.fail(JOB, number).await;
        assert_eq!(it.sweep().await.requeued, 1);
    }
    assert_eq!(environment.requests(Kind::Token).len(), 3);
}

#[tokio::test]
async fn what_the_target_refuses_is_final_and_the_claim_is_given_back() {
    let (it, environment) = Loop::with(|_| None).await;
    // Somebody has started the job again; it is gone; the environment does not want it.
    environment.set(1, "Executing");
    environment.set(3, "Error");
    for (job, part) in [(1, "the job is Executing already"), (2, "The batch job 2 was not found.")] {
        it.fail(job, 1).await;
        let swept = it.sweep().await;
        assert_eq!((swept.sent, swept.refused, swept.next_due), (1, 1, None));
        let decision = it.decision(job).await;
        assert_eq!((decision["Status"].as_str(), &decision["Claim"]), (Some("Refused"), &Value::Null));
        assert!(decision["LastError"].as_str().unwrap().contains(part), "{decision}");
        assert_eq!(it.outcomes(job).await, ["Refused"]);
    }
    assert_eq!(environment.requests(Kind::Action).len(), 0);
    let (attempts, decision, effects) = outcomes(Trouble::Denied(422)).await;
    assert_eq!((attempts, effects), (vec!["Refused".to_owned()], 0));
    assert_eq!(decision["LastError"], "the action answered 422: It is not possible now.");
    // What was given back can be taken again: the limit of five is met by five that were not refused.
    for number in 10..15 {
        environment.set(1, "Error");
        it.fail(1, number).await;
        assert_eq!(it.sweep().await.requeued, 1, "{number}");
    }
    assert_eq!(it.fail(1, 15).await.decision.name(), "Exhausted");
}

#[tokio::test]
async fn those_who_wait_for_a_token_that_does_not_come_ask_once() {
    let slow = Trouble::Html(503);
    let (it, environment) = Loop::with(move |call| (call.kind == Kind::Token).then_some(slow)).await;
    for job in 1..=40 {
        environment.set(job, "Error");
        it.fail(job, job).await;
    }
    let swept = it.sweep().await;
    let fetched = environment.requests(Kind::Token).len();
    assert!((1..=16).contains(&swept.sent) && fetched <= 3, "{fetched} fetches for {swept:?}");
}

#[tokio::test]
async fn no_token_is_no_call_and_secrets_are_not_told() {
    let environment =
        Environment::start(false, |call| (call.kind == Kind::Token && call.number == 0).then_some(Trouble::Html(503)))
            .await;
    let wrong = environment_policy(&environment, "").replace("scope = \"https", "scope = \"http");
    let it = Loop::new(&(wrong + RULE)).await;
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    it.sweep().await;
    it.wait(Duration::from_mins(1));
    it.sweep().await;
    let attempts = it.rows("RequeueAttempts").await;
    let errors: Vec<&str> = attempts.iter().map(|row| row["Error"].as_str().unwrap()).collect();
    assert_eq!(
        errors,
        [
            "no token: the token endpoint answered 503",
            "no token: the token endpoint answered 401 invalid_client: wrong form"
        ]
    );
    assert_eq!(it.outcomes(JOB).await, ["NotDone", "NotDone"]);
    assert!(!format!("{attempts:?}{:?}", it.policy).contains(CLIENT_SECRET));
    assert_eq!((environment.requests(Kind::Status).len(), environment.effects().len()), (0, 0));
}
