//! The function `batch`.

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use shared::{
    batch::{Response, ResponseItem},
    wire::{Envelope, decode_response},
};

use super::{
    Running, body,
    gateway::{GATEWAYS, Gateway, Sent},
};

const ROOT: &str = "/api/data/v9.2";

#[tokio::test]
async fn web_pages_of_other_origins_and_untyped_bodies_are_refused() {
    let running = Running::start("batch", &[]).await;
    for gateway in GATEWAYS {
        let post = |content_type| Sent::post(format!("{ROOT}/accounts"), content_type, r#"{"name":"X"}"#);
        let origin = gateway.url();
        let origin = origin.strip_suffix(&gateway.prefix()).unwrap();
        for (sent, status) in [
            (post("application/json").header("Origin", "https://evil.example"), 403),
            (post("application/json").header("Origin", "null"), 403),
            (post("application/json").header("Sec-Fetch-Site", "cross-site"), 403),
            (post(""), 415),
            (Sent { headers: Vec::new(), ..post("") }, 415),
            (post("application/json").header("Origin", origin).header("Sec-Fetch-Site", "same-origin"), 204),
            (post("application/json").header("Origin", "https://evil.example").header("X-API-Key", "k"), 204),
        ] {
            let answer = running.send(gateway, &sent, true).await;
            assert_eq!(answer["statusCode"], status, "{gateway:?} {:?}: {answer}", sent.headers);
        }
    }
}

impl Running {
    /// Sends a JSON batch whose requests are given by method and URL; the answers to these.
    async fn batch(
        &self,
        gateway: Gateway,
        headers: &[(&'static str, &str)],
        requests: &[(&str, String)],
    ) -> Vec<Response> {
        let requests: Vec<Value> = requests
            .iter()
            .enumerate()
            .map(|(at, (method, url))| {
                let body = (*method == "POST").then(|| json!({ "name": "made" }));
                let mut request = json!({ "id": at.to_string(), "method": method, "url": url });
                if let Some(body) = body {
                    request["body"] = body;
                    request["headers"] = json!({ "content-type": "application/json" });
                }
                request
            })
            .collect();
        let body = json!({ "requests": requests }).to_string();
        let mut sent = Sent::post(format!("{ROOT}/$batch"), "application/json", body)
            .header("Accept", "application/json")
            .header("Prefer", "odata.continue-on-error");
        for (name, value) in headers {
            sent = sent.header(name, value);
        }
        let answer = self.send(gateway, &sent, true).await;
        let body = answer["body"].as_str().unwrap();
        responses(&Envelope::Json, body)
    }
}

pub(super) fn responses(envelope: &Envelope, body: &str) -> Vec<Response> {
    let batch = decode_response(envelope, &Bytes::from(body.to_owned())).unwrap_or_else(|e| panic!("{e}: {body}"));
    let items = batch.items.into_iter().flat_map(|item| match item {
        ResponseItem::Single(response) => vec![response],
        ResponseItem::Group { responses, .. } => responses,
    });
    items.collect()
}

fn statuses(responses: &[Response]) -> Vec<u16> {
    responses.iter().map(|response| response.status.as_u16()).collect()
}

/// `accounts(accountnumber='…')`, percent-encoded.
fn by_number(number: &str) -> String {
    let literal = number.replace('\'', "''");
    format!("{ROOT}/accounts(accountnumber='{}')", utf8_percent_encode(&literal, NON_ALPHANUMERIC))
}

#[tokio::test]
async fn awkward_keys_arrive_through_every_gateway() {
    let running = Running::start("batch", &[]).await;
    let numbers = ["A/1", "a b", "100%", "x#y", "O'Bryan", "A%2F1", "a+b", "q?r=s&t", "(1)", "ü,;:@", "''"];
    for (number, gateway) in numbers.into_iter().zip(GATEWAYS.into_iter().cycle()) {
        let payload = json!({ "name": format!("<{number}>"), "accountnumber": number }).to_string();
        let made =
            running.send(gateway, &Sent::post(format!("{ROOT}/accounts"), "application/json", payload), true).await;
        assert_eq!(made["statusCode"], 204, "{made}");
    }
    for gateway in GATEWAYS {
        for number in numbers {
            let answer = running.send(gateway, &Sent::get(by_number(number)), false).await;
            assert_eq!(answer["statusCode"], 200, "{gateway:?} {number}: {answer}");
            assert_eq!(body(&answer)["name"], format!("<{number}>"), "{gateway:?}");
        }
        let none = running.send(gateway, &Sent::get(by_number("A/2")), false).await;
        assert_eq!(none["statusCode"], 404, "{none}");
    }
}

#[tokio::test]
async fn queries_arrive_through_every_gateway() {
    let running = Running::start("batch", &[]).await;
    let payload = json!({ "name": "100% & 'more' + é", "accountnumber": "Q" }).to_string();
    running.send(Gateway::HttpApi, &Sent::post(format!("{ROOT}/accounts"), "application/json", payload), false).await;
    let query = "$filter=name%20eq%20'100%25%20%26%20''more''%20%2B%20%C3%A9'&$select=accountnumber";
    for gateway in GATEWAYS {
        let answer = running.send(gateway, &Sent { query, ..Sent::get(format!("{ROOT}/accounts")) }, false).await;
        assert_eq!(body(&answer)["value"][0]["accountnumber"], "Q", "{gateway:?}: {answer}");
        assert_eq!(body(&answer)["value"].as_array().unwrap().len(), 1);
    }
}

/// Two members of a change set, and a request of its own.
fn multipart(number: usize) -> String {
    let part = |id: usize, name: &str| {
        format!(
            "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {id}\r\n\r\n\
             POST {ROOT}/accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n\
             {{\"name\":\"{name}\",\"accountnumber\":\"M{number}-{id}\"}}\r\n"
        )
    };
    format!(
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{}{}--c--\r\n--b\r\n\
         Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         GET {} HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n--b--\r\n",
        part(1, "one"),
        part(2, "zwölf"),
        by_number(&format!("M{number}-2")),
    )
}

#[tokio::test]
async fn multipart_batches_are_answered_as_text() {
    let running = Running::start("batch", &[]).await;
    for (number, gateway) in GATEWAYS.into_iter().flat_map(|gateway| [gateway; 2]).enumerate() {
        let sent = Sent::post(format!("{ROOT}/$batch"), "multipart/mixed; boundary=b", multipart(number));
        let answer = running.send(gateway, &sent, number % 2 == 0).await;
        let content_type = gateway.header(&answer, "content-type").unwrap();
        assert!(answer["statusCode"] == 200 && content_type.starts_with("multipart/mixed"), "{answer}");
        let envelope = Envelope::from_content_type(&content_type).unwrap();
        let answers = responses(&envelope, answer["body"].as_str().unwrap());
        assert_eq!(statuses(&answers), [204, 204, 200], "{answer}");
        let found: Value = serde_json::from_slice(&answers.last().unwrap().body).unwrap();
        assert_eq!(found["name"], "zwölf");
        let id = answers.first().unwrap().headers.get("odata-entityid").unwrap();
        assert!(id.starts_with(&format!("{}{ROOT}/accounts(", gateway.url())), "{id}");
    }
}

#[tokio::test]
async fn inner_urls_of_every_spelling_reach_their_service() {
    let running = Running::start("batch", &[]).await;
    for gateway in GATEWAYS.into_iter().chain([Gateway::HttpApiStage("d"), Gateway::HttpApiStage("api")]) {
        let (host, prefix) = (gateway.host(), gateway.prefix());
        let urls = [
            "accounts".to_owned(),
            "/accounts".to_owned(),
            format!("{ROOT}/accounts"),
            format!("{prefix}{ROOT}/accounts"),
            format!("{}{ROOT}/accounts", gateway.url()),
            format!("http://{}:443{prefix}{ROOT}/accounts", host.to_uppercase()),
        ];
        let requests: Vec<_> = urls.into_iter().map(|url| ("POST", url)).collect();
        let answers = running.batch(gateway, &[], &requests).await;
        assert_eq!(statuses(&answers), [204; 6], "{gateway:?} {answers:?}");
        for answer in answers {
            let location = answer.headers.get("location").unwrap();
            assert!(location.starts_with(&format!("{}{ROOT}/accounts(", gateway.url())), "{location}");
        }
    }
}

#[tokio::test]
async fn inner_urls_elsewhere_are_refused() {
    let running = Running::start("batch", &[]).await;
    for gateway in GATEWAYS {
        let requests = [
            ("GET", format!("https://elsewhere.example{ROOT}/accounts")),
            ("GET", format!("{}/data/BatchJobs", gateway.url())),
            ("GET", format!("{}/nowhere/accounts", gateway.url())),
        ];
        assert_eq!(statuses(&running.batch(gateway, &[], &requests).await), [400; 3], "{gateway:?}");
    }
}

#[tokio::test]
async fn a_proxy_in_front_says_what_clients_call_the_host() {
    let running = Running::start("batch", &[]).await;
    let headers = [("X-Forwarded-Host", "odata.example.com"), ("X-Forwarded-Prefix", "/outer")];
    for gateway in GATEWAYS {
        let public = format!("https://odata.example.com/outer{}{ROOT}/accounts", gateway.prefix());
        let requests = [("POST", public.clone()), ("GET", format!("{}{ROOT}/accounts", gateway.url()))];
        let answers = running.batch(gateway, &headers, &requests).await;
        assert_eq!(statuses(&answers), [204, 400], "{gateway:?} {answers:?}");
        let location = answers.first().unwrap().headers.get("location").unwrap();
        assert!(location.starts_with(&public), "{location}");
    }
}

#[tokio::test]
async fn a_public_url_beats_what_requests_say() {
    let running = Running::start("batch", &[("PUBLIC_URL", "https://odata.example.com/base/")]).await;
    let public = format!("https://odata.example.com/base{ROOT}/accounts");
    for gateway in GATEWAYS {
        let requests = [("POST", public.clone()), ("GET", format!("{}{ROOT}/accounts", gateway.url()))];
        let answers = running.batch(gateway, &[("X-Forwarded-Host", "proxy.example")], &requests).await;
        assert_eq!(statuses(&answers), [204, 400], "{gateway:?} {answers:?}");
        assert!(answers.first().unwrap().headers.get("location").unwrap().starts_with(&public));
        // A custom domain that maps a base path to the API leaves it in the path.
        let mapped = running.send(gateway, &Sent::get(format!("/base{}", by_number("TA-0001"))), false).await;
        assert_eq!(mapped["statusCode"], 200, "{gateway:?} {mapped}");
        assert!(body(&mapped)["@odata.context"].as_str().unwrap().starts_with("https://odata.example.com/base/api"));
    }
}

#[tokio::test]
async fn models_are_answered_as_text_and_heads_without_bodies() {
    let running = Running::start("batch", &[]).await;
    for gateway in GATEWAYS {
        let metadata = running.send(gateway, &Sent::get(format!("{ROOT}/$metadata")), false).await;
        assert!(metadata["body"].as_str().unwrap().contains("<EntityType Name=\"account\""));
        assert_eq!(gateway.header(&metadata, "content-type").as_deref(), Some("application/xml"));
        let head = Sent { method: "HEAD", ..Sent::get(ROOT) };
        let head = running.send(gateway, &head, false).await;
        assert_eq!((&head["statusCode"], &head["body"]), (&json!(200), &json!("")));
    }
}
