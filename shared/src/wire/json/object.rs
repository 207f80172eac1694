//! One object of `requests` or `responses`, member by member.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::value::RawValue;

use super::document::{Members, Name};
use crate::{
    batch::{Headers, HeadersError, Request, RequestId, Response, takes_body},
    wire::{
        Fault, Limits,
        envelope::{BodyForm, essence},
        error::excerpt,
    },
};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// A fault, and the value it is about unless that is the whole object.
pub(super) struct Wrong<'a> {
    pub(super) fault: Fault,
    pub(super) value: Option<&'a RawValue>,
}

/// For faults of one value.
fn of<'a>(value: &'a RawValue) -> impl FnOnce(Fault) -> Wrong<'a> {
    move |fault| Wrong { fault, value: Some(value) }
}

/// For faults of the whole object.
fn whole<'a>(fault: Fault) -> Wrong<'a> {
    Wrong { fault, value: None }
}

/// Reads the place of a request in its batch: id and dependencies, in a request of nothing, and the name of its group.
pub(super) fn place<'a>(members: &Members<'a>, limits: &Limits) -> Result<(Request, Option<RequestId>), Wrong<'a>> {
    let [id, group, depends_on] = slots(members, ["id", "atomicityGroup", "dependsOn"])?;
    let id = id.map(|value| name("id", value)).transpose()?;
    let group = group.map(|value| name("atomicityGroup", value)).transpose()?;
    let depends_on = depends_on.map(|value| names(value, limits)).transpose()?.unwrap_or_default();
    Ok((Request { depends_on, ..Request::new(id) }, group))
}

/// Reads what a request asks for, into it.
pub(super) fn content<'a>(
    request: &mut Request,
    members: &Members<'a>,
    text: &Bytes,
    limits: &Limits,
) -> Result<(), Wrong<'a>> {
    let [condition, method, url, headers, body] = slots(members, ["if", "method", "url", "headers", "body"])?;
    request.condition = condition.map(|value| string("if", value)).transpose()?;
    let value = method.ok_or_else(|| whole(Fault::MissingMember("method")))?;
    request.method = batch_method(&string("method", value)?).map_err(of(value))?;
    let value = url.ok_or_else(|| whole(Fault::MissingMember("url")))?;
    request.url = checked_url(string("url", value)?, limits).map_err(of(value))?;
    request.headers = headers.map(|value| header_list(value, limits)).transpose()?.unwrap_or_default();
    if let Some(value) = body.filter(|_| takes_body(&request.method)) {
        request.body = body_bytes(value, &request.headers, text)?;
    }
    Ok(())
}

/// Reads a response and the name of its group.
pub(super) fn response<'a>(
    members: &Members<'a>,
    text: &Bytes,
    limits: &Limits,
) -> Result<(Response, Option<RequestId>), Wrong<'a>> {
    let [id, group, status, headers, body] = slots(members, ["id", "atomicityGroup", "status", "headers", "body"])?;
    let id = id.map(|value| name("id", value)).transpose()?;
    let group = group.map(|value| name("atomicityGroup", value)).transpose()?;
    let value = status.ok_or_else(|| whole(Fault::MissingMember("status")))?;
    let status = StatusCode::from_bytes(value.get().as_bytes())
        .map_err(|_| of(value)(Fault::MemberType { member: "status", expected: "a number of three digits" }))?;
    let headers = headers.map(|value| header_list(value, limits)).transpose()?.unwrap_or_default();
    let body = body.map(|value| body_bytes(value, &headers, text)).transpose()?.unwrap_or_default();
    Ok((Response { id, status, headers, body }, group))
}

/// The values of the members named, in that order; `null` counts as absent, and other members are ignored.
fn slots<'a, const N: usize>(
    members: &Members<'a>,
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], Wrong<'a>> {
    let mut slots = [None; N];
    for (name, value) in &members.0 {
        let slot = slots.iter_mut().zip(names).find(|(_, known)| name == known).map(|(slot, _)| slot);
        match slot {
            Some(Some(_)) => return Err(of(value)(Fault::DuplicateMember(name.to_string()))),
            Some(slot) => *slot = Some(*value),
            None => {
                if let Some(member) = names.into_iter().find(|known| is_misspelt(name, known)) {
                    return Err(of(value)(Fault::MemberSpelling { got: name.to_string(), member }));
                }
            }
        }
    }
    Ok(slots.map(|slot| slot.filter(|value| value.get() != "null")))
}

/// Whether a name differs from that of a member in case and in separators alone. Clients send `depends_on` for themselves,
/// and requests run in their order without it.
fn is_misspelt(name: &str, member: &str) -> bool {
    let letters = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    name.eq_ignore_ascii_case(member) || member != "dependsOn" && letters(name).eq_ignore_ascii_case(member)
}

fn string<'a>(member: &'static str, value: &'a RawValue) -> Result<String, Wrong<'a>> {
    serde_json::from_str(value.get()).map_err(|_| of(value)(Fault::MemberType { member, expected: "a string" }))
}

fn name<'a>(member: &'static str, value: &'a RawValue) -> Result<RequestId, Wrong<'a>> {
    RequestId::new(&string(member, value)?).map_err(|error| of(value)(error.into()))
}

fn names<'a>(value: &'a RawValue, limits: &Limits) -> Result<Vec<RequestId>, Wrong<'a>> {
    let expected = Fault::MemberType { member: "dependsOn", expected: "an array of strings" };
    let names: Vec<Name<'_>> = serde_json::from_str(value.get()).map_err(|_| of(value)(expected))?;
    if names.len() > limits.operations {
        return Err(of(value)(Fault::DependsOnCount { got: names.len(), max: limits.operations }));
    }
    names.iter().map(|Name(text)| RequestId::new(text).map_err(|error| of(value)(error.into()))).collect()
}

fn batch_method(text: &str) -> Result<Method, Fault> {
    [Method::DELETE, Method::GET, Method::PATCH, Method::POST, Method::PUT]
        .into_iter()
        .find(|method| method.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| Fault::Method { method: excerpt(text.as_bytes()) })
}

fn checked_url(url: String, limits: &Limits) -> Result<String, Fault> {
    match url.len() {
        0 => Err(Fault::NoUrl),
        got if got > limits.url_bytes => Err(Fault::UrlBytes { got, max: limits.url_bytes }),
        _ if url.chars().any(char::is_control) => Err(Fault::UrlCharacter),
        _ => Ok(url),
    }
}

fn header_list<'a>(value: &'a RawValue, limits: &Limits) -> Result<Headers, Wrong<'a>> {
    let text = value.get();
    if text.len() > limits.header_bytes {
        return Err(of(value)(Fault::HeaderBytes { max: limits.header_bytes }));
    }
    let Ok(Members(members)) = serde_json::from_str::<Members<'a>>(text) else {
        return Err(of(value)(Fault::MemberType { member: "headers", expected: "an object" }));
    };
    let mut headers = Headers::new();
    for (name, value) in members.into_iter().filter(|(_, value)| value.get() != "null") {
        if headers.len() == limits.headers {
            return Err(of(value)(Fault::HeaderCount { max: limits.headers }));
        }
        let (name, text) = header(&name, value).map_err(of(value))?;
        if headers.iter().any(|(known, _)| *known == name) {
            return Err(of(value)(Fault::DuplicateMember(name.to_string())));
        }
        headers.append(name, text);
    }
    Ok(headers)
}

fn header(name: &str, value: &RawValue) -> Result<(HeaderName, HeaderValue), Fault> {
    let text: String = serde_json::from_str(value.get()).map_err(|_| Fault::HeaderType(excerpt(name.as_bytes())))?;
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeadersError::Name(excerpt(name.as_bytes())))?;
    let value =
        HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| HeadersError::Value(header.to_string()))?;
    Ok((header, value))
}

/// The body's bytes, a slice of the batch's `text` where they stand in it as they are.
fn body_bytes<'a>(value: &'a RawValue, headers: &Headers, text: &Bytes) -> Result<Bytes, Wrong<'a>> {
    let raw = value.get();
    let content_type = headers.get("content-type");
    let form = BodyForm::of(content_type);
    if form == BodyForm::Json {
        return Ok(text.slice_ref(raw.as_bytes()));
    }
    let plain = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).filter(|raw| !raw.contains('\\'));
    let string = match plain {
        Some(plain) => text.slice_ref(plain.as_bytes()),
        None => Bytes::from(string("body", value)?),
    };
    if form == BodyForm::Text {
        return Ok(string);
    }
    let standard = string.iter().any(|byte| matches!(byte, b'+' | b'/'));
    let decoded = if standard { BASE64.decode(&string) } else { BASE64URL.decode(&string) };
    let media_type = || excerpt(content_type.map_or("", essence).as_bytes());
    decoded.map(Bytes::from).map_err(|_| of(value)(Fault::Base64 { media_type: media_type() }))
}
