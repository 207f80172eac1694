//! The same in every profile, without a socket.

use serde_json::{Value, json};
use tests::service::{Answer, TestService};

const ITEM: &str = "7ce0af2e-0963-460f-9b1f-0014aea3e117";

/// A service, an entity to make, and one to change.
async fn services() -> [(TestService, &'static str, Value, String); 4] {
    let airline = json!({ "AirlineCode": "XX", "Name": "X" });
    let job = json!({ "BatchJobRecId": 5_800_000_001_i64, "JobDescription": "X", "Status": "Waiting" });
    [
        (TestService::trippin().await, "Airlines", airline, "Airlines('NW')".into()),
        (TestService::finance_operations().await, "BatchJobs", job, "BatchJobs(5637144576)".into()),
        (TestService::business_central().await, "items", json!({ "number": "X" }), format!("items({ITEM})")),
        (
            TestService::dataverse().await,
            "accounts",
            json!({ "name": "X" }),
            "accounts(00000000-0000-0000-0000-000000000001)".into(),
        ),
    ]
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The message of an error, where the profile has it.
fn message(answer: &Answer) -> String {
    let error = &answer.json()["error"];
    error["innererror"]["message"].as_str().or(error["message"].as_str()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_body_says_what_it_is_unless_it_is_inside_a_batch() {
    for (service, set, entity, other) in Box::pin(services()).await {
        let before = service.count(set).await;
        let body = entity.to_string();
        for (method, url) in [("POST", set), ("PATCH", &other), ("PUT", &other)] {
            for headers in [&[][..], &[("Content-Type", " ")]] {
                let headers = [headers, &[("If-Match", "*")]].concat();
                let answer = service.send(method, url, &headers, body.clone()).await;
                assert_eq!(answer.status, 415, "{method} {url}: {}", answer.text());
                assert!(message(&answer).contains("no Content-Type says"), "{}", answer.text());
            }
        }
        let request = json!({ "id": "1", "method": "POST", "url": set, "body": entity }).to_string();
        let batch = service.send("POST", "$batch", &[], json!({ "requests": [request] }).to_string()).await;
        assert!(batch.status == 415 && message(&batch).contains("a batch is"), "{}", batch.text());
        assert_eq!(service.count(set).await, before);
        let inside = service.batch(&[], json!([{ "id": "1", "method": "POST", "url": set, "body": entity }])).await;
        assert!([200, 201, 204].contains(&inside.statuses()[0]), "{}", inside.text());
        assert_eq!(service.count(set).await, before + 1);
        // The body of a read means nothing, and neither does what it is.
        assert_eq!(service.send("GET", &other, &[], "{}").await.status, 200);
        let deleted = service.send("DELETE", &other, &[("If-Match", "*")], "{}").await;
        assert_eq!(deleted.status, 204, "{}", deleted.text());
    }
}

#[tokio::test]
async fn a_stream_says_what_it_is() {
    let service = TestService::business_central().await;
    let url = format!("items({ITEM})/picture({ITEM})/pictureContent");
    for method in ["PUT", "PATCH"] {
        let answer = service.send(method, &url, &[("If-Match", "*")], &b"GIF89a"[..]).await;
        assert!(answer.status == 415 && message(&answer).contains("no Content-Type says"), "{}", answer.text());
        let typed = [("If-Match", "*"), ("Content-Type", "application/octet-stream")];
        assert_eq!(service.send(method, &url, &typed, &b"GIF89a"[..]).await.status, 204);
    }
}

#[tokio::test]
async fn a_foreign_page_is_refused_in_the_form_of_the_profile_before_any_call() {
    for (service, set, entity, other) in Box::pin(services()).await {
        service.strict().forget();
        let foreign = [("Origin", "https://evil.example"), JSON, ("If-Match", "*")];
        let batch = json!({ "requests": [{ "id": "1", "method": "DELETE", "url": other }] });
        for (method, url, body) in [
            ("POST", set, entity.to_string()),
            ("DELETE", &other, String::new()),
            ("POST", "$batch", batch.to_string()),
        ] {
            let answer = service.send(method, url, &foreign, body).await;
            assert_eq!(answer.status, 403, "{method} {url}: {}", answer.text());
            let text = message(&answer);
            assert!(text.starts_with("a web page of 'https://evil.example' may not write here"), "{text}");
        }
        assert!(service.strict().calls().is_empty());
        assert_eq!(service.send("GET", set, &foreign[..1], "").await.status, 200);
    }
}
