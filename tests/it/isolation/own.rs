//! What a batch sees of its own writes, and what is left of requests that fail.

use serde_json::{Value, json};
use tests::service::TestService;

use super::*;

#[tokio::test]
async fn later_requests_see_what_earlier_ones_wrote() {
    let rig = airlines(2).await;
    let answer = isolated(
        &rig,
        &[
            get("1", &airline("A0")),
            patch("2", "A0", "1"),
            get("3", &airline("A0")),
            post("4", "A2", "2"),
            get("5", "Airlines?$filter=startswith(AirlineCode,'A')&$count=true"),
            member(None, "6", "DELETE", &airline("A1"), Value::Null),
            get("7", "Airlines?$filter=startswith(AirlineCode,'A')"),
            get("8", "$4?$select=Name"),
        ],
    )
    .await;
    assert_eq!(answer.statuses(), [200, 204, 200, 201, 200, 204, 200, 200], "{}", answer.text());
    assert_eq!((&body(&answer, 0)["Name"], &body(&answer, 2)["Name"]), (&json!("0"), &json!("1")));
    assert_eq!((names(&body(&answer, 4)), &body(&answer, 4)["@odata.count"]), (vec!["1", "0", "2"], &json!(3)));
    assert_eq!((names(&body(&answer, 6)), &body(&answer, 7)["Name"]), (vec!["1", "2"], &json!("2")));
    let stored = rig.get("/trippin/Airlines?$filter=startswith(AirlineCode,'A')").await.json();
    assert_eq!(names(&stored), ["1", "2"]);
}

#[tokio::test]
async fn a_request_that_fails_fails_by_itself() {
    let rig = airlines(1).await;
    let wrong = json!({ "AirlineCode": "A3", "Name": 5 });
    let mut depends = patch("7", "A0", "never");
    depends["dependsOn"] = json!(["g"]);
    let answer = isolated(
        &rig,
        &[
            post("1", "A1", "1"),
            post("2", "A0", "there"),
            patch("3", "A0", "2"),
            grouped("g", patch("4", "A0", "undone")),
            grouped("g", post("5", "A2", "undone")),
            grouped("g", member(None, "6", "POST", "Airlines", wrong)),
            depends,
            get("8", "Airlines?$filter=startswith(AirlineCode,'A')"),
            get("9", "$5"),
            post("10", "A2", "3"),
        ],
    )
    .await;
    assert_eq!(answer.statuses(), [201, 409, 204, 424, 424, 400, 424, 200, 400, 201], "{}", answer.text());
    assert_eq!(names(&body(&answer, 7)), ["2", "1"]);
    let stored = rig.get("/trippin/Airlines?$filter=startswith(AirlineCode,'A')").await.json();
    assert_eq!(names(&stored), ["2", "1", "3"]);
}

#[tokio::test]
async fn a_batch_that_stops_keeps_what_came_before() {
    let rig = airlines(1).await;
    let requests = json!({ "requests": [post("1", "A1", "1"), post("2", "A0", "there"), post("3", "A2", "2")] });
    let headers = ["accept: application/json", ISOLATED, "prefer: continue-on-error=false"];
    let answer = rig.send("POST", "/trippin/$batch", &headers, requests.to_string()).await;
    assert_eq!(answer.statuses(), [201, 409]);
    assert_eq!(rig.get("/trippin/Airlines('A1')").await.status, 200);
    assert_eq!(rig.get("/trippin/Airlines('A2')").await.status, 404);
}

#[tokio::test]
async fn a_batch_of_failures_alone_writes_nothing() {
    let rig = airlines(1).await;
    let answer =
        isolated(&rig, &[post("1", "A0", "there"), member(None, "2", "DELETE", &airline("none"), Value::Null)]).await;
    assert_eq!(answer.statuses(), [409, 404]);
    assert_eq!(rig.calls(), ["TransactWriteItems", "TransactGetItems"], "what was assumed is refused, then read");
}

/// Either spelling, in any case; the standard's own wins.
#[tokio::test]
async fn the_isolation_is_asked_for_in_either_way() {
    let service = TestService::trippin().await;
    let read = || json!([{ "id": "1", "method": "GET", "url": "Airlines('NW')" }]);
    for (headers, status) in [
        (&[("OData-Isolation", "Snapshot")][..], 200),
        (&[("isolation", "SNAPSHOT")], 200),
        (&[("Isolation", "snapshot"), ("OData-Isolation", "none")], 200),
        (&[("Isolation", "none"), ("OData-Isolation", "snapshot")], 412),
        (&[("Isolation", "")], 412),
    ] {
        assert_eq!(service.batch(headers, read()).await.status, status, "{headers:?}");
        assert_eq!(service.send("GET", "Airlines('NW')", headers, "").await.status, status, "{headers:?}");
    }
    for other in [TestService::dataverse().await, TestService::finance_operations().await] {
        assert_eq!(other.batch(&[("Isolation", "snapshot")], json!([])).await.status, 412);
    }
}

#[tokio::test]
async fn a_request_means_the_same_alone_and_in_a_batch() {
    let rig = airlines(1).await;
    let mut read = get("1", "Airlines?$filter=Name eq '0'");
    read["headers"] = json!({ "isolation": "snapshot" });
    let batch = rig.batch(ROOT, &[read]).await;
    assert_eq!(rig.calls(), ["Query", "Query"]);
    let alone = rig.send("GET", "/trippin/Airlines?$filter=Name%20eq%20'0'", &[ISOLATED], "").await;
    assert_eq!((rig.calls(), names(&alone.json())), (vec!["Query".to_owned(); 2], vec!["0"]));
    assert_eq!(names(&body(&batch, 0)), ["0"]);
    let created = rig.send("POST", "/trippin/Airlines", &[ISOLATED], r#"{"AirlineCode":"A1","Name":"1"}"#).await;
    assert_eq!((created.status, rig.calls()), (201, vec!["PutItem".to_owned()]));
    let twice = rig.send("POST", "/trippin/Airlines", &[ISOLATED], r#"{"AirlineCode":"A1","Name":"1"}"#).await;
    assert_eq!(twice.status, 409);
}

/// The next page would be of another instant.
#[tokio::test]
async fn a_page_that_goes_on_is_refused() {
    let rig = airlines(120).await;
    let answer = isolated(
        &rig,
        &[
            get("1", "Airlines"),
            get("2", "Airlines?$top=100"),
            get("3", "Airlines/$count"),
            get("4", "Airlines?$top=20&$skip=100"),
            post("5", "Z", "z"),
        ],
    )
    .await;
    assert_eq!(answer.statuses(), [412, 200, 200, 200, 201], "{}", answer.text());
    let reason = body(&answer, 0)["error"]["message"].to_string();
    assert!(reason.contains("100 entities") && reason.contains("$top"), "{reason}");
    assert_eq!((body(&answer, 2), rig.get("/trippin/Airlines('Z')").await.status), (json!("123"), 200));
    let alone = rig.send("GET", "/trippin/Airlines", &[ISOLATED, "accept: application/json"], "").await;
    assert_eq!((alone.status, alone.json()["error"]["code"].clone()), (412, json!("IsolationNotKept")));
}

/// `$metadata` says what the profile keeps.
#[tokio::test]
async fn the_isolation_is_advertised_where_it_is_kept() {
    const TERM: &str = "Org.OData.Capabilities.V1.IsolationSupported";
    let rig = Rig::seeded().await;
    for service in rig.engine.services().iter() {
        let root = service.root.replace("{publisher}", "p").replace('*', "9.2");
        let kept = rig.batch(&root, &[]).await.status == 200
            && service.profile.isolation == shared::service::profile::Isolation::Snapshot;
        let metadata = rig.get(&format!("{root}/$metadata")).await.text();
        assert_eq!(metadata.contains(TERM), kept, "{}", service.name);
        assert!(!kept || metadata.contains("IsolationLevel/Snapshot"));
    }
}

/// A refusal stays one for its repeats, when what caused it is gone: of a request alone, in a batch, and in a change set.
#[tokio::test]
async fn a_refusal_in_a_snapshot_is_kept() {
    for form in ["alone", "single", "group"] {
        let rig = Rig::seeded().await;
        assert_eq!(rig.batch(ROOT, &[post("1", "R", "n")]).await.statuses(), [201]);
        let [id, since] = crate::repeats::lines("refused");
        let send = async || {
            if form == "alone" {
                let body = json!({ "AirlineCode": "R", "Name": "x" }).to_string();
                return rig.send("POST", "/trippin/Airlines", &[&id, &since, ISOLATED], body).await;
            }
            let request = crate::repeats::with_id(post("1", "R", "x"), "refused");
            let request = if form == "group" { grouped("g", request) } else { request };
            isolated(&rig, &[request, get("2", &airline("NW"))]).await
        };
        let of = |answer: &Answer| {
            if form == "alone" {
                return (answer.status, answer.headers.get("repeatability-result").map(str::to_owned));
            }
            let result = &answer.json()["responses"][0]["headers"]["repeatability-result"];
            (answer.statuses()[0], result.as_str().map(str::to_owned))
        };
        let first = send().await;
        assert_eq!(of(&first), (409, Some("accepted".into())), "{form}: {}", first.text());
        assert_eq!(rig.send("DELETE", "/trippin/Airlines('R')", &["if-match: *"], "").await.status, 204);
        let again = send().await;
        assert_eq!(of(&again), of(&first), "{form}: {}", again.text());
        assert_eq!(rig.get("/trippin/Airlines('R')").await.status, 404, "{form}");
    }
}

#[tokio::test]
async fn who_asks_for_two_isolations_gets_none() {
    let rig = Rig::seeded().await;
    let other = "isolation: serializable";
    for headers in [[ISOLATED, other], [other, ISOLATED]] {
        let answer = rig.send("GET", "/trippin/Airlines('NW')", &headers, "").await;
        assert_eq!(answer.status, 412, "{headers:?}: {}", answer.text());
        assert!(answer.text().contains("serializable"), "{}", answer.text());
    }
    assert_eq!(rig.send("GET", "/trippin/Airlines('NW')", &[ISOLATED, ISOLATED], "").await.status, 200);
}

/// What a snapshot changes and what it is answered are one commit, so that a repeat changes nothing.
#[tokio::test]
async fn a_snapshot_with_an_id_happens_once() {
    let rig = Rig::seeded().await;
    let airline = |code: &str| {
        let body = json!({ "AirlineCode": code, "Name": "n" });
        json!({ "id": code, "method": "POST", "url": "Airlines", "headers": { "content-type": "application/json" }, "body": body })
    };
    let count = |id: &str| json!({ "id": id, "method": "GET", "url": "Airlines/$count" });
    let body = json!({ "requests": [count("before"), airline("Q1"), airline("Q2"), count("after")] });
    let since = format!("repeatability-first-sent: {}", crate::repeats::sent(jiff::SignedDuration::ZERO));
    let headers = ["accept: application/json", "isolation: snapshot", "repeatability-request-id: once", &since];
    let send = async || rig.send("POST", "/trippin/$batch", &headers, body.to_string()).await;
    let (first, again) = (send().await, send().await);
    assert_eq!(first.statuses(), [200, 201, 201, 200], "{}", first.text());
    assert_eq!(first.body, again.body);
    assert_eq!(again.headers.get("repeatability-result"), Some("accepted"));
    let counts: Vec<_> = first.json()["responses"].as_array().unwrap().iter().map(|one| one["body"].clone()).collect();
    assert_eq!((&counts[0], &counts[3]), (&json!("3"), &json!("5")));
}
