//! What is kept of a request that may be repeated: who is at work on it, or how it ended.
//!
//! Such an item counts until its time is over, whether DynamoDB has removed it by then or not.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bytes::Bytes;

use super::{Item, StoreError, attribute};

/// Names, numbers and the writer.
const OVERHEAD: usize = 100;

/// The state of a request that may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Digest of the request: another one with its id has another.
    pub digest: String,
    /// The operation that wrote this.
    pub writer: String,
    /// When it is over, in seconds since 1970.
    pub expires: i64,
    /// How far it is.
    pub progress: Progress,
}

/// How far a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Somebody is at work on it.
    Running {
        /// Until then nobody else may be, in milliseconds since 1970.
        until: i64,
    },
    /// It has ended.
    Ended {
        /// How, or the first part of it.
        bytes: Bytes,
        /// How many items hold the rest.
        parts: usize,
    },
}

/// A further part of how a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its bytes.
    pub bytes: Bytes,
    /// When it is over, in seconds since 1970.
    pub expires: i64,
}

impl Kept {
    /// Reads an item; `None` when it is another kind of item.
    pub(super) fn from_item(item: &Item) -> Result<Option<Self>, StoreError> {
        let Some(digest) = item.get(attribute::DIGEST) else { return Ok(None) };
        let progress = match item.get(attribute::RUNNING) {
            Some(until) => Progress::Running { until: attribute::integer(until)? },
            None => Progress::Ended {
                bytes: bytes(item)?,
                parts: item.get(attribute::PARTS).map_or(Ok(0), attribute::integer)?.try_into().unwrap_or_default(),
            },
        };
        let writer = item.get(attribute::WRITER).map_or(Ok(""), attribute::text)?.to_owned();
        Ok(Some(Self { digest: attribute::text(digest)?.to_owned(), writer, expires: expires(item)?, progress }))
    }

    pub(super) fn to_item(&self, item: &mut Item) {
        item.insert(attribute::DIGEST.into(), AttributeValue::S(self.digest.clone()));
        item.insert(attribute::WRITER.into(), AttributeValue::S(self.writer.clone()));
        item.insert(attribute::EXPIRES.into(), AttributeValue::N(self.expires.to_string()));
        match &self.progress {
            Progress::Running { until } => {
                item.insert(attribute::RUNNING.into(), AttributeValue::N(until.to_string()));
            }
            Progress::Ended { bytes, parts } => {
                item.insert(attribute::BYTES.into(), AttributeValue::B(Blob::new(bytes.to_vec())));
                if *parts > 0 {
                    item.insert(attribute::PARTS.into(), AttributeValue::N(parts.to_string()));
                }
            }
        }
    }

    /// What it takes of an item, in bytes.
    pub(super) fn size(&self) -> usize {
        let bytes = if let Progress::Ended { bytes, .. } = &self.progress { bytes.len() } else { 0 };
        OVERHEAD + self.digest.len() + bytes
    }
}

impl Part {
    /// Reads an item; `None` when it is another kind of item.
    pub(super) fn from_item(item: &Item) -> Result<Option<Self>, StoreError> {
        if !item.contains_key(attribute::BYTES) {
            return Ok(None);
        }
        Ok(Some(Self { bytes: bytes(item)?, expires: expires(item)? }))
    }

    pub(super) fn to_item(&self, item: &mut Item) {
        item.insert(attribute::BYTES.into(), AttributeValue::B(Blob::new(self.bytes.to_vec())));
        item.insert(attribute::EXPIRES.into(), AttributeValue::N(self.expires.to_string()));
    }

    /// What it takes of an item, in bytes.
    pub(super) fn size(&self) -> usize {
        OVERHEAD + self.bytes.len()
    }
}

fn bytes(item: &Item) -> Result<Bytes, StoreError> {
    match item.get(attribute::BYTES) {
        Some(AttributeValue::B(blob)) => Ok(Bytes::copy_from_slice(blob.as_ref())),
        _ => Err(StoreError::Corrupt("an outcome without bytes".into())),
    }
}

fn expires(item: &Item) -> Result<i64, StoreError> {
    item.get(attribute::EXPIRES).map_or(Ok(0), attribute::integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        let kept = |progress| Kept { digest: "d".into(), writer: "w".into(), expires: 7, progress };
        let ended = Progress::Ended { bytes: Bytes::from_static(&[0, 0xff]), parts: 2 };
        for kept in [kept(Progress::Running { until: -1 }), kept(ended)] {
            let mut item = Item::new();
            kept.to_item(&mut item);
            assert_eq!(Kept::from_item(&item).unwrap(), Some(kept));
        }
        let (part, mut item) = (Part { bytes: Bytes::from_static(b"x"), expires: 1 }, Item::new());
        part.to_item(&mut item);
        assert_eq!((Kept::from_item(&item).unwrap(), Part::from_item(&item).unwrap()), (None, Some(part)));
        assert_eq!(Part::from_item(&Item::new()).unwrap(), None);
    }
}
