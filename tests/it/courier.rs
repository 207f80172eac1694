//! The courier against real sockets: where it goes, where it does not, and what it makes of bad receivers.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use shared::outbox::{Attempt, Courier};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// What a receiver does with a request.
#[derive(Clone, Copy)]
enum Manner {
    /// Answers with this.
    Answer(&'static str),
    /// Answers with this after a while.
    Late(&'static str, Duration),
    /// Says nothing.
    Silent,
    /// Sends this, and then nothing, with the connection open.
    Hang(&'static str),
    /// Ends the connection.
    Close,
    /// Sends this, and then bytes for as long as they are taken.
    Flood(&'static str),
}

/// What a receiver saw.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
    flooded: usize,
}

struct Receiver {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let receiver = Self { port, seen: seen.clone() };
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                seen.lock().unwrap().connections += 1;
                tokio::spawn(serve(connection, manner, seen.clone()));
            }
        });
        receiver
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/hook?code=hunter2", self.port)
    }

    async fn post(&self, courier: &Courier, timeout: Duration) -> Attempt {
        post(courier, &self.url("127.0.0.1"), timeout).await
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

/// Requests of one connection, until either side ends it.
async fn serve(mut connection: TcpStream, manner: Manner, seen: Arc<Mutex<Seen>>) {
    while let Some(request) = read_request(&mut connection).await {
        seen.lock().unwrap().requests.push(request);
        match manner {
            Manner::Answer(text) => connection.write_all(text.as_bytes()).await.unwrap(),
            Manner::Late(text, wait) => {
                tokio::time::sleep(wait).await;
                connection.write_all(text.as_bytes()).await.unwrap();
            }
            Manner::Silent => std::future::pending().await,
            Manner::Hang(text) => {
                connection.write_all(text.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            }
            Manner::Close => return,
            Manner::Flood(text) => {
                connection.write_all(text.as_bytes()).await.unwrap();
                while let Ok(sent) = connection.write(&[b'x'; 8 * 1024]).await {
                    seen.lock().unwrap().flooded += sent;
                }
                return;
            }
        }
    }
}

/// A request whose body is `{}`, as text.
async fn read_request(connection: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.ends_with("\r\n\r\n{}") {
        let length = connection.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..length]).ok()?);
    }
    Some(text)
}

async fn post(courier: &Courier, url: &str, timeout: Duration) -> Attempt {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", HeaderValue::from_static("8D1220EB-E514-4E35-844E-E062DEF0C05D"));
    courier.post(url, headers, Bytes::from_static(b"{}"), timeout).await
}

fn private() -> Courier {
    Courier::new(true).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_request_arrives_and_connections_are_kept() {
    let receiver = Receiver::start(Manner::Answer(OK)).await;
    let courier = private();
    for _ in 0..3 {
        let attempt = receiver.post(&courier, TIMEOUT).await;
        assert_eq!((attempt.result, attempt.retry_after), (Ok(200), None));
    }
    let seen = receiver.seen.lock().unwrap();
    assert_eq!((seen.connections, seen.requests.len()), (1, 3));
    let request = &seen.requests[0];
    assert!(request.starts_with("POST /hook?code=hunter2 HTTP/1.1\r\n"), "{request}");
    for line in [
        "content-type: application/json",
        "webhook-id: 8D1220EB-E514-4E35-844E-E062DEF0C05D",
        "content-length: 2",
        concat!("user-agent: rebatch/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} in {request}");
    }
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let receiver = Receiver::start(Manner::Answer(OK)).await;
    let courier = Courier::new(false).unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "１２７.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ] {
        let start = Instant::now();
        let attempt = post(&courier, &receiver.url(host), TIMEOUT).await;
        let reason = attempt.result.unwrap_err();
        assert!(reason.ends_with("the host has an address that is not public"), "{host}: {reason}");
        assert!(start.elapsed() < Duration::from_secs(5), "{host}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn private_addresses_are_reached_where_that_is_allowed() {
    let receiver = Receiver::start(Manner::Answer(OK)).await;
    for host in ["127.0.0.1", "localhost", "0x7f.1"] {
        assert_eq!(post(&private(), &receiver.url(host), TIMEOUT).await.result, Ok(200), "{host}");
    }
}

#[tokio::test]
async fn a_redirection_is_an_answer_and_is_not_followed() {
    let target = Receiver::start(Manner::Answer(OK)).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let location =
            format!("HTTP/1.1 {status}\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url("127.0.0.1"));
        let receiver = Receiver::start(Manner::Answer(location.leak())).await;
        let attempt = receiver.post(&private(), TIMEOUT).await;
        assert_eq!(attempt.result, Ok(status[..3].parse().unwrap()));
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn the_time_for_an_answer_is_limited() {
    let late = Receiver::start(Manner::Late(OK, Duration::from_millis(200))).await;
    let attempt = late.post(&private(), TIMEOUT).await;
    assert_eq!(attempt.result, Ok(200));
    assert!(attempt.duration >= Duration::from_millis(200) && attempt.duration < TIMEOUT, "{attempt:?}");
    let timeout = Duration::from_millis(500);
    for manner in [Manner::Silent, Manner::Late(OK, TIMEOUT), Manner::Hang("HTTP/1.1 200 OK\r\nContent-Le")] {
        let attempt = Receiver::start(manner).await.post(&private(), timeout).await;
        assert_eq!(attempt.result, Err("no answer within 0.5 s".to_owned()));
        assert!(attempt.duration >= timeout && attempt.duration < TIMEOUT, "{attempt:?}");
    }
}

#[tokio::test]
async fn a_status_counts_even_if_the_rest_of_the_answer_never_comes() {
    let receiver = Receiver::start(Manner::Hang("HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n")).await;
    let start = Instant::now();
    let attempt = receiver.post(&private(), TIMEOUT).await;
    assert_eq!(attempt.result, Ok(202));
    assert!(attempt.duration < Duration::from_millis(900) && start.elapsed() < Duration::from_secs(5), "{attempt:?}");
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    for head in
        ["HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"]
    {
        let receiver = Receiver::start(Manner::Flood(head)).await;
        let start = Instant::now();
        assert_eq!(receiver.post(&private(), TIMEOUT).await.result, Ok(200));
        assert!(start.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let flooded = receiver.seen.lock().unwrap().flooded;
        // What the buffers of both sockets take is sent, and no more.
        assert!(flooded < 32 * 1024 * 1024, "{flooded} bytes");
    }
    let long_head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(4 * 1024 * 1024));
    let receiver = Receiver::start(Manner::Hang(long_head.leak())).await;
    assert!(receiver.post(&private(), TIMEOUT).await.result.is_err());
}

#[tokio::test]
async fn what_an_answer_says_is_kept_up_to_a_limit() {
    let call = async |manner, timeout| {
        let receiver = Receiver::start(manner).await;
        let url = receiver.url("127.0.0.1");
        let start = Instant::now();
        let answer = private().call((Method::POST, &url), HeaderMap::new(), Bytes::from_static(b"{}"), timeout).await;
        (answer.attempt.result.ok(), answer.body, answer.arrived, start.elapsed())
    };
    let (status, body, arrived, _) = call(Manner::Answer(OK), TIMEOUT).await;
    assert_eq!((status, &*body, arrived), (Some(200), &b"ok"[..], true));
    let (status, body, _, _) = call(Manner::Flood("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), TIMEOUT).await;
    assert_eq!((status, body.len()), (Some(200), 16 * 1024));
    let cut = Manner::Hang("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let (status, body, arrived, time) = call(cut, Duration::from_millis(500)).await;
    assert_eq!((status, &*body, arrived), (Some(200), &b"half"[..], true));
    assert!(time < Duration::from_secs(5), "{time:?}");
    assert_eq!((call(Manner::Close, TIMEOUT).await.0, call(Manner::Close, TIMEOUT).await.2), (None, true));
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_has_not_arrived() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for (url, private) in [
        (format!("http://127.0.0.1:{port}/"), true),
        ("http://no.such.host.invalid/".to_owned(), true),
        ("not a URL".to_owned(), true),
        (format!("http://127.0.0.1:{port}/"), false),
    ] {
        let courier = Courier::new(private).unwrap();
        let answer = courier.call((Method::GET, &url), HeaderMap::new(), Bytes::new(), Duration::from_secs(3)).await;
        assert!(answer.attempt.result.is_err() && !answer.arrived, "{url}: {answer:?}");
    }
}

#[tokio::test]
async fn an_endpoint_may_ask_to_wait() {
    for (header, wait) in [("Retry-After: 7", Some(7)), ("retry-after: 999999", Some(86_400)), ("X: 1", None)] {
        let answer = format!("HTTP/1.1 429 Too Many Requests\r\n{header}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::start(Manner::Answer(answer.leak())).await;
        let attempt = receiver.post(&private(), TIMEOUT).await;
        assert_eq!((attempt.result, attempt.retry_after), (Ok(429), wait.map(Duration::from_secs)));
    }
}

#[tokio::test]
async fn errors_say_what_went_wrong_and_nothing_of_the_url() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://127.0.0.1:{}/?code=hunter2", listener.local_addr().unwrap().port())
    };
    let closing = Receiver::start(Manner::Close).await;
    let other = Receiver::start(Manner::Answer("HTTP/1.1 2xx hunter2\r\n\r\n")).await;
    let encrypted = other.url("127.0.0.1").replace("http:", "https:");
    for (url, expected) in [
        (closed.as_str(), "no connection: Connection refused"),
        (&closing.url("127.0.0.1"), "no answer: connection closed before message completed"),
        (&other.url("127.0.0.1"), "no answer: invalid HTTP status-code parsed"),
        (&encrypted, "no connection: "),
        ("http://no.such.host.invalid/?code=hunter2", "no connection: "),
        ("hunter2", "the URL of the endpoint: relative URL without a base"),
        ("http://:hunter2@/", "the URL of the endpoint: empty host"),
        ("ftp://example.com/hunter2", "no answer: "),
    ] {
        let attempt = post(&private(), url, Duration::from_secs(3)).await;
        let reason = attempt.result.unwrap_err();
        println!("{reason}");
        assert!(reason.starts_with(expected) || reason.starts_with("no answer within"), "{url}: {reason}");
        assert!(!reason.contains("hunter2") && reason.len() < 250, "{reason}");
    }
}
