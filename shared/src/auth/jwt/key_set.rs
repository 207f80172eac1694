//! The public keys of an issuer (RFC 7517 §5).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::super::TokenError;
use crate::text_file::{self, NotText, Position};

/// Most keys of a set. Issuers have two or three; Entra ID has about ten.
const MAX_KEYS: usize = 100;

/// Keys that tokens may be signed with.
#[derive(Clone, Debug)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    /// What it may verify. Never an algorithm of shared secrets.
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
}

/// Why a document is no key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON, or not an object with `keys`.
    #[error("it is not a JSON Web Key Set: {message}")]
    Json {
        /// Where it is seen.
        position: Position,
        /// The fault.
        message: String,
    },
    /// No text.
    #[error("it {0}")]
    NotText(NotText),
    /// More keys than an issuer has.
    #[error("it has {got} keys, at most {MAX_KEYS} are possible")]
    TooMany {
        /// How many.
        got: usize,
    },
    /// None of its keys can verify a token.
    #[error("it has no key that verifies signatures")]
    NoKey,
}

impl KeySetError {
    /// Where in the file it is, if it has a place.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Json { position, .. } => Some(*position),
            Self::NotText(problem) => Some(problem.position()),
            Self::TooMany { .. } | Self::NoKey => None,
        }
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys that are unknown, symmetric or made for encryption are left out (RFC 7517 §5).
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let text = text_file::decode(json).map_err(KeySetError::NotText)?;
        let document: Document = serde_json::from_str(text).map_err(|error| KeySetError::Json {
            position: Position::of_json(text, &error),
            message: text_file::json_message(&error),
        })?;
        let got = document.keys.len();
        if got > MAX_KEYS {
            return Err(KeySetError::TooMany { got });
        }
        let keys: Vec<Key> = document.keys.into_iter().filter_map(Key::read).collect();
        if keys.is_empty() { Err(KeySetError::NoKey) } else { Ok(Self(keys)) }
    }

    /// The key that a token with this header is signed with.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&DecodingKey, TokenError> {
        let named: Vec<&Key> = match (id, self.0.as_slice()) {
            (None, [only]) | (Some(_), [only @ Key { id: None, .. }]) => vec![only],
            (None, _) => return Err(TokenError::NoKeyId),
            (Some(id), keys) => keys.iter().filter(|key| key.id.as_deref() == Some(id)).collect(),
        };
        if named.is_empty() {
            return Err(TokenError::UnknownKey);
        }
        let fitting = named.into_iter().find(|key| key.algorithms.contains(&algorithm));
        fitting.map(|key| &key.public).ok_or(TokenError::KeyMismatch)
    }
}

impl Key {
    fn read(json: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let signs = match (&jwk.common.public_key_use, &jwk.common.key_operations) {
            (Some(usage), _) => *usage == PublicKeyUse::Signature,
            (None, Some(operations)) => operations.contains(&KeyOperations::Verify),
            (None, None) => true,
        };
        let algorithms = algorithms(&jwk);
        if !signs || algorithms.is_empty() {
            return None;
        }
        Some(Self { public: DecodingKey::from_jwk(&jwk).ok()?, id: jwk.common.key_id, algorithms })
    }
}

/// What a key can verify by its type and curve, and by what it says itself.
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    use Algorithm as A;
    let possible: &[A] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512],
        AlgorithmParameters::EllipticCurve(parameters) => match parameters.curve {
            EllipticCurve::P256 => &[A::ES256],
            EllipticCurve::P384 => &[A::ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(parameters) if parameters.curve == EllipticCurve::Ed25519 => &[A::EdDSA],
        _ => &[],
    };
    let only = jwk.common.key_algorithm;
    possible.iter().copied().filter(|one| only.is_none_or(|only| only == KeyAlgorithm::from(*one))).collect()
}
