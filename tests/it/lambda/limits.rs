//! What the function `batch` does at the limits of Lambda.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};
use shared::{exchange::MAX_PAYLOAD, wire::Envelope};

use super::{
    Running,
    batch::responses,
    gateway::{Gateway, Sent},
};

const ROOT: &str = "/trippin";

/// Creates of airlines in both formats; `minimal` ones are answered without the entity.
fn creates(names: &[String], minimal: bool, multipart: bool) -> Sent {
    let prefer = if minimal { "return=minimal" } else { "return=representation" };
    let airline = |at: usize, name: &str| json!({ "AirlineCode": format!("L{at}"), "Name": name });
    if multipart {
        let parts = names.iter().enumerate().map(|(at, name)| {
            format!(
                "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {at}\r\n\r\n\
                 POST Airlines HTTP/1.1\r\nContent-Type: application/json\r\nPrefer: {prefer}\r\n\r\n{}\r\n",
                airline(at, name)
            )
        });
        let body = parts.collect::<String>() + "--b--\r\n";
        return Sent::post(format!("{ROOT}/$batch"), "multipart/mixed; boundary=b", body)
            .header("Prefer", "continue-on-error");
    }
    let requests: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            json!({
                "id": at.to_string(), "method": "POST", "url": "Airlines", "body": airline(at, name),
                "headers": { "content-type": "application/json", "prefer": prefer },
            })
        })
        .collect();
    Sent::post(format!("{ROOT}/$batch"), "application/json", json!({ "requests": requests }).to_string())
        .header("Prefer", "continue-on-error")
}

impl Running {
    /// Sends creates; their statuses.
    async fn create(&self, event: Value, count: usize) -> Vec<StatusCode> {
        self.check(&self.function.invoke(event).await.unwrap(), count).await
    }

    /// The statuses in an answer to creates, which can be sent and tells what is stored.
    async fn check(&self, answer: &Value, count: usize) -> Vec<StatusCode> {
        assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(false)));
        let size = answer.to_string().len();
        assert!(size <= MAX_PAYLOAD, "{size}");
        let envelope = Envelope::from_content_type(answer["headers"]["content-type"].as_str().unwrap()).unwrap();
        let answers = responses(&envelope, answer["body"].as_str().unwrap());
        assert_eq!(answers.len(), count);
        for (at, answer) in answers.iter().enumerate() {
            let stored = self.engine.handle(get(format!("{ROOT}/Airlines('L{at}')"))).await.status;
            assert_eq!(stored == StatusCode::OK, answer.status.is_success(), "{at}: {}", answer.status);
        }
        answers.iter().map(|answer| answer.status).collect()
    }
}

fn get(path: String) -> shared::exchange::Incoming {
    shared::exchange::Incoming {
        method: http::Method::GET,
        path,
        path_encoding: shared::uri::Encoding::Percent,
        query: None,
        headers: shared::batch::Headers::new(),
        body: bytes::Bytes::new(),
        scheme: "https",
        id: String::new(),
        time_left: None,
    }
}

/// A JSON body is escaped in the event, a multipart one in base64: less than 5.9 MB of a batch fit into an event of that size.
#[tokio::test]
async fn an_event_of_5_9_megabytes_is_carried_out() {
    for (multipart, count) in [(false, 15), (true, 11)] {
        let running = Running::start("batch", &[]).await;
        let names = vec!["x".repeat(if multipart { 400_000 } else { 392_000 }); count];
        let event = Gateway::HttpApi.event(&creates(&names, true, multipart), multipart);
        let size = event.to_string().len();
        assert!((5_800_000..6_291_556).contains(&size), "{size}");
        assert_eq!(running.create(event, count).await, vec![StatusCode::NO_CONTENT; count]);
    }
}

#[tokio::test]
async fn answers_of_7_megabytes_are_cut_to_what_lambda_takes() {
    for (multipart, gateway) in [(false, Gateway::HttpApi), (true, Gateway::FunctionUrl)] {
        let running = Running::start("batch", &[]).await;
        let names = vec!["\"".repeat(200_000); 9];
        let event = gateway.event(&creates(&names, false, multipart), true);
        let statuses = running.create(event, 9).await;
        assert_eq!(statuses[..7], [StatusCode::CREATED; 7]);
        assert_eq!(statuses[7..], [StatusCode::PAYLOAD_TOO_LARGE; 2]);
    }
}

/// Of the function's time, an attempt may take 3 s and one is kept for the answer. In what is left calls are begun: a part of
/// a thousand, or none at all on a busy machine, which then gets more.
#[tokio::test]
async fn a_function_answers_before_it_is_stopped() {
    let running = Running::start("batch", &[]).await;
    let event = Gateway::HttpApi.event(&creates(&vec!["n".to_owned(); 1000], true, false), false);
    running.send(Gateway::HttpApi, &Sent::get(format!("{ROOT}/Airlines")), false).await;
    let mut done = 0;
    for millis in [300, 1000, 3000] {
        let (time, start) = (Duration::from_secs(4) + Duration::from_millis(millis), Instant::now());
        let answer = running.function.invoke_within(event.clone(), time).await.unwrap();
        assert!(start.elapsed() < time, "{:?}", start.elapsed());
        let statuses = running.check(&answer, 1000).await;
        done = statuses.iter().take_while(|status| **status == StatusCode::NO_CONTENT).count();
        assert!(statuses[done..].iter().all(|status| *status == StatusCode::SERVICE_UNAVAILABLE), "{statuses:?}");
        if done > 0 {
            break;
        }
    }
    assert!((1..1000).contains(&done), "{done}");
}
