//! The issuer's keys: how they come, change, and stay away.

use std::time::Duration;

use http::StatusCode;
use jsonwebtoken::Header;
use reqwest::Client;
use tests::{
    host::Host,
    issuer::{Answer, Issuer, SigningKey},
};
use tokio::{task::JoinSet, time::sleep};

use super::{Closed, JOBS, claims, jwt_host, send};

/// A token of `key` that names another key.
fn named(key: &SigningKey, id: &str) -> String {
    key.sign_as(&Header { kid: Some(id.to_owned()), ..key.header() }, &claims("data.read"))
}

/// The statuses that these tokens get, all sent at once.
async fn at_once(closed: &Closed, tokens: Vec<String>) -> Vec<u16> {
    let mut requests = JoinSet::new();
    for token in tokens {
        let request = closed.get(JOBS).bearer_auth(token);
        requests.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    requests.join_all().await
}

#[tokio::test]
async fn a_new_key_is_accepted_and_an_old_one_forgotten() {
    let closed = Closed::with(&["--jwks-ttl", "2"]).await;
    let (old, new) = (closed.token("data.read"), SigningKey::es256("second"));
    let next = new.sign(&claims("data.read"));
    assert_eq!(closed.status(&old).await, 200);
    assert_eq!(closed.status(&next).await, 401);
    closed.issuer.answer(Answer::keys(&[&closed.key, &new]));
    // A key that is not known is asked for after a tenth of a second here.
    sleep(Duration::from_millis(200)).await;
    assert_eq!(closed.status(&next).await, 200);
    assert_eq!(closed.status(&old).await, 200);
    closed.issuer.answer(Answer::keys(&[&new]));
    assert_eq!(closed.status(&old).await, 200, "its keys are still fresh");
    sleep(Duration::from_millis(2100)).await;
    assert_eq!(closed.status(&old).await, 401);
    assert_eq!(closed.status(&next).await, 200);
}

#[tokio::test]
async fn unknown_keys_do_not_make_the_host_hammer_the_issuer() {
    let closed = Closed::start().await;
    let good = closed.token("data.read");
    assert_eq!(closed.status(&good).await, 200);
    assert_eq!(closed.issuer.fetches(), 1);
    for round in 0..3 {
        let mut tokens: Vec<String> = (0..100).map(|at| named(&closed.key, &format!("{round}-{at}"))).collect();
        tokens.push(good.clone());
        let statuses = at_once(&closed, tokens).await;
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 100);
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    }
    // Ten seconds have to pass between two questions, and less than that have.
    assert!(closed.issuer.fetches() <= 2, "{} fetches", closed.issuer.fetches());
}

#[tokio::test]
async fn requests_that_come_together_fetch_once() {
    let closed = Closed::start().await;
    let slow = Answer { delay: Duration::from_millis(500), ..Answer::keys(&[&closed.key]) };
    closed.issuer.answer(slow);
    let statuses = at_once(&closed, vec![closed.token("data.read"); 100]).await;
    assert_eq!((statuses, closed.issuer.fetches()), (vec![200; 100], 1));
}

#[tokio::test]
async fn keys_outlive_an_issuer_that_is_down() {
    let closed = Closed::with(&["--jwks-ttl", "2"]).await;
    let token = closed.token("data.read");
    assert_eq!(closed.status(&token).await, 200);
    let Closed { host, key, issuer, client } = closed;
    let url = issuer.url();
    drop(issuer);
    sleep(Duration::from_millis(2500)).await;
    let (get, token) = (|| client.get(format!("{}{JOBS}", host.url())), key.sign(&claims("data.read")));
    for _ in 0..3 {
        assert_eq!(send(get().bearer_auth(&token)).await.status, 200);
    }
    let unknown = send(get().bearer_auth(named(&key, "other"))).await;
    assert_eq!(unknown.status, 401);
    // Another host, which never had any keys.
    let other = Host::run(jwt_host(&url, &[])).await;
    let get = || client.get(format!("{}{JOBS}", other.url()));
    let answer = get().bearer_auth(&token).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(send(get()).await.status, 401);
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_is_no_answer() {
    let key = SigningKey::es256("first");
    let good = Answer::keys(&[&key]);
    let elsewhere = Issuer::start(&[&key]).await;
    let cases = [
        ("an error", Answer { status: StatusCode::INTERNAL_SERVER_ERROR, ..good.clone() }),
        ("a redirect", Answer { status: StatusCode::FOUND, location: Some(elsewhere.url()), ..good.clone() }),
        ("too long", Answer { body: [good.body.to_vec(), vec![b' '; 300_000]].concat().into(), ..good.clone() }),
        ("no JSON", Answer { body: "<html>".into(), ..good.clone() }),
        ("no keys", Answer { body: r#"{"keys":[]}"#.into(), ..good.clone() }),
        ("too slow", Answer { delay: Duration::from_secs(10), ..good.clone() }),
    ];
    let mut hosts = JoinSet::new();
    for (name, answer) in cases {
        let token = key.sign(&claims("data.read"));
        let issuer = Issuer::start(&[]).await;
        issuer.answer(answer);
        let host = Host::run(jwt_host(&issuer.url(), &[])).await;
        hosts.spawn(async move {
            let get = || Client::new().get(format!("{}{JOBS}", host.url())).bearer_auth(&token);
            assert_eq!(send(get()).await.status, 503, "{name}");
            // It comes to its senses.
            issuer.answer(Answer::keys(&[&SigningKey::es256("other")]));
            sleep(Duration::from_millis(1100)).await;
            assert_eq!(send(get()).await.status, 401, "{name}");
        });
    }
    hosts.join_all().await;
    assert_eq!(elsewhere.fetches(), 0);
}
