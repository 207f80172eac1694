//! Headers of answers.

use http::{HeaderName, HeaderValue, header};

use crate::{
    batch::{Headers, Return},
    edm::{
        ETag,
        Numbers::{self, Plain, Text},
    },
    plan::{Context, Metadata, OdataVersion, Prepared},
    service::Service,
};

pub(super) const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
pub(super) const ODATA_ENTITY_ID: HeaderName = HeaderName::from_static("odata-entityid");
pub(super) const REPEATABILITY_RESULT: HeaderName = HeaderName::from_static("repeatability-result");
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// `OData-Version`; on 204 only where the profile sends it.
pub(crate) fn version_header(context: &Context<'_>, request: &Prepared, headers: &mut Headers, body: bool) {
    if body || context.service.profile.version_on_no_content {
        headers.append(ODATA_VERSION, HeaderValue::from_static(request.version.as_str()));
    }
}

/// The headers of a request that the answer to a read depends on (Protocol §8.3, RFC 9110 §12.5.5).
pub(crate) fn vary(service: &Service) -> HeaderValue {
    HeaderValue::from_static(match service.companies {
        None => "Accept, OData-MaxVersion, OData-Version, Prefer",
        Some(_) => "Accept, Company, OData-MaxVersion, OData-Version, Prefer",
    })
}

/// `Content-Type` of JSON.
pub(super) fn json(request: &Prepared, headers: &mut Headers) {
    headers.append(header::CONTENT_TYPE, json_type(request.version, request.metadata, request.numbers));
}

pub(super) fn json_type(version: OdataVersion, metadata: Metadata, numbers: Numbers) -> HeaderValue {
    HeaderValue::from_static(match (version, metadata, numbers) {
        (OdataVersion::V40, Metadata::Minimal, Plain) => "application/json; odata.metadata=minimal",
        (OdataVersion::V40, Metadata::None, Plain) => "application/json; odata.metadata=none",
        (OdataVersion::V40, Metadata::Minimal, Text) => {
            "application/json; odata.metadata=minimal; IEEE754Compatible=true"
        }
        (OdataVersion::V40, Metadata::None, Text) => "application/json; odata.metadata=none; IEEE754Compatible=true",
        (OdataVersion::V401, Metadata::Minimal, Plain) => "application/json; metadata=minimal",
        (OdataVersion::V401, Metadata::None, Plain) => "application/json; metadata=none",
        (OdataVersion::V401, Metadata::Minimal, Text) => "application/json; metadata=minimal; IEEE754Compatible=true",
        (OdataVersion::V401, Metadata::None, Text) => "application/json; metadata=none; IEEE754Compatible=true",
    })
}

/// A header whose value is a URL or a tag that this service made: percent-encoded ASCII.
pub(super) fn text(headers: &mut Headers, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

/// `Repeatability-Result` of a request whose repeats get this answer.
pub(crate) fn accepted(headers: &mut Headers) {
    headers.append(REPEATABILITY_RESULT, HeaderValue::from_static("accepted"));
}

/// `ETag`, where the profile sends it.
pub(super) fn etag(context: &Context<'_>, headers: &mut Headers, etag: &ETag) {
    if context.service.profile.etag_header {
        text(headers, header::ETAG, &etag.to_string());
    }
}

/// `Preference-Applied` for the `return` that the client asked for.
pub(super) fn preference_applied(request: &Prepared, headers: &mut Headers, applied: Return) {
    if request.prefer.return_ == Some(applied) {
        headers.append(
            PREFERENCE_APPLIED,
            HeaderValue::from_static(match applied {
                Return::Minimal => "return=minimal",
                Return::Representation => "return=representation",
            }),
        );
    }
}
