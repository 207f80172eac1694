//! Who is let in.

use jiff::Timestamp;
use serde_json::json;
use shared::events::{Secret, sign};
use tests::issuer::{Issuer, SigningKey};

use super::{Hook, JSON, NEW, OLD, SHARED, failure, told};
use crate::rig::Answer;

const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

/// A message as somebody signed it.
#[derive(Clone)]
struct Signed {
    id: String,
    time: String,
    signatures: String,
    body: String,
}

fn signed(secret: &str, seconds_ago: i64, body: &str) -> Signed {
    let time = Timestamp::now().as_second() - seconds_ago;
    let signatures = sign(&Secret::parse(secret).unwrap(), ID, time, body.as_bytes());
    Signed { id: ID.to_owned(), time: time.to_string(), signatures, body: body.to_owned() }
}

async fn send(hook: &Hook, message: &Signed) -> Answer {
    let Signed { id, time, signatures, body } = message;
    let headers = [JSON, ("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signatures)];
    hook.send("POST", "/events/signed", &headers, body.clone()).await
}

#[tokio::test]
async fn each_of_two_secrets_is_good_while_one_replaces_the_other() {
    let hook = Hook::new().await;
    for (number, secret) in [(1, OLD), (2, NEW)] {
        let body = failure(number, 7).to_string();
        let message = signed(secret, 0, &body);
        for duplicate in [false, true] {
            // Delivered again as it is: it is known, and nothing more happens.
            let answer = send(&hook, &message).await;
            assert_eq!((answer.status, told(&answer, "duplicate")), (200, vec![json!(duplicate)]), "{}", answer.text());
        }
        // Of both secrets, in either order, among others.
        let both = [signed(OLD, 0, &body).signatures, "v1a,abc=".to_owned(), signed(NEW, 0, &body).signatures];
        for list in [both.join(" "), both.iter().rev().cloned().collect::<Vec<_>>().join(" ")] {
            assert_eq!(send(&hook, &Signed { signatures: list, ..signed(OLD, 0, &body) }).await.status, 200);
        }
    }
    assert_eq!(hook.rows().await.len(), 2);
}

#[tokio::test]
async fn forged_expired_and_replayed_messages_are_refused_without_a_call() {
    let hook = Hook::new().await;
    let body = failure(1, 7).to_string();
    let other = failure(2, 8).to_string();
    let good = signed(OLD, 0, &body);
    let second = signed(OLD, 60, &other);
    let part = |text: &str, from: usize| text[from..].to_owned();
    let cases = [
        ("a forged one", signed("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0, &body)),
        ("an expired one", signed(OLD, 301, &body)),
        ("one from the future", signed(NEW, -330, &body)),
        ("one with another body", Signed { body: other.clone(), ..good.clone() }),
        ("one with a space more", Signed { body: format!("{body} "), ..good.clone() }),
        ("one with the signature of another", Signed { signatures: second.signatures.clone(), ..good.clone() }),
        ("an old one with a new time", Signed { time: good.time.clone(), ..second.clone() }),
        ("one with another id", Signed { id: "msg_2".into(), ..good.clone() }),
        ("one without an id", Signed { id: String::new(), ..good.clone() }),
        ("one whose id has a dot", Signed { id: format!("{ID}.1"), ..good.clone() }),
        ("one with parts in another order", Signed { id: good.time.clone(), time: ID.into(), ..good.clone() }),
        ("one of another version", Signed { signatures: good.signatures.replace("v1,", "v2,"), ..good.clone() }),
        ("half of one", Signed { signatures: good.signatures[..20].to_owned(), ..good.clone() }),
        ("one without its version", Signed { signatures: part(&good.signatures, 3), ..good.clone() }),
        ("none", Signed { signatures: String::new(), ..good.clone() }),
        ("a time that is none", Signed { time: "now".into(), ..good.clone() }),
    ];
    for (what, message) in cases {
        let answer = send(&hook, &message).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (401, &json!("Unauthorized")), "{what}");
        assert!(answer.headers.get("www-authenticate").is_none());
    }
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    for missing in names {
        let values = [&good.id, &good.time, &good.signatures].map(String::as_str);
        let headers: Vec<_> =
            names.into_iter().zip(values).filter(|(name, _)| *name != missing).chain([JSON]).collect();
        let answer = hook.send("POST", "/events/signed", &headers, body.clone()).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["message"].as_str()),
            (401, Some(&*format!("the header {missing} is needed")))
        );
    }
    assert!(hook.rig.calls().is_empty());
    assert_eq!(send(&hook, &good).await.status, 200);
}

/// The headers of a message by these names.
fn named<'m>(names: [&'static str; 3], message: &'m Signed) -> [(&'static str, &'m str); 3] {
    [(names[0], &message.id), (names[1], &message.time), (names[2], &message.signatures)]
}

#[tokio::test]
async fn a_signature_may_have_its_older_names_and_never_those_of_both() {
    let hook = Hook::new().await;
    let body = failure(1, 7).to_string();
    let post = async |headers: &[(&str, &str)]| {
        let headers = [headers, &[JSON]].concat();
        hook.send("POST", "/events/signed", &headers, body.clone()).await
    };
    let good = signed(OLD, 0, &body);
    let bad = signed("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0, &body);
    let webhook = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let svix = ["svix-id", "svix-timestamp", "svix-signature"];
    assert_eq!(post(&named(svix, &good)).await.status, 200);
    assert_eq!(post(&named(["Svix-Id", "Svix-Timestamp", "Svix-Signature"], &good)).await.status, 200);
    hook.rig.calls();
    // The first row that is whole counts, whatever the other one would say.
    for (webhook_message, svix_message, status) in [(&good, &bad, 200), (&bad, &good, 401)] {
        let both = [named(webhook, webhook_message), named(svix, svix_message)].concat();
        assert_eq!(post(&both).await.status, status);
    }
    assert_eq!(post(&[&named(svix, &good)[..], &[("webhook-id", &good.id)]].concat()).await.status, 200);
    for (headers, message) in [
        (
            vec![("webhook-id", &*good.id), ("svix-timestamp", &good.time), ("svix-signature", &good.signatures)],
            "webhook-timestamp",
        ),
        (vec![("svix-id", &*good.id), ("svix-timestamp", &good.time)], "svix-signature"),
        (vec![], "webhook-id"),
    ] {
        let answer = post(&headers).await;
        let expected = format!("the header {message} is needed");
        assert_eq!((answer.status, answer.json()["error"]["message"].as_str()), (401, Some(&*expected)));
    }
    let old = signed(OLD, 301, &body);
    for (names, message, text) in [
        (svix, &old, "svix-timestamp is more than 300 seconds from now"),
        (svix, &bad, "svix-signature has no valid v1 signature of the message"),
        (webhook, &old, "webhook-timestamp is more than 300 seconds from now"),
        (svix, &Signed { id: "a.b".into(), ..good.clone() }, "svix-id is empty or has a '.'"),
    ] {
        let answer = post(&named(names, message)).await;
        assert_eq!((answer.status, answer.json()["error"]["message"].as_str()), (401, Some(text)));
    }
}

#[tokio::test]
async fn a_shared_secret_is_in_a_header_or_in_the_url() {
    let hook = Hook::new().await;
    let body = failure(1, 7).to_string();
    let post = async |url: &str, headers: &[(&str, &str)]| {
        let headers = [headers, &[JSON]].concat();
        hook.send("POST", url, &headers, body.clone()).await.status
    };
    let url = "/events/keyed";
    for (url, header) in [
        (url, ("x-key", "")),
        (url, ("x-key", "0123456789abcdef0123456789abcd")),
        (url, ("authorization", SHARED)),
        ("/events/keyed?code=", ("x", "y")),
        ("/events/keyed?Code=0123456789abcdef0123456789abcd+/=", ("x", "y")),
        ("/events/keyed?x=code=0123456789abcdef0123456789abcd+/=", ("x", "y")),
        ("/events/signed?code=0123456789abcdef0123456789abcd+/=", ("x-key", SHARED)),
    ] {
        assert_eq!(post(url, &[header]).await, 401, "{url} {header:?}");
    }
    assert_eq!(post(url, &[]).await, 401);
    assert!(hook.rig.calls().is_empty());
    assert_eq!(post(url, &[("X-Key", SHARED)]).await, 200);
    for query in ["code=0123456789abcdef0123456789abcd+/=", "a=b&code=0123456789abcdef0123456789abcd%2b%2F%3d&c"] {
        assert_eq!(post(&format!("{url}?{query}"), &[]).await, 200, "{query}");
    }
}

/// CloudEvents has senders say their `Origin`. A source that lets everybody in cannot tell them from web pages.
#[tokio::test]
async fn an_origin_is_of_no_account_where_the_source_authenticates() {
    let hook = Hook::new().await;
    let foreign = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let body = failure(1, 7).to_string();
    let Signed { id, time, signatures, .. } = signed(OLD, 0, &body);
    let signed: &[_] = &[("webhook-id", &*id), ("webhook-timestamp", &time), ("webhook-signature", &signatures)];
    let own = ("origin", "https://events.example");
    for (source, headers, status) in [
        ("signed", [&foreign, signed].concat(), 200),
        ("keyed", [&foreign[..], &[("x-key", SHARED)]].concat(), 200),
        ("auto", foreign.to_vec(), 403),
        ("auto", foreign[..1].to_vec(), 403),
        ("auto", foreign[1..].to_vec(), 403),
        ("auto", vec![("host", "events.example"), own], 200),
    ] {
        let headers = [&headers[..], &[JSON]].concat();
        let answer = hook.send("POST", &format!("/events/{source}"), &headers, body.clone()).await;
        assert_eq!(answer.status, status, "{source} {headers:?}: {}", answer.text());
        if status == 403 {
            assert_eq!(answer.json()["error"]["code"], "ForeignOrigin");
            assert!(hook.rig.calls().is_empty());
        }
        hook.rig.calls();
    }
}

#[tokio::test]
async fn a_token_is_one_of_the_callers_of_the_source() {
    let key = SigningKey::es256("k");
    let issuer = Issuer::start(&[&key]).await;
    let policy = format!(
        r#"
        [targets.own]
        [sources.grid]
        target = "own"
        [sources.grid.authentication.bearer]
        issuer = "https://sts.example/a"
        audience = "api://jobs"
        keys = "{}"
        callers = ["4962773b-9cdb-44cf-a8bf-237846a00ab7"]
        "#,
        issuer.url()
    );
    let hook = Hook::with(&policy).await;
    let token = |subject: &str, lifetime: i64| {
        let exp = Timestamp::now().as_second() + lifetime;
        let claims = json!({ "iss": "https://sts.example/a", "aud": "api://jobs", "exp": exp, "sub": subject });
        format!("Bearer {}", key.sign(&claims))
    };
    let post = async |authorization: &str| {
        let headers = [JSON, ("authorization", authorization)];
        hook.send("POST", "/events/grid", &headers, failure(1, 7).to_string()).await
    };
    let caller = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
    let realm = "Bearer realm=\"rebatch\"";
    for (authorization, challenge) in [
        (String::new(), realm.to_owned()),
        (token(caller, -300), format!("{realm}, error=\"invalid_token\", error_description=\"the token has expired\"")),
        (
            token("somebody", 300),
            format!(
                "{realm}, error=\"invalid_token\", error_description=\"the caller is none of those of the source\""
            ),
        ),
    ] {
        let answer = post(&authorization).await;
        assert_eq!((answer.status, answer.headers.get("www-authenticate")), (401, Some(&*challenge)));
    }
    assert!(hook.rig.calls().is_empty());
    let answer = post(&token(caller, 300)).await;
    assert_eq!((answer.status, told(&answer, "decision")), (200, vec![json!("NoRule")]));
}
