//! A request means the same alone, in a JSON batch and in a multipart batch (Protocol §11.7).

use proptest::prelude::*;
use serde_json::{Value, json};
use tests::{
    golden::normalise,
    service::{TestService, flat},
};

/// Method, URL, `If-Match`, body.
pub(crate) type Request = (&'static str, String, Option<&'static str>, Option<Value>);

pub(crate) fn requests() -> impl Strategy<Value = Vec<Request>> {
    let code = prop::sample::select(vec!["NW", "FS", "AA", "BB", "O''B", "a%20b"]);
    let name = prop::sample::select(vec![json!("x"), json!("Ünïcode \"quoted\""), json!(null), json!(5)]);
    let tag = prop::sample::select(vec![None, Some("*"), Some("W/\"other\"")]);
    let request = (0..11u8, code, name, tag).prop_map(|(kind, code, name, tag)| {
        let airline = format!("Airlines('{code}')");
        let plain = code.replace("''", "'").replace("%20", " ");
        match kind {
            0 => ("GET", airline, None, None),
            1 => ("GET", "Airlines?$count=true&$select=Name".into(), None, None),
            2 => ("GET", format!("Airlines?$filter=Name eq '{code}' or startswith(AirlineCode,'A')"), None, None),
            3 | 4 => ("POST", "Airlines".into(), None, Some(json!({ "AirlineCode": plain, "Name": name }))),
            5 => ("PATCH", airline, tag, Some(json!({ "Name": name }))),
            6 => ("PUT", airline, tag, Some(json!({ "Name": name }))),
            7 => ("DELETE", airline, tag, None),
            8 => ("PUT", format!("{airline}/Name"), tag, Some(json!({ "value": name }))),
            9 => ("GET", format!("{airline}/Name/$value"), None, None),
            _ => ("POST", "People('benhsu')/Trips".into(), None, Some(json!({ "Name": name, "Budget": 1, "StartsAt": "2026-01-01T00:00:00Z", "EndsAt": "2026-01-02T00:00:00Z" }))),
        }
    });
    prop::collection::vec(request, 1..8)
}

/// Status and body as text, without what differs from run to run.
type Told = (u64, String);

fn told(status: u64, body: &str) -> Told {
    (status, normalise(body, ""))
}

async fn alone(requests: &[Request]) -> Vec<Told> {
    let service = TestService::trippin().await;
    let mut all = Vec::new();
    for (method, url, tag, body) in requests {
        let mut headers: Vec<_> = tag.iter().map(|tag| ("If-Match", *tag)).collect();
        headers.extend(body.as_ref().map(|_| ("Content-Type", "application/json")));
        let body = body.as_ref().map(ToString::to_string).unwrap_or_default();
        let answer = service.send(method, url, &headers, body).await;
        all.push(told(answer.status.into(), answer.text()));
    }
    all
}

async fn in_json(requests: &[Request]) -> Vec<Told> {
    let requests = requests.iter().enumerate().map(|(id, (method, url, tag, body))| {
        let mut headers: Vec<_> = tag.iter().map(|tag| ("if-match".to_owned(), json!(tag))).collect();
        headers.extend(body.as_ref().map(|_| ("content-type".to_owned(), json!("application/json"))));
        let headers: serde_json::Map<_, _> = headers.into_iter().collect();
        json!({ "id": id.to_string(), "method": method, "url": url, "headers": headers, "body": body })
    });
    let service = TestService::trippin().await;
    let answer = service.batch(&[("Prefer", "continue-on-error")], requests.collect()).await;
    let body = |response: &Value| match response.get("body") {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(body) => body.to_string(),
    };
    answer.responses().iter().map(|response| told(response["status"].as_u64().unwrap(), &body(response))).collect()
}

async fn in_multipart(requests: &[Request]) -> Vec<Told> {
    let mut text = String::new();
    for (method, url, tag, body) in requests {
        text += &format!("--b\nContent-Type: application/http\n\n{method} {url} HTTP/1.1\n");
        text += &tag.map(|tag| format!("If-Match: {tag}\n")).unwrap_or_default();
        text += &body.as_ref().map_or("\n\n".into(), |body| format!("Content-Type: application/json\n\n{body}\n"));
    }
    let service = TestService::trippin().await;
    let answer = service.multipart(&[("Prefer", "continue-on-error")], &format!("{text}--b--\n")).await;
    flat(&answer.parts()).iter().map(|(_, answer)| told(answer.status.into(), answer.text())).collect()
}

/// The same JSON whatever the order of its members.
fn sorted(told: Vec<Told>) -> Vec<(u64, Value)> {
    let value = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    told.into_iter().map(|(status, text)| (status, value(text))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_tells_what_its_requests_tell_alone(requests in requests()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (alone, json, multipart) = runtime.block_on(async {
            (alone(&requests).await, in_json(&requests).await, in_multipart(&requests).await)
        });
        prop_assert_eq!(&alone, &multipart);
        prop_assert_eq!(sorted(alone), sorted(json));
    }
}
