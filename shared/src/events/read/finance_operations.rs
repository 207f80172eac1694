//! The flat object of Finance & Operations, bare or in an envelope (`reference/microsoft-wire.md` §2.2).

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Fault, Kinds,
    error::MemberFault,
    kind_of,
    member::{Members, cut},
    moment::{Told, chosen},
};
use crate::events::{EventKind, JobEvent, TEST_EVENT, What};

/// The name space of the ids of events whose own id is no GUID (RFC 9562, version 5).
const EVENT_IDS: Uuid = Uuid::from_u128(0xc4b0_5e17_93d2_4f68_a1e9_3f70_5b8d_26c1);

/// Characters that are kept of ids, types, companies and states.
const SHORT: usize = 200;
/// Characters that are kept of a description.
const DESCRIPTION: usize = 1_000;
/// Characters that are kept of what went wrong.
const ERROR: usize = 2_000;

/// What an envelope says around a payload; nothing without one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around<'e> {
    /// The id of the event.
    pub(super) id: &'e str,
    /// Who sent it: ids of one source differ.
    pub(super) source: &'e str,
    /// What happened.
    pub(super) kind: &'e str,
    /// When it happened.
    pub(super) time: Told,
}

/// The payload of an envelope.
pub(super) struct Payload<'e> {
    members: Cow<'e, Map<String, Value>>,
    text: &'e str,
}

/// An event without an envelope.
pub(super) fn bare(members: Members<'_>, kinds: Kinds<'_>) -> Result<JobEvent, MemberFault> {
    event(members, &Around::default(), kinds)
}

impl<'e> Payload<'e> {
    /// The object of this text, or the one whose text it is. Without data, an object without members.
    pub(super) fn of(data: Option<&'e Value>, text: &'e str) -> Result<Self, MemberFault> {
        let fault = |what| MemberFault { member: "data", what };
        match data {
            None | Some(Value::Null) => Ok(Self { members: Cow::Owned(Map::new()), text: "{}" }),
            Some(Value::Object(members)) => Ok(Self { members: Cow::Borrowed(members), text }),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(Value::Object(members)) => Ok(Self { members: Cow::Owned(members), text }),
                Ok(other) => Err(fault(Fault::NoObject { found: kind_of(&other) })),
                Err(error) => Err(fault(Fault::NoJson { line: error.line(), column: error.column() })),
            },
            Some(other) => Err(fault(Fault::NoObject { found: kind_of(other) })),
        }
    }

    pub(super) fn members(&self) -> Members<'_> {
        Members::new(&self.members, self.text)
    }
}

/// The event of a payload.
pub(super) fn event(payload: Members<'_>, around: &Around<'_>, kinds: Kinds<'_>) -> Result<JobEvent, MemberFault> {
    let (id, given_id) = id(payload.text("EventId")?.unwrap_or_default(), around)
        .ok_or(MemberFault { member: "EventId", what: Fault::Missing })?;
    let told = |member| Told { member, moment: payload.moment(member) };
    // The finer one of the two comes first.
    let (time, time_note) = chosen(&[told("EventTimeIso8601"), told("EventTime"), around.time])?;
    let business_event_id = payload.text("BusinessEventId")?.unwrap_or_default();
    // A record id of 0 is an empty one.
    let job = payload.integer("JobId")?.filter(|job| *job != 0);
    let status = payload.text("JobStatus")?.unwrap_or_default();
    let what = if [business_event_id, last_segment(around.kind)].contains(&TEST_EVENT) {
        What::Test
    } else {
        let ids = [business_event_id, around.kind, last_segment(around.kind)];
        let by_status = || job.and_then(|_| by_status(status));
        ids.into_iter().find_map(kinds).or_else(by_status).map_or(What::Other, What::Job)
    };
    if matches!(what, What::Job(_)) && job.is_none() {
        return Err(MemberFault { member: "JobId", what: Fault::Missing });
    }
    Ok(JobEvent {
        id,
        given_id: cut(given_id, SHORT),
        what,
        type_name: cut(if business_event_id.is_empty() { around.kind } else { business_event_id }, SHORT),
        control_number: payload.integer("ControlNumber")?.unwrap_or(0),
        time,
        time_note,
        legal_entity: payload.short_text("BusinessEventLegalEntity", SHORT)?,
        job,
        job_description: payload.short_text("JobDescription", DESCRIPTION)?,
        job_status: cut(status, SHORT),
        error_text: error_text(payload)?,
        trace: None,
    })
}

/// The id, and the text it was made of: a GUID of the payload, one of the envelope, or one made of the envelope's source
/// and id. The GUID of zeros is an empty one.
fn id<'e>(event_id: &'e str, around: &Around<'e>) -> Option<(Uuid, &'e str)> {
    let guid = |text: &'e str| Some((Uuid::try_parse(text).ok().filter(|id| !id.is_nil())?, text));
    let made = |source: &str, id: &'e str| {
        // With the length, two pairs of texts are never one.
        let name = format!("{}\0{source}\0{id}", source.len());
        let usable = !id.is_empty() && Uuid::try_parse(id).is_err();
        usable.then(|| (Uuid::new_v5(&EVENT_IDS, name.as_bytes()), id))
    };
    guid(event_id).or_else(|| guid(around.id)).or_else(|| made(around.source, around.id)).or_else(|| made("", event_id))
}

/// `type` of a CloudEvent is often a name in reverse domain order, `com.example.BatchJobFailedBusinessEvent`.
fn last_segment(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}

/// The event that a job in this state has just had.
fn by_status(status: &str) -> Option<EventKind> {
    let kinds = [
        ("Error", EventKind::Failed),
        ("Finished", EventKind::Finished),
        ("Canceled", EventKind::Canceled),
        ("Cancelled", EventKind::Canceled),
        ("Executing", EventKind::Started),
    ];
    kinds.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(status)).map(|(_, kind)| kind)
}

fn error_text(payload: Members<'_>) -> Result<String, MemberFault> {
    for member in ["ErrorText", "ErrorMessage", "ExceptionDetails"] {
        if let Some(text) = payload.text(member)? {
            return Ok(cut(text, ERROR));
        }
    }
    Ok(String::new())
}
