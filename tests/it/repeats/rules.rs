//! What the headers mean, and what they have to be.

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::auth::Caller;

use super::{DATAVERSE, TRIPPIN, batch, lines, place, result, seen, send, sent, set, with_id};
use crate::rig::{Answer, Rig, TABLE, member};

const AIRLINE: &str = r#"{"AirlineCode":"R","Name":"n"}"#;
const AIRLINES: &str = "/trippin/Airlines";

fn airline(code: &str) -> Value {
    member(None, "1", "POST", "Airlines", json!({ "AirlineCode": code, "Name": "n" }))
}

/// The same headers at a request alone, at a batch, and at a request of a batch: the answers to each.
async fn everywhere(rig: &Rig, headers: &[(&str, String)]) -> [(u16, Option<String>, String); 3] {
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let outer = |answer: Answer| (answer.status, result(&answer).map(str::to_owned), answer.text());
    let alone = outer(rig.send("POST", AIRLINES, &lines, AIRLINE).await);
    let body = json!({ "requests": [airline("R")] }).to_string();
    let accept = [&lines[..], &["accept: application/json"]].concat();
    let whole = outer(rig.send("POST", "/trippin/$batch", &accept, body).await);
    let mut request = airline("R");
    for (name, value) in headers {
        request["headers"][*name] = value.as_str().into();
    }
    let answer = rig.batch(TRIPPIN, &[request]).await.json()["responses"][0].clone();
    let name = |name: &String| name.eq_ignore_ascii_case("repeatability-result");
    let said = answer["headers"].as_object().unwrap().iter().find(|(header, _)| name(header));
    let said = said.map(|(_, value)| value.as_str().unwrap().to_owned());
    let inner = (answer["status"].as_u64().unwrap().try_into().unwrap(), said, answer["body"].to_string());
    [alone, whole, inner]
}

#[tokio::test]
async fn headers_that_make_no_repeat_are_refused_before_anything_is_done() {
    let rig = Rig::seeded().await;
    let (id, first) = ("repeatability-request-id", "repeatability-first-sent");
    let now = sent(SignedDuration::ZERO);
    for (headers, culprit) in [
        (vec![(id, "a".into())], first),
        (vec![(first, now.clone())], id),
        (vec![(id, "a".into()), (first, "2026-11-22T12:00:00Z".into())], first),
        (vec![(id, "x".repeat(101)), (first, now.clone())], id),
        (
            vec![(id, "a".into()), (first, now.clone()), ("repeatability-client-id", "x".repeat(101))],
            "repeatability-client-id",
        ),
    ] {
        for (status, result, text) in everywhere(&rig, &headers).await {
            assert_eq!((status, result.as_deref()), (400, Some("rejected")), "{headers:?}: {text}");
            assert!(text.contains(culprit), "{text}");
        }
    }
    let twice = ["repeatability-request-id: a", "repeatability-request-id: b", &format!("{first}: {now}")];
    assert_eq!(rig.send("POST", AIRLINES, &twice, AIRLINE).await.status, 400);
    assert!(rig.calls().is_empty());
}

#[tokio::test]
async fn what_may_be_forgotten_or_is_still_to_come_is_refused() {
    let rig = Rig::seeded().await;
    for ago in [SignedDuration::from_hours(25), SignedDuration::from_mins(-6)] {
        let headers = [("repeatability-request-id", "old".to_owned()), ("repeatability-first-sent", sent(ago))];
        for (status, result, text) in everywhere(&rig, &headers).await {
            assert_eq!((status, result.as_deref()), (412, Some("rejected")), "{text}");
        }
    }
    assert!(rig.calls().is_empty());
    let late = format!("repeatability-first-sent: {}", sent(SignedDuration::from_hours(23)));
    let answer = rig.send("POST", AIRLINES, &["repeatability-request-id: late", &late], AIRLINE).await;
    assert_eq!((answer.status, result(&answer)), (201, Some("accepted")));
}

#[tokio::test]
async fn an_id_is_that_of_one_request() {
    let rig = Rig::seeded().await;
    let first = send(&rig, "POST", AIRLINES, "one", &[], AIRLINE).await;
    assert_eq!(first.status, 201);
    batch(&rig, TRIPPIN, "all", &[airline("S")]).await;
    rig.strict.forget();
    let url = "/trippin/Airlines('R')";
    for (method, url, body) in [
        ("POST", AIRLINES, r#"{"AirlineCode":"T","Name":"n"}"#),
        ("POST", "/trippin/Airlines?$select=Name", AIRLINE),
        ("PATCH", url, r#"{"Name":"m"}"#),
        ("DELETE", url, ""),
    ] {
        for id in ["one", "all"] {
            let answer = send(&rig, method, url, id, &[], body).await;
            assert_eq!((answer.status, result(&answer)), (412, Some("rejected")), "{method} {id}: {}", answer.text());
            assert!(answer.text().contains("RequestIdReused"), "{}", answer.text());
        }
    }
    for id in ["one", "all"] {
        let answer = batch(&rig, TRIPPIN, id, &[airline("T")]).await;
        assert_eq!((answer.status, result(&answer)), (412, Some("rejected")), "{}", answer.text());
        assert_eq!(rig.batch(TRIPPIN, &[with_id(airline("T"), id)]).await.statuses(), [412]);
    }
    assert_eq!(rig.get("/trippin/Airlines('T')").await.status, 404);
    assert_eq!(rig.get(url).await.json()["Name"], "n");
    assert_eq!(seen(&send(&rig, "POST", AIRLINES, "one", &[], AIRLINE).await), seen(&first));
}

#[tokio::test]
async fn ids_of_others_are_other_ids() {
    let rig = Rig::seeded().await;
    let task = r#"{"subject":"mine"}"#;
    let url = format!("{DATAVERSE}/tasks");
    for more in [&[][..], &["repeatability-client-id: a"], &["repeatability-client-id: b"]] {
        for _ in 0..2 {
            assert_eq!(send(&rig, "POST", &url, "id", more, task).await.status, 204);
        }
    }
    assert_eq!(send(&rig, "POST", AIRLINES, "id", &[], AIRLINE).await.status, 201);
    assert_eq!(super::tasks(&rig, "mine").await, 3);
    let of = |name: &str| place_of(&Caller { name: name.into(), ..Caller::anonymous() });
    assert_ne!(of("ann"), of("bob"));
    assert!(!of("ann").contains("ann"));
}

fn place_of(caller: &Caller) -> String {
    use shared::repeat::{Asked, Claim, Given, Scope};
    let mut headers = shared::batch::Headers::new();
    for line in lines("id") {
        let (name, value) = line.split_once(": ").unwrap();
        headers.try_append(name, value).unwrap();
    }
    let given = Given::of(&headers).unwrap().together().unwrap().unwrap();
    let scope = Scope { service: "s", caller, hours: 24 };
    let claim = Claim::new(scope, &given, Asked { method: "", url: "", body: b"" }, jiff::Timestamp::now());
    claim.unwrap().key.partition
}

#[tokio::test]
async fn a_read_can_be_repeated_as_it_is() {
    let rig = Rig::seeded().await;
    for headers in
        [&["repeatability-request-id: a"][..], &["repeatability-first-sent: never", "repeatability-request-id: "]]
    {
        let answer = rig.send("GET", AIRLINES, headers, "").await;
        assert_eq!((answer.status, result(&answer), rig.calls()), (200, None, vec!["Query".to_owned()]));
    }
}

/// The ids of their changes are in the job: nothing else is kept, whatever else the request says.
#[tokio::test]
async fn a_job_remembers_ids_by_itself() {
    let rig = Rig::seeded().await;
    let action = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
    let old = format!("repeatability-first-sent: {}", sent(SignedDuration::from_hours(48)));
    let headers = ["repeatability-request-id: x", old.as_str()];
    let body = r#"{"batchJobId":5637144576}"#;
    for _ in 0..2 {
        let answer = rig.send("POST", action, &headers, body).await;
        assert_eq!((answer.status, result(&answer), rig.calls().len()), (200, Some("accepted"), 1));
    }
    assert_eq!(rig.get("/data/BatchJobs(5637144576)").await.json()["RetryCount"], 1);
    let url = "/data/BatchJobs(5637144576)";
    rig.strict.forget();
    for _ in 0..2 {
        let answer = send(&rig, "PATCH", url, "y", &[], r#"{"Status":"Executing"}"#).await;
        assert_eq!((answer.status, result(&answer)), (204, Some("accepted")), "{}", answer.text());
        assert_eq!(rig.calls(), ["TransactWriteItems"]);
    }
}

/// An outcome that is over does not count, though DynamoDB removes it only some time later.
#[tokio::test]
async fn what_is_over_does_not_count() {
    let rig = Rig::seeded().await;
    let url = "/trippin/Airlines('R')";
    for round in 0..2 {
        assert_eq!(rig.send("POST", AIRLINES, &[], AIRLINE).await.status, 201, "{round}");
        assert_eq!(send(&rig, "DELETE", url, "gone", &[], "").await.status, 204);
        assert_eq!(rig.get(url).await.status, 404, "{round}");
        assert_eq!(send(&rig, "DELETE", url, "gone", &[], "").await.status, 204);
        set(&rig.client(), TABLE, place("trippin", "gone"), "e", 1).await;
    }
    assert_eq!(send(&rig, "DELETE", url, "gone", &[], "").await.status, 404);
    for _ in 0..2 {
        assert_eq!(batch(&rig, TRIPPIN, "b", &[airline("B")]).await.status, 200);
        assert_eq!(rig.send("DELETE", "/trippin/Airlines('B')", &[], "").await.status, 204);
        let head = place("trippin", "b");
        let unit = shared::store::ItemKey { sort: "unit/000000".into(), ..head.clone() };
        for key in [head, unit] {
            set(&rig.client(), TABLE, key, "e", 1).await;
        }
    }
}
