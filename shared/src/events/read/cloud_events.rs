//! CloudEvents 1.0: structured, batched, binary (`reference/microsoft-wire.md` §2.6).

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{
    Fault, Kinds,
    error::MemberFault,
    finance_operations::{self, Around, payload},
    member::{Members, instant},
};
use crate::events::JobEvent;

/// Longest trace that is looked at, in bytes.
const MAX_TRACE: usize = 2_048;

/// An event as one object: the body of a structured one, an element of a batch.
pub(super) fn structured(object: &Map<String, Value>, kinds: Kinds<'_>) -> Result<JobEvent, MemberFault> {
    let members = Members(object);
    check_version(members.needed_text("specversion")?)?;
    let around = Around {
        id: members.needed_text("id")?,
        source: members.needed_text("source")?,
        kind: members.needed_text("type")?,
        time: members.time("time")?,
    };
    let decoded = bytes(members)?;
    let data = decoded.as_ref().or_else(|| members.get("data"));
    let event = finance_operations::event(&*payload(data)?, &around, kinds)?;
    let text = |name| object.get(name).and_then(Value::as_str);
    Ok(JobEvent { trace: trace(text("traceparent"), text("tracestate")), ..event })
}

/// `data_base64` as the JSON that it encodes.
fn bytes(members: Members<'_>) -> Result<Option<Value>, MemberFault> {
    const MEMBER: &str = "data_base64";
    let fault = |what| MemberFault { member: MEMBER, what };
    let Some(text) = members.text(MEMBER)? else { return Ok(None) };
    if members.get("data").is_some() {
        return Err(fault(Fault::Twice));
    }
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| fault(Fault::NoBase64))?;
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|error| fault(Fault::NoJson { line: error.line(), column: error.column() }))
}

/// An event whose attributes are headers.
pub(super) fn binary<'h>(
    header: &impl Fn(&str) -> Option<&'h str>,
    data: &Value,
    kinds: Kinds<'_>,
) -> Result<JobEvent, MemberFault> {
    check_version(&needed(header, "ce-specversion")?)?;
    let id = needed(header, "ce-id")?;
    let source = needed(header, "ce-source")?;
    let kind = needed(header, "ce-type")?;
    let time = match attribute(header, "ce-time")? {
        Some(time) => instant("ce-time", time.parse().ok())?,
        None => None,
    };
    let around = Around { id: &id, source: &source, kind: &kind, time };
    let event = finance_operations::event(&*payload(Some(data))?, &around, kinds)?;
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
