//! An issuer of signed tokens: keys, what is signed with them, and the key set behind a socket.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use bytes::Bytes;
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use local::http::{Limits, serve};
use serde_json::{Value, json};
use shared::{
    batch::Headers,
    exchange::{Incoming, Outgoing},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Bytes before the `RSAPrivateKey` in the PKCS #8 of a key of 2,048 bits.
const PKCS8_HEAD: usize = 26;

/// A key that tokens are signed with.
#[derive(Clone, Debug)]
pub struct SigningKey {
    private: EncodingKey,
    algorithm: Algorithm,
    /// The public key: SubjectPublicKeyInfo.
    public: Vec<u8>,
    /// The public key as it is published.
    pub jwk: Value,
}

/// A server of a key set; it ends when it is dropped.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    answer: Mutex<Answer>,
    fetches: AtomicUsize,
}

/// How a question for the key set is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// `Location`, if there is one.
    pub location: Option<String>,
    /// Body.
    pub body: Bytes,
    /// How long it takes.
    pub delay: Duration,
}

impl SigningKey {
    /// An ECDSA key on P-256.
    pub fn es256(id: &str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let pkcs8 = pkcs8.expect("random numbers");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).expect("a key");
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a public key");
        Self::new(id, EncodingKey::from_ec_der(pkcs8.as_ref()), Algorithm::ES256, public.as_ref().to_vec())
    }

    /// An RSA key of 2,048 bits.
    pub fn rs256(id: &str) -> Self {
        let pair = rsa::KeyPair::generate(KeySize::Rsa2048).expect("random numbers");
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().expect("a private key");
        let private = pkcs8.as_ref().get(PKCS8_HEAD..).expect("longer than its head");
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a public key");
        Self::new(id, EncodingKey::from_rsa_der(private), Algorithm::RS256, public.as_ref().to_vec())
    }

    fn new(id: &str, private: EncodingKey, algorithm: Algorithm, public: Vec<u8>) -> Self {
        let mut jwk = Jwk::from_encoding_key(&private, algorithm).expect("a key");
        jwk.common.key_id = Some(id.to_owned());
        Self { private, algorithm, public, jwk: serde_json::to_value(jwk).expect("JSON") }
    }

    /// The header of its tokens.
    pub fn header(&self) -> Header {
        let id = self.jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
        Header { kid: id, ..Header::new(self.algorithm) }
    }

    /// A token.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.header(), claims)
    }

    /// A token with another header, of the same algorithm.
    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.private).expect("a header of the same algorithm")
    }

    /// The public key in PEM.
    pub fn public_pem(&self) -> String {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let text = BASE64_STANDARD.encode(&self.public);
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
}

impl Issuer {
    /// Serves these keys on a free port.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State { answer: Mutex::new(Answer::keys(keys)), fetches: AtomicUsize::new(0) });
        let shared = Arc::clone(&state);
        let handler = move |_: Incoming| {
            shared.fetches.fetch_add(1, Ordering::SeqCst);
            let answer = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move {
                tokio::time::sleep(answer.delay).await;
                let mut headers = Headers::new();
                if let Some(location) = &answer.location {
                    headers.try_append("location", location).expect("a URL");
                }
                Outgoing { status: answer.status, headers, body: answer.body }
            }
        };
        let task = tokio::spawn(serve(listener, handler, Limits::default(), pending()));
        Self { address, state, task }
    }

    /// The URL of the key set.
    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// How often the key set was asked for.
    pub fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// Answers like this from now on.
    pub fn answer(&self, answer: Answer) {
        *self.state.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

impl Answer {
    /// A key set of these keys, at once.
    pub fn keys(keys: &[&SigningKey]) -> Self {
        let keys: Vec<&Value> = keys.iter().map(|key| &key.jwk).collect();
        let body = json!({ "keys": keys }).to_string().into();
        Self { status: StatusCode::OK, location: None, body, delay: Duration::ZERO }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
