//! By which names the local host is called.

use serde_json::json;
use tests::host::{Host, command};

use super::{JOB, failure, raw, send};

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn a_rebound_name_reads_and_writes_nothing() {
    let host = Host::start(&["--memory"]).await;
    let port = host.url().rsplit(':').next().unwrap().to_owned();
    let name = format!("evil.example:{port}");
    let headers = [format!("Host: {name}"), format!("Origin: http://{name}")];
    let headers: Vec<&str> = headers.iter().map(String::as_str).chain([JSON]).collect();
    let job = format!("/data/BatchJobs({JOB})");
    for (request, body) in [
        ("GET /data/BatchJobs".to_owned(), String::new()),
        ("GET /health".into(), String::new()),
        ("OPTIONS /data/BatchJobs".into(), String::new()),
        (format!("DELETE {job}"), String::new()),
        (format!("PATCH {job}"), json!({ "Status": "Waiting" }).to_string()),
        ("POST /events/local".into(), failure()),
        (format!("GET http://{name}{job}"), String::new()),
        ("GET /nowhere".into(), String::new()),
    ] {
        let answer = raw(&host, &format!("{request} HTTP/1.1"), &headers, &body).await;
        assert_eq!(answer.status, 421, "{request}: {}", answer.body);
        assert!(answer.message().contains(&format!("'{name}'")), "{}", answer.body);
        assert!(answer.message().contains("--public-url"), "{}", answer.body);
    }
    // The page may say that it came through a proxy.
    let forwarded = [headers[0], "X-Forwarded-Host: localhost"];
    assert_eq!(raw(&host, &format!("GET {job} HTTP/1.1"), &forwarded, "").await.status, 421);
    let of_target = raw(&host, &format!("GET http://{name}{job} HTTP/1.1"), &["Host: localhost"], "").await;
    assert_eq!(of_target.status, 421);
    for name in ["localhost", "LOCALHOST:1", "x.localhost", "127.1.2.3:80", "[::1]:9"] {
        let answer = raw(&host, &format!("GET {job} HTTP/1.1"), &[&format!("Host: {name}")], "").await;
        assert_eq!((answer.status, &answer.json()["Status"]), (200, &json!("Error")), "{name}");
    }
}

#[tokio::test]
async fn the_public_url_is_a_name_and_authentication_takes_any() {
    let public = Host::start(&["--memory", "--public-url", "https://api.example/base"]).await;
    for (name, status) in [("api.example", 200), ("API.example:8443", 200), ("127.0.0.1", 200), ("evil.example", 421)] {
        let answer = raw(&public, "GET /data/BatchJobs HTTP/1.1", &[&format!("Host: {name}")], "").await;
        assert_eq!(answer.status, status, "{name}");
    }
    let mut closed = command(&["--memory", "--auth", "token"]);
    closed.env("REBATCH_TOKEN", "0123456789abcdef0123456789abcdef");
    let closed = Host::run(closed).await;
    assert_eq!(raw(&closed, "GET /data/BatchJobs HTTP/1.1", &["Host: any.example"], "").await.status, 401);
}

#[tokio::test]
async fn a_request_names_one_host_properly() {
    let host = Host::start(&["--memory"]).await;
    let (own, job) = ("Host: localhost", "/trippin/Airlines('NW')");
    for (line, headers, reason) in [
        (format!("GET {job} HTTP/1.1"), &[][..], "Host is missing"),
        (format!("GET http://localhost{job} HTTP/1.1"), &[], "Host is missing"),
        (format!("GET {job} HTTP/1.1"), &[own, own], "more than once"),
        (format!("GET {job} HTTP/1.0"), &[own, "Host: localhost:1"], "more than once"),
        (format!("GET {job} HTTP/1.1"), &["Host: a b"], "Host is not the name"),
        (format!("GET {job} HTTP/1.1"), &["Host:"], "Host is not the name"),
        (format!("GET {job} HTTP/1.1"), &["Host: user@localhost"], "Host is not the name"),
        (format!("GET {job} HTTP/1.1"), &["Host: localhost:http"], "Host is not the name"),
        (format!("GET {job} HTTP/1.1"), &["Host: localhost/x"], "Host is not the name"),
        (format!("GET http://localhost{job} HTTP/1.1"), &["Host: a/b"], "Host is not the name"),
        (format!("GET http://user@localhost{job} HTTP/1.1"), &[own], "the target of the request"),
        ("POST /trippin/$batch HTTP/1.1".into(), &[JSON], "Host is missing"),
    ] {
        let answer = raw(&host, &line, headers, "").await;
        assert_eq!(answer.status, 400, "{line} {headers:?}: {}", answer.body);
        assert!(answer.head.contains("connection: close") && answer.message().contains(reason), "{}", answer.body);
    }
    for (line, headers) in [
        (format!("GET {job} HTTP/1.0"), &[][..]),
        (format!("GET {job} HTTP/1.1"), &["Host: localhost:"]),
        (format!("GET http://localhost{job} HTTP/1.1"), &["Host: elsewhere.example"]),
    ] {
        assert_ne!(raw(&host, &line, headers, "").await.status, 400, "{line} {headers:?}");
    }
    assert_eq!(send(&host, &format!("GET {job}"), &[], "").await.status, 200);
}
