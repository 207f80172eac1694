//! Time that runs out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::store::ATTEMPT_TIMEOUT;
use tests::strict::{Fault, Plan};

use crate::rig::{Answer, Rig, member};

const ROOTS: [(&str, &str, &str); 2] =
    [("/trippin", "Airlines", "AirlineCode"), ("/api/data/v9.2", "accounts", "accountid")];

/// A key: a code as well as a Guid.
fn key(root: usize, at: usize) -> String {
    if root == 0 { format!("A{at}") } else { format!("00000000-0000-0000-0009-{at:012}") }
}

fn creates(root: usize, count: usize, set: usize) -> Vec<Value> {
    let (_, entities, key_name) = ROOTS[root];
    let create = |at: usize| {
        let body =
            if root == 0 { json!({ key_name: key(0, at), "Name": "n" }) } else { json!({ key_name: key(1, at) }) };
        let group = (set > 1).then(|| format!("g{}", at / set));
        member(group.as_deref(), &at.to_string(), "POST", entities, body)
    };
    (0..count).map(create).collect()
}

/// Checks that exactly what was answered as done is stored.
async fn agree(rig: &Rig, root: usize, count: usize, answer: &Answer) -> usize {
    let (path, entities, _) = ROOTS[root];
    let statuses = answer.statuses();
    for at in 0..count {
        let key = if root == 0 { format!("'{}'", key(0, at)) } else { key(1, at) };
        let stored = rig.again().get(&format!("{path}/{entities}({key})")).await.status;
        let done = statuses.get(at).is_some_and(|status| *status < 300);
        assert_eq!(stored, if done { 200 } else { 404 }, "{at} of {statuses:?}");
    }
    statuses.iter().filter(|status| **status < 300).count()
}

async fn batch(rig: &Rig, root: usize, prefer: &str, requests: Vec<Value>, left: Option<Duration>) -> Answer {
    let url = format!("{}/$batch", ROOTS[root].0);
    let headers = ["accept: application/json", prefer];
    rig.send_within(left, "POST", &url, &headers, json!({ "requests": requests }).to_string().into()).await
}

const CONTINUE: &str = "prefer: odata.continue-on-error";
const STOP: &str = "prefer: odata.continue-on-error=false";

/// Writes take 40 ms, and none is begun after 400.
#[tokio::test]
async fn what_was_not_begun_in_time_is_answered_so_and_not_stored() {
    let rig = Rig::seeded().await;
    for (root, set) in [(0, 1), (0, 3), (1, 1)] {
        let rig = if (root, set) == (0, 1) { rig.clone() } else { Rig::seeded().await };
        let slow = rig.with(Duration::from_millis(40), Duration::from_millis(400));
        let answer = batch(&slow, root, CONTINUE, creates(root, 60, set), None).await;
        let statuses = answer.statuses();
        assert_eq!((answer.status, statuses.len()), (200, 60));
        let done = agree(&rig, root, 60, &answer).await;
        assert!((set..=12 * set).contains(&done) && done % set == 0, "{statuses:?}");
        let rest: Vec<u16> = statuses[done..].to_vec();
        let expected: Vec<u16> = (done..60).map(|at| if at % set == 0 { 503 } else { 424 }).collect();
        assert_eq!(rest, expected);
        let refusal = &answer.json()["responses"][done];
        let retry = refusal["headers"]["retry-after"].as_str().or(refusal["headers"]["Retry-After"].as_str());
        assert_eq!(retry, Some("1"));
        assert!(refusal["body"].to_string().contains("the time for this request ran out"), "{refusal}");
    }
}

#[tokio::test]
async fn a_batch_that_stops_ends_with_the_first_that_was_not_begun() {
    for root in [0, 1] {
        let rig = Rig::seeded().await;
        let slow = rig.with(Duration::from_millis(40), Duration::from_millis(300));
        let answer = batch(&slow, root, STOP, creates(root, 60, 1), None).await;
        let done = agree(&rig, root, 60, &answer).await;
        // Dataverse repeats the status of the first failure outside: not when that would have done work done again.
        assert_eq!((answer.status, answer.statuses().len(), answer.statuses()[done]), (200, done + 1, 503));
        assert!(done > 0);
    }
}

#[tokio::test]
async fn without_time_for_one_attempt_nothing_is_begun() {
    let rig = Rig::seeded().await;
    let left = Some(ATTEMPT_TIMEOUT);
    let answer = batch(&rig, 0, CONTINUE, creates(0, 3, 1), left).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![503; 3]));
    let answer = batch(&rig, 1, STOP, creates(1, 3, 1), left).await;
    assert_eq!((answer.status, answer.statuses()), (503, vec![503]));
    let reads = (0..3).map(|at| member(None, &at.to_string(), "GET", "Airlines('AA')", Value::Null)).collect();
    let answer = batch(&rig, 0, CONTINUE, reads, left).await;
    assert_eq!(answer.statuses(), [503; 3]);
    let body = json!({ "AirlineCode": "X", "Name": "n" }).to_string();
    let answer = rig.send_within(left, "POST", "/trippin/Airlines", &[], body.into()).await;
    assert_eq!((answer.status, answer.headers.get("retry-after")), (503, Some("1")));
    assert!(rig.calls().is_empty());
}

/// The worst case: the last call that is begun is not answered. Its outcome stays unknown, and the answer is there before the
/// edge gives up.
#[tokio::test]
async fn an_answer_comes_in_time_when_the_last_call_hangs() {
    let rig = Rig::seeded().await;
    let hanging = rig.with(Duration::from_mins(1), Duration::from_secs(20));
    let (left, start) = (ATTEMPT_TIMEOUT + Duration::from_millis(1300), Instant::now());
    let answer = batch(&hanging, 0, CONTINUE, creates(0, 4, 1), Some(left)).await;
    assert!(start.elapsed() < left, "{:?}", start.elapsed());
    let codes: Vec<_> = (0..4).map(|at| answer.json()["responses"][at]["body"]["error"]["code"].clone()).collect();
    assert_eq!(codes, ["OutcomeUnknown", "OutOfTime", "OutOfTime", "OutOfTime"]);
    assert_eq!(agree(&rig, 0, 4, &answer).await, 0);
}

/// A unit that others keep from being committed is given up when the time is over.
#[tokio::test]
async fn reruns_end_with_the_time() {
    let rig = Rig::seeded().await;
    let faulty = rig.with(Duration::ZERO, Duration::from_millis(300));
    faulty.strict.set_plan(Plan::from_fn(|_| Some(Fault::Conflict)));
    let answer = batch(&faulty, 0, CONTINUE, creates(0, 3, 1), None).await;
    assert_eq!(answer.statuses(), [503; 3]);
    assert_eq!(agree(&rig, 0, 3, &answer).await, 0);
}
