//! Requests of web pages of other origins, and bodies without a media type.

mod hosts;
mod names;
mod services;
mod sources;

use serde_json::Value;
use tests::host::Host;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A failed job of the seeds.
const JOB: i64 = 5_637_144_576;

/// The answer to a request that is written byte by byte.
struct Answer {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends a request line, header lines and a body as they are, and reads until the connection is closed.
async fn raw(host: &Host, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut client = TcpStream::connect(host.url().trim_start_matches("http://")).await.unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!("{line}\r\n{headers}{length}Connection: close\r\n\r\n{body}");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// The same to the host by its own name.
async fn send(host: &Host, request: &str, headers: &[&str], body: &str) -> Answer {
    let own = format!("Host: {}", host.url().trim_start_matches("http://"));
    raw(host, &format!("{request} HTTP/1.1"), &[&[own.as_str()], headers].concat(), body).await
}

/// An event that has the job requeued.
fn failure() -> String {
    serde_json::json!({
        "BusinessEventId": "BatchJobFailedBusinessEvent", "BusinessEventLegalEntity": "usmf", "ControlNumber": 5_637_611_083_i64,
        "EventId": "8D1220EB-E514-4E35-844E-E062DEF0C05D", "EventTimeIso8601": jiff::Timestamp::now().to_string(),
        "JobId": JOB, "JobDescription": "Import", "JobStatus": "Error",
    })
    .to_string()
}
