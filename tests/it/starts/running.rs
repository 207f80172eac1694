//! Options, keys and tokens, signals, and what a host that runs writes and loads.

use std::{fs, net::TcpListener, path::Path, process::Stdio, time::Duration};

use tests::{
    binaries::binary,
    dynamodb_server::DynamoDbServer,
    host::{self, Host},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, process::Command, time::sleep};

use super::{Start, says};

#[tokio::test]
async fn options() {
    let root = "is no absolute URL, such as https://example.com or http://127.0.0.1:8080/odata";
    let parts = "has a user, a password, a query or a fragment: the URL of a root has none";
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let in_use = format!("cannot listen on {address}: Address already in use (os error 98)");
    let start = Start::new();
    for (arguments, code, line) in [
        (vec!["--public-url", "nope"], 2, format!("--public-url {root}")),
        (vec!["--public-url", "ftp://example.com"], 2, format!("--public-url {root}")),
        (vec!["--public-url", "https://example.com/?q"], 2, format!("--public-url {parts}")),
        (vec!["--public-url", "https://u:secret@example.com"], 2, format!("--public-url {parts}")),
        (vec!["--table", "t", "--endpoint", "127.0.0.1:1"], 2, format!("--endpoint {root}")),
        (vec!["--listen", "nope"], 2, "'nope' is not an address to listen on: invalid socket address".into()),
        (vec!["--listen", "0.0.0.0:0"], 2, "will not listen on 0.0.0.0:0: without --auth, only loopback addresses are allowed".into()),
        (vec!["--listen", &address], 1, in_use),
        (vec!["--cors-origin", "nope/"], 2, "--cors-origin: 'nope/' is no origin: https://host or https://host:port as browsers write it, or * alone for all".into()),
        (vec!["--auth", "token"], 2, "--auth token needs --token-file, or the variable REBATCH_TOKEN".into()),
    ] {
        start.ends(&arguments, code, &line).await;
    }
}

#[tokio::test]
async fn a_token_is_of_a_key_that_is_there() {
    let start = Start::new();
    let ask = ["token", "--scope", "data.read", "--data", "below/data.db"];
    let line = "below/dev-issuer.pk8: there is no key: start the host with --auth jwt over this data file, or make one with --new-key";
    says(&start.run(&ask).await, 1, line);
    assert!(!start.folder.path().join("below").exists());
    for (arguments, key) in [([&ask[..], &["--new-key"]].concat(), "the new key"), (ask.to_vec(), "the key")] {
        let output = start.run(&arguments).await;
        let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(error, format!("rebatch: signed with {key} below/dev-issuer.pk8\n"));
        assert_eq!((out.lines().count(), out.trim_end().split('.').count()), (1, 3), "{out}");
    }
    let spoilt = start.with("below/dev-issuer.pk8", "no key");
    says(&spoilt.run(&ask).await, 1, "below/dev-issuer.pk8: does not hold a key: delete it to have a new one");
}

/// Sends a signal.
async fn signal(name: &str, host: &Host) {
    let kill = Command::new("kill").args([name, &host.id().to_string()]).status().await.unwrap();
    assert!(kill.success());
}

/// A signal that this process does not ignore, as it does SIGHUP under `nohup`: a host that it starts ignores the same. Its
/// name and its number.
fn heard() -> (&'static str, i32) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1);
    if ignored { ("-INT", 2) } else { ("-HUP", 1) }
}

#[tokio::test]
async fn a_terminal_that_closes_ends_the_host_in_order() {
    let host = Host::start(&["--memory"]).await;
    signal(heard().0, &host).await;
    assert_eq!(host.exit_code().await, Some(0));
    let mut command = Command::new("sh");
    let rebatch = format!("trap '' HUP; exec '{}' --memory --listen 127.0.0.1:0", binary("rebatch").display());
    command.args(["-c", &rebatch]).stdout(Stdio::piped()).kill_on_drop(true);
    let host = Host::run(command).await;
    signal("-HUP", &host).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(reqwest::get(format!("{}/health", host.url())).await.unwrap().status(), 200, "as under nohup");
    signal("-TERM", &host).await;
    assert_eq!(host.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_host_at_once() {
    let host = Host::start(&["--memory"]).await;
    // A request that never ends keeps the host from ending in order.
    let mut client = TcpStream::connect(host.url().trim_start_matches("http://")).await.unwrap();
    let head = b"POST /trippin/Airlines HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    client.write_all(head).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    // Several at once are one wish.
    for _ in 0..2 {
        signal("-TERM", &host).await;
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(700)).await;
    let (name, number) = heard();
    signal(name, &host).await;
    assert_eq!(host.exit_code().await, Some(128 + number));
}

#[tokio::test]
async fn a_log_that_no_person_sees_has_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let mut command = host::command(&["--memory", "--log", "pretty"]);
    command.stderr(fs::File::create(&file).unwrap());
    Host::run(command).await.kill().await;
    let log = fs::read_to_string(&file).unwrap();
    assert!(log.contains("seeded") && !log.contains('\u{1b}'), "{log:?}");
}

#[tokio::test]
async fn a_real_table_gets_rows_where_that_is_asked_for() {
    let database = local::embedded::Embedded::memory().unwrap();
    let server = DynamoDbServer::start(database, None).await;
    let start = Start::seed("{\"Orders\": [{\"Id\": 7}]}");
    for (seed, status) in [(&[][..], 404), (&["--seed"], 200)] {
        let count = serve_table(start.folder.path(), &server.url(), seed).await;
        assert_eq!(count, status, "{seed:?}");
    }
}

/// The status of a host over a real table for the row of the seed.
async fn serve_table(folder: &Path, endpoint: &str, more: &[&str]) -> u16 {
    let services = folder.join("services");
    let table = ["--services", services.to_str().unwrap(), "--endpoint", endpoint, "--table", "shop", "--no-outbox"];
    let mut command = host::command(&[&table[..], more].concat());
    command.env("AWS_ACCESS_KEY_ID", "k").env("AWS_SECRET_ACCESS_KEY", "s").env("AWS_REGION", "us-east-1");
    let host = Host::run(command).await;
    let status = reqwest::get(format!("{}/shop/Orders(7)", host.url())).await.unwrap().status().as_u16();
    host.kill().await;
    status
}
