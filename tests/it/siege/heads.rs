//! Decisions by the head: no body is read of a request that is not let in, or is too long.

use std::sync::Arc;

use local::http::{Handler, Limits};
use serde_json::json;
use shared::{
    exchange::{Incoming, Verdict},
    ledger::Ledger,
    policy::{Policy, SecretsOf},
    webhook::{MAX_BODY, Webhook},
};
use tests::siege::post;
use tokio::io::AsyncWriteExt;

use super::{Served, TOKEN, answered, closed, get};
use crate::rig::{Rig, services};

fn with_token(head: &str) -> String {
    head.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"))
}

#[tokio::test]
async fn a_head_that_is_refused_is_answered_before_its_body_comes() {
    let served = Served::start(closed().await, Limits::default()).await;
    let long = 7 << 20;
    let cases = [
        (post("/trippin/$batch", 1_000), "401"),
        (post("/trippin/Airlines", 1_000), "401"),
        (post("/trippin/Airlines", long), "401"),
        (post("/nowhere", 1_000), "404"),
        (post("/health", 1_000), "405"),
        (with_token(&post("/trippin/$batch", long)), "413"),
        (with_token(&post("/trippin/Airlines", long)), "413"),
    ];
    for (head, expected) in cases {
        assert_eq!(served.ask(&head).await, expected, "{head}");
        // Nor is a client asked to go on that waits to be asked.
        let waits = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(served.ask(&waits).await, expected, "{waits}");
    }
    assert_eq!(served.ask(with_token(&get("/trippin/Airlines"))).await, "200");
    assert_eq!(served.ask(get("/health")).await, "200");
    assert_eq!(served.ask(get("/ready")).await, "200");
}

/// A connection that is closed at once takes the answer away from a client that is still sending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_all_of_a_refused_body_still_reads_why() {
    let served = Served::start(closed().await, Limits::default()).await;
    let body = vec![b' '; 8 << 20];
    for (head, expected) in [(post("/trippin/$batch", body.len()), "401"), (post("/nowhere", body.len()), "404")] {
        for _ in 0..3 {
            let mut client = served.send(&head).await;
            client.write_all(&body).await.unwrap();
            assert_eq!(answered(&mut client).await, expected);
        }
    }
}

/// A host with the shipped services and two sources.
struct Hook(Webhook);

impl Handler for Hook {
    async fn admit(self: Arc<Self>, head: Incoming) -> Verdict {
        self.0.admit(head).await
    }
}

#[tokio::test]
async fn a_source_shows_who_it_is_before_its_body_is_read_or_signs_a_short_one() {
    let policy = r#"
[targets.own]
[sources.shared]
target = "own"
authentication = { shared = "0123456789abcdef0123456789abcdef", header = "x-secret", code = true }
[sources.signed]
target = "own"
authentication = { signature = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }
"#;
    let rig = Rig::seeded().await;
    let policy = Policy::parse("policy.toml", policy, SecretsOf::Sources, |_| None).unwrap();
    let ledger = Ledger::find(&services()).unwrap().unwrap();
    let hook = Hook(Webhook::new(Arc::new(policy), ledger, rig.store().clone()));
    let served = Served::start(hook, Limits::default()).await;
    let signature = "\r\nwebhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,x\r\n\r\n";
    let signed = |length| post("/events/signed", length).replace("\r\n\r\n", signature);
    let shared = |length| post("/events/shared", length).replace("\r\n\r\n", &format!("\r\nx-secret: {TOKEN}\r\n\r\n"));
    let cases = [
        (post("/events/shared", 1_000), "401"),
        (post("/events/signed", 1_000), "401"),
        (post("/events/nobody", 1_000), "404"),
        (post("/events/shared", 1_000).replace("POST", "PUT"), "405"),
        (signed(MAX_BODY + 1), "413"),
        (shared(MAX_BODY + 1), "413"),
    ];
    for (head, expected) in cases {
        assert_eq!(served.ask(&head).await, expected, "{head}");
    }
    // With the body there, a signature is looked at, and a secret that was right at the head lets events in.
    let event = json!({ "nothing": "known" }).to_string();
    assert_eq!(served.ask(signed(event.len()) + &event).await, "401");
    assert_eq!(served.ask(shared(event.len()) + &event).await, "400");
}
