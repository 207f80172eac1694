//! What a batch request asks for as a whole: headers, format of the answer, isolation, references.

use std::collections::HashSet;

use http::Method;

use crate::{
    batch::{BatchRequest, Headers},
    exchange::Incoming,
    plan::{self, check_custom_options, reference},
    respond::BatchError,
    service::{Service, profile::ResponseFormat},
    uri::{QueryOptions, UriError},
    wire::Envelope,
};

/// Format of the answer to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Json,
    Multipart,
}

/// Method and headers, before the body is looked at.
pub(super) fn check_headers(incoming: &Incoming, service: &Service) -> Result<(), BatchError> {
    if incoming.method != Method::POST {
        return Err(BatchError::Method { allow: "POST" });
    }
    let headers = &incoming.headers;
    for name in ["if-match", "if-none-match"] {
        // Some clients send the literal `null`, or nothing, with everything.
        if headers.get(name).is_some_and(|value| !matches!(value.trim(), "" | "null")) {
            return Err(BatchError::Header { name, reason: "it belongs to the requests of a batch, not to the batch" });
        }
    }
    if let Some(encoding) = plan::content_encoding(headers) {
        return Err(BatchError::ContentEncoding(encoding.to_owned()));
    }
    plan::version(headers, service).map_err(|_| {
        let max = headers.get("odata-maxversion").is_some();
        let name = if max { "odata-maxversion" } else { "odata-version" };
        BatchError::Header { name, reason: "4.0 and 4.01 are supported" }
    })?;
    Ok(())
}

/// The format of the answer. `$format` beats `Accept`; without either it is the profile's.
pub(super) fn answer_format(incoming: &Incoming, service: &Service, envelope: &Envelope) -> Result<Answer, BatchError> {
    let profile = &service.profile;
    let own = match envelope {
        Envelope::Json => Answer::Json,
        Envelope::Multipart { .. } => Answer::Multipart,
    };
    if let Some(format) = format_option(incoming, service)? {
        return named(&format).ok_or(BatchError::NotAcceptable(format));
    }
    let accept = incoming.headers.get_all("accept").collect::<Vec<_>>().join(",");
    if accept.trim().is_empty() {
        return Ok(match (own, profile.json_default_response) {
            (Answer::Json, ResponseFormat::Multipart) => Answer::Multipart,
            _ => own,
        });
    }
    let (mut json, mut multipart, mut any) = (false, false, false);
    for range in accept.split(',') {
        let media_type = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let refused = range.split(';').skip(1).any(|p| matches!(p.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        match media_type.as_str() {
            _ if refused => {}
            "application/json" => json = true,
            "multipart/mixed" | "multipart/*" => multipart = true,
            "*/*" | "application/*" => any = true,
            _ => {}
        }
    }
    let json_to_multipart = profile.json_answer_to_multipart && asks_for_401(&incoming.headers);
    match own {
        Answer::Json if json || any => Ok(Answer::Json),
        Answer::Multipart if json && !multipart && json_to_multipart => Ok(Answer::Json),
        Answer::Multipart if json || any => Ok(Answer::Multipart),
        _ if multipart => Ok(Answer::Multipart),
        _ => Err(BatchError::NotAcceptable(accept.chars().take(200).collect())),
    }
}

/// The batch's headers, with the company that its URL names.
pub(super) fn with_company(incoming: &Incoming, service: &Service) -> Result<Headers, BatchError> {
    let mut headers = incoming.headers.clone();
    let options = QueryOptions::parse(incoming.query.as_deref().unwrap_or_default(), &service.limits.uri())?;
    let company = options.custom.iter().find(|(name, _)| name.eq_ignore_ascii_case("company"));
    if let Some((_, company)) = company.filter(|_| service.companies.is_some()) {
        headers.take("company");
        let unreadable = BatchError::Header { name: "company", reason: "the name has a control character" };
        headers.try_append("company", company).map_err(|_| unreadable)?;
    }
    Ok(headers)
}

/// `$format`, the only system option of `$batch`.
fn format_option(incoming: &Incoming, service: &Service) -> Result<Option<String>, BatchError> {
    let options = QueryOptions::parse(incoming.query.as_deref().unwrap_or_default(), &service.limits.uri())?;
    check_custom_options(&service.profile, &options).map_err(BatchError::Unsupported)?;
    let other = options.given().find(|name| *name != "$format");
    match other {
        Some(name) => Err(UriError::BadOption { name: name.into(), reason: "$batch does not have it" }.into()),
        None => Ok(options.format),
    }
}

fn named(format: &str) -> Option<Answer> {
    match format.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "json" | "application/json" => Some(Answer::Json),
        "multipart/mixed" => Some(Answer::Multipart),
        _ => None,
    }
}

/// Clients of the Microsoft services ask for JSON and expect multipart; clients that speak 4.01 mean it.
fn asks_for_401(headers: &Headers) -> bool {
    let is_401 = |name: &&str| headers.get(name).is_some_and(|value| plan::version_number(value) == "4.01");
    ["odata-version", "odata-maxversion"].iter().any(is_401)
}

/// Checks that each URL that begins with `$<id>` refers to a request before it.
pub(super) fn references_exist(batch: &BatchRequest) -> Result<(), BatchError> {
    let mut seen = HashSet::new();
    let mut position = 0;
    for item in &batch.items {
        for request in item.requests() {
            position += 1;
            if let Some((id, _)) = reference(&request.url)
                && !seen.contains(id.as_ref())
            {
                return Err(BatchError::Reference { position, id: id.chars().take(100).collect() });
            }
            seen.extend(request.id.as_ref().map(crate::batch::RequestId::as_str));
        }
    }
    Ok(())
}
