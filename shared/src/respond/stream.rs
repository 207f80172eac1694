//! Answers about stream properties: where they are, and their bytes (JSON Format §9, Protocol 4.01 §11.2.4.1).

use std::io::Write as _;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::{
    batch::Headers,
    edm::{Entity, Stream, Value},
    plan::{Context, OCTETS, Outcome, Prepared, Reference},
    query::Selection,
};

use super::{
    body::{outcome, write_text},
    headers::{self, version_header},
};

/// Where the selected streams are read and written (JSON Format §9): the media links of each. Etag and properties stand before.
pub(super) fn write_streams(
    body: &mut Vec<u8>,
    context: &Context<'_>,
    request: &Prepared,
    selection: Option<&Selection>,
    entity: &Entity,
    path: &dyn Fn() -> String,
) {
    let properties = context.service.model.ty(entity.record.ty).properties.iter().enumerate();
    let selected = |at: usize| selection.is_none_or(|selection| selection.properties.contains(&at));
    let streams = properties.filter(|(at, property)| property.stream.is_some() && selected(*at));
    for (_, property) in streams.filter(|(_, property)| !property.write_only) {
        let url = format!("{}/{}/{}", context.root_url(&request.root), path(), property.name);
        let links: &[&str] = if property.computed { &["mediaReadLink"] } else { &["mediaEditLink", "mediaReadLink"] };
        for link in links {
            let _ = write!(body, ",\"{}{}{link}\":", property.name, request.version.prefix());
            write_text(body, &url);
        }
    }
}

/// 200 with the bytes of a stream, in the media type that the entity keeps for it where the stream takes that one: clients
/// may write the property, too.
pub(super) fn stream_content(
    context: &Context<'_>,
    request: &Prepared,
    stream: &Stream,
    bytes: &[u8],
    entity: &Entity,
) -> Outcome {
    let kept = stream.media_type.and_then(|at| entity.record.values.get(at)?.as_ref());
    let media_type = match kept {
        Some(Value::String(text)) if stream.takes(text) => text,
        _ => OCTETS,
    };
    let mut all = Headers::new();
    let media_type = HeaderValue::from_str(media_type).unwrap_or(HeaderValue::from_static(OCTETS));
    all.append(header::CONTENT_TYPE, media_type);
    // A client wrote it: no browser is to take it for a page of this host.
    all.append(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    all.append(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    version_header(context, request, &mut all, true);
    headers::etag(context, &mut all, &entity.etag());
    outcome(StatusCode::OK, all, Bytes::copy_from_slice(bytes), Reference::Nothing)
}
