//! What an answer weighs: the bytes that it takes as the answer of a Lambda function.
//!
//! Lambda takes a function's answer as one JSON document of limited size. The body is a string in it: text with its
//! escapes, or base64. What is larger is lost on its way, a 502 whatever was committed; so answers are weighed before
//! anything is. The limit holds at every edge: a request has the same answer on a laptop.

use std::ops::Add;

use crate::batch::Headers;

/// The largest document that Lambda takes as an answer, in bytes (Lambda quotas, "Invocation payload", synchronous). An
/// API Gateway takes 10 MB, so this one counts.
pub const MAX_PAYLOAD: usize = 6_291_556;
/// For what stands around headers and body in that document, and for headers that an edge adds of its own.
const ENVELOPE: usize = 4 * 1024;
/// What the headers and the body of an answer may weigh together.
pub const MAX_ANSWER: usize = MAX_PAYLOAD - ENVELOPE;

/// Around one header: quotes, colon, brackets, comma.
const HEADER: usize = 8;
/// So many bytes are counted at once: what each adds is at most 5, and the sum must fit into a byte.
const BLOCK: usize = 48;

/// What a stretch of a body weighs. Stretches add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    bytes: usize,
    /// What escapes add.
    escapes: usize,
    /// Not UTF-8: the whole body is base64.
    binary: bool,
}

impl Weight {
    /// Weighs a stretch that does not end inside a character.
    pub fn of(bytes: &[u8]) -> Self {
        let escapes = bytes.chunks(BLOCK).map(|block| usize::from(block.iter().map(|byte| escape(*byte)).sum::<u8>()));
        Self { bytes: bytes.len(), escapes: escapes.sum(), binary: std::str::from_utf8(bytes).is_err() }
    }

    /// Bytes in the document.
    pub fn total(self) -> usize {
        if self.binary { base64(self.bytes) } else { self.bytes + self.escapes }
    }

    /// What neither of the two outweighs, whatever it is added to.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            escapes: self.escapes.max(other.escapes),
            binary: self.binary || other.binary,
        }
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            escapes: self.escapes + other.escapes,
            binary: self.binary || other.binary,
        }
    }
}

/// What an answer weighs, to be compared with [`MAX_ANSWER`].
pub fn weigh(headers: &Headers, body: &[u8]) -> usize {
    let of_headers = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        name.as_str().len() + Weight::of(value.as_bytes()).total() + HEADER
    });
    let body = if is_text(headers) { Weight::of(body).total() } else { base64(body.len()) };
    of_headers.sum::<usize>() + body
}

/// Whether a body of that type is sent as text, if it is UTF-8: base64 would cost a third of the limit.
pub fn is_text(headers: &Headers) -> bool {
    let Some(content_type) = headers.get("content-type") else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/').unwrap_or((&essence, ""));
    matches!(kind, "text" | "multipart")
        || matches!(subtype, "json" | "xml" | "http")
        || subtype.ends_with("+json")
        || subtype.ends_with("+xml")
}

fn base64(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// What escaping adds to a byte of a JSON string: `\"`, `\\`, `\b`, `\t`, `\n`, `\f`, `\r`, or `\u0000`. Without a branch,
/// so that many bytes are taken at once.
fn escape(byte: u8) -> u8 {
    let short = matches!(byte, 0x08..=0x0a | 0x0c | 0x0d);
    u8::from(byte == b'"') + u8::from(byte == b'\\') + 5 * u8::from(byte < 0x20) - 4 * u8::from(short)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> usize {
        serde_json::to_string(text).unwrap().len() - 2
    }

    #[test]
    fn every_character_weighs_what_it_takes_in_json() {
        for code in (0..0x100).chain([0x7ff, 0x2028, 0xffff, 0x1f600]) {
            let text = char::from_u32(code).unwrap().to_string().repeat(101);
            assert_eq!(Weight::of(text.as_bytes()).total(), json(&text), "{code:x}");
        }
    }

    proptest! {
        #[test]
        fn stretches_add_up(parts in proptest::collection::vec(any::<String>(), 0..9)) {
            let sum = parts.iter().map(|part| Weight::of(part.as_bytes())).fold(Weight::default(), Add::add);
            prop_assert_eq!(sum.total(), json(&parts.concat()));
        }

        #[test]
        fn one_binary_stretch_makes_the_whole_base64(text: String, length in 0_usize..99) {
            let sum = Weight::of(text.as_bytes()) + Weight::of(&vec![0xff; length]);
            let expected = if length == 0 { json(&text) } else { (text.len() + length).div_ceil(3) * 4 };
            prop_assert_eq!(sum.total(), expected);
        }

        #[test]
        fn the_larger_is_never_outweighed(one: String, other: String, rest: Vec<u8>) {
            let (one, other, rest) = (Weight::of(one.as_bytes()), Weight::of(other.as_bytes()), Weight::of(&rest));
            let larger = (one.max(other) + rest).total();
            prop_assert!(larger >= (one + rest).total() && larger >= (other + rest).total());
        }
    }
}
