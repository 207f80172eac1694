//! Harmless things that clients send along: they are ignored, alone, in batches and in change sets, in every dialect.

use serde_json::{Value, json};
use tests::service::{TestService, flat};

use crate::{
    batch_json::{get, post, with},
    batch_multipart::{airline, batch, change_set, part},
};

/// Each service, a set of it, and a body that creates an entity.
fn services() -> [(&'static str, &'static str, &'static str, Value); 3] {
    [
        ("trippin", "/trippin", "Airlines", json!({ "AirlineCode": "ZZ", "Name": "z" })),
        ("dataverse", "/api/data/v9.2", "accounts", json!({ "name": "z" })),
        ("business-central", "/api/v2.0", "items", json!({ "number": "Z" })),
    ]
}

#[tokio::test]
async fn preferences_that_have_no_place_in_a_batch_are_not_applied() {
    for (name, root, set, body) in services() {
        let service = TestService::shipped(name, root).await;
        for prefer in ["return=representation", "return=minimal", "respond-async, wait=5, maxpagesize=1, x=y"] {
            let before = service.count(set).await;
            let answer = service.batch(&[("Prefer", prefer)], json!([get("1", &format!("{set}?$top=2"))])).await;
            assert_eq!((answer.status, answer.statuses()), (200, vec![200]), "{root} {prefer}");
            assert_eq!(answer.header("preference-applied"), "");
            let rows = answer.json().to_string().matches("etag").count();
            assert!(before < 2 || rows >= 2, "a page size is not taken over: {root}");
        }
        // The profile chooses the body of an answer to a create, not the batch.
        let prefer = if name == "dataverse" { "return=representation" } else { "return=minimal" };
        let answer = service.batch(&[("Prefer", prefer)], json!([post("1", set, body)])).await;
        assert_eq!(answer.statuses(), [if name == "dataverse" { 204 } else { 201 }], "{root}");
    }
    let service = TestService::trippin().await;
    let own = airline("1", "ZZ")
        .replace("Content-Type: application/json\n", "Content-Type: application/json\nPrefer: return=minimal\n");
    let answer = service.multipart(&[("Prefer", "return=representation")], &batch(&[change_set(&[own])])).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![204]));
}

#[tokio::test]
async fn a_body_at_a_read_or_a_delete_is_ignored_alone() {
    let service = TestService::trippin().await;
    for (at, (content_type, body)) in [
        ("application/json", "{}"),
        ("application/json", "null"),
        ("image/png", "\u{1}"),
        ("", "no JSON"),
        ("a/b", "{\"x\":"),
    ]
    .into_iter()
    .enumerate()
    {
        let code = format!("Z{at}");
        assert_eq!(service.post("Airlines", json!({ "AirlineCode": code, "Name": "z" })).await.status, 201);
        let url = format!("Airlines('{code}')");
        let mut headers = vec![("Content-Encoding", "br")];
        headers.extend((!content_type.is_empty()).then_some(("Content-Type", content_type)));
        for (method, status) in [("GET", 200), ("HEAD", 200), ("DELETE", 204)] {
            assert_eq!(
                service.send(method, &url, &headers, body).await.status,
                status,
                "{method} {content_type} {body}"
            );
        }
        assert_eq!(service.get(&url).await.status, 404);
    }
}

#[tokio::test]
async fn a_body_at_a_read_or_a_delete_is_ignored_in_a_batch() {
    for (name, root, set, body) in services() {
        let service = TestService::shipped(name, root).await;
        let before = service.count(set).await;
        for ignored in [json!(null), json!({}), json!({ "x": [1] }), json!("text"), json!(5)] {
            let odd = json!({ "content-type": "image/png", "content-encoding": "gzip", "if-match": "*" });
            let members = json!({ "body": ignored, "headers": odd });
            let requests = json!([
                post("1", set, body.clone()),
                with(get("2", &format!("{set}/$count")), json!({ "body": ignored })),
                with(json!({ "id": "3", "method": "delete", "url": "$1", "atomicityGroup": "g" }), members),
            ]);
            let answer = service.batch(&[], requests).await;
            assert_eq!(answer.statuses()[1..], [200, 204], "{root} {ignored}: {}", answer.text());
            assert_eq!(service.count(set).await, before, "{root}");
        }
        let line = |line: &str| part("", line, "If-Match: *\nContent-Encoding: gzip\n", "{}");
        let set_of = change_set(&[part("1", &format!("POST {set}"), "", &body.to_string()), line("DELETE $1")]);
        let answer = service.multipart(&[], &batch(&[set_of, line(&format!("GET {set}/$count"))])).await;
        assert_eq!(answer.statuses()[1..], [204, 200], "{root}: {answer:?}");
        assert_eq!(service.count(set).await, before, "{root}");
    }
}

#[tokio::test]
async fn members_that_no_request_has_are_ignored() {
    for (name, root, set, _) in services() {
        let service = TestService::shipped(name, root).await;
        let body = json!({
            "@odata.context": "x",
            "comment": ["for people"],
            "requests": [
                with(get("1", set), json!({ "@note": "x", "url@a.b": 1, "name": "y" })),
                // Not `dependsOn`: nobody waits for what is not there.
                with(get("2", &format!("{set}/$count")), json!({ "depends_on": ["9"], "headers": { "x": null } })),
            ],
        });
        let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
        let answer = service.send("POST", "$batch", &headers, body.to_string()).await;
        assert_eq!((answer.status, answer.statuses()), (200, vec![200, 200]), "{root}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_version_may_be_followed_by_the_name_of_its_client() {
    let service = TestService::trippin().await;
    for (value, version) in [("4.0;NetFx", "4.0"), ("4.0;", "4.0"), ("4.0 ; x", "4.0"), ("4.01;NetFx", "4.01")] {
        let both = [("OData-Version", value), ("OData-MaxVersion", value)];
        let alone = service.send("GET", "Airlines", &both, "").await;
        assert_eq!((alone.status, alone.header("odata-version")), (200, version), "{value}");
        let inner = format!("OData-Version: {value}\nOData-MaxVersion: {value}\n");
        let answer = service.multipart(&both, &batch(&[part("", "GET Airlines", &inner, "")])).await;
        assert_eq!((answer.status, answer.statuses(), answer.header("odata-version")), (200, vec![200], version));
        assert_eq!(flat(&answer.parts())[0].1.header("odata-version"), version);
        let members = json!({ "headers": { "odata-version": value, "odata-maxversion": value } });
        assert_eq!(service.batch(&both, json!([with(get("1", "Airlines"), members)])).await.statuses(), [200]);
    }
    for value in ["3.0;NetFx", ";4.0", "four;4.0"] {
        assert_eq!(service.send("GET", "Airlines", &[("OData-MaxVersion", value)], "").await.status, 400, "{value}");
    }
    // An etag in a body counts in 4.01, and the suffix does not hide the version.
    let stale = json!({ "@etag": "W/\"x.y\"", "Name": "n" });
    assert_eq!(service.patch("Airlines('NW')", &[("OData-Version", "4.01;x")], stale).await.status, 412);
}
