//! Writing the answer to a batch, one item after another.

use std::borrow::Borrow;

use uuid::Uuid;

use super::{Encoded, Encoding, HeaderCase, json, multipart};
use crate::batch::{RequestId, Response, ResponseItem};

/// Bytes that an answer without a body usually takes.
const USUAL: usize = 512;

/// The answer to a batch while it is written. What was written last can be taken back.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    format: Format,
    /// Change sets written so far.
    sets: u128,
}

#[derive(Debug)]
enum Format {
    Json { case: HeaderCase },
    Multipart { key: Uuid, flat: bool, boundary: String },
}

/// A place between two items of a [`Writer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    bytes: usize,
    sets: u128,
}

impl Writer {
    /// An answer without items, with room for this many.
    pub fn new(encoding: Encoding, items: usize) -> Self {
        let mut out = Vec::with_capacity(USUAL * (items + 1));
        let format = match encoding {
            Encoding::Json { header_case } => {
                json::open_responses(&mut out);
                Format::Json { case: header_case }
            }
            Encoding::Multipart { key, flat } => Format::Multipart { key, flat, boundary: multipart::boundary(key) },
        };
        Self { out, format, sets: 0 }
    }

    /// Writes the answer to a request on its own.
    pub fn single(&mut self, response: &Response) {
        match &self.format {
            Format::Json { case } => json::push_response(&mut self.out, response, None, *case),
            Format::Multipart { boundary, .. } => multipart::push_response(&mut self.out, boundary, response),
        }
    }

    /// Writes the answers to the members of a group.
    pub fn group<R: Borrow<Response>>(&mut self, name: Option<&RequestId>, responses: impl IntoIterator<Item = R>) {
        match &self.format {
            Format::Json { case } => {
                for one in responses {
                    json::push_response(&mut self.out, one.borrow(), name, *case);
                }
            }
            Format::Multipart { flat: true, boundary, .. } => {
                for one in responses {
                    multipart::push_response(&mut self.out, boundary, one.borrow());
                }
            }
            Format::Multipart { key, boundary, .. } => {
                self.sets += 1;
                let inner = multipart::set_boundary(*key, self.sets);
                multipart::open_set(&mut self.out, boundary, &inner);
                for one in responses {
                    multipart::push_response(&mut self.out, &inner, one.borrow());
                }
                multipart::close(&mut self.out, &inner);
            }
        }
    }

    /// Writes an item.
    pub fn item(&mut self, item: &ResponseItem) {
        match item {
            ResponseItem::Single(response) => self.single(response),
            ResponseItem::Group { name, responses } => self.group(name.as_ref(), responses),
        }
    }

    /// Where it stands.
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.out.len(), sets: self.sets }
    }

    /// What was written since then.
    pub fn since(&self, mark: Mark) -> &[u8] {
        self.out.get(mark.bytes..).unwrap_or_default()
    }

    /// Takes back what was written since then.
    pub fn rewind(&mut self, mark: Mark) {
        self.out.truncate(mark.bytes);
        self.sets = mark.sets;
    }

    /// Ends the answer.
    pub fn finish(mut self) -> Encoded {
        let content_type = match &self.format {
            Format::Json { .. } => {
                json::close_responses(&mut self.out);
                "application/json".into()
            }
            Format::Multipart { boundary, .. } => {
                multipart::close(&mut self.out, boundary);
                format!("multipart/mixed; boundary={boundary}")
            }
        };
        Encoded { content_type, body: self.out.into() }
    }
}
