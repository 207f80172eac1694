//! Secrets that the functions find in Secrets Manager.

use std::{
    fs,
    io::{Read, Seek},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::events::{Secret, sign};
use tempfile::NamedTempFile;
use tests::secrets_manager::{Behaviour, SecretsManager};

use super::{
    Running, body,
    gateway::{Gateway, Sent},
};

const TOKEN: &str = "hunter2-hunter2-hunter2-hunter2-";
const ID: &str = "rebatch/live";

fn holds(secret: &Value) -> Behaviour {
    Behaviour::Holds(secret.to_string())
}

/// A GET with this token.
fn get(token: &str) -> Value {
    let sent = Sent::get("/data/BatchJobs").header("Authorization", &format!("Bearer {token}"));
    Gateway::HttpApi.event(&sent, false)
}

/// `batch` with its token in a secret, and whatever it logs in a file.
async fn batch(manager: &SecretsManager, log: &NamedTempFile) -> Running {
    let url = manager.url();
    let variables = [
        ("AUTH_MODE", "token"),
        ("SECRET_ID", ID),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url.as_str()),
        ("RUST_LOG", "trace"),
    ];
    Running::start_logged("batch", &variables, log.as_file()).await
}

fn said(log: &NamedTempFile) -> String {
    let mut said = String::new();
    let mut log = log.reopen().unwrap();
    log.rewind().unwrap();
    log.read_to_string(&mut said).unwrap();
    said
}

#[tokio::test]
async fn a_token_is_read_once_and_shown_nowhere() {
    let manager = SecretsManager::start(holds(&json!({ "AUTH_TOKEN": TOKEN, "OTHER": "x" }))).await;
    let log = NamedTempFile::new().unwrap();
    let running = batch(&manager, &log).await;
    for _ in 0..3 {
        assert_eq!(running.function.invoke(get(TOKEN)).await.unwrap()["statusCode"], 200);
        assert_eq!(running.function.invoke(get("0123456789abcdef0123456789abcdef")).await.unwrap()["statusCode"], 401);
    }
    assert_eq!(manager.asked(), [ID]);
    let said = said(&log);
    assert!(!said.is_empty() && !said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn nobody_is_asked_for_what_the_environment_has() {
    let manager = SecretsManager::start(holds(&json!({ "AUTH_TOKEN": "x" }))).await;
    let url = manager.url();
    let place = [("SECRET_ID", ID), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url.as_str())];
    for mode in [vec![("AUTH_MODE", "token"), ("AUTH_TOKEN", TOKEN)], vec![("AUTH_MODE", "none")]] {
        let running = Running::start("batch", &[mode.as_slice(), &place].concat()).await;
        assert_eq!(running.function.invoke(get(TOKEN)).await.unwrap()["statusCode"], 200);
    }
    assert!(manager.asked().is_empty());
}

#[tokio::test]
async fn a_function_without_its_secret_fails_and_says_why_until_it_is_there() {
    let secret = "hunter2, which is no JSON";
    let cases = [
        (
            Behaviour::Refuses(400, "AccessDeniedException", "User: r is not authorized"),
            "Secret",
            "secret 'rebatch/live' cannot be read: AccessDeniedException: User: r is not authorized",
        ),
        (
            Behaviour::Refuses(400, "ResourceNotFoundException", "no such secret"),
            "Secret",
            "secret 'rebatch/live' cannot be read: ResourceNotFoundException: no such secret",
        ),
        (Behaviour::Babbles(TOKEN.into()), "Secret", "secret 'rebatch/live' cannot be read: the answer cannot be read"),
        (Behaviour::Holds(secret.into()), "Secret", "secret 'rebatch/live' is no JSON object whose members are texts"),
        (
            holds(&json!({ "TOKEN": TOKEN })),
            "Secret",
            "AUTH_TOKEN is neither a variable of the environment nor a member of secret 'rebatch/live', or it is empty",
        ),
        (
            holds(&json!({ "AUTH_TOKEN": "hunter2" })),
            "Configuration",
            "authentication: a token has 7 characters; 32 to 16384 are possible",
        ),
    ];
    let manager = SecretsManager::start(cases[0].0.clone()).await;
    let log = NamedTempFile::new().unwrap();
    let running = batch(&manager, &log).await;
    for (behaviour, name, message) in cases {
        manager.set(behaviour);
        for _ in 0..2 {
            let error = running.function.invoke(get(TOKEN)).await.unwrap_err();
            assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!(name), &json!(message)));
        }
        assert!(said(&log).contains(message), "{message}");
    }
    manager.set(holds(&json!({ "AUTH_TOKEN": TOKEN })));
    assert_eq!(running.function.invoke(get(TOKEN)).await.unwrap()["statusCode"], 200);
    assert!(!said(&log).contains("hunter2"));
}

#[tokio::test]
async fn a_secrets_manager_that_does_not_answer_is_waited_for_in_vain_but_not_for_ever() {
    let manager = SecretsManager::start(Behaviour::Hangs).await;
    let log = NamedTempFile::new().unwrap();
    let running = batch(&manager, &log).await;
    let begun = Instant::now();
    let error = running.function.invoke(get(TOKEN)).await.unwrap_err();
    assert_eq!(error["errorMessage"], "secret 'rebatch/live' cannot be read: no answer in time");
    // The attempt at the start, and its own.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    manager.set(holds(&json!({ "AUTH_TOKEN": TOKEN })));
    assert_eq!(running.function.invoke(get(TOKEN)).await.unwrap()["statusCode"], 200);
}

/// The webhook has the secrets of sources, the outbox those of targets, and neither needs the other's.
#[tokio::test]
async fn each_half_of_a_policy_has_its_own_secrets() {
    const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let policy = NamedTempFile::new().unwrap();
    let text = "[targets.fo]\nurl = \"http://127.0.0.1:9\"\nauthentication.bearer = { env = \"FO_TOKEN\" }\n\
                [sources.signed]\ntarget = \"fo\"\nauthentication.signature = { env = \"SIGNING\" }\n";
    fs::write(policy.path(), text).unwrap();
    let manager = SecretsManager::start(holds(&json!({ "SIGNING": SIGNING }))).await;
    let (url, path) = (manager.url(), policy.path().to_str().unwrap());
    let variables = [("POLICY_FILE", path), ("SECRET_ID", ID), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url.as_str())];
    let webhook = Running::start("event-webhook", &variables).await;
    let event = json!({ "BusinessEventId": "BusinessEventsTestEndpointBusinessEvent", "EventId": "t" }).to_string();
    let now = Timestamp::now().as_second();
    let sent = Sent::post("/events/signed", "application/json", event.as_str())
        .header("webhook-id", "1")
        .header("webhook-timestamp", &now.to_string())
        .header("webhook-signature", &sign(&Secret::parse(SIGNING).unwrap(), "1", now, event.as_bytes()));
    let answer = webhook.send(Gateway::HttpApi, &sent, false).await;
    assert_eq!(answer["statusCode"], 200, "{}", body(&answer));

    let outbox = Running::start("outbox", &variables).await;
    let error = outbox.function.invoke(json!({})).await.unwrap_err();
    let message =
        "FO_TOKEN is neither a variable of the environment nor a member of secret 'rebatch/live', or it is empty";
    assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("Secret"), &json!(message)));
    manager.set(holds(&json!({ "FO_TOKEN": "t0ken" })));
    assert_eq!(outbox.function.invoke(json!({})).await.unwrap()["sent"], 0);
}
