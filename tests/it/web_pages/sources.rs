//! Sources that let everybody in, on hosts that do not.

use std::{fs, process::Stdio, time::Duration};

use serde_json::json;
use tests::host::{Host, command};
use tokio::time::timeout;

use super::{failure, send};

const JSON: &str = "Content-Type: application/json";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const PUBLIC: [&str; 2] = ["--public-url", "https://api.example"];
const OUTSIDE: [&str; 2] = ["--listen", "0.0.0.0:0"];

/// The shipped policy, under these options: the status of an event, and what the host says at its start.
async fn shipped(options: &[&str]) -> (u16, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let data = folder.path().join("data.db");
    let mut command = command(&[&["--data", data.to_str().unwrap()], options].concat());
    command.env("REBATCH_TOKEN", TOKEN).env("RUST_LOG", "warn").env_remove("REBATCH_POLICY");
    command.stderr(fs::File::create(&log).unwrap());
    let host = Host::run(command).await;
    let answer = send(&host, "POST /events/local", &[JSON], &failure()).await;
    // Signed sources go on: nobody has this one.
    assert_eq!(send(&host, "POST /events/other", &[JSON], &failure()).await.status, 404);
    host.kill().await;
    (answer.status, answer.message(), fs::read_to_string(log).unwrap())
}

#[tokio::test]
async fn the_shipped_policy_starts_everywhere_and_its_open_source_only_where_it_may() {
    for (options, open) in [
        (&[][..], true),
        (&PUBLIC[..], false),
        (&["--auth", "token"], false),
        (&["--auth", "jwt"], false),
        (&["--auth", "token", PUBLIC[0], PUBLIC[1]], false),
        (&["--auth", "jwt", OUTSIDE[0], OUTSIDE[1]], false),
        (&["--auth", "token", OUTSIDE[0], OUTSIDE[1], PUBLIC[0], PUBLIC[1]], false),
        (&["--auth", "token", "--allow-open-sources"], true),
        (&["--auth", "jwt", OUTSIDE[0], OUTSIDE[1], PUBLIC[0], PUBLIC[1], "--allow-open-sources"], true),
        (&[PUBLIC[0], PUBLIC[1], "--allow-open-sources"], true),
    ] {
        let (status, message, log) = shipped(options).await;
        let said: Vec<&str> = log.lines().filter(|line| line.contains("/events/local")).collect();
        if open {
            assert_eq!((status, said.len()), (200, 0), "{options:?}: {message} {log}");
        } else {
            assert_eq!((status, said.len()), (404, 1), "{options:?}: {message} {log}");
            let why = if options.contains(&"--auth") { "(--auth)" } else { "(--public-url)" };
            assert!(said[0].contains(why) && said[0].contains("--allow-open-sources"), "{log}");
            assert!(message.contains("takes no events from this source"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_policy_that_was_asked_for_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, "[targets.own]\n[sources.open]\ntarget = \"own\"\nauthentication = \"none\"\n").unwrap();
    let named = ["--policy", file.to_str().unwrap()];
    for (options, named, why) in [
        (&PUBLIC[..], &named[..], "(--public-url)"),
        (&["--auth", "token"], &named, "(--auth)"),
        (&["--auth", "jwt", OUTSIDE[0], OUTSIDE[1]], &[], "(--auth)"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data.db");
        let mut command = command(&[&["--data", data.to_str().unwrap()], options, named].concat());
        command.env("REBATCH_TOKEN", TOKEN).stderr(Stdio::piped());
        if named.is_empty() {
            command.env("REBATCH_POLICY", &file);
        }
        let output = timeout(Duration::from_secs(10), command.output()).await.expect("it ends").unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        let line = line.lines().last().unwrap();
        assert!(line.starts_with("rebatch: source 'open' has authentication \"none\", and "), "{line}");
        assert!(line.contains(why) && line.contains("--allow-open-sources"), "{line}");
    }
}

#[tokio::test]
async fn a_source_that_is_left_out_is_not_asked_for_a_handshake() {
    let mut command = command(&["--memory", "--auth", "token"]);
    command.env("REBATCH_TOKEN", TOKEN);
    let host = Host::run(command).await;
    let asks = ["WebHook-Request-Origin: sender.example", "Origin: sender.example"];
    let answer = send(&host, "OPTIONS /events/local", &asks, "").await;
    assert!(answer.status == 404 && !answer.head.contains("webhook-allowed-origin"), "{}", answer.head);
    assert_eq!(answer.json()["error"]["code"], json!("NotFound"));
}
