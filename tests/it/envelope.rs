//! What holds for a batch as a whole: headers, formats, addresses, limits (Protocol §11.7.1).

use serde_json::{Value, json};
use tests::service::TestService;

use crate::batch_json::{airline, get, post};

#[tokio::test]
async fn too_many_operations_are_refused_before_any_work() {
    let service = TestService::business_central().await;
    let before = service.count("items").await;
    let items = |count: usize| {
        let items = (0..count).map(|at| post(&at.to_string(), "items", json!({ "number": at.to_string() })));
        Value::Array(items.collect())
    };
    assert_eq!(service.batch(&[], items(101)).await.status, 400);
    assert_eq!(service.count("items").await, before);
    assert_eq!(service.batch(&[], items(100)).await.statuses(), [201; 100]);
    let service = TestService::trippin().await;
    let mut requests = vec![airline("a", "AA")];
    requests.extend((0..1000).map(|at| get(&at.to_string(), "Airlines")));
    assert_eq!(service.batch(&[], requests.into()).await.status, 400);
    assert_eq!(service.count("Airlines").await, 3);
}

#[tokio::test]
async fn the_answer_has_the_format_that_is_asked_for() {
    let requests = json!({ "requests": [get("r1", "$metadata")] }).to_string();
    let cases: [(&str, &str, &str, &str); 6] = [
        ("business-central", "/api/v2.0", "", "multipart/mixed"),
        ("business-central", "/api/v2.0", "application/json", "application/json"),
        ("dataverse", "/api/data/v9.2", "", "application/json"),
        ("trippin", "/trippin", "", "application/json"),
        ("trippin", "/trippin", "multipart/mixed", "multipart/mixed"),
        ("trippin", "/trippin", "*/*", "application/json"),
    ];
    for (name, root, accept, format) in cases {
        let service = TestService::shipped(name, root).await;
        let mut headers = vec![("Content-Type", "application/json; charset=utf-8")];
        headers.extend((!accept.is_empty()).then_some(("Accept", accept)));
        let answer = service.send("POST", "$batch", &headers, requests.clone()).await;
        assert_eq!((answer.status, answer.statuses()), (200, vec![200]), "{root} {accept}");
        assert!(answer.header("content-type").starts_with(format), "{root} {accept}");
        if format.starts_with("multipart") {
            assert_eq!(tests::service::flat(&answer.parts())[0].0.as_deref(), Some("r1"));
        }
    }
}

#[tokio::test]
async fn header_names_are_written_as_the_profile_spells_them() {
    for (name, root, set, content_type) in [
        ("dataverse", "/api/data/v9.2", "accounts", "Content-Type"),
        ("business-central", "/api/v2.0", "items", "content-type"),
        ("finance-operations", "/data", "BatchJobs", "content-type"),
    ] {
        let service = TestService::shipped(name, root).await;
        let answer = service.batch(&[], json!([get("1", set)])).await;
        assert_eq!(
            answer.responses()[0]["headers"][content_type],
            "application/json; odata.metadata=minimal",
            "{root}"
        );
    }
}

#[tokio::test]
async fn urls_lead_to_this_service_alone() {
    let service = TestService::dataverse().await;
    let urls = [
        ("accounts/$count", 200),
        ("/api/data/v9.2/accounts/$count", 200),
        ("/accounts/$count", 200),
        ("https://host/api/data/v9.2/accounts/$count", 200),
        ("HTTP://HOST:80/api/data/v9.1/accounts/$count", 200),
        ("https://elsewhere/api/data/v9.2/accounts/$count", 400),
        ("https://host:8443/api/data/v9.2/accounts/$count", 400),
        ("//elsewhere/api/data/v9.2/accounts", 400),
        ("/elsewhere/x", 400),
        ("accounts(accountnumber=%27TA-0001%27)", 200),
        ("$batch", 400),
        ("tasks?$filter=scheduledend%20eq%202026-05-04T15%3A00%3A00Z", 200),
    ];
    let requests = urls.iter().enumerate().map(|(at, (url, _))| get(&at.to_string(), url)).collect();
    let answer = service.batch(&[("Prefer", "continue-on-error")], Value::Array(requests)).await;
    let expected: Vec<u64> = urls.iter().map(|(_, status)| *status).collect();
    assert_eq!(answer.statuses(), expected);
}

#[tokio::test]
async fn the_names_of_this_machine_are_one_host_in_urls() {
    let service = TestService::trippin().await;
    for (host, same, other) in [
        ("localhost:8080", ["127.0.0.1:8080", "[::1]:8080"], "127.0.0.1:8081"),
        ("127.0.0.1:8080", ["localhost:8080", "[::1]:8080"], "localhost:80"),
        ("[::1]:8080", ["localhost:8080", "127.0.0.1:8080"], "localhost.example.com:8080"),
    ] {
        let of = |authority: &str| get("1", &format!("http://{authority}/trippin/Airlines('NW')"));
        let service = service.called(host);
        for authority in same {
            assert_eq!(service.batch(&[], json!([of(authority)])).await.statuses(), [200], "{host} {authority}");
        }
        assert_eq!(service.batch(&[], json!([of(other)])).await.statuses(), [400], "{host} {other}");
        let link = json!({ "@odata.id": format!("http://{}/trippin/People('dario')", same[0]) });
        assert_eq!(service.post("People('benhsu')/Friends/$ref", link).await.status, 204);
    }
    let public = service.called("example.com");
    let answer = public.batch(&[], json!([get("1", "http://localhost/trippin/Airlines('NW')")])).await;
    assert_eq!(answer.statuses(), [400]);
}

#[tokio::test]
async fn urls_repeat_the_address_the_client_used() {
    let service = TestService::dataverse().await;
    let forwarded = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "api.example.com, inner"),
        ("X-Forwarded-Prefix", "/stage"),
    ];
    let requests = json!([
        post("1", "https://api.example.com/stage/api/data/v9.2/accounts", json!({ "name": "a" })),
        get("2", "$1"),
        get("3", "/stage/api/data/v9.2/accounts/$count"),
        get("4", "https://host/api/data/v9.2/accounts"),
    ]);
    let answer = service.batch(&forwarded, requests).await;
    assert_eq!(answer.statuses(), [204, 200, 200, 400]);
    let location = answer.responses()[0]["headers"]["Location"].as_str().unwrap().to_owned();
    assert!(location.starts_with("https://api.example.com/stage/api/data/v9.2/accounts("), "{location}");
}

#[tokio::test]
async fn headers_of_a_batch_are_checked_before_its_body() {
    let service = TestService::trippin().await;
    let body = json!({ "requests": [airline("1", "AA")] }).to_string();
    let json_type = ("Content-Type", "application/json");
    let cases: [(&str, &[(&str, &str)], u16); 11] = [
        ("POST", &[], 415),
        ("POST", &[("Content-Type", "text/plain")], 415),
        ("POST", &[("Content-Type", "multipart/mixed")], 400),
        ("POST", &[json_type, ("If-Match", "*")], 400),
        ("POST", &[json_type, ("If-None-Match", "W/\"1\"")], 400),
        ("POST", &[json_type, ("OData-Version", "3.0")], 400),
        ("POST", &[json_type, ("Accept", "application/xml")], 406),
        ("POST", &[json_type, ("Isolation", "serializable")], 412),
        ("POST", &[json_type, ("OData-Isolation", "none")], 412),
        ("POST", &[json_type, ("Content-Encoding", "gzip")], 415),
        ("PUT", &[json_type], 405),
    ];
    for (method, headers, status) in cases {
        let answer = service.send(method, "$batch", headers, body.clone()).await;
        assert_eq!(answer.status, status, "{method} {headers:?}");
        assert!(!answer.header("odata-version").is_empty());
        assert!(status != 405 || answer.header("allow") == "POST");
    }
    assert_eq!(service.send("POST", "$batch?$top=1", &[json_type], body.clone()).await.status, 400);
    assert_eq!(service.send("GET", "$batch", &[], "").await.status, 405);
    assert_eq!(service.count("Airlines").await, 3);
    let fine = [json_type, ("If-None-Match", "null"), ("If-Match", ""), ("Content-Encoding", " ")];
    assert_eq!(service.send("POST", "$batch?$format=json&x=1", &fine, body).await.statuses(), [201]);
}

#[tokio::test]
async fn malformed_json_is_told_by_line_and_column() {
    for (name, root, status) in [("trippin", "/trippin", 400), ("business-central", "/api/v2.0", 500)] {
        let service = TestService::shipped(name, root).await;
        let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
        let answer = service.send("POST", "$batch", &headers, "{\"requests\":[\n  {\"id\":\"1\",}]}").await;
        assert_eq!(answer.status, status);
        let message = answer.message();
        assert!(message.contains("line 2") && message.contains("column 13"), "{message}");
        for wrong in ["[]", "{}", "{\"requests\":{}}", "", "{\"requests\":[]"] {
            assert_eq!(service.send("POST", "$batch", &headers, wrong).await.status, status, "{wrong}");
        }
        assert_eq!(service.batch(&[], json!([])).await.text(), "{\"responses\":[]}");
    }
}
