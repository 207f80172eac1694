//! The local host's ways of authentication: how it is started with them, and what it says when it cannot.

use std::{fs, path::Path, process::Stdio};

use reqwest::Client;
use tests::{
    binaries::binary,
    host::{self, Host},
    issuer::SigningKey,
};
use tokio::process::Command;

use super::{JOBS, claims, jwt_host, send};

const TOKEN: &str = "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVy";

async fn status(host: &Host, token: &str) -> u16 {
    send(Client::new().get(format!("{}{JOBS}", host.url())).bearer_auth(token)).await.status
}

/// What a program that has to end says on its two outputs.
async fn end(mut command: Command) -> (String, String) {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_token_of_the_host_lets_in() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("token"), folder.path().join("log"));
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let mut from_file = host::command(&["--memory", "--auth", "token", "--token-file", file.to_str().unwrap()]);
    from_file.env("RUST_LOG", "trace").stderr(fs::File::create(&log).unwrap());
    let mut from_variable = host::command(&["--memory", "--auth", "token"]);
    from_variable.env("REBATCH_TOKEN", TOKEN);
    for command in [from_file, from_variable] {
        let host = Host::run(command).await;
        assert_eq!(status(&host, TOKEN).await, 200);
        for wrong in [&TOKEN[1..], &TOKEN.to_lowercase(), &format!("{TOKEN}=")] {
            assert_eq!(status(&host, wrong).await, 401);
        }
        let answer = send(Client::new().get(format!("{}{JOBS}", host.url()))).await;
        assert_eq!((answer.status, answer.challenge.as_str()), (401, "Bearer realm=\"rebatch\""));
        host.kill().await;
    }
    assert!(!fs::read_to_string(&log).unwrap().contains(TOKEN));
}

#[tokio::test]
async fn the_dev_issuer_works_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("below/data.db");
    let token = async |data: &Path, arguments: &[&str]| {
        let mut command = Command::new(binary("rebatch"));
        command.arg("token").args(["--data", data.to_str().unwrap()]).args(arguments);
        end(command).await.0.trim_end().to_owned()
    };
    // The token may come before the host, where the key is asked for.
    assert_eq!(token(&data, &["--scope", "data.read"]).await, "");
    let reader = token(&data, &["--scope", "data.read", "--name", "alice", "--new-key"]).await;
    let mut command = host::command(&["--data", data.to_str().unwrap(), "--auth", "jwt"]);
    command.stderr(Stdio::null());
    let host = Host::run(command).await;
    assert_eq!(status(&host, &reader).await, 200);
    assert_eq!(status(&host, &token(&data, &["--scope", "data.write"]).await).await, 403);
    assert_eq!(
        status(&host, &token(&folder.path().join("other.db"), &["--scope", "data.read", "--new-key"]).await).await,
        401
    );
    assert_eq!(status(&host, &SigningKey::es256("x").sign(&claims("data.read"))).await, 401);
}

#[tokio::test]
async fn a_key_file_needs_no_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let key = SigningKey::rs256("filed");
    fs::write(&file, serde_json::json!({ "keys": [key.jwk] }).to_string()).unwrap();
    let host = Host::run(jwt_host(file.to_str().unwrap(), &[])).await;
    assert_eq!(status(&host, &key.sign(&claims("data.read"))).await, 200);
    assert_eq!(status(&host, &SigningKey::es256("filed").sign(&claims("data.read"))).await, 401);
}

#[tokio::test]
async fn only_a_closed_host_leaves_loopback() {
    let mut open = host::command(&["--memory", "--listen", "0.0.0.0:0"]);
    open.stdout(Stdio::null());
    let (_, line) = end(open).await;
    assert!(line.contains("only loopback addresses"), "{line}");
    let mut closed = host::command(&["--memory", "--listen", "0.0.0.0:0", "--auth", "token"]);
    closed.env("REBATCH_TOKEN", TOKEN);
    let host = Host::run(closed).await;
    let url = host.url().replace("0.0.0.0", "127.0.0.1");
    let answer = send(Client::new().get(format!("{url}{JOBS}")).bearer_auth(TOKEN)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn mistakes_in_the_options_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.json");
    fs::write(&empty, r#"{"keys":[]}"#).unwrap();
    let empty = empty.to_str().unwrap();
    let issuer = ["--auth", "jwt", "--issuer", "i", "--audience", "a", "--jwks"];
    let with = |more: &[&'static str]| [&issuer[..], more].concat();
    let cases: [(Vec<&str>, &str); 10] = [
        (vec!["--auth", "token"], "REBATCH_TOKEN"),
        (vec!["--auth", "token", "--token-file", "/nonexistent/token"], "/nonexistent/token: cannot be read"),
        (vec!["--auth", "token", "--issuer", "i"], "--issuer is for --auth jwt"),
        (vec!["--token-file", "f"], "--token-file is for --auth token"),
        (vec!["--auth", "jwt", "--issuer", "i", "--jwks", "https://i.example"], "--issuer needs --audience"),
        (vec!["--auth", "jwt", "--audience", "a"], "--audience needs --issuer"),
        (with(&["http://issuer.example/keys"]), "https"),
        (with(&["/nonexistent/keys.json"]), "/nonexistent/keys.json: cannot be read"),
        (with(&["https://i.example/keys", "--algorithm", "HS256"]), "'HS256' is not an algorithm of public keys"),
        ([&issuer[..], &[empty]].concat(), "no key that verifies"),
    ];
    for (arguments, named) in &cases {
        let (out, line) = end(host::command(&[&["--memory"], &arguments[..]].concat())).await;
        assert!(line.starts_with("rebatch: ") && line.trim_end().lines().count() == 1, "{arguments:?}: {line}");
        assert!(line.contains(named) && out.is_empty(), "{arguments:?}: {line}");
    }
    let mut short = host::command(&["--memory", "--auth", "token"]);
    short.env("REBATCH_TOKEN", "secret");
    let (_, line) = end(short).await;
    assert!(line.contains("6 characters") && !line.contains("secret"), "{line}");
}
