//! Reading multipart batches.

use std::ops::Range;

use bytes::Bytes;

use super::{
    message::{self, Cursor},
    parts::{Cut, Parts},
};
use crate::{
    batch::{
        BatchItem, BatchRequest, BatchResponse, Format, Group, Headers, Request, RequestId, Response, ResponseItem,
        takes_body,
    },
    wire::{Boundary, DecodeError, Fault, Limits, Position, envelope::essence, error::excerpt, names},
};

/// Reads a batch.
pub(in crate::wire) fn read_requests(
    boundary: &Boundary,
    body: &Bytes,
    limits: &Limits,
) -> Result<BatchRequest, DecodeError> {
    let stand_in = limits.faulty_request_fails_alone.then_some(faulty as StandIn<Request>);
    let mut reader = Reader { body, limits, places: Vec::new(), operations: 0, parse: request, stand_in };
    let mut items: Vec<_> = reader
        .batch(boundary)?
        .into_iter()
        .map(|item| match item {
            Item::Single(request) => BatchItem::Single(request),
            Item::Set(requests) => BatchItem::Group(Group { name: None, requests }),
        })
        .collect();
    let duplicates = names::duplicates(&items, limits.ids_by_change_set);
    let mut requests = items.iter_mut().flat_map(BatchItem::requests_mut).enumerate();
    for (n, fault) in duplicates {
        let error = reader.places.get(n).copied().unwrap_or_default().error(fault);
        if !limits.faulty_request_fails_alone {
            return Err(error);
        }
        if let Some((_, request)) = requests.find(|(at, _)| *at == n) {
            request.fault.get_or_insert_with(|| error.into());
        }
    }
    Ok(BatchRequest { format: Format::Multipart, items })
}

/// Reads an answer.
pub(in crate::wire) fn read_responses(boundary: &Boundary, body: &Bytes) -> Result<BatchResponse, DecodeError> {
    let (places, parse) = (Vec::new(), response);
    let mut reader = Reader { body, limits: &Limits::NONE, places, operations: 0, parse, stand_in: None };
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

/// Makes what stands for an operation that cannot be read, of its id and of the fault.
type StandIn<T> = fn(Option<RequestId>, DecodeError) -> T;

struct Reader<'a, T> {
    body: &'a Bytes,
    limits: &'a Limits,
    /// Place of each operation.
    places: Vec<Place>,
    /// Operations met; those over the limit are counted, not read.
    operations: usize,
    parse: Parse<T>,
    /// Without it, what cannot be read ends the batch.
    stand_in: Option<StandIn<T>>,
}

impl<T> Reader<'_, T> {
    fn batch(&mut self, boundary: &Boundary) -> Result<Vec<Item<T>>, DecodeError> {
        let mut items = Vec::new();
        self.each_part(0..self.body.len(), boundary, Place::default(), |reader, range, number| {
            let place = Place { part: Some(number), operation: None, offset: range.start };
            match reader.part(range.clone(), place) {
                Ok(Part { kind: Kind::Set(inner), content, .. }) => {
                    items.push(Item::Set(reader.change_set(&inner, content, place)?));
                }
                part => items.extend(reader.operation(part, range, place)?.map(Item::Single)),
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
            let part = reader.part(range.clone(), place).and_then(|part| match part.kind {
                Kind::Set(_) => Err(place.error(Fault::NestedChangeSet)),
                Kind::Message => Ok(part),
            });
            members.extend(reader.operation(part, range, place)?);
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

    /// Reads an operation of the part in `range`, unless it is over the limit.
    fn operation(
        &mut self,
        part: Result<Part, DecodeError>,
        range: Range<usize>,
        place: Place,
    ) -> Result<Option<T>, DecodeError> {
        self.operations += 1;
        if self.operations > self.limits.operations {
            return Ok(None);
        }
        self.places.push(place);
        // Where a `Content-ID` may be, should the part or its request be unreadable.
        let (id, block) = part.as_ref().map_or((None, range), |part| (part.id.clone(), part.content.clone()));
        let message = part.and_then(|part| self.message(part, place));
        match (message.and_then(|message| (self.parse)(self, message, place)), self.stand_in) {
            (Ok(operation), _) => Ok(Some(operation)),
            (Err(error), None) => Err(error),
            (Err(error), Some(stand_in)) => Ok(Some(stand_in(id.or_else(|| self.id_in(block)), error))),
        }
    }

    /// The `Content-ID` in a header block with lines that cannot be read.
    fn id_in(&self, block: Range<usize>) -> Option<RequestId> {
        let mut cursor = Cursor::new(self.body, block);
        cursor.skip_empty_lines();
        loop {
            match cursor.field() {
                Ok(None) => return None,
                Ok(Some(field)) if cursor.text(field.name.clone()).eq_ignore_ascii_case(b"content-id") => {
                    return request_id(&field.value).ok();
                }
                Ok(Some(_)) | Err(_) => {}
            }
        }
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
    let Message { id, headers, body, .. } = message;
    let body = if takes_body(&method) { body } else { Bytes::new() };
    Ok(Request { method, url, headers, body, ..Request::new(id) })
}

fn faulty(id: Option<RequestId>, error: DecodeError) -> Request {
    Request { fault: Some(error.into()), ..Request::new(id) }
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
