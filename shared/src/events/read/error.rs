//! Why a request brings no events, and why an event cannot be read.

use std::fmt;

use serde_json::Value;
use uuid::Uuid;

use super::{MAX_EVENTS, member::cut};
use crate::events::{JobEvent, What};

/// Characters that are shown of what a sender wrote.
const SHOWN: usize = 100;
/// The name space of the ids of what cannot be read (RFC 9562, version 5).
const UNREADABLE: Uuid = Uuid::from_u128(0x2d8c_6a90_7f1b_4e53_8c0d_91b7_46ea_350f);

/// Why a request brings no events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The body is no JSON.
    #[error("the body is not JSON: {message} at line {line}, column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// In bytes, from 1; 0 at the end of a line.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The body has a type that no format has.
    #[error(
        "the content type '{0}' is not supported: application/json, application/cloudevents+json and \
         application/cloudevents-batch+json are, in UTF-8, where the format of the source has them"
    )]
    UnsupportedType(String),
    /// The body is compressed.
    #[error("the content coding '{0}' is not supported: bodies are sent as they are")]
    UnsupportedCoding(String),
    /// The body is JSON, but not of the shape that events have.
    #[error("the body is {found}, not {expected}")]
    NoEvent {
        /// What a body of this form is.
        expected: &'static str,
        /// What this one is.
        found: &'static str,
    },
    /// More than [`MAX_EVENTS`].
    #[error("the request has {got} events; {MAX_EVENTS} are possible")]
    TooMany {
        /// So many.
        got: usize,
    },
}

/// An event that cannot be read. Those beside it are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct EventFault {
    /// Its place among the events of the request, from 0.
    pub index: usize,
    /// The member that is wrong; empty where it is the event as a whole.
    pub member: &'static str,
    /// What is wrong.
    pub what: Fault,
    /// What is kept of it. Its id is made of all that was sent: the same when that is sent again, and another one when
    /// it was mended.
    pub event: Box<JobEvent>,
}

/// What is wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It must be there.
    #[error("is missing")]
    Missing,
    /// It is no object.
    #[error("is {found}, not an object")]
    NoObject {
        /// What it is.
        found: &'static str,
    },
    /// It is no text.
    #[error("is {found}, not a string")]
    NoText {
        /// What it is.
        found: &'static str,
    },
    /// It is no whole number of 64 bits, nor the text of one.
    #[error("is not a whole number of 64 bits")]
    NoInteger,
    /// It is no instant.
    #[error("is not a time")]
    NoTime,
    /// It is text, but not of JSON.
    #[error("is not JSON at line {line}, column {column}")]
    NoJson {
        /// From 1.
        line: usize,
        /// In bytes, from 1; 0 at the end of a line.
        column: usize,
    },
    /// It is no base64.
    #[error("is not base64")]
    NoBase64,
    /// Its percent-encoded bytes are no UTF-8.
    #[error("is not UTF-8")]
    NoUtf8,
    /// Another version of CloudEvents.
    #[error("is not \"1.0\"")]
    Version,
    /// It is there beside `data`.
    #[error("stands beside data")]
    Twice,
    /// It is longer than it can be.
    #[error("has more than {max} characters")]
    TooLong {
        /// So many are possible.
        max: usize,
    },
}

/// A [`Fault`] with its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemberFault {
    pub(super) member: &'static str,
    pub(super) what: Fault,
}

impl fmt::Display for EventFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, member, what, .. } = self;
        let separator = if member.is_empty() { "" } else { ": " };
        write!(f, "event {index}{separator}{member} {what}")
    }
}

impl MemberFault {
    /// The fault of an event of a request.
    pub(super) fn at(self, index: usize, sent: &Value) -> EventFault {
        let Self { member, what } = self;
        EventFault { index, member, what, event: Box::new(remains(sent)) }
    }
}

impl ReadError {
    pub(super) fn not_json(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        // The text ends with the position.
        let text = error.to_string();
        let end = format!(" at line {line} column {column}");
        Self::NotJson { line, column, message: text.strip_suffix(&end).unwrap_or(&text).to_owned() }
    }
}

/// What is kept of an event that cannot be read.
fn remains(sent: &Value) -> JobEvent {
    let text = |names: &[&str], max| {
        let found = names.iter().find_map(|name| sent.get(name)?.as_str());
        cut(found.unwrap_or_default(), max)
    };
    JobEvent {
        id: Uuid::new_v5(&UNREADABLE, sent.to_string().as_bytes()),
        given_id: text(&["EventId", "id"], 200),
        what: What::Other,
        type_name: text(&["BusinessEventId", "eventType", "type"], 200),
        control_number: 0,
        time: None,
        time_note: None,
        legal_entity: String::new(),
        job: None,
        job_description: String::new(),
        job_status: String::new(),
        error_text: String::new(),
        trace: None,
    }
}

/// The beginning of what a sender wrote, for messages.
pub(super) fn shortened(text: &str) -> String {
    let mut shown = cut(text, SHOWN);
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
