//! Reading JSON batches.

use std::{cell::Cell, collections::HashSet};

use bytes::Bytes;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

use super::{
    document::{Document, Members, Outer},
    object::{self, Wrong},
};
use crate::{
    batch::{BatchItem, BatchRequest, BatchResponse, Format, Group, Request, RequestId, Response, ResponseItem},
    wire::{DecodeError, Fault, Limits, Position, names},
};

/// Reads a batch.
pub(in crate::wire) fn read_requests(body: &Bytes, limits: &Limits) -> Result<BatchRequest, DecodeError> {
    let text = Text::new(body)?;
    let document = text.document(Outer { list: "requests", max: limits.operations })?;
    if document.total > limits.operations {
        return Err(DecodeError::Operations { got: document.total, max: limits.operations });
    }
    let mut items: Vec<BatchItem> = Vec::with_capacity(document.objects.len());
    let mut groups = HashSet::new();
    for (n, members) in document.objects.iter().enumerate() {
        let (mut request, group) = object::place(members, limits).map_err(|wrong| text.wrong(n, members, wrong))?;
        if let Err(wrong) = object::content(&mut request, members, body, limits) {
            let error = text.wrong(n, members, wrong);
            if !limits.faulty_request_fails_alone {
                return Err(error);
            }
            request.fault = Some(error.into());
        }
        let fault = |fault| text.error(Some(n), start_of(members), fault);
        add(&mut items, &mut groups, request, group).map_err(fault)?;
        if let (Some(BatchItem::Group(group)), Some(max)) = (items.last(), limits.change_set_operations)
            && group.requests.len() > max
        {
            return Err(fault(Fault::ChangeSetOperations { got: group.requests.len(), max }));
        }
    }
    names::check(&items).map_err(|(n, fault)| {
        let at = document.objects.get(n).and_then(start_of);
        text.error(Some(n), at, fault)
    })?;
    Ok(BatchRequest { format: Format::Json, items })
}

/// Reads an answer.
pub(in crate::wire) fn read_responses(body: &Bytes) -> Result<BatchResponse, DecodeError> {
    let text = Text::new(body)?;
    let document = text.document(Outer { list: "responses", max: usize::MAX })?;
    let mut items: Vec<ResponseItem> = Vec::new();
    for (n, members) in document.objects.iter().enumerate() {
        let (response, group) =
            object::response(members, body, &Limits::NONE).map_err(|wrong| text.wrong(n, members, wrong))?;
        add_response(&mut items, response, group);
    }
    Ok(BatchResponse { items })
}

/// Adds a request to the batch, or to its group when that is the last item.
fn add(
    items: &mut Vec<BatchItem>,
    groups: &mut HashSet<RequestId>,
    request: Request,
    group: Option<RequestId>,
) -> Result<(), Fault> {
    let Some(name) = group else {
        items.push(BatchItem::Single(request));
        return Ok(());
    };
    match items.last_mut() {
        Some(BatchItem::Group(last)) if last.name.as_ref() == Some(&name) => last.requests.push(request),
        _ if !groups.insert(name.clone()) => return Err(Fault::GroupSplit(name)),
        _ => items.push(BatchItem::Group(Group { name: Some(name), requests: vec![request] })),
    }
    Ok(())
}

fn add_response(items: &mut Vec<ResponseItem>, response: Response, group: Option<RequestId>) {
    match (items.last_mut(), group) {
        (Some(ResponseItem::Group { name, responses }), Some(group)) if name.as_ref() == Some(&group) => {
            responses.push(response);
        }
        (_, Some(group)) => items.push(ResponseItem::Group { name: Some(group), responses: vec![response] }),
        (_, None) => items.push(ResponseItem::Single(response)),
    }
}

/// The first value of an object: close enough to say where the object is.
fn start_of<'a>(members: &Members<'a>) -> Option<&'a RawValue> {
    members.0.first().map(|(_, value)| *value)
}

/// The text of a batch, to tell lines and columns.
struct Text<'a> {
    body: &'a str,
    /// Bytes before it: a byte order mark.
    skipped: usize,
    /// The last place that was told: of many faults each is found from the one before.
    last: Cell<Place>,
}

/// A byte of a text, its line from 1, and the byte that the line starts with.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    line: usize,
    start: usize,
}

impl Place {
    const START: Self = Self { at: 0, line: 1, start: 0 };

    /// The place of a later byte.
    fn to(self, at: usize, text: &[u8]) -> Self {
        let between = text.get(self.at..at).unwrap_or_default();
        let line = self.line + memchr::memchr_iter(b'\n', between).count();
        let start = memchr::memrchr(b'\n', between).map_or(self.start, |last| self.at + last + 1);
        Self { at, line, start }
    }

    /// Its position in the n-th object.
    fn position(self, request: Option<usize>) -> Position {
        Position::Json { request, line: self.line, column: self.at - self.start + 1 }
    }
}

impl<'a> Text<'a> {
    fn new(body: &'a Bytes) -> Result<Self, DecodeError> {
        match std::str::from_utf8(body) {
            Ok(whole) => {
                let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
                Ok(Self { body: text, skipped: whole.len() - text.len(), last: Cell::new(Place::START) })
            }
            Err(error) => {
                let position = Place::START.to(error.valid_up_to(), body).position(None);
                Err(DecodeError::At { position, fault: Fault::Json("invalid UTF-8".into()) })
            }
        }
    }

    fn document(&self, outer: Outer) -> Result<Document<'a>, DecodeError> {
        let mut deserializer = serde_json::Deserializer::from_str(self.body);
        let document = outer.deserialize(&mut deserializer);
        document.and_then(|document| deserializer.end().map(|()| document)).map_err(|error| self.json(&error))
    }

    fn json(&self, error: &serde_json::Error) -> DecodeError {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let place = format!(" at line {line} column {column}");
        let message = message.strip_suffix(&place).unwrap_or(&message);
        let column = if line == 1 { column + self.skipped } else { column };
        let position = Position::Json { request: None, line, column };
        DecodeError::At { position, fault: Fault::Json(message.into()) }
    }

    fn wrong(&self, n: usize, members: &Members<'_>, wrong: Wrong<'_>) -> DecodeError {
        self.error(Some(n), wrong.value.or(start_of(members)), wrong.fault)
    }

    /// An error of the n-th object, at a value that points into the text.
    fn error(&self, n: Option<usize>, value: Option<&RawValue>, fault: Fault) -> DecodeError {
        let start = value.map_or(0, |value| value.get().as_ptr().addr().saturating_sub(self.body.as_ptr().addr()));
        let last = self.last.get();
        let place = if last.at <= start { last } else { Place::START }.to(start, self.body.as_bytes());
        self.last.set(place);
        let mut position = place.position(n.map(|n| n + 1));
        if let Position::Json { line: 1, column, .. } = &mut position {
            *column += self.skipped;
        }
        DecodeError::At { position, fault }
    }
}
