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

/// Why a message is not what its sender signed: what is wrong with the header that is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The time is no number of seconds.
    #[error("is no whole number of seconds since 1970")]
    Timestamp,
    /// The message is too old, or from the future.
    #[error("is more than 300 seconds from now")]
    OutOfTime,
    /// None of the signatures is one of this message.
    #[error("has no valid v1 signature of the message")]
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
    // Counted, so that the whole list is looked at, wherever a valid one stands.
    if signatures.split(' ').filter(|signature| matches(signature)).count() > 0 {
        Ok(())
    } else {
        Err(SignatureFault::NoMatch)
    }
}

/// HMAC-SHA256 over `{id}.{timestamp}.{body}`.
fn code(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0));
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    context.sign()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The example of the specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SENT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn check(signatures: &str, now: i64) -> Result<(), SignatureFault> {
        verify(&Secret::parse(SECRET).unwrap(), ID, &SENT.to_string(), signatures, BODY, now)
    }

    #[test]
    fn the_example_of_the_specification_is_signed_and_verified() {
        assert_eq!(sign(&Secret::parse(SECRET).unwrap(), ID, SENT, BODY), SIGNATURE);
        assert_eq!(check(SIGNATURE, SENT), Ok(()));
    }

    #[test]
    fn one_valid_signature_of_a_list_is_enough() {
        let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for list in [format!("{other} {SIGNATURE}"), format!("v1a,abc= {SIGNATURE} v2,x"), format!(" {SIGNATURE}  ")] {
            assert_eq!(check(&list, SENT), Ok(()), "{list}");
        }
        let code = SIGNATURE.strip_prefix("v1,").unwrap();
        let half = SIGNATURE.get(..25).unwrap();
        for list in ["", "v1", "v1,", "v1,*", other, code, half, &format!("v2,{code}"), &format!("V1,{code}")] {
            assert_eq!(check(list, SENT), Err(SignatureFault::NoMatch), "{list}");
        }
        assert_eq!(check(&format!("{other},{SIGNATURE}"), SENT), Err(SignatureFault::NoMatch));
    }

    #[test]
    fn a_message_is_valid_for_five_minutes_either_way() {
        for (now, expected) in [
            (SENT - 300, Ok(())),
            (SENT + 300, Ok(())),
            (SENT - 301, Err(SignatureFault::OutOfTime)),
            (SENT + 301, Err(SignatureFault::OutOfTime)),
            (i64::MIN, Err(SignatureFault::OutOfTime)),
        ] {
            assert_eq!(check(SIGNATURE, now), expected, "{now}");
        }
        for time in ["", "now", "1614265330.5", "99999999999999999999"] {
            let checked = verify(&Secret::parse(SECRET).unwrap(), ID, time, SIGNATURE, BODY, SENT);
            assert_eq!(checked, Err(SignatureFault::Timestamp), "{time}");
        }
    }

    #[test]
    fn id_time_body_and_secret_are_signed() {
        let secret = Secret::parse(SECRET).unwrap();
        let other = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx").unwrap();
        for (secret, id, time, body) in [
            (&other, ID, "1614265330", BODY),
            (&secret, "msg_p5jXN8AQM9LWM0D4loKWxJeK", "1614265330", BODY),
            (&secret, ID, "1614265331", BODY),
            (&secret, ID, "+1614265330", BODY),
            (&secret, ID, "1614265330", br#"{"test":2432232314}"#),
        ] {
            assert_eq!(verify(secret, id, time, SIGNATURE, body, SENT), Err(SignatureFault::NoMatch));
        }
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_in_base64() {
        let of_length = |bytes: usize| format!("whsec_{}", BASE64.encode(vec![0xa5; bytes]));
        for bytes in [24, 25, 32, 64] {
            let text = of_length(bytes);
            assert!(Secret::parse(&text).is_ok() && Secret::parse(text.trim_end_matches('=')).is_ok(), "{bytes}");
        }
        for bytes in [0, 23, 65] {
            assert_eq!(Secret::parse(&of_length(bytes)).unwrap_err(), SecretFault::Length(bytes));
        }
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_MfKQ9"] {
            assert_eq!(Secret::parse(text).unwrap_err(), SecretFault::Prefix, "{text}");
        }
        for text in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-w", "whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_ü"] {
            assert_eq!(Secret::parse(text).unwrap_err(), SecretFault::Base64, "{text}");
        }
    }

    #[test]
    fn a_secret_shows_in_no_text() {
        assert_eq!(format!("{:?}", Secret::parse(SECRET).unwrap()), "Secret(…)");
        let wrong = "whsec_hunter2";
        let error = Secret::parse(wrong).unwrap_err();
        assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn what_is_signed_is_verified(
            key in proptest::collection::vec(any::<u8>(), 24..=64),
            id in "[0-9A-F-]{36}",
            sent in 0..4_000_000_000_i64,
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let secret = Secret::parse(&format!("whsec_{}", BASE64.encode(key))).unwrap();
            let signature = sign(&secret, &id, sent, &body);
            prop_assert_eq!(verify(&secret, &id, &sent.to_string(), &signature, &body, sent), Ok(()));
        }
    }
}
