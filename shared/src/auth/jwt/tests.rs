use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

use super::{super::Grants, KeySet, KeySetError, Policy, verify};
use crate::auth::{Caller, TokenError};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "api://jobs";

/// A key, and how it is published.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    jwk: Value,
}

impl Signer {
    fn new(algorithm: Algorithm, id: &str) -> Self {
        let random = SystemRandom::new();
        let elliptic = |curve| EncodingKey::from_ec_der(EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap().as_ref());
        let key = match algorithm {
            Algorithm::ES256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING),
            _ => EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&random).unwrap().as_ref()),
        };
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        jwk["kid"] = id.into();
        Self { key, algorithm, jwk }
    }

    fn header(&self) -> Header {
        Header { kid: self.jwk["kid"].as_str().map(str::to_owned), ..Header::new(self.algorithm) }
    }

    fn sign(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.key).unwrap()
    }
}

fn keys(signers: &[&Signer]) -> KeySet {
    set(&signers.iter().map(|signer| signer.jwk.clone()).collect::<Vec<_>>()).unwrap()
}

fn set(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn policy(algorithms: &[&str]) -> Policy {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Policy::new(&owned(&[ISSUER]), &owned(&[AUDIENCE]), &owned(algorithms), Duration::from_mins(1)).unwrap()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "sub": "alice" })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn check(token: &str, keys: &KeySet) -> Result<Caller, TokenError> {
    verify(token, keys, &policy(&[]), now())
}

#[test]
fn times_have_leeway_and_an_end() {
    let signer = Signer::new(Algorithm::ES256, "a");
    let keys = keys(&[&signer]);
    let cases = [
        (with("exp", NOW - 59), Ok(())),
        (with("exp", NOW - 60), Err(TokenError::Expired)),
        (with("exp", 1_799_999_941.5), Ok(())),
        (with("exp", 0), Err(TokenError::Expired)),
        (with("exp", -1), Err(TokenError::Claim("exp"))),
        (with("exp", i64::MAX), Ok(())),
        (with("exp", u64::MAX), Err(TokenError::Claims)),
        (with("exp", 1e300), Err(TokenError::Claims)),
        (with("exp", (NOW + 9).to_string()), Err(TokenError::Claims)),
        (with("exp", Value::Null), Err(TokenError::Claim("exp"))),
        (with("nbf", NOW + 60), Ok(())),
        (with("nbf", NOW + 61), Err(TokenError::NotYet)),
        (with("nbf", i64::MAX), Err(TokenError::NotYet)),
        (with("nbf", "soon"), Err(TokenError::Claims)),
    ];
    for (claims, expected) in cases {
        assert_eq!(check(&signer.sign(&claims), &keys).map(|_| ()), expected, "{claims}");
    }
}

#[test]
fn issuer_and_audience_are_those_of_the_policy() {
    let signer = Signer::new(Algorithm::ES256, "a");
    let keys = keys(&[&signer]);
    let cases = [
        (with("aud", json!([AUDIENCE, "other"])), Ok(())),
        (with("aud", "other"), Err(TokenError::Audience)),
        (with("aud", json!([])), Err(TokenError::Audience)),
        (with("aud", json!(["API://JOBS", "other"])), Err(TokenError::Audience)),
        (with("aud", Value::Null), Err(TokenError::Claim("aud"))),
        (with("aud", 1), Err(TokenError::Claim("aud"))),
        (with("iss", format!("{ISSUER}/")), Err(TokenError::Issuer)),
        (with("iss", Value::Null), Err(TokenError::Claim("iss"))),
        (with("iss", json!({})), Err(TokenError::Claim("iss"))),
    ];
    for (claims, expected) in cases {
        assert_eq!(check(&signer.sign(&claims), &keys).map(|_| ()), expected, "{claims}");
    }
}

#[test]
fn the_key_is_the_one_that_is_named() {
    let (a, b) = (Signer::new(Algorithm::ES256, "a"), Signer::new(Algorithm::ES256, "b"));
    let unnamed = encode(&Header::new(Algorithm::ES256), &claims(), &a.key).unwrap();
    let token = a.sign(&claims());
    assert!(check(&token, &keys(&[&b, &a])).is_ok());
    assert!(check(&unnamed, &keys(&[&a])).is_ok());
    assert_eq!(check(&unnamed, &keys(&[&a, &b])), Err(TokenError::NoKeyId));
    assert_eq!(check(&token, &keys(&[&b])), Err(TokenError::UnknownKey));
    let mut impostor = b.jwk.clone();
    impostor["kid"] = "a".into();
    assert_eq!(check(&token, &set(&[impostor]).unwrap()), Err(TokenError::Signature));
    let mut nameless = a.jwk.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    assert!(check(&token, &set(&[nameless.clone()]).unwrap()).is_ok());
    assert_eq!(check(&token, &set(&[nameless, b.jwk]).unwrap()), Err(TokenError::UnknownKey));
}

#[test]
fn the_algorithm_is_one_of_the_policy_and_fits_the_key() {
    let (p256, p384) = (Signer::new(Algorithm::ES256, "a"), Signer::new(Algorithm::ES384, "a"));
    let edwards = Signer::new(Algorithm::EdDSA, "a");
    let all = policy(&["ES256", "ES384", "EdDSA", "RS256"]);
    for signer in [&p256, &p384, &edwards] {
        let token = signer.sign(&claims());
        assert!(verify(&token, &keys(&[signer]), &all, now()).is_ok(), "{:?}", signer.algorithm);
        for other in [&p256, &p384, &edwards].into_iter().filter(|other| other.algorithm != signer.algorithm) {
            let result = verify(&token, &keys(&[other]), &all, now());
            assert_eq!(result, Err(TokenError::KeyMismatch), "{:?} {:?}", signer.algorithm, other.algorithm);
        }
    }
    assert_eq!(check(&p384.sign(&claims()), &keys(&[&p384])), Err(TokenError::Algorithm));
    // A public key is no shared secret, in whatever form.
    let x = BASE64_URL_SAFE_NO_PAD.decode(p256.jwk["x"].as_str().unwrap()).unwrap();
    for secret in [p256.jwk.to_string().into_bytes(), x] {
        let header = Header { kid: Some("a".into()), ..Header::new(Algorithm::HS256) };
        let token = encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(verify(&token, &keys(&[&p256]), &all, now()), Err(TokenError::Algorithm));
    }
}

#[test]
fn only_public_keys_for_signatures_are_in_a_set() {
    let signer = Signer::new(Algorithm::ES256, "a");
    let changed = |name: &str, value: Value| {
        let mut jwk = signer.jwk.clone();
        jwk[name] = value;
        jwk
    };
    let useless = [
        json!({ "kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256" }),
        json!({ "kty": "future", "kid": "a" }),
        json!("no key"),
        changed("use", "enc".into()),
        changed("key_ops", json!(["sign"])),
        changed("alg", "ES384".into()),
        changed("alg", "ECDH-ES".into()),
        changed("crv", "secp256k1".into()),
        changed("crv", "P-521".into()),
        changed("x", "*".into()),
    ];
    for key in &useless {
        assert!(matches!(set(std::slice::from_ref(key)), Err(KeySetError::NoKey)), "{key}");
    }
    let among = [&useless[..], &[changed("use", "sig".into())]].concat();
    assert!(check(&signer.sign(&claims()), &set(&among).unwrap()).is_ok());
    assert!(matches!(set(&vec![signer.jwk.clone(); 101]), Err(KeySetError::TooMany { got: 101 })));
    for text in ["", "[]", "{}", "{\"keys\":{}}"] {
        assert!(matches!(KeySet::parse(text.as_bytes()), Err(KeySetError::Json { .. })), "{text}");
    }
}

#[test]
fn headers_promise_nothing() {
    let (own, foreign) = (Signer::new(Algorithm::ES256, "a"), Signer::new(Algorithm::ES256, "a"));
    let typ = |typ: &str| Header { typ: Some(typ.into()), ..own.header() };
    let cases = [
        (Header { typ: None, ..own.header() }, Ok(())),
        (typ("at+jwt"), Ok(())),
        (typ("application/AT+JWT"), Ok(())),
        (typ("logout+jwt"), Err(TokenError::Type)),
        (typ("dpop+jwt"), Err(TokenError::Type)),
        (typ("äapplication/JWT"), Err(TokenError::Type)),
        (Header { crit: Some(vec!["b64".into()]), ..own.header() }, Err(TokenError::Critical)),
    ];
    for (header, expected) in cases {
        let token = encode(&header, &claims(), &own.key).unwrap();
        assert_eq!(check(&token, &keys(&[&own])).map(|_| ()), expected, "{header:?}");
    }
    let brought = serde_json::from_value(foreign.jwk.clone()).unwrap();
    let header = Header { jwk: Some(brought), jku: Some("https://evil.example/keys".into()), ..own.header() };
    let token = encode(&header, &claims(), &foreign.key).unwrap();
    assert_eq!(check(&token, &keys(&[&own])), Err(TokenError::Signature));
}

#[test]
fn what_was_touched_is_refused() {
    let signer = Signer::new(Algorithm::ES256, "a");
    let keys = keys(&[&signer]);
    let token = signer.sign(&claims());
    for end in 0..token.len() {
        assert!(check(&token[..end], &keys).is_err(), "cut at {end}");
    }
    for at in 0..token.len() {
        let mut touched = token.clone().into_bytes();
        touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
        assert!(check(std::str::from_utf8(&touched).unwrap(), &keys).is_err(), "changed at {at}");
    }
    for other in ["", ".", "..", "...", "a.b.c", &format!("{token}.{token}"), &format!("{token}="), "e30.e30.e30"] {
        assert_eq!(check(other, &keys), Err(TokenError::Malformed), "{other}");
    }
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"a"}"#);
    let payload = token.split('.').nth(1).unwrap();
    assert_eq!(check(&format!("{none}.{payload}."), &keys), Err(TokenError::Malformed));
}

#[test]
fn scopes_and_roles_are_what_was_granted() {
    let signer = Signer::new(Algorithm::ES256, "a");
    let keys = keys(&[&signer]);
    let mut claims = with("scp", "data.read  data.write");
    claims["scope"] = json!(["jobs.requeue"]);
    claims["roles"] = json!(["admin of all", "data.read"]);
    claims["oid"] = "6f3c1c9e-6a3b-4b8e-9c55-2f1f5d0f9a11".into();
    let caller = check(&signer.sign(&claims), &keys).unwrap();
    let granted = ["admin of all", "data.read", "data.write", "jobs.requeue"].map(str::to_owned);
    assert_eq!(caller.grants, Grants::Named(granted.into()));
    assert_eq!(caller.object_id, claims["oid"].as_str().unwrap().parse().ok());
    let nothing = check(&signer.sign(&with("oid", "no guid")), &keys).unwrap();
    assert_eq!((nothing.grants, nothing.object_id), (Grants::Named([].into()), None));
    assert_eq!(check(&signer.sign(&with("scp", 1)), &keys), Err(TokenError::Claims));
}

#[test]
fn the_name_is_the_users_before_it_is_the_applications() {
    let signer = Signer::new(Algorithm::ES256, "a");
    let keys = keys(&[&signer]);
    let name = |more: Value| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        check(&signer.sign(&claims), &keys).map(|caller| caller.name)
    };
    let cases = [
        (json!({ "upn": "u", "preferred_username": "p", "azp": "z", "appid": "i" }), "p"),
        (json!({ "upn": "u", "azp": "z", "scp": "s" }), "u"),
        (json!({ "azp": "z", "scp": "s" }), "alice"),
        (json!({ "azp": "z", "roles": ["r"] }), "z"),
        (json!({ "client_id": "c", "azp": "z", "appid": "i" }), "i"),
        (json!({ "preferred_username": "", "upn": "a\nb", "client_id": "x".repeat(257) }), "alice"),
        (json!({ "sub": null, "client_id": "c", "scope": "s" }), "c"),
    ];
    for (more, expected) in cases {
        assert_eq!(name(more.clone()).as_deref(), Ok(expected), "{more}");
    }
    assert_eq!(name(json!({ "sub": " " })), Err(TokenError::Nameless));
}
