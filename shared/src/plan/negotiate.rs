//! Versions and media types (Protocol §8.1–8.2.7, JSON Format §3).

use crate::{
    batch::Headers,
    edm::Numbers,
    service::{
        Service,
        profile::{Isolation, OdataVersion},
    },
    uri::{Last, QueryOptions, Resource},
};

use super::PlanError;

/// How much control information an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// Context, etag, count, next link.
    Minimal,
    /// Count and next link only.
    None,
}

/// The version of the answer: the newest one that `OData-MaxVersion` takes, else that of a request in 4.01, else the
/// default of the profile; none above what the profile writes.
///
/// Protocol §8.2.7 recommends that a service without `OData-MaxVersion` stays with the version of its first publication:
/// many clients of 4.0 send no header, and read none of the names of 4.01.
pub fn version(headers: &Headers, service: &Service) -> Result<OdataVersion, PlanError> {
    let stated = |name: &str| headers.get(name).map(version_number);
    let unsupported = |text: &str| PlanError::Version(text.into());
    let of_request = match stated("odata-version") {
        None | Some("4.0" | "4") => None,
        Some("4.01") => Some(OdataVersion::V401),
        Some(other) => return Err(unsupported(other)),
    };
    let max = match stated("odata-maxversion") {
        None => None,
        Some(text) => match parse_version(text) {
            Some(number) if number >= (4, 1) => Some(OdataVersion::V401),
            Some(number) if number >= (4, 0) => Some(OdataVersion::V40),
            _ => return Err(unsupported(text)),
        },
    };
    let profile = &service.profile;
    Ok(max.or(of_request).unwrap_or(profile.default_version).min(profile.max_version))
}

/// The isolation that is asked for, and how the service keeps it (Protocol §8.2.6). An error where it does not.
pub fn isolation(headers: &Headers, service: &Service) -> Result<Option<Isolation>, PlanError> {
    let refused = |asked: &str| Err(PlanError::Isolation(asked.chars().take(100).collect()));
    let Some(first) = headers.isolations().next() else { return Ok(None) };
    if service.profile.isolation == Isolation::Refused {
        return refused(first);
    }
    // Who asks for two of them gets none that is less than the other.
    let other = headers.isolations().find(|asked| !asked.trim().eq_ignore_ascii_case("snapshot"));
    other.map_or(Ok(Some(service.profile.isolation)), refused)
}

/// The number in a version header. Clients of OData 3 end it with `;` and their name: `4.0;NetFx`.
pub fn version_number(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// `4.01` as (4, 1): the part after the point counts as a decimal fraction, two digits of it.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(major) || !digits(minor) {
        return None;
    }
    let hundredths: String = minor.chars().chain("0".chars()).take(2).collect();
    Some((major.parse().ok()?, hundredths.parse().ok()?))
}

/// The encoding of the body, where it is one: `identity` is none.
pub fn content_encoding(headers: &Headers) -> Option<&str> {
    let encoding = headers.get("content-encoding")?.trim();
    (!encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")).then_some(encoding)
}

/// How the numbers of 64 bits in the body are written.
pub(super) fn body_numbers(headers: &Headers) -> Numbers {
    let media_type = headers.get("content-type").unwrap_or_default();
    let said = media_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut said = said.filter(|(name, _)| name.trim().eq_ignore_ascii_case("IEEE754Compatible"));
    if said.any(|(_, value)| value.trim().eq_ignore_ascii_case("true")) { Numbers::Text } else { Numbers::Plain }
}

/// How `$metadata` is written: as XML. `Accept` may be disregarded (RFC 9110 §12.5.1), and many clients ask for JSON in all
/// their requests; `$format` is about this one.
pub(super) fn document(options: &QueryOptions) -> Result<(Metadata, Numbers), PlanError> {
    check_format(options, &["xml", "application/xml"])?;
    Ok((Metadata::Minimal, Numbers::Plain))
}

/// Refuses a `$format` that is none of these media types.
fn check_format(options: &QueryOptions, possible: &[&str]) -> Result<(), PlanError> {
    let Some(format) = &options.format else { return Ok(()) };
    let media_type = format.split(';').next().unwrap_or_default().trim();
    if possible.iter().any(|one| one.eq_ignore_ascii_case(media_type)) {
        return Ok(());
    }
    Err(PlanError::NotAcceptable(format.chars().take(200).collect()))
}

/// How the answer is to be written, or that no acceptable form is there. `$format` beats `Accept`.
pub(super) fn metadata(
    headers: &Headers,
    options: &QueryOptions,
    resource: &Resource,
) -> Result<(Metadata, Numbers), PlanError> {
    if let Resource::Entities(path) = resource
        && matches!(path.last, Last::Value | Last::Count)
    {
        if path.last == Last::Value {
            check_format(options, &["text/plain", "application/octet-stream"])?;
        }
        return Ok((Metadata::Minimal, Numbers::Plain));
    }
    let accept = match &options.format {
        Some(format) if format.eq_ignore_ascii_case("json") => return Ok((Metadata::Minimal, Numbers::Plain)),
        Some(format) => format.clone(),
        None => headers.get_all("accept").collect::<Vec<_>>().join(","),
    };
    if accept.trim().is_empty() {
        return Ok((Metadata::Minimal, Numbers::Plain));
    }
    let ranges = accept.split(',').filter_map(range);
    // Of ranges that are wanted as much the first one counts.
    let best = ranges.reduce(|best, range| if range.2 > best.2 { range } else { best });
    best.map(|(metadata, numbers, _)| (metadata, numbers))
        .ok_or_else(|| PlanError::NotAcceptable(accept.chars().take(200).collect()))
}

/// One media range: what it asks for and how much it is wanted. `None` when it cannot be served.
fn range(text: &str) -> Option<(Metadata, Numbers, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    // A batch's own media type in the inherited header is about the envelope, not about this request.
    let json = matches!(media_type.as_str(), "application/json" | "application/*" | "*/*" | "multipart/mixed");
    if !json {
        return None;
    }
    let (mut metadata, mut numbers) = (Metadata::Minimal, Numbers::Plain);
    let mut quality = 1.0;
    for parameter in parts.filter(|p| !p.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase());
        match (name.strip_prefix("odata.").unwrap_or(&name), value.as_str()) {
            ("q", q) => quality = q.parse::<f32>().ok().filter(|q| *q > 0.0)?,
            ("metadata", "none") => metadata = Metadata::None,
            ("ieee754compatible", "true") => numbers = Numbers::Text,
            ("metadata", "minimal")
            | ("streaming" | "ieee754compatible" | "exponentialdecimals", "false")
            | ("charset", "utf-8")
            // Kinds of entries of OData 3, which clients still send.
            | ("type", "entry" | "feed") => {}
            _ => return None,
        }
    }
    Some((metadata, numbers, quality))
}

/// The media type of a `Content-Type`, in lower case and without parameters.
pub(super) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a `Content-Type` is JSON.
pub(super) fn is_json(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    media_type == "application/json"
        || media_type.strip_prefix("application/").is_some_and(|subtype| subtype.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_decimals() {
        assert!(parse_version("4.0") < parse_version("4.01"));
        assert!(parse_version("4.01") < parse_version("06.2831852000"));
        assert_eq!(parse_version("4"), Some((4, 0)));
        assert_eq!(parse_version("four"), None);
    }

    #[test]
    fn a_version_ends_before_the_name_of_the_client() {
        for (value, number) in
            [("4.0;NetFx", "4.0"), ("4.0;", "4.0"), (" 4.01 ; x;y ", "4.01"), ("4", "4"), (";4.0", "")]
        {
            assert_eq!(version_number(value), number, "{value}");
        }
    }

    #[test]
    fn media_ranges_that_cannot_be_served_are_passed_over() {
        assert_eq!(range("application/json;odata.metadata=none"), Some((Metadata::None, Numbers::Plain, 1.0)));
        let ui5 = "application/json;odata.metadata=minimal;IEEE754Compatible=true";
        assert_eq!(range(ui5), Some((Metadata::Minimal, Numbers::Text, 1.0)));
        assert_eq!(range("application/json;odata.metadata=full"), None);
        assert_eq!(range("application/xml"), None);
        assert_eq!(range("*/*;q=0.1"), Some((Metadata::Minimal, Numbers::Plain, 0.1)));
        assert_eq!(range("application/json;q=0"), None);
    }
}
