//! What comes in as events: from a request to [`JobEvent`]s (`reference/microsoft-wire.md` §2.2, §2.4, §2.6).
//!
//! | file | what |
//! |---|---|
//! | `form` | which form a request has, by its headers |
//! | `finance_operations` | the flat object of Finance & Operations, bare or in an envelope |
//! | `event_grid` | the schema of Event Grid, with its validation |
//! | `cloud_events` | CloudEvents 1.0: structured, batched, binary |
//! | `member` | members of objects, read as what they should be |
//!
//! The same event of Finance & Operations is the same [`JobEvent`] in every form, but for a time that only the envelope
//! has.

mod cloud_events;
mod error;
mod event_grid;
mod finance_operations;
mod form;
mod member;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

pub use self::error::{EventFault, Fault, ReadError};
pub use self::form::ReadFormat;

use self::{error::MemberFault, form::Form};
use super::{EventKind, JobEvent};

/// Most events of one request: as many as Event Grid puts into a batch.
pub const MAX_EVENTS: usize = 5_000;

/// What a request brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Events in their order, those that cannot be read among them.
    Events(Vec<Result<JobEvent, EventFault>>),
    /// Event Grid asks whether its events are wanted here. The answer is the code.
    Validation {
        /// `validationCode`.
        code: String,
    },
}

/// What the business event of an id is. The ids of Finance & Operations are names of classes that are not public, so an
/// environment may have others than [`EventKind::business_event_id`] gives.
type Kinds<'k> = &'k dyn Fn(&str) -> Option<EventKind>;

/// Reads the events of a request. `header` gives the first value of a header by its lower-case name; `kind_of` says what the
/// business event of an id is: [`EventKind::from_business_event_id`], unless an environment has other ids.
pub fn read<'h>(
    format: ReadFormat,
    kind_of: impl Fn(&str) -> Option<EventKind>,
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
) -> Result<Received, ReadError> {
    let form = Form::of(format, &header)?;
    let kinds: Kinds<'_> = &kind_of;
    // What some senders on Windows begin a text with.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if form == Form::Binary {
        let data = if body.is_empty() { Value::Null } else { json(body)? };
        let event = cloud_events::binary(&header, &data, kinds);
        return Ok(Received::Events(vec![event.map_err(|fault| fault.at(0, &data))]));
    }
    let elements = elements(form, body)?;
    if let [Ok(only)] = elements.as_slice()
        && let Some(validation) = validation(form, &header, only)
    {
        return Ok(match validation {
            Ok(code) => Received::Validation { code },
            Err(fault) => Received::Events(vec![Err(fault.at(0, only))]),
        });
    }
    let read = |(index, element): (usize, &Element)| match element {
        Ok(value) => {
            object(value).and_then(|object| event(form, object, kinds)).map_err(|fault| fault.at(index, value))
        }
        Err((fault, text)) => Err(fault.at(index, text)),
    };
    Ok(Received::Events(elements.iter().enumerate().map(read).collect()))
}

/// An element of a body; where its numbers or texts are none that can be held, why, and its text.
type Element = Result<Value, (MemberFault, Value)>;

fn json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ReadError> {
    serde_json::from_slice(body).map_err(|error| ReadError::not_json(&error))
}

/// The events of a body: the elements of an array, each of them read alone, or the one object.
fn elements(form: Form, body: &[u8]) -> Result<Vec<Element>, ReadError> {
    let whole: &RawValue = json(body)?;
    match whole.get().as_bytes().first() {
        Some(b'[') if form != Form::Structured => {
            let elements: Vec<&RawValue> = json(body)?;
            if elements.len() > MAX_EVENTS {
                return Err(ReadError::TooMany { got: elements.len() });
            }
            Ok(elements.into_iter().map(element).collect())
        }
        Some(b'{') if form != Form::Batched => Ok(vec![Ok(json(body)?)]),
        _ => Err(ReadError::NoEvent { expected: form.expects(), found: kind_of(&json(body)?) }),
    }
}

fn element(raw: &RawValue) -> Element {
    serde_json::from_str(raw.get()).map_err(|error| {
        let what = Fault::NoJson { line: error.line(), column: error.column() };
        (MemberFault { member: "", what }, Value::String(raw.get().to_owned()))
    })
}

/// The validation code, where the only event of a request is Event Grid's question.
fn validation<'h>(
    form: Form,
    header: &impl Fn(&str) -> Option<&'h str>,
    only: &Value,
) -> Option<Result<String, MemberFault>> {
    let object = only.as_object()?;
    let told = header("aeg-event-type").is_some_and(|kind| kind.eq_ignore_ascii_case("SubscriptionValidation"));
    let grid = form == Form::EventGrid || form == Form::AnyJson;
    (grid && (told || event_grid::is_validation(object))).then(|| event_grid::code(object))
}

fn event(form: Form, object: &Map<String, Value>, kinds: Kinds<'_>) -> Result<JobEvent, MemberFault> {
    let has = |name| object.contains_key(name);
    match form {
        Form::EventGrid => event_grid::event(object, kinds),
        Form::Structured | Form::Batched | Form::CloudJson | Form::Binary => cloud_events::structured(object, kinds),
        Form::AnyJson if has("specversion") => cloud_events::structured(object, kinds),
        Form::AnyJson if has("eventType") => event_grid::event(object, kinds),
        Form::FinanceOperations | Form::AnyJson => finance_operations::bare(object, kinds),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, MemberFault> {
    value.as_object().ok_or(MemberFault { member: "", what: Fault::NoObject { found: kind_of(value) } })
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
