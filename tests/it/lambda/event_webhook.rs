//! The function `event-webhook`.

use std::fs;

use jiff::Timestamp;
use serde_json::json;
use shared::events::{Secret, sign};
use tempfile::TempDir;
use tests::binaries::binary;
use tokio::process::Command;

use super::{
    Running, body,
    gateway::{GATEWAYS, Sent},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const CODE: &str = "0123456789abcdef0123456789abcd+/=";
const POLICY: &str = r#"
[targets.own]
[sources.signed]
target = "own"
authentication = { signature = { env = "SIGNING_SECRET" } }
[sources.keyed]
target = "own"
authentication = { shared = { env = "CODE" }, code = true }
[[rules]]
name = "all"
action = "requeue"
"#;

fn policy(text: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (folder, path)
}

fn failure(number: usize) -> String {
    let event = json!({
        "BusinessEventId": "BatchJobFailedBusinessEvent", "ControlNumber": number, "JobId": number, "JobStatus": "Error",
        "EventId": format!("A5631837-C1C8-5342-839A-{number:012}"), "JobDescription": "Schließen",
        "EventTimeIso8601": Timestamp::now().to_string(),
    });
    event.to_string()
}

fn post(source: &str, payload: &str) -> Sent {
    Sent::post(format!("/events/{source}"), "application/json; charset=utf-8", payload)
}

#[tokio::test]
async fn events_arrive_through_every_gateway() {
    let (_folder, file) = policy(POLICY);
    let variables = [("POLICY_FILE", file.as_str()), ("SIGNING_SECRET", SECRET), ("CODE", CODE)];
    let running = Running::start("event-webhook", &variables).await;
    for (number, gateway) in GATEWAYS.into_iter().enumerate() {
        let payload = failure(number + 1);
        let now = Timestamp::now().as_second();
        let signature = sign(&Secret::parse(SECRET).unwrap(), "msg_1", now, payload.as_bytes());
        let signed =
            post("signed", &payload).header("webhook-id", "msg_1").header("webhook-timestamp", &now.to_string());
        let refused = running.send(gateway, &signed.clone().header("webhook-signature", "v1,AAAA"), true).await;
        assert_eq!(refused["statusCode"], 401, "{gateway:?}: {refused}");
        for (base64, duplicate) in [(false, false), (true, true)] {
            let answer = running.send(gateway, &signed.clone().header("webhook-signature", &signature), base64).await;
            let event = &body(&answer)["events"][0];
            assert_eq!((&answer["statusCode"], &event["decision"]), (&json!(200), &json!("Requeue")), "{answer}");
            assert_eq!(event["duplicate"], duplicate, "{gateway:?}");
        }
        let keyed = Sent { query: "code=0123456789abcdef0123456789abcd%2B%2F%3D", ..post("keyed", &payload) };
        let answer = running.send(gateway, &keyed, false).await;
        assert_eq!(body(&answer)["events"][0]["duplicate"], true, "{gateway:?}: {answer}");
        let question =
            Sent { method: "OPTIONS", body: Vec::new(), ..keyed }.header("WebHook-Request-Origin", "a.example");
        let answer = running.send(gateway, &question, false).await;
        assert_eq!(gateway.header(&answer, "webhook-allowed-origin").as_deref(), Some("a.example"), "{answer}");
        let nobody = running.send(gateway, &post("nobody", &payload), false).await;
        assert_eq!(nobody["statusCode"], 404, "{nobody}");
    }
    for number in 1..=GATEWAYS.len() {
        let id = format!("a5631837-c1c8-5342-839a-{number:012}");
        let url = format!("RequeueDecisions(BatchJobRecId={number},Target='own',EventId={id})");
        let status = running.odata("GET", &url, serde_json::Value::Null).await;
        assert_eq!(status, 200, "{url}");
    }
}

#[tokio::test]
async fn a_function_that_lets_anybody_in_does_not_start() {
    let open = "[targets.own]\n[sources.open]\ntarget = \"own\"\nauthentication = \"none\"\n";
    let nameless = "[sources.a]\nauthentication = 5\n";
    for (text, reason) in
        [(open, "source 'open' has"), (nameless, "policy.toml"), (POLICY, "the environment has no variable CODE")]
    {
        let (_folder, file) = policy(text);
        let mut command = Command::new(binary("event-webhook"));
        command.envs([("TABLE_NAME", "t"), ("POLICY_FILE", &file), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")]);
        let output = command.output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && said.contains(reason), "{reason}: {said}");
    }
    let mut command = Command::new(binary("event-webhook"));
    command.envs([("TABLE_NAME", "t"), ("POLICY_FILE", "nowhere.toml"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")]);
    assert!(!command.output().await.unwrap().status.success());
}
