//! Requests that a browser sends for any page without asking first, to a host without authentication.

use serde_json::json;
use tests::host::Host;

use super::{Answer, JOB, failure, send};

const EVIL: &str = "Origin: https://evil.example";
const CROSS: &str = "Sec-Fetch-Site: cross-site";
const JSON: &str = "Content-Type: application/json";
const REQUEUE: &str = "POST /data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
const ENDPOINTS: &str = "POST /data/BusinessEventEndpoints";

fn endpoint() -> String {
    let url = "https://evil.example/";
    json!({ "Name": "evil", "Url": url, "BusinessEventIds": [], "Format": "FinanceOperations" }).to_string()
}

/// Whether the attacks changed a job, an endpoint, a decision.
async fn changed(host: &Host) -> [bool; 3] {
    let get = async |path: &str| send(host, &format!("GET /data/{path}"), &[], "").await.json();
    // The host has an endpoint of its own, through which it tells itself of its jobs.
    let others = async |set: &str, property: &str, own: &str| {
        get(set).await["value"].as_array().unwrap().iter().any(|row| row[property] != own)
    };
    let job = get(&format!("BatchJobs({JOB})")).await;
    let endpoints = others("BusinessEventEndpoints", "Url", "rebatch:events").await;
    [job["Status"] != "Error", endpoints, others("RequeueDecisions", "Source", "self").await]
}

/// Requests and their bodies that a page would like to send.
fn attacks() -> Vec<(&'static str, String)> {
    let inner = json!({ "id": "1", "method": "POST", "url": "BusinessEventEndpoints",
        "body": serde_json::from_str::<serde_json::Value>(&endpoint()).unwrap() });
    let batch = json!({ "requests": [inner] }).to_string();
    let part = "--b\r\nContent-Type: application/http\r\n\r\nPOST BusinessEventEndpoints HTTP/1.1\r\n\r\n";
    vec![
        (ENDPOINTS, endpoint()),
        (REQUEUE, json!({ "batchJobId": JOB }).to_string()),
        ("POST /data/$batch", batch.clone()),
        ("POST /data/$batch", format!("{part}{}\r\n--b--\r\n", endpoint())),
        ("POST /trippin/Airlines", json!({ "AirlineCode": "XX", "Name": "X" }).to_string()),
        ("POST /api/data/v9.2/accounts", json!({ "name": "X" }).to_string()),
        ("POST /api/v2.0/items", json!({ "number": "X" }).to_string()),
        ("POST /events/local", failure()),
    ]
}

#[tokio::test]
async fn a_body_without_a_media_type_is_refused() {
    let host = Host::start(&["--memory"]).await;
    for (request, body) in attacks() {
        for headers in [&[][..], &["Content-Type:"], &["Content-Type: text/plain"]] {
            let answer = send(&host, request, headers, &body).await;
            assert_eq!(answer.status, 415, "{request} {headers:?}: {}", answer.body);
        }
    }
    for method in ["PATCH", "PUT"] {
        let request = format!("{method} /data/BatchJobs({JOB})");
        let answer = send(&host, &request, &[], r#"{"Status":"Waiting"}"#).await;
        let message = "the request has a body, and no Content-Type says which media type it has";
        let told = answer.json()["error"]["innererror"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status, told.as_str()), (415, message), "{}", answer.body);
    }
    assert_eq!(changed(&host).await, [false; 3]);
    // curl -d without a header says that it is a form.
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    assert_eq!(send(&host, ENDPOINTS, &form, &endpoint()).await.status, 415);
    // An action reads its parameters, and one of them is missing.
    assert_eq!(send(&host, REQUEUE, &[], "").await.status, 400);
    assert_eq!(send(&host, &format!("DELETE /data/BatchJobs({JOB})"), &[], "{}").await.status, 204);
}

#[tokio::test]
async fn a_page_of_another_origin_writes_nothing() {
    let host = Host::start(&["--memory"]).await;
    let foreign: [&[&str]; 7] = [
        &[EVIL],
        &[EVIL, CROSS, JSON],
        &["Origin: null", JSON],
        &["Origin: http://localhost:1", "Sec-Fetch-Site: same-site", JSON],
        &[CROSS, JSON],
        &[EVIL, JSON, "Authorization: Basic YTpi"],
        &[EVIL, JSON, "Cookie: a=b", "X-Api-Key:"],
    ];
    for (request, body) in attacks() {
        for headers in foreign {
            let answer = send(&host, request, headers, &body).await;
            assert_eq!(answer.status, 403, "{request} {headers:?}: {}", answer.body);
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
        }
    }
    for request in [
        "DELETE /data/BatchJobs(5637144576)",
        "PATCH /data/BatchJobs(5637144576)",
        "POST /data/RequeueDecisions(BatchJobRecId=1,Target='own',EventId=a5631837-c1c8-5342-839a-000000000001)/Microsoft.Dynamics.DataEntities.Rerun",
        "MERGE /data/BatchJobs(5637144576)",
    ] {
        assert_eq!(send(&host, request, &[EVIL], "").await.status, 403, "{request}");
    }
    assert_eq!(changed(&host).await, [false; 3]);
    assert_eq!(send(&host, "GET /data/BatchJobs", &[EVIL, CROSS], "").await.status, 200);
    assert_eq!(send(&host, "GET /health", &[EVIL, CROSS], "").await.status, 200);
}

#[tokio::test]
async fn a_page_of_the_host_and_what_needs_a_preflight_write() {
    let host = Host::start(&["--memory", "--cors-origin", "https://app.example"]).await;
    let own = format!("Origin: {}", host.url());
    let forms: [&[&str]; 6] = [
        &[],
        &["Sec-Fetch-Site: none"],
        &[&own, "Sec-Fetch-Site: same-origin"],
        &["Origin: https://app.example", CROSS],
        &[EVIL, "Authorization: Bearer x"],
        &[EVIL, "X-API-Key: x"],
    ];
    for (at, headers) in forms.into_iter().enumerate() {
        let body = json!({ "AirlineCode": format!("P{at}"), "Name": "P" }).to_string();
        let answer: Answer = send(&host, "POST /trippin/Airlines", &[headers, &[JSON]].concat(), &body).await;
        assert_eq!(answer.status, 201, "{headers:?}: {}", answer.body);
    }
    // The headers of a request inside say nothing of where the batch comes from.
    let headers = json!({ "origin": "https://evil.example", "sec-fetch-site": "cross-site" });
    let inner = json!({ "id": "1", "method": "DELETE", "url": "Airlines('P0')", "headers": headers });
    let batch = json!({ "requests": [inner] }).to_string();
    let answer = send(&host, "POST /trippin/$batch", &[JSON, "Accept: application/json"], &batch).await;
    assert_eq!(answer.json()["responses"][0]["status"], 204, "{}", answer.body);
}

#[tokio::test]
async fn a_caller_with_a_token_writes_from_anywhere_and_only_with_it() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let mut command = tests::host::command(&["--memory", "--auth", "token"]);
    command.env("REBATCH_TOKEN", TOKEN);
    let host = Host::run(command).await;
    let body = json!({ "AirlineCode": "XX", "Name": "X" }).to_string();
    for (authorization, status) in [
        (format!("Authorization: Bearer {TOKEN}"), 201),
        ("Authorization: Bearer other".into(), 401),
        (format!("Authorization: Basic {TOKEN}"), 403),
    ] {
        let answer = send(&host, "POST /trippin/Airlines", &[EVIL, CROSS, JSON, &authorization], &body).await;
        assert_eq!(answer.status, status, "{authorization}: {}", answer.body);
    }
}
