//! The place where is kept how a request ended.

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    auth::Caller,
    store::{ItemKey, Kept, Part, Progress, Stored},
};

use super::{RepeatFault, Repeatability};

/// So far the clocks of clients may be ahead, and those of functions may differ, in seconds.
const TOLERANCE: i64 = 300;
/// Sort key of what is kept of a request.
const REQUEST: &str = "request";
/// Bytes of an outcome that one item takes: with its names it stays below what an item can be.
const PART_BYTES: usize = 350_000;

/// Whose ids they are.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'s> {
    /// Name of the service.
    pub service: &'s str,
    /// Who makes the request.
    pub caller: &'s Caller,
    /// How long outcomes are kept, in hours.
    pub hours: usize,
}

/// What is asked: what makes a request the same as another one.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Method.
    pub method: &'a str,
    /// URL as sent.
    pub url: &'a str,
    /// Body.
    pub body: &'a [u8],
}

/// The place where is kept how a request ended, and what tells it from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The place.
    pub key: ItemKey,
    /// Digest of the request.
    pub digest: String,
    /// When it is over, in seconds since 1970. It is that of all repeats: it follows from the time of the first one.
    pub expires: i64,
}

impl Claim {
    /// What the sort keys of the units of a batch begin with.
    pub const UNITS: &str = "unit/";

    /// The claim of a request that comes at `now`, unless it comes too late or too early.
    pub fn new(scope: Scope<'_>, given: &Repeatability, asked: Asked<'_>, now: Timestamp) -> Result<Self, RepeatFault> {
        let kept = i64::try_from(scope.hours).unwrap_or(i64::MAX).saturating_mul(3_600);
        let (sent, now) = (given.first_sent.as_second(), now.as_second());
        if now.saturating_sub(sent) > kept {
            return Err(RepeatFault::TooOld { hours: scope.hours });
        }
        if sent.saturating_sub(now) > TOLERANCE {
            return Err(RepeatFault::TooNew);
        }
        let directory = scope.caller.object_id.map(|id| id.to_string()).unwrap_or_default();
        let id = [&scope.caller.name, &directory, &given.client, &given.id];
        let partition = format!("X|{}|{}", scope.service, digest(&id.map(String::as_bytes)));
        let asked = digest(&[asked.method.as_bytes(), asked.url.as_bytes(), asked.body]);
        let expires = sent.saturating_add(kept).saturating_add(TOLERANCE);
        Ok(Self { key: ItemKey { partition, sort: REQUEST.into() }, digest: asked, expires })
    }

    /// The claim of the unit of this batch that begins with the request of that index.
    #[must_use]
    pub fn of_unit(&self, index: usize) -> Self {
        Self { key: self.key_of(format!("{}{index:06}", Self::UNITS)), ..self.clone() }
    }

    /// Whether the id is that of a request, not of the batch that it is part of.
    pub fn is_of_request(&self) -> bool {
        self.key.sort == REQUEST
    }

    /// What says that `writer` is at work on it, until then (in milliseconds since 1970).
    pub fn running(&self, writer: &str, until: i64) -> Kept {
        self.kept(writer, Progress::Running { until })
    }

    /// The items that keep how it ended, written by `writer`; the first one is the last to be written.
    pub fn ended(&self, writer: &str, outcome: &Bytes) -> (Kept, Vec<(ItemKey, Stored)>) {
        let first = outcome.slice(..outcome.len().min(PART_BYTES));
        let rest = outcome.slice(first.len()..);
        let parts = rest.chunks(PART_BYTES).enumerate().map(|(at, bytes)| {
            let part = Part { bytes: rest.slice_ref(bytes), expires: self.expires };
            (self.part(writer, at), Stored::Part(part))
        });
        let parts: Vec<_> = parts.collect();
        (self.kept(writer, Progress::Ended { bytes: first, parts: parts.len() }), parts)
    }

    /// The keys of the parts after the first one.
    pub fn parts(&self, kept: &Kept) -> Vec<ItemKey> {
        let Progress::Ended { parts, .. } = kept.progress else { return Vec::new() };
        (0..parts).map(|at| self.part(&kept.writer, at)).collect()
    }

    fn kept(&self, writer: &str, progress: Progress) -> Kept {
        Kept { digest: self.digest.clone(), writer: writer.to_owned(), expires: self.expires, progress }
    }

    /// Two writers have no part in common, so that neither spoils what the other has kept.
    fn part(&self, writer: &str, at: usize) -> ItemKey {
        self.key_of(format!("{}/{writer}/{at:04}", self.key.sort))
    }

    fn key_of(&self, sort: String) -> ItemKey {
        ItemKey { partition: self.key.partition.clone(), sort }
    }
}

/// SHA-256 of texts, each with its length, so that no two lists have the same.
fn digest(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn claim(name: &str, client: &str, id: &str, url: &str, sent: i64) -> Result<Claim, RepeatFault> {
        let caller = Caller { name: name.into(), ..Caller::anonymous() };
        let given = Repeatability { id: id.into(), client: client.into(), first_sent: at(sent) };
        let asked = Asked { method: "POST", url, body: b"{}" };
        Claim::new(Scope { service: "s", caller: &caller, hours: 24 }, &given, asked, at(NOW))
    }

    #[test]
    fn a_place_is_that_of_one_caller_client_and_id() {
        let one = claim("a", "b", "c", "u", NOW).unwrap();
        assert_eq!(claim("a", "b", "c", "u", NOW), Ok(one.clone()));
        for (name, client, id) in [("ab", "", "c"), ("a", "", "bc"), ("a", "bc", ""), ("", "ab", "c"), ("a", "b", "C")]
        {
            assert_ne!(claim(name, client, id, "u", NOW).unwrap().key, one.key, "{name} {client} {id}");
        }
        let other = claim("a", "b", "c", "v", NOW).unwrap();
        assert_eq!(other.key, one.key);
        assert_ne!(other.digest, one.digest);
        assert!(one.key.partition.starts_with("X|s|") && one.key.partition.len() == 4 + 43);
    }

    #[test]
    fn it_counts_as_long_as_a_repeat_may_come() {
        let day = 24 * 3_600;
        assert_eq!(claim("a", "", "c", "u", NOW - day).unwrap().expires, NOW + 300);
        assert_eq!(claim("a", "", "c", "u", NOW - day - 1), Err(RepeatFault::TooOld { hours: 24 }));
        assert!(claim("a", "", "c", "u", NOW + 300).is_ok());
        assert_eq!(claim("a", "", "c", "u", NOW + 301), Err(RepeatFault::TooNew));
    }

    #[test]
    fn a_large_outcome_is_kept_in_parts() {
        let claim = claim("a", "", "c", "u", NOW).unwrap();
        for (length, count) in [(0, 0), (PART_BYTES, 0), (PART_BYTES + 1, 1), (3 * PART_BYTES, 2)] {
            let outcome = Bytes::from(vec![7; length]);
            let (kept, parts) = claim.ended("w", &outcome);
            let keys: Vec<ItemKey> = parts.iter().map(|(key, _)| key.clone()).collect();
            assert_eq!((keys.len(), claim.parts(&kept)), (count, keys), "{length}");
            let Progress::Ended { bytes, .. } = kept.progress else { panic!("it has ended") };
            let rest = parts.iter().map(|(_, part)| if let Stored::Part(part) = part { part.bytes.len() } else { 0 });
            assert_eq!(bytes.len() + rest.sum::<usize>(), length);
        }
    }
}
