//! The handshake of CloudEvents: consent is in the headers of the answer.

use super::Hook;

const ORIGIN: (&str, &str) = ("webhook-request-origin", "events.example.com");

/// Status, and the headers that say what is allowed.
async fn ask(hook: &Hook, url: &str, headers: &[(&str, &str)]) -> (u16, [Option<String>; 3]) {
    let answer = hook.send("OPTIONS", url, headers, "").await;
    let names = ["allow", "webhook-allowed-origin", "webhook-allowed-rate"];
    (answer.status, names.map(|name| answer.headers.get(name).map(str::to_owned)))
}

fn allowed(origin: &str, rate: &str) -> (u16, [Option<String>; 3]) {
    (200, ["POST", origin, rate].map(|value| Some(value.to_owned())))
}

#[tokio::test]
async fn who_may_send_is_told_so() {
    let hook = Hook::new().await;
    let rate = ("webhook-request-rate", "500");
    assert_eq!(ask(&hook, "/events/cloud", &[ORIGIN, rate]).await, allowed("events.example.com", "120"));
    assert_eq!(ask(&hook, "/events/cloud", &[ORIGIN]).await, allowed("events.example.com", "120"));
    let upper = ("webhook-request-origin", "Events.Example.COM");
    assert_eq!(ask(&hook, "/events/cloud", &[upper]).await, allowed("Events.Example.COM", "120"));
    // A source that names nobody lets everybody ask. It signs what it sends, but not this.
    for source in ["auto", "signed"] {
        let url = format!("/events/{source}");
        assert_eq!(ask(&hook, &url, &[ORIGIN, rate]).await, allowed("events.example.com", "*"));
    }
    assert!(hook.rig.calls().is_empty());
}

#[tokio::test]
async fn who_may_not_send_gets_no_consent() {
    let hook = Hook::new().await;
    for origin in ["example.com", "events.example.com.evil.example", "*", "xevents.example.com"] {
        let answer = ask(&hook, "/events/cloud", &[("webhook-request-origin", origin)]).await;
        assert_eq!(answer, (200, [Some("POST".to_owned()), None, None]), "{origin}");
    }
    assert_eq!(ask(&hook, "/events/cloud", &[]).await.0, 400);
    assert_eq!(ask(&hook, "/events/cloud", &[("webhook-request-origin", " ")]).await.0, 400);
    assert_eq!(ask(&hook, "/events/nobody", &[ORIGIN]).await.0, 404);
}

#[tokio::test]
async fn a_url_with_a_secret_is_asked_with_it() {
    let hook = Hook::new().await;
    assert_eq!(ask(&hook, "/events/keyed", &[ORIGIN]).await.0, 401);
    assert_eq!(ask(&hook, "/events/keyed?code=0123456789abcdef0123456789abcd", &[ORIGIN]).await.0, 401);
    let url = "/events/keyed?code=0123456789abcdef0123456789abcd%2B%2F%3D";
    assert_eq!(ask(&hook, url, &[ORIGIN]).await, allowed("events.example.com", "*"));
}
