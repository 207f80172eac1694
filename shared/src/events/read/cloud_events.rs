//! CloudEvents 1.0: structured, batched, binary (`reference/microsoft-wire.md` §2.6).

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{
    Fault, Kinds,
    error::MemberFault,
    finance_operations::{self, Around, Payload},
    member::Members,
    moment::{Moment, Told},
};
use crate::events::JobEvent;

/// Longest trace that is looked at, in bytes.
const MAX_TRACE: usize = 2_048;

/// An event as one object: the body of a structured one, an element of a batch.
pub(super) fn structured(members: Members<'_>, kinds: Kinds<'_>) -> Result<JobEvent, MemberFault> {
    check_version(members.needed_text("specversion")?)?;
    let around = Around {
        id: members.needed_text("id")?,
        source: members.needed_text("source")?,
        kind: members.needed_text("type")?,
        time: Told { member: "time", moment: members.moment("time") },
    };
    let decoded = decoded(members)?;
    let payload = match &decoded {
        Some((data, text)) => Payload::of(Some(data), text)?,
        None => Payload::of(members.get("data"), members.sent("data").unwrap_or_default())?,
    };
    let event = finance_operations::event(payload.members(), &around, kinds)?;
    let text = |name| members.get(name).and_then(Value::as_str);
    Ok(JobEvent { trace: trace(text("traceparent"), text("tracestate")), ..event })
}

/// `data_base64` as the JSON that it encodes, and its text.
fn decoded(members: Members<'_>) -> Result<Option<(Value, String)>, MemberFault> {
    const MEMBER: &str = "data_base64";
    let fault = |what| MemberFault { member: MEMBER, what };
    let Some(text) = members.text(MEMBER)? else { return Ok(None) };
    if members.get("data").is_some() {
        return Err(fault(Fault::Twice));
    }
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| fault(Fault::NoBase64))?;
    let read = serde_json::from_slice(&bytes);
    let value = read.map_err(|error| fault(Fault::NoJson { line: error.line(), column: error.column() }))?;
    Ok(Some((value, String::from_utf8(bytes).map_err(|_| fault(Fault::NoUtf8))?)))
}

/// An event whose attributes are headers.
pub(super) fn binary<'h>(
    header: &impl Fn(&str) -> Option<&'h str>,
    (data, text): (&Value, &str),
    kinds: Kinds<'_>,
) -> Result<JobEvent, MemberFault> {
    check_version(&needed(header, "ce-specversion")?)?;
    let id = needed(header, "ce-id")?;
    let source = needed(header, "ce-source")?;
    let kind = needed(header, "ce-type")?;
    let time = attribute(header, "ce-time")?.map_or(Moment::Absent, |time| Moment::read(&time));
    let around = Around { id: &id, source: &source, kind: &kind, time: Told { member: "ce-time", moment: time } };
    let payload = Payload::of(Some(data), text)?;
    let event = finance_operations::event(payload.members(), &around, kinds)?;
    Ok(JobEvent { trace: trace(header("ce-traceparent"), header("ce-tracestate")), ..event })
}

/// The attributes of the extension Distributed Tracing. No event is refused for them.
fn trace(parent: Option<&str>, state: Option<&str>) -> Option<String> {
    let text = match state {
        None => parent?.to_owned(),
        Some(state) => format!("{} {state}", parent?),
    };
    (text.len() <= MAX_TRACE).then_some(text)
}

fn check_version(version: &str) -> Result<(), MemberFault> {
    if version == "1.0" { Ok(()) } else { Err(MemberFault { member: "specversion", what: Fault::Version }) }
}

fn needed<'h>(header: &impl Fn(&str) -> Option<&'h str>, member: &'static str) -> Result<Cow<'h, str>, MemberFault> {
    attribute(header, member)?.ok_or(MemberFault { member, what: Fault::Missing })
}

/// The value of an attribute (HTTP binding, §3.1.3.2): taken out of its quotes, then decoded once.
fn attribute<'h>(
    header: &impl Fn(&str) -> Option<&'h str>,
    member: &'static str,
) -> Result<Option<Cow<'h, str>>, MemberFault> {
    let Some(value) = header(member) else { return Ok(None) };
    let decoded = match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => percent_decode_str(&unescaped(quoted)).decode_utf8().map(|text| Cow::Owned(text.into_owned())),
        None => percent_decode_str(value).decode_utf8(),
    };
    let text = decoded.map_err(|_| MemberFault { member, what: Fault::NoUtf8 })?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// A quoted string without its backslashes (RFC 9110 §5.6.4).
fn unescaped(quoted: &str) -> String {
    let mut escaped = false;
    quoted
        .chars()
        .filter(|c| {
            escaped = *c == '\\' && !escaped;
            !escaped
        })
        .collect()
}
