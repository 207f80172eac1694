//! What comes in as events: from a request to [`JobEvent`]s (`reference/microsoft-wire.md` §2.2, §2.4, §2.6).
//!
//! | file | what |
//! |---|---|
//! | `form` | which form a request has, by its headers |
//! | `finance_operations` | the flat object of Finance & Operations, bare or in an envelope |
//! | `event_grid` | the schema of Event Grid, with its validation |
//! | `cloud_events` | CloudEvents 1.0: structured, batched, binary |
//! | `member` | members of objects, read as what they should be |
//! | `moment` | when an event happened: the one of the times told that counts |
//!
//! The same event of Finance & Operations is the same [`JobEvent`] in every form, but for a time that only the envelope
//! has.

mod cloud_events;
mod error;
mod event_grid;
mod finance_operations;
mod form;
mod member;
mod moment;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

pub use self::error::{EventFault, Fault, ReadError};
pub use self::form::ReadFormat;

use self::{error::MemberFault, form::Form, member::Members};
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
        let (data, text) =
            if body.is_empty() { (Value::Null, "null") } else { (json(body)?, json::<&RawValue>(body)?.get()) };
        let event = cloud_events::binary(&header, (&data, text), kinds);
        return Ok(Received::Events(vec![event.map_err(|fault| fault.at(0, &data))]));
    }
    let elements = elements(form, body)?;
    if let [Ok((only, _))] = elements.as_slice()
        && let Some(validation) = validation(form, &header, only)
    {
        return Ok(match validation {
            Ok(code) => Received::Validation { code },
            Err(fault) => Received::Events(vec![Err(fault.at(0, only))]),
        });
    }
    let read = |(index, element): (usize, &Element<'_>)| match element {
        Ok((value, text)) => {
            let members = object(value).map(|object| Members::new(object, text));
            members.and_then(|members| event(form, members, kinds)).map_err(|fault| fault.at(index, value))
        }
        Err((fault, text)) => Err(fault.at(index, text)),
    };
    Ok(Received::Events(elements.iter().enumerate().map(read).collect()))
}

/// An element of a body, and its text; where its numbers or texts are none that can be held, why, and its text.
type Element<'b> = Result<(Value, &'b str), (MemberFault, Value)>;

fn json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ReadError> {
    serde_json::from_slice(body).map_err(|error| ReadError::not_json(&error))
}

/// The events of a body: the elements of an array, each of them read alone, or the one object.
fn elements(form: Form, body: &[u8]) -> Result<Vec<Element<'_>>, ReadError> {
    let whole: &RawValue = json(body)?;
    match whole.get().as_bytes().first() {
        Some(b'[') if form != Form::Structured => {
            let elements: Vec<&RawValue> = json(body)?;
            if elements.len() > MAX_EVENTS {
                return Err(ReadError::TooMany { got: elements.len() });
            }
            Ok(elements.into_iter().map(element).collect())
        }
        Some(b'{') if form != Form::Batched => Ok(vec![Ok((json(body)?, whole.get()))]),
        _ => Err(ReadError::NoEvent { expected: form.expects(), found: kind_of(&json(body)?) }),
    }
}

fn element(raw: &RawValue) -> Element<'_> {
    serde_json::from_str(raw.get()).map(|value| (value, raw.get())).map_err(|error| {
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

fn event(form: Form, members: Members<'_>, kinds: Kinds<'_>) -> Result<JobEvent, MemberFault> {
    match form {
        Form::EventGrid => event_grid::event(members, kinds),
        Form::Structured | Form::Batched | Form::CloudJson | Form::Binary => cloud_events::structured(members, kinds),
        Form::AnyJson if members.has("specversion") => cloud_events::structured(members, kinds),
        Form::AnyJson if members.has("eventType") => event_grid::event(members, kinds),
        Form::FinanceOperations | Form::AnyJson => finance_operations::bare(members, kinds),
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
