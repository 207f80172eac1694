//! Requests that come alone.

use serde_json::json;
use tests::strict::Plan;

use super::{CENTRAL, DATAVERSE, TRIPPIN, result, seen, send, tasks};
use crate::rig::{Answer, Rig};

const JOURNAL: &str = "f91409ba-1d3d-eb11-bb72-000d3a2b9218";
const SALARIES: &str = "ae4110b4-1d3d-eb11-bb72-000d3a2b9218";

/// A repeat, which must be answered as the first one was, with one call.
async fn again(rig: &Rig, first: &Answer, (method, url, id): (&str, &str, &str), more: &[&str], body: &str) {
    rig.strict.forget();
    let repeat = send(rig, method, url, id, more, body).await;
    assert_eq!(seen(&repeat), seen(first), "{method} {url}");
    assert_eq!(rig.calls().len(), 1, "{method} {url}");
}

#[tokio::test]
async fn every_write_is_done_once_with_as_many_calls_as_without_an_id() {
    let rig = Rig::seeded().await;
    let (all, one) = ("/trippin/Airlines", "/trippin/Airlines('R')");
    let airline = r#"{"AirlineCode":"R","Name":"a"}"#;
    for (at, (method, url, more, body, status)) in [
        ("POST", all, "prefer: return=representation", airline, 201),
        ("PATCH", one, "prefer: return=minimal", r#"{"Name":"b"}"#, 204),
        ("PUT", "/trippin/Airlines('R')/Name", "if-match: *", r#"{"value":"c"}"#, 204),
        ("DELETE", one, "if-match: *", "", 204),
    ]
    .into_iter()
    .enumerate()
    {
        let id = at.to_string();
        rig.strict.forget();
        let first = send(&rig, method, url, &id, &[more], body).await;
        assert_eq!((first.status, result(&first)), (status, Some("accepted")), "{}", first.text());
        assert_eq!(rig.calls(), ["TransactWriteItems"], "{method}");
        let etag = rig.get(one).await.json()["@odata.etag"].clone();
        again(&rig, &first, (method, url, &id), &[more], body).await;
        assert_eq!(rig.get(one).await.json()["@odata.etag"], etag, "{method}");
    }
    assert_eq!(rig.get(one).await.status, 404);
}

#[tokio::test]
async fn a_write_that_reads_first_finds_its_outcome_with_what_it_reads() {
    let rig = Rig::seeded().await;
    let url = format!("{CENTRAL}/journals({JOURNAL})/journalLines");
    let body = json!({ "accountId": SALARIES, "amount": 1, "description": "d" }).to_string();
    let first = send(&rig, "POST", &url, "line", &[], &body).await;
    assert_eq!((first.status, rig.calls()), (201, vec!["BatchGetItem".into(), "TransactWriteItems".to_owned()]));
    again(&rig, &first, ("POST", &url, "line"), &[], &body).await;
    let lines = rig.get(&url).await.json()["value"].as_array().unwrap().len();
    assert_eq!(lines, 1);
}

#[tokio::test]
async fn a_refusal_stays_one_when_what_caused_it_is_gone() {
    let rig = Rig::seeded().await;
    let item = format!("{CENTRAL}/customers");
    let body = r#"{"id":"00000000-0000-0000-0000-00000000c001","displayName":"d"}"#;
    assert_eq!(rig.send("POST", &item, &[], body).await.status, 201);
    rig.strict.forget();
    let refused = send(&rig, "POST", &item, "dup", &[], body).await;
    assert_eq!((refused.status, result(&refused)), (409, Some("accepted")), "{}", refused.text());
    // Once to find it, once to keep it.
    assert_eq!(rig.calls(), ["TransactWriteItems", "PutItem"]);
    let url = "/api/v2.0/customers(00000000-0000-0000-0000-00000000c001)";
    assert_eq!(rig.send("DELETE", url, &["if-match: *"], "").await.status, 204);
    let repeat = send(&rig, "POST", &item, "dup", &[], body).await;
    assert_eq!(seen(&repeat), seen(&refused), "the id in its message included");
    assert_eq!(rig.get(url).await.status, 404);

    let stale = ["if-match: W/\"AAAA.BBBB.0\"", "prefer: return=minimal"];
    rig.send("POST", "/trippin/Airlines", &[], r#"{"AirlineCode":"R","Name":"a"}"#).await;
    let (url, id) = ("/trippin/Airlines('R')", "stale");
    let first = send(&rig, "PATCH", url, id, &stale, r#"{"Name":"b"}"#).await;
    assert_eq!((first.status, result(&first)), (412, Some("accepted")));
    let missing = send(&rig, "DELETE", "/trippin/Airlines('Q')", "none", &[], "").await;
    assert_eq!((missing.status, result(&missing)), (404, Some("accepted")));
    rig.send("POST", "/trippin/Airlines", &[], r#"{"AirlineCode":"Q","Name":"a"}"#).await;
    again(&rig, &missing, ("DELETE", "/trippin/Airlines('Q')", "none"), &[], "").await;
    assert_eq!(rig.get("/trippin/Airlines('Q')").await.status, 200);
}

/// What follows from the request alone is found again; what the service could not decide may end otherwise.
#[tokio::test]
async fn other_failures_are_decided_anew() {
    let rig = Rig::seeded().await;
    for (url, body, status) in [
        ("/trippin/Airlines", r#"{"AirlineCode":1}"#, 400),
        ("/trippin/Nothing", "{}", 404),
        ("/trippin/Airlines", r#"{"Name":"no key"}"#, 400),
    ] {
        let answer = send(&rig, "POST", url, "bad", &[], body).await;
        assert_eq!((answer.status, result(&answer)), (status, None), "{}", answer.text());
    }
    assert_eq!(rig.writes(), 0);
    let short = rig.with(std::time::Duration::ZERO, std::time::Duration::from_millis(100));
    short.strict.set_plan(Plan::from_fn(|_| Some(tests::strict::Fault::Throttle)));
    let airline = r#"{"AirlineCode":"R","Name":"a"}"#;
    let answer = send(&short, "POST", "/trippin/Airlines", "bad", &[], airline).await;
    assert_eq!((answer.status, result(&answer)), (503, None));
    let answer = send(&rig, "POST", "/trippin/Airlines", "bad", &[], airline).await;
    assert_eq!((answer.status, result(&answer)), (201, Some("accepted")));
}

#[tokio::test]
async fn of_many_repeats_at_once_one_is_carried_out() {
    let rig = Rig::seeded().await;
    let busy = rig.with(std::time::Duration::from_millis(5), std::time::Duration::from_secs(20));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let busy = busy.clone();
        let url = format!("{DATAVERSE}/tasks");
        all.spawn(async move { send(&busy, "POST", &url, "race", &[], r#"{"subject":"race"}"#).await });
    }
    let answers: Vec<_> = all.join_all().await.iter().map(seen).collect();
    assert_eq!((answers[0].0, tasks(&rig, "race").await), (204, 1));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_large_answer_is_kept_in_parts() {
    let rig = Rig::seeded().await;
    let name = "\"".repeat(300_000);
    let body = json!({ "AirlineCode": "L", "Name": name }).to_string();
    let url = format!("{TRIPPIN}/Airlines");
    let first = send(&rig, "POST", &url, "large", &[], &body).await;
    assert_eq!((first.status, rig.calls()), (201, vec!["TransactWriteItems".to_owned()]));
    assert!(first.body.len() > 600_000);
    let repeat = send(&rig, "POST", &url, "large", &[], &body).await;
    assert_eq!((seen(&repeat), rig.calls().len()), (seen(&first), 2));
}
