//! Reading multipart batches.

use std::ops::Range;

use bytes::Bytes;
use http::Method;

use super::{
    message::{self, Cursor},
    parts::{Cut, Parts},
};
use crate::{
    batch::{
        BatchItem, BatchRequest, BatchResponse, Format, Group, Headers, Request, RequestId, Response, ResponseItem,
    },
    wire::{Boundary, DecodeError, Fault, Limits, Position, envelope::essence, error::excerpt, names},
};

/// Reads a batch.
pub(in crate::wire) fn read_requests(
    boundary: &Boundary,
    body: &Bytes,
    limits: &Limits,
) -> Result<BatchRequest, DecodeError> {
    let mut reader = Reader { body, limits, places: Vec::new(), operations: 0, parse: request };
    let items: Vec<_> = reader
        .batch(boundary)?
        .into_iter()
        .map(|item| match item {
            Item::Single(request) => BatchItem::Single(request),
            Item::Set(requests) => BatchItem::Group(Group { name: None, requests }),
        })
        .collect();
    names::check(&items, limits.ids_by_change_set)
        .map_err(|(n, fault)| reader.places.get(n).copied().unwrap_or_default().error(fault))?;
    Ok(BatchRequest { format: Format::Multipart, items })
}

/// Reads an answer.
pub(in crate::wire) fn read_responses(boundary: &Boundary, body: &Bytes) -> Result<BatchResponse, DecodeError> {
    let mut reader = Reader { body, limits: &Limits::NONE, places: Vec::new(), operations: 0, parse: response };
    let items = reader.batch(boundary)?.into_iter().map(|item| match item {
        Item::Single(response) => ResponseItem::Single(response),
        Item::Set(responses) => ResponseItem::Group { name: None, responses },
    });
    Ok(BatchResponse { items: items.collect() })
}

/// Where the reader is: part, operation of its change set, offset.
#[derive(Clone, Copy, Default)]
struct Place {
    part: Option<usize>,
    operation: Option<usize>,
    offset: usize,
}

impl Place {
    fn error(self, fault: Fault) -> DecodeError {
        let Self { part, operation, offset } = self;
        DecodeError::At { position: Position::Multipart { part, operation, offset }, fault }
    }

    fn at(self, offset: usize) -> Self {
        Self { offset, ..self }
    }

    /// For faults of what starts at `offset`.
    fn fault(self, offset: usize) -> impl FnOnce(Fault) -> DecodeError {
        move |fault| self.at(offset).error(fault)
    }
}

enum Item<T> {
    Single(T),
    Set(Vec<T>),
}

/// A part: what its `Content-Type` says, its `Content-ID`, its content.
struct Part {
    kind: Kind,
    id: Option<RequestId>,
    content: Range<usize>,
}

enum Kind {
    Message,
    Set(Boundary),
}

/// An HTTP message; `start` is its first line.
struct Message {
    start: Range<usize>,
    id: Option<RequestId>,
    headers: Headers,
    body: Bytes,
}

type Parse<T> = fn(&Reader<'_, T>, Message, Place) -> Result<T, DecodeError>;

struct Reader<'a, T> {
    body: &'a Bytes,
    limits: &'a Limits,
    /// Place of each operation.
    places: Vec<Place>,
    /// Operations met; those over the limit are counted, not read.
    operations: usize,
    parse: Parse<T>,
}

impl<T> Reader<'_, T> {
    fn batch(&mut self, boundary: &Boundary) -> Result<Vec<Item<T>>, DecodeError> {
        let mut items = Vec::new();
        self.each_part(0..self.body.len(), boundary, Place::default(), |reader, range, number| {
            let place = Place { part: Some(number), operation: None, offset: range.start };
            let part = reader.part(range, place)?;
            match &part.kind {
                Kind::Message => items.extend(reader.operation(part, place)?.map(Item::Single)),
                Kind::Set(inner) => items.push(Item::Set(reader.change_set(inner, part.content, place)?)),
            }
            Ok(())
        })?;
        if self.operations > self.limits.operations {
            return Err(DecodeError::Operations { got: self.operations, max: self.limits.operations });
        }
        Ok(items)
    }

    fn change_set(&mut self, boundary: &Boundary, range: Range<usize>, place: Place) -> Result<Vec<T>, DecodeError> {
        let mut members = Vec::new();
        let got = self.each_part(range, boundary, place, |reader, range, number| {
            let place = Place { operation: Some(number), offset: range.start, ..place };
            let part = reader.part(range, place)?;
            if matches!(part.kind, Kind::Set(_)) {
                return Err(place.error(Fault::NestedChangeSet));
            }
            members.extend(reader.operation(part, place)?);
            Ok(())
        })?;
        match self.limits.change_set_operations {
            Some(max) if got > max => Err(place.error(Fault::ChangeSetOperations { got, max })),
            _ => Ok(members),
        }
    }

    /// Calls `each` with range and number of each part; how many there are, at least one.
    fn each_part(
        &mut self,
        range: Range<usize>,
        boundary: &Boundary,
        place: Place,
        mut each: impl FnMut(&mut Self, Range<usize>, usize) -> Result<(), DecodeError>,
    ) -> Result<usize, DecodeError> {
        let body = self.body;
        let base = range.start;
        let place = place.at(base);
        let needle = format!("--{boundary}");
        let mut count = 0;
        for part in Parts::new(body.get(range).unwrap_or_default(), &needle) {
            let boundary = || boundary.to_string();
            let part = part.map_err(|cut| match cut {
                Cut::NoDelimiter => place.error(Fault::NoDelimiter { boundary: boundary() }),
                Cut::Unclosed(at) => {
                    // In the batch itself, the part that does not end is named.
                    let part = place.part.or(Some(count + 1));
                    let operation = place.part.map(|_| count + 1);
                    Place { part, operation, offset: base + at }.error(Fault::Unclosed { boundary: boundary() })
                }
            })?;
            count += 1;
            each(self, base + part.start..base + part.end, count)?;
        }
        if count == 0 { Err(place.error(Fault::NoParts)) } else { Ok(count) }
    }

    /// Reads the headers of a part; others than the two that matter are skipped.
    fn part(&self, range: Range<usize>, place: Place) -> Result<Part, DecodeError> {
        let mut cursor = Cursor::new(self.body, range);
        cursor.skip_empty_lines();
        let start = cursor.offset();
        let (mut content_type, mut id) = (None, None);
        loop {
            let line = cursor.offset();
            let fault = place.fault(line);
            let Some(field) = cursor.field().map_err(place.fault(line))? else { break };
            message::check_size(&cursor, start, self.limits).map_err(place.fault(line))?;
            let name = cursor.text(field.name);
            if name.eq_ignore_ascii_case(b"content-type") {
                content_type = Some(field.value);
            } else if name.eq_ignore_ascii_case(b"content-id") {
                id = Some(request_id(&field.value).map_err(fault)?);
            }
        }
        let content_type = content_type.unwrap_or_default();
        let kind = kind(&content_type).map_err(place.fault(start))?;
        Ok(Part { kind, id, content: cursor.rest() })
    }

    /// Reads an operation, unless it is over the limit.
    fn operation(&mut self, part: Part, place: Place) -> Result<Option<T>, DecodeError> {
        self.operations += 1;
        if self.operations > self.limits.operations {
            return Ok(None);
        }
        self.places.push(place);
        let message = self.message(part, place)?;
        (self.parse)(self, message, place).map(Some)
    }

    fn message(&self, part: Part, place: Place) -> Result<Message, DecodeError> {
        let mut cursor = Cursor::new(self.body, part.content);
        cursor.skip_empty_lines();
        let at = cursor.offset();
        let start = cursor.line().ok_or_else(|| place.at(at).error(Fault::NoStartLine))?;
        let at = cursor.offset();
        let mut headers =
            message::headers(&mut cursor, self.limits).map_err(|(at, fault)| place.at(at).error(fault))?;
        let mut id = part.id;
        while let Some(value) = headers.take("content-id") {
            let inner = request_id(value.as_bytes()).map_err(place.fault(at))?;
            match id {
                Some(part) if part != inner => {
                    return Err(place.at(at).error(Fault::TwoIds { part, request: inner }));
                }
                _ => id = Some(inner),
            }
        }
        Ok(Message { start, id, headers, body: self.body.slice(cursor.rest()) })
    }

    fn line(&self, range: &Range<usize>) -> &[u8] {
        self.body.get(range.clone()).unwrap_or_default()
    }
}

fn request(reader: &Reader<'_, Request>, message: Message, place: Place) -> Result<Request, DecodeError> {
    let line = reader.line(&message.start);
    let (method, url) = message::request_line(line, reader.limits).map_err(place.fault(message.start.start))?;
    let Message { id, headers, mut body, .. } = message;
    // Some clients end a request without body with more than its two line ends.
    if matches!(method, Method::GET | Method::HEAD | Method::DELETE) && body.trim_ascii().is_empty() {
        body.clear();
    }
    Ok(Request { id, method, url, headers, body, depends_on: Vec::new(), condition: None })
}

fn response(reader: &Reader<'_, Response>, message: Message, place: Place) -> Result<Response, DecodeError> {
    let line = reader.line(&message.start);
    let status = message::status_line(line).map_err(place.fault(message.start.start))?;
    let Message { id, headers, body, .. } = message;
    Ok(Response { id, status, headers, body })
}

fn kind(content_type: &[u8]) -> Result<Kind, Fault> {
    let text = std::str::from_utf8(content_type).unwrap_or_default();
    let essence = essence(text);
    if essence.eq_ignore_ascii_case("application/http") {
        Ok(Kind::Message)
    } else if essence.eq_ignore_ascii_case("multipart/mixed") {
        Ok(Kind::Set(Boundary::from_content_type(text)?))
    } else {
        Err(Fault::PartType { got: excerpt(content_type) })
    }
}

fn request_id(value: &[u8]) -> Result<RequestId, Fault> {
    Ok(RequestId::new(&String::from_utf8_lossy(value))?)
}
