//! Web pages that call, through the real local host.

use reqwest::{Client, Method, Response};
use serde_json::json;
use tests::host::{Host, command};

const PAGE: &str = "https://app.example";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Page {
    host: Host,
    client: Client,
}

impl Page {
    /// A host that asks for a token and lets these pages call.
    async fn at(origins: &[&str]) -> Self {
        let options = origins.iter().flat_map(|origin| ["--cors-origin", origin]);
        let mut command = command(&[&["--memory", "--auth", "token"][..], &options.collect::<Vec<_>>()].concat());
        command.env("REBATCH_TOKEN", TOKEN);
        Self { host: Host::run(command).await, client: Client::new() }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<String>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.host.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.into()).send().await.unwrap()
    }
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn is_silent(response: &Response) -> bool {
    response.headers().keys().all(|name| !name.as_str().starts_with("access-control"))
}

#[tokio::test]
async fn a_page_asks_without_a_token_and_reads_every_answer() {
    let page = Page::at(&["https://other.example", PAGE]).await;
    let asks = [
        ("origin", PAGE),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    for path in ["/data/$batch", "/data/BatchJobs(1)", "/api/v2.0/companies", "/nowhere"] {
        let asked = page.send(Method::OPTIONS, path, &asks, "").await;
        assert_eq!(
            (asked.status().as_u16(), header(&asked, "access-control-allow-origin").as_deref()),
            (204, Some(PAGE))
        );
        assert_eq!(header(&asked, "access-control-allow-headers").as_deref(), Some("authorization,content-type"));
    }
    let bearer = format!("Bearer {TOKEN}");
    let known = [("origin", PAGE), ("authorization", bearer.as_str())];
    for (method, path, headers, status) in [
        (Method::GET, "/data/BatchJobs", &known[..], 200),
        (Method::HEAD, "/data/BatchJobs", &known[..], 200),
        (Method::GET, "/data/BatchJobs", &known[..1], 401),
        (Method::GET, "/data/BatchJobs(1)", &known[..], 404),
        (Method::GET, "/nowhere", &known[..], 404),
        (Method::POST, "/data/$batch", &known[..], 415),
    ] {
        let answer = page.send(method.clone(), path, headers, "").await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some(PAGE), "{path}");
        assert!(header(&answer, "access-control-expose-headers").unwrap().contains("WWW-Authenticate"), "{path}");
        let vary = answer.headers().get_all("vary").iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        let of_service = method != Method::POST && path != "/nowhere";
        assert_eq!(vary, [if of_service { format!("{READ}, Origin") } else { "Origin".into() }], "{path}");
    }
}

#[tokio::test]
async fn the_answers_in_a_batch_say_nothing_of_pages() {
    let page = Page::at(&["*"]).await;
    let batch = json!({ "requests": [
        { "id": "1", "method": "GET", "url": "/data/BatchJobs", "headers": { "origin": PAGE } },
        { "id": "2", "method": "GET", "url": "/data/BatchJobs(1)", "headers": { "origin": PAGE } },
    ] });
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("origin", PAGE),
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("prefer", "odata.continue-on-error"),
    ];
    let answer = page.send(Method::POST, "/data/$batch", &headers, batch.to_string()).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin").as_deref()), (200, Some("*")));
    let text = answer.text().await.unwrap().to_ascii_lowercase();
    assert!(text.contains("\"status\":404") && !text.contains("access-control"), "{text}");
}

/// The headers that answers to reads depend on.
const READ: &str = "Accept, OData-MaxVersion, OData-Version, Prefer";

#[tokio::test]
async fn other_pages_learn_nothing() {
    let page = Page::at(&[PAGE]).await;
    let other = [("origin", "https://evil.example"), ("access-control-request-method", "GET")];
    for method in [Method::OPTIONS, Method::GET] {
        let answer = page.send(method, "/data/BatchJobs", &other, "").await;
        assert!(answer.status().as_u16() == 401 && is_silent(&answer), "{answer:?}");
    }
    let closed = Page::at(&[]).await;
    let asks = [("origin", PAGE), ("access-control-request-method", "GET")];
    for method in [Method::OPTIONS, Method::GET] {
        let answer = closed.send(method, "/data/BatchJobs", &asks, "").await;
        assert!(answer.status().as_u16() == 401 && is_silent(&answer), "{answer:?}");
        assert!(header(&answer, "vary").is_none_or(|vary| vary == READ), "{answer:?}");
    }
}

/// `OPTIONS` is a question of CloudEvents there.
#[tokio::test]
async fn the_webhook_is_not_for_pages() {
    let mut command = command(&["--memory", "--auth", "token", "--cors-origin", "*", "--allow-open-sources"]);
    command.env("REBATCH_TOKEN", TOKEN);
    let page = Page { host: Host::run(command).await, client: Client::new() };
    let asks =
        [("origin", PAGE), ("access-control-request-method", "POST"), ("webhook-request-origin", "sender.example")];
    let answer = page.send(Method::OPTIONS, "/events/local", &asks, "").await;
    assert_eq!(header(&answer, "webhook-allowed-origin").as_deref(), Some("sender.example"), "{answer:?}");
    assert!(answer.status().as_u16() == 200 && is_silent(&answer), "{answer:?}");
}
