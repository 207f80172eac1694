//! The local host as a process: how it starts and ends, and what it makes of all kinds of HTTP.

use std::{fs, net::TcpListener, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tests::{
    binaries::workspace,
    host::{self, Host},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

const ROOT: &str = "/trippin";
/// Far more than any answer here takes.
const SOON: Duration = Duration::from_secs(10);

/// A client that writes what it is told.
struct Raw(TcpStream);

impl Raw {
    async fn connect(host: &Host) -> Self {
        Self(TcpStream::connect(host.url().trim_start_matches("http://")).await.unwrap())
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads up to and with the blank line; status and head, in lower case.
    async fn head(&mut self) -> (u16, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(SOON, self.0.read_u8()).await.expect("in time").expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
    }

    /// Reads an answer that says how long it is; status and body.
    async fn answer(&mut self) -> (u16, Vec<u8>) {
        let (status, head) = self.head().await;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        timeout(SOON, self.0.read_exact(&mut body)).await.expect("in time").unwrap();
        (status, body)
    }

    async fn json(&mut self) -> (u16, Value) {
        let (status, body) = self.answer().await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn is_closed(&mut self) -> bool {
        timeout(SOON, self.0.read(&mut [0])).await.expect("in time").map_or(true, |read| read == 0)
    }
}

fn get(path: &str) -> String {
    format!("GET {ROOT}/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn post(path: &str, body: &Value) -> (String, String) {
    let body = body.to_string();
    let head = format!(
        "POST {ROOT}/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head, body)
}

fn airline(code: &str) -> Value {
    json!({ "AirlineCode": code, "Name": format!("Airline {code}") })
}

async fn create(host: &Host, code: &str) {
    let (head, body) = post("Airlines", &airline(code));
    let mut client = Raw::connect(host).await;
    client.write(head + &body).await;
    assert_eq!(client.answer().await.0, 201);
}

async fn status(host: &Host, path: &str) -> u16 {
    let mut client = Raw::connect(host).await;
    client.write(get(path)).await;
    client.answer().await.0
}

async fn terminate(host: &Host) {
    let kill = Command::new("kill").args(["-TERM", &host.id().to_string()]).status();
    assert!(kill.await.unwrap().success());
}

/// A folder of one service, whose model is this.
fn services(folder: &Path, model: &str) {
    let service = folder.join("one");
    fs::create_dir_all(&service).unwrap();
    fs::write(service.join("service.toml"), "roots = [\"/one\"]\n").unwrap();
    fs::write(service.join("model.xml"), model).unwrap();
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    services(&folder.path().join("broken"), "<edmx:Edmx Version=\"4.0\">\n  <oops");
    services(&folder.path().join("none"), "");
    fs::remove_file(folder.path().join("none/one/model.xml")).unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("text.db"), "this is no database, whatever its name says".repeat(100)).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let faults: [(&[&str], i32, &str); 14] = [
        (&["--nonsense"], 2, "--nonsense"),
        (&["--memory", "--data", "x.db"], 2, "--data"),
        (&["--memory", "--listen"], 2, "--listen"),
        (&["--memory", "--services", &path("missing")], 1, "missing"),
        (&["--memory", "--services", &path("empty")], 1, "empty"),
        (&["--memory", "--services", &path("broken")], 1, "broken/one/model.xml:2"),
        (&["--memory", "--services", &path("none")], 1, "none/one/model.xml"),
        (&["--memory", "--listen", &taken], 1, &taken),
        (&["--memory", "--listen", "0.0.0.0:0"], 2, "loopback"),
        (&["--memory", "--listen", "[::]:0"], 2, "loopback"),
        (&["--memory", "--listen", "nowhere"], 2, "nowhere"),
        (&["--memory", "--cors-origin", "https://a.example/"], 2, "'https://a.example/' is no origin"),
        (&["--data", "/dev/null/x.db"], 1, "/dev/null"),
        (&["--data", &path("text.db")], 1, "data file"),
    ];
    for (arguments, code, named) in faults {
        let output = host::command(arguments).stderr(Stdio::piped()).output();
        let output = timeout(SOON, output).await.expect("it ends").unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert!(line.starts_with("rebatch: ") && line.trim_end().lines().count() == 1, "{arguments:?}: {line}");
        assert!(line.contains(named), "{arguments:?}: {line}");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{line}");
    }
}

#[tokio::test]
async fn a_data_file_keeps_what_memory_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("below/data.db");
    for end_in_order in [true, false] {
        let host = Host::over(&data).await;
        let code = if end_in_order { "O1" } else { "K1" };
        create(&host, code).await;
        if end_in_order {
            terminate(&host).await;
            assert_eq!(host.exit_code().await, Some(0));
        } else {
            host.kill().await;
        }
        let again = Host::over(&data).await;
        assert_eq!(status(&again, &format!("Airlines('{code}')")).await, 200);
        again.kill().await;
    }
    for _ in 0..2 {
        let host = Host::start(&["--memory"]).await;
        assert_eq!(status(&host, "Airlines('O1')").await, 404);
        create(&host, "O1").await;
        host.kill().await;
    }
}

#[tokio::test]
async fn a_data_file_has_one_host() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.db");
    let first = Host::over(&data).await;
    let second = host::command(&["--data", data.to_str().unwrap()]).stderr(Stdio::piped()).output().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8(second.stderr).unwrap().contains("in use"));
    first.kill().await;
    Host::over(&data).await;
}

#[tokio::test]
async fn a_signal_waits_for_the_request_in_flight() {
    let host = Host::start(&["--memory"]).await;
    let (head, body) = post("Airlines", &airline("S1"));
    let (first, second) = body.split_at(body.len() / 2);
    let mut client = Raw::connect(&host).await;
    let mut idle = Raw::connect(&host).await;
    client.write(head + first).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    terminate(&host).await;
    assert!(idle.is_closed().await);
    assert!(TcpStream::connect(host.url().trim_start_matches("http://")).await.is_err());
    client.write(second).await;
    let (status, made) = client.json().await;
    assert_eq!((status, &made["AirlineCode"]), (201, &json!("S1")));
    assert!(client.is_closed().await);
    assert_eq!(host.exit_code().await, Some(0));
}

#[tokio::test]
async fn bodies_over_a_limit_are_refused_as_odata() {
    let host = Host::start(&["--memory"]).await;
    let long = "x".repeat(7 << 20);
    // Over the limit of the service.
    for path in ["Airlines", "$batch"] {
        let (head, body) = post(path, &json!({ "Name": long }));
        let mut client = Raw::connect(&host).await;
        client.write(head + &body).await;
        let (refused, answer) = client.json().await;
        assert_eq!(refused, 413, "{path}");
        assert!(answer["error"]["message"].is_string());
    }
    // Announced or not, what is too much is not waited for.
    for (header, body) in [
        ("Content-Length: 99999999".to_owned(), Vec::new()),
        ("Transfer-Encoding: chunked".to_owned(), [b"2100000\r\n".as_slice(), &vec![b'x'; 0x210_0000]].concat()),
    ] {
        let mut client = Raw::connect(&host).await;
        let head = format!(
            "POST {ROOT}/$batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{header}\r\n\r\n"
        );
        client.write(head).await;
        // The host may have answered and hung up before all of it is sent.
        let _ = client.0.write_all(&body).await;
        let (refused, answer) = client.json().await;
        assert_eq!((refused, &answer["error"]["code"]), (413, &json!("TooLarge")));
    }
    assert_eq!(status(&host, "Airlines").await, 200);
}

#[tokio::test]
async fn incomplete_requests_hold_up_nobody() {
    let host = Host::start(&["--memory"]).await;
    let mut slow = Vec::new();
    for at in 0..50 {
        let (head, body) = post("Airlines", &airline("X"));
        let whole = head + &body;
        let mut client = Raw::connect(&host).await;
        client.write(&whole[..whole.len() * at / 50]).await;
        slow.push(client);
    }
    for _ in 0..5 {
        assert_eq!(status(&host, "Airlines?$top=1").await, 200);
    }
    drop(slow);
    assert_eq!(status(&host, "Airlines('X')").await, 404);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let host = Host::start(&["--memory"]).await;
    let mut client = Raw::connect(&host).await;
    let (head, body) = post("Airlines", &airline("P1"));
    let requests = [get("Airlines('P1')"), head, body, get("Airlines('P1')"), get("Airlines('P1')/Name/$value")];
    client.write(requests.concat()).await;
    assert_eq!(client.answer().await.0, 404);
    assert_eq!(client.answer().await.0, 201);
    assert_eq!(client.json().await.1["Name"], "Airline P1");
    assert_eq!(client.answer().await, (200, b"Airline P1".to_vec()));
}

#[tokio::test]
async fn old_clients_are_answered_and_left() {
    let host = Host::start(&["--memory"]).await;
    let mut client = Raw::connect(&host).await;
    client.write(format!("GET {ROOT}/Airlines?$top=1 HTTP/1.0\r\n\r\n")).await;
    let (status, answer) = client.json().await;
    assert_eq!(status, 200);
    assert!(answer["value"].is_array());
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn chunks_make_up_a_body() {
    let host = Host::start(&["--memory"]).await;
    let mut client = Raw::connect(&host).await;
    let request = json!({ "id": "1", "method": "GET", "url": "Airlines?$top=1" });
    let body = json!({ "requests": [request] }).to_string();
    client
        .write(format!(
            "POST {ROOT}/$batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        ))
        .await;
    for chunk in body.as_bytes().chunks(7) {
        client.write(format!("{:x};extension\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk))).await;
    }
    client.write("0\r\nTrailer: x\r\n\r\n").await;
    let (status, answer) = client.json().await;
    assert_eq!((status, &answer["responses"][0]["status"]), (200, &json!(200)), "{answer}");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_continue() {
    let host = Host::start(&["--memory"]).await;
    let mut client = Raw::connect(&host).await;
    let (head, body) = post("Airlines", &airline("C1"));
    client.write(head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")).await;
    assert_eq!(client.head().await.0, 100);
    client.write(body).await;
    assert_eq!(client.answer().await.0, 201);
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_forgotten() {
    let host = Host::start(&["--memory"]).await;
    let long = format!("GET {ROOT} HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET {ROOT} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(500));
    for (request, expected) in [("\0\x01\x02\r\n\r\n", 400), ("GET\r\n\r\n", 400), (&long, 431), (&many, 431)] {
        let mut client = Raw::connect(&host).await;
        let _ = client.0.write_all(request.as_bytes()).await;
        assert_eq!(client.head().await.0, expected);
    }
    for path in ["/%zz", "/nowhere", "/trippin/%FF", "*", "/trippin/People('a", "//", "/trippin/../data"] {
        let mut client = Raw::connect(&host).await;
        client.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let (status, answer) = client.json().await;
        assert!((400..=501).contains(&status), "{path}: {status}");
        assert!(answer["error"]["message"].is_string(), "{path}: {answer}");
    }
}

#[tokio::test]
async fn services_are_found_from_any_folder() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = host::command(&["--memory"]);
    let mut child = command.current_dir(elsewhere.path()).spawn().unwrap();
    let mut line = [0; 16];
    timeout(SOON, child.stdout.take().unwrap().read_exact(&mut line)).await.expect("in time").unwrap();
    assert_eq!(&line, b"listening on htt");
    child.kill().await.unwrap();
    let services = workspace().join("infra/services");
    let named = Host::start(&["--memory", "--services", services.to_str().unwrap()]).await;
    assert_eq!(status(&named, "Airlines").await, 200);
}
