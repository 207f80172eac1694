//! Requests of a batch that are wrong: in plain OData each fails alone, the dialects refuse the batch (Protocol §11.7.1).

use serde_json::{Value, json};
use tests::service::{Answer, Part, TestService, flat};

use crate::{
    batch_json::{self, post, with},
    batch_multipart::{account, airline, batch, batch_of, change_set, get, part},
};

const CONTINUE: (&str, &str) = ("Prefer", "continue-on-error");

/// Statuses, and the ids that they are answered with.
fn told(answer: &Answer) -> Vec<(u64, String)> {
    let ids = flat(&answer.parts()).into_iter().map(|(id, _)| id.unwrap_or_default());
    answer.statuses().into_iter().zip(ids).collect()
}

fn is(status: u64, id: &str) -> (u64, String) {
    (status, id.into())
}

async fn codes(service: &TestService) -> Vec<String> {
    let rows = service.get("Airlines").await;
    let code = |row: &Value| row["AirlineCode"].as_str().unwrap().to_owned();
    rows.rows()
        .iter()
        .map(code)
        .filter(|code| code.len() == 2 && code.bytes().all(|b| b == code.as_bytes()[0]))
        .collect()
}

#[tokio::test]
async fn a_reference_to_no_earlier_request_fails_its_request_or_change_set() {
    let service = TestService::trippin().await;
    let body = batch(&[
        airline("1", "ZZ"),
        part("2", "PATCH $99", "", "{\"Name\":\"n\"}"),
        change_set(&[airline("3", "YY"), part("4", "DELETE $5", "", ""), airline("5", "XX")]),
        part("6", "GET $5", "", ""),
        airline("7", "WW"),
        part("8", "GET $7", "", ""),
    ]);
    let answer = service.multipart(&[CONTINUE], &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = [is(201, "1"), is(400, "2"), is(400, "4"), is(400, "6"), is(201, "7"), is(200, "8")];
    assert_eq!(told(&answer), expected);
    assert_eq!(codes(&service).await, ["WW", "ZZ"]);
    let answer = service.multipart(&[], &batch(&[get("$99"), airline("9", "VV")])).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![400]), "without the preference it stops there");
    assert_eq!(codes(&service).await, ["WW", "ZZ"]);
    let requests = json!([batch_json::get("1", "$2"), batch_json::airline("2", "VV"), batch_json::get("3", "$9")]);
    assert_eq!(service.batch(&[], requests).await.statuses(), [400, 201, 400], "JSON goes on by itself");
}

#[tokio::test]
async fn of_an_id_given_twice_the_first_is_meant_and_the_later_fails() {
    let service = TestService::trippin().await;
    let body = batch(&[
        airline("1", "ZZ"),
        airline("1", "YY"),
        change_set(&[airline("2", "XX"), airline("1", "WW")]),
        change_set(&[airline("3", "VV"), airline("3", "UU")]),
        part("4", "GET $1", "", ""),
        part("5", "GET $2", "", ""),
        part("6", "GET $3", "", ""),
    ]);
    let expected = [is(201, "1"), is(400, "1"), is(400, "1"), is(400, "3"), is(200, "4"), is(400, "5"), is(400, "6")];
    for isolation in ["", "snapshot"] {
        let service = if isolation.is_empty() { service.clone() } else { TestService::trippin().await };
        let headers = [CONTINUE, ("Isolation", isolation)];
        let answer = service.multipart(&headers[..=usize::from(!isolation.is_empty())], &body).await;
        assert_eq!((answer.status, told(&answer)), (200, expected.to_vec()), "{isolation}");
        assert_eq!(flat(&answer.parts())[4].1.json()["AirlineCode"], "ZZ");
        assert!(flat(&answer.parts())[1].1.message().contains("part 2"), "{answer:?}");
        assert_eq!(codes(&service).await, ["ZZ"], "nothing of what is wrong is done");
        assert!(answer.parts().iter().all(|part| matches!(part, Part::Single { .. })));
    }
}

#[tokio::test]
async fn a_part_that_cannot_be_read_fails_alone() {
    let wrong = |part: &str| batch(&[airline("1", "ZZ"), part.into(), airline("3", "YY")]);
    let nested =
        format!("Content-Type: multipart/mixed; boundary=d\n\n{}", batch_of("d", &[change_set(&[airline("2", "XX")])]));
    let in_set = airline("2", "XX").replace("POST Airlines HTTP/1.1", "BREW");
    for (name, part, id) in [
        ("line", airline("2", "XX").replace("POST Airlines HTTP/1.1", "BREW"), "2"),
        ("header", airline("2", "XX").replace("Content-Type: application/json", "no header"), "2"),
        ("part type", airline("2", "XX").replace("application/http", "text/plain"), "2"),
        ("part header", airline("2", "XX").replace("Content-Transfer-Encoding:", "no header"), "2"),
        ("id", airline("a b", "XX"), ""),
        ("nested set", nested, ""),
        ("set without a boundary", change_set(&[airline("2", "XX")]).replace("; boundary=c", ""), ""),
        ("in a set", change_set(&[airline("4", "WW"), in_set]), "2"),
        ("read in a set", change_set(&[airline("4", "WW"), part("2", "GET Airlines", "", "")]), "2"),
    ] {
        let service = TestService::trippin().await;
        let answer = service.multipart(&[CONTINUE], &wrong(&part)).await;
        assert_eq!((answer.status, told(&answer)), (200, vec![is(201, "1"), is(400, id), is(201, "3")]), "{name}");
        assert_eq!(codes(&service).await, ["YY", "ZZ"], "{name}");
        let service = TestService::trippin().await;
        let answer = service.multipart(&[], &wrong(&part)).await;
        assert_eq!((answer.status, told(&answer)), (200, vec![is(201, "1"), is(400, id)]), "{name} stops");
    }
}

#[tokio::test]
async fn a_json_request_that_cannot_be_read_fails_with_its_group() {
    let service = TestService::trippin().await;
    let group = |request| with(request, json!({ "atomicityGroup": "g" }));
    let requests = json!([
        { "id": "1", "method": "brew", "url": "Airlines" },
        { "id": "2", "method": "get" },
        { "id": "3", "method": "get", "url": 5 },
        with(batch_json::get("4", "Airlines"), json!({ "headers": { "a": 1 } })),
        { "id": "5", "method": "put", "url": "Airlines", "headers": { "content-type": "image/png" }, "body": {} },
        group(batch_json::airline("6", "ZZ")),
        group(with(batch_json::airline("7", "YY"), json!({ "url": null }))),
        with(batch_json::airline("8", "XX"), json!({ "dependsOn": ["7"] })),
        with(batch_json::airline("9", "WW"), json!({ "dependsOn": ["g"] })),
        batch_json::airline("10", "VV"),
    ]);
    for headers in [&[][..], &[("Isolation", "snapshot")]] {
        let service = if headers.is_empty() { service.clone() } else { TestService::trippin().await };
        let answer = service.batch(headers, requests.clone()).await;
        let statuses = [400, 400, 400, 400, 400, 424, 400, 424, 424, 201];
        assert_eq!((answer.status, answer.statuses()), (200, statuses.to_vec()), "{headers:?}");
        let ids: Vec<_> = answer.responses().iter().map(|response| response["id"].clone()).collect();
        assert_eq!(ids, (1..=10).map(|id| json!(id.to_string())).collect::<Vec<_>>());
        assert_eq!(codes(&service).await, ["VV"]);
    }
    let stops = service.batch(&[("Prefer", "continue-on-error=false")], requests).await;
    assert_eq!((stops.status, stops.statuses()), (200, vec![400]));
}

#[tokio::test]
async fn the_dialects_refuse_a_batch_with_a_faulty_request() {
    let faults = [
        batch(&[account("1", "a"), account("1", "b")]),
        batch(&[account("1", "a"), get("$99")]),
        batch(&[account("1", "a"), account("2", "b").replace("POST accounts HTTP/1.1", "BREW")]),
        batch(&[account("1", "a"), account("2", "b").replace("application/http", "text/plain")]),
    ];
    for (name, root, set, status) in [
        ("dataverse", "/api/data/v9.2", "accounts", 400),
        ("finance-operations", "/data", "BatchJobs", 400),
        ("business-central", "/api/v2.0", "items", 500),
    ] {
        let service = TestService::shipped(name, root).await;
        let before = service.count(set).await;
        for body in &faults {
            let answer = service.multipart(&[CONTINUE], body).await;
            // An unknown reference can be read.
            let expected = if body.contains("$99") { 400 } else { status };
            assert_eq!(answer.status, expected, "{root} {body}");
        }
        assert_eq!(service.count(set).await, before);
    }
}

#[tokio::test]
async fn a_batch_with_an_id_repeats_its_faults() {
    let service = TestService::trippin().await;
    let id = [
        CONTINUE,
        ("Repeatability-Request-ID", "c7b1f5f4-5d9c-4c9a-9f57-4f2f0a7b8c11"),
        ("Repeatability-First-Sent", &jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
    ];
    let body = batch(&[airline("1", "ZZ"), airline("1", "YY"), get("$99"), part("2", "GET $1", "", "")]);
    let first = service.multipart(&id, &body).await;
    assert_eq!((first.status, first.statuses()), (200, vec![201, 400, 400, 200]), "{first:?}");
    let second = service.multipart(&id, &body).await;
    assert_eq!(second.statuses(), first.statuses());
    assert_eq!(codes(&service).await, ["ZZ"]);
}

#[tokio::test]
async fn an_answer_in_the_other_format_has_the_faults_as_well() {
    let service = TestService::trippin().await;
    let body = batch(&[airline("1", "ZZ"), airline("1", "YY"), change_set(&[airline("2", "XX"), airline("2", "WW")])]);
    let headers = [CONTINUE, ("Accept", "application/json"), ("OData-MaxVersion", "4.01")];
    let answer = service.multipart(&headers, &body).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![201, 400, 424, 400]), "{answer:?}");
    let requests = json!([post("1", "Airlines", json!({})), { "id": "2", "method": "brew", "url": "x" }]);
    let answer = service.batch(&[("Accept", "multipart/mixed")], requests).await;
    assert_eq!(answer.statuses(), [400, 400]);
}
