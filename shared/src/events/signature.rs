//! Standard Webhooks: signatures with a shared secret (`reference/microsoft-wire.md` §2.7).

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Written with padding, read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const PREFIX: &str = "whsec_";
const MIN_BYTES: usize = 24;
const MAX_BYTES: usize = 64;

/// How far the time of a message may be from now, in seconds, either way.
const TOLERANCE: u64 = 300;

/// A secret that is shared with an endpoint. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// Why a text is no secret. It says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// No `whsec_` at its start.
    #[error("a secret begins with \"whsec_\"")]
    Prefix,
    /// The rest is no base64.
    #[error("after \"whsec_\", a secret is base64")]
    Base64,
    /// Too short or too long.
    #[error("a secret is 24 to 64 bytes in base64, and this is {0}")]
    Length(usize),
}

/// Why a message is not what its sender signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The time is no number of seconds.
    #[error("webhook-timestamp is no whole number of seconds since 1970")]
    Timestamp,
    /// The message is too old, or from the future.
    #[error("webhook-timestamp is more than 300 seconds from now")]
    OutOfTime,
    /// None of the signatures is one of this message.
    #[error("webhook-signature has no valid v1 signature of the message")]
    NoMatch,
}

impl Secret {
    /// Reads `whsec_` and 24 to 64 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, SecretFault> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretFault::Prefix)?;
        let bytes = BASE64.decode(encoded).map_err(|_| SecretFault::Base64)?;
        if (MIN_BYTES..=MAX_BYTES).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SecretFault::Length(bytes.len()))
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The value of `webhook-signature` for a message. `id` stays the same over attempts, `unix_seconds` (the value of
/// `webhook-timestamp`) is that of the attempt.
pub fn sign(secret: &Secret, id: &str, unix_seconds: i64, body: &[u8]) -> String {
    format!("v1,{}", BASE64.encode(code(secret, id, &unix_seconds.to_string(), body)))
}

/// Checks a message against the values of its headers `webhook-id`, `webhook-timestamp` and `webhook-signature`. The
/// last is a list, and one valid entry is enough; versions other than `v1` are passed over. `now` is in seconds since
/// 1970. Codes are compared in constant time.
pub fn verify(
    secret: &Secret,
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: i64,
) -> Result<(), SignatureFault> {
    let sent: i64 = timestamp.parse().map_err(|_| SignatureFault::Timestamp)?;
    if sent.abs_diff(now) > TOLERANCE {
        return Err(SignatureFault::OutOfTime);
    }
    let expected = code(secret, id, timestamp, body);
    let matches = |signature: &str| {
        let given = signature.strip_prefix("v1,").and_then(|given| BASE64.decode(given).ok());
        given.is_some_and(|given| verify_slices_are_equal(expected.as_ref(), &given).is_ok())
    };
    if signatures.split(' ').any(matches) { Ok(()) } else { Err(SignatureFault::NoMatch) }
}

/// HMAC-SHA256 over `{id}.{timestamp}.{body}`.
fn code(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0));
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    context.sign()
}
