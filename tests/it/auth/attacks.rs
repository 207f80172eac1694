//! Tokens that must not be let in.

use std::{fs::File, process::Stdio};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Client;
use serde_json::{Value, json};
use tests::{
    host::Host,
    issuer::{Issuer, SigningKey},
};

use super::{AUDIENCE, ISSUER, JOBS, claims, jwt_host, send};

/// What is wrong with a token, the token, and what the challenge says.
type Attack = (&'static str, String, &'static str);

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims("data.read data.write jobs.requeue admin");
    claims[name] = value.into();
    claims
}

fn wrong_claims(key: &SigningKey) -> Vec<Attack> {
    let now = claims("")["nbf"].as_i64().unwrap();
    let sign = |name, value: Value| key.sign(&with(name, value));
    vec![
        ("expired", sign("exp", json!(now - 120)), "the token has expired"),
        ("without an end", sign("exp", Value::Null), "the claim exp"),
        ("not yet valid", sign("nbf", json!(now + 120)), "the token is not valid yet"),
        ("wrong issuer", sign("iss", "https://other.example".into()), "the issuer of the token"),
        ("issuer with a slash", sign("iss", format!("{ISSUER}/").into()), "the issuer of the token"),
        ("without issuer", sign("iss", Value::Null), "the claim iss"),
        ("wrong audience", sign("aud", "api://other".into()), "another audience"),
        ("other audiences", sign("aud", json!([format!("{AUDIENCE}2"), "x"])), "another audience"),
        ("without audience", sign("aud", Value::Null), "the claim aud"),
        ("naming nobody", sign("sub", Value::Null), "the token names nobody"),
        (
            "no access token",
            key.sign_as(&Header { typ: Some("logout+jwt".into()), ..key.header() }, &with("a", 1)),
            "typ",
        ),
        (
            "critical",
            key.sign_as(&Header { crit: Some(vec!["b64".into()]), ..key.header() }, &with("a", 1)),
            "critical",
        ),
    ]
}

/// `foreign` is a key that the issuer does not have.
fn wrong_keys(key: &SigningKey, rsa: &SigningKey, foreign: &SigningKey) -> Vec<Attack> {
    let good = with("a", 1);
    let named = |id: &str, key: &SigningKey| key.sign_as(&Header { kid: Some(id.into()), ..key.header() }, &good);
    let kid = |key: &SigningKey| key.header().kid.unwrap();
    let embedded = Header {
        jwk: Some(serde_json::from_value(foreign.jwk.clone()).unwrap()),
        jku: Some("http://127.0.0.1:1/keys".into()),
        kid: Some(kid(key)),
        ..foreign.header()
    };
    vec![
        ("wrong key id", named("nobody", key), "names a key that its issuer does not have"),
        ("no key id", key.sign_as(&Header { kid: None, ..key.header() }, &good), "does not name its key"),
        ("key of somebody else", named(&kid(key), foreign), "signature"),
        ("key brought along", foreign.sign_as(&embedded, &good), "signature"),
        ("key of another algorithm", named(&kid(rsa), key), "does not fit its key"),
        ("path as key id", named("../../../../dev/null", key), "names a key"),
    ]
}

fn wrong_algorithms(key: &SigningKey, rsa: &SigningKey) -> Vec<Attack> {
    let good = with("a", 1);
    let mut attacks = Vec::new();
    for signer in [key, rsa] {
        let x = signer.jwk.get("x").or(signer.jwk.get("n")).and_then(Value::as_str).unwrap();
        let secrets = [
            signer.public_pem().into_bytes(),
            signer.public_pem().trim_end().as_bytes().to_vec(),
            signer.jwk.to_string().into_bytes(),
            BASE64_URL_SAFE_NO_PAD.decode(x).unwrap(),
            Vec::new(),
        ];
        for (secret, algorithm) in secrets.iter().flat_map(|s| [(s, Algorithm::HS256), (s, Algorithm::HS512)]) {
            let header = Header { kid: signer.header().kid, ..Header::new(algorithm) };
            let token = encode(&header, &good, &EncodingKey::from_secret(secret)).unwrap();
            attacks.push(("shared secret from the public key", token, "algorithm of the token is not allowed"));
        }
    }
    let token = key.sign(&good);
    let payload = token.split('.').nth(1).unwrap();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": alg, "kid": "first", "typ": "JWT" }).to_string());
        attacks.push(("none", format!("{header}.{payload}."), "is not a JSON Web Token"));
    }
    let header = Header { alg: Algorithm::PS256, ..rsa.header() };
    attacks.push(("not allowed", rsa.sign_as(&header, &good), "algorithm of the token is not allowed"));
    attacks
}

fn damaged(key: &SigningKey) -> Vec<Attack> {
    let token = key.sign(&with("a", 1));
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[10] ^= 1;
    let flipped = BASE64_URL_SAFE_NO_PAD.encode(&bytes);
    let zeros = BASE64_URL_SAFE_NO_PAD.encode([0; 64]);
    let promoted = BASE64_URL_SAFE_NO_PAD.encode(with("sub", "root").to_string());
    let not_a_jwt = "is not a JSON Web Token";
    vec![
        ("truncated", token[..token.len() - 2].to_owned(), "signature"),
        ("without signature", format!("{header}.{payload}."), "signature"),
        ("two parts", format!("{header}.{payload}"), not_a_jwt),
        ("four parts", format!("{token}.x"), not_a_jwt),
        ("a bit flipped", format!("{header}.{payload}.{flipped}"), "signature"),
        ("zeros (psychic signature)", format!("{header}.{payload}.{zeros}"), "signature"),
        ("other claims", format!("{header}.{promoted}.{signature}"), "signature"),
        ("oversized", key.sign(&with("fill", "x".repeat(20_000))), "longer than 16384 bytes"),
        ("no JWT", "0123456789abcdef0123456789abcdef".into(), not_a_jwt),
        ("two in one", format!("{token},Bearer {token}"), "characters"),
        ("empty", String::new(), "empty"),
    ]
}

#[tokio::test]
async fn every_attack_is_refused_and_none_shows_in_the_log() {
    let (key, rsa, foreign) = (SigningKey::es256("first"), SigningKey::rs256("rsa"), SigningKey::es256("first"));
    let issuer = Issuer::start(&[&key, &rsa]).await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = jwt_host(&issuer.url(), &[]);
    command.env("RUST_LOG", "trace").stderr(Stdio::from(File::create(&log).unwrap()));
    let host = Host::run(command).await;
    let (client, url) = (Client::new(), format!("{}{JOBS}?$top=1", host.url()));
    for good in [key.sign(&with("a", 1)), rsa.sign(&with("a", 1))] {
        for scheme in ["Bearer", "bearer", "BEARER "] {
            let answer = send(client.get(&url).header("authorization", format!("{scheme} {good}"))).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
    }
    let attacks = [
        wrong_claims(&key),
        wrong_claims(&rsa),
        wrong_keys(&key, &rsa, &foreign),
        wrong_algorithms(&key, &rsa),
        damaged(&key),
    ]
    .concat();
    for (name, token, description) in &attacks {
        let answer = send(client.get(&url).header("authorization", format!("Bearer {token}"))).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        let start = "Bearer realm=\"rebatch\", error=\"invalid_token\", error_description=\"";
        assert!(answer.challenge.starts_with(start), "{name}: {}", answer.challenge);
        assert!(answer.challenge.contains(description), "{name}: {}", answer.challenge);
        assert_eq!(answer.body["error"]["message"], "An error has occurred.", "{name}");
        let parts = token.split('.').filter(|part| part.len() > 8);
        assert!(parts.into_iter().all(|part| !answer.text.contains(part)), "{name}: {}", answer.text);
    }
    let again = send(client.get(&url).bearer_auth(key.sign(&with("a", 1)))).await;
    assert_eq!(again.status, 200);
    host.kill().await;
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("INFO"), "there is a log");
    for (name, token, _) in &attacks {
        let signature = token.rsplit('.').next().unwrap();
        assert!(signature.len() < 9 || !log.contains(signature), "{name} is in the log");
    }
    assert!(!log.contains("eyJ") && !log.to_ascii_lowercase().contains("bearer e"), "a token is in the log");
}

#[tokio::test]
async fn a_request_without_a_token_is_told_how_to_bring_one() {
    let closed = super::Closed::start().await;
    let requests = [
        closed.get(JOBS),
        closed.get(JOBS).header("authorization", "Basic YWRtaW46YWRtaW4="),
        closed.get(&format!("{JOBS}?access_token={}", closed.token("admin"))),
        closed.get("/data/$metadata"),
        closed.get("/data/$batch"),
        closed.client.post(format!("{}/data/$batch", closed.host.url())).body("no batch"),
    ];
    for request in requests {
        let answer = send(request).await;
        assert_eq!((answer.status, answer.challenge.as_str()), (401, "Bearer realm=\"rebatch\""), "{}", answer.text);
    }
    let head = send(closed.client.head(format!("{}{JOBS}", closed.host.url()))).await;
    assert_eq!((head.status, head.challenge.as_str()), (401, "Bearer realm=\"rebatch\""));
    let token = closed.token("data.read");
    let twice = send(closed.get(JOBS).bearer_auth(&token).header("authorization", format!("Bearer {token}"))).await;
    assert_eq!(twice.status, 400, "{}", twice.text);
    assert!(twice.challenge.contains("error=\"invalid_request\""), "{}", twice.challenge);
    // Nothing but the token is asked for: the issuer was not needed for any of these.
    assert_eq!(closed.issuer.fetches(), 0);
}

#[tokio::test]
async fn a_refusal_has_the_shape_of_its_service() {
    let closed = super::Closed::start().await;
    let code = async |path: &str| send(closed.get(path)).await.body["error"]["code"].clone();
    assert_eq!(code("/trippin/People").await, "Unauthorized");
    assert_eq!(code("/api/v2.0/companies").await, "Authentication_InvalidCredentials");
    assert_eq!(code("/api/data/v9.2/accounts").await, "");
    let answer = send(closed.get(JOBS)).await;
    assert_eq!(answer.body["error"]["innererror"]["message"], "a bearer token is needed");
    let nowhere = send(closed.get("/nowhere")).await;
    assert_eq!((nowhere.status, nowhere.challenge.as_str()), (404, ""));
}
