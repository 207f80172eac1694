//! Stream properties: bytes that are written at a URL of their own (Protocol 4.01 §11.4.9.2).

use crate::{
    edm::{Stream, TypeId, Value},
    service::Rule,
};

use super::{PlanError, negotiate::media_type, prepare::Prepared, unit::Unit};

/// The media type of bytes of which nothing is said.
pub(crate) const OCTETS: &str = "application/octet-stream";

/// How images begin, and their media types.
const IMAGES: [(&[u8], &str); 4] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
];

impl Unit<'_> {
    /// The values that the body of a request gives to a stream and to the property that holds its media type.
    pub(super) fn stream_written(request: &Prepared, position: usize, stream: &Stream) -> Vec<(usize, Value)> {
        let said = request.media_type.as_deref().map_or(OCTETS.into(), media_type);
        let begins = |(start, _): &&(&[u8], &str)| request.body.starts_with(start);
        let kept = match IMAGES.iter().find(begins) {
            Some((_, found)) if said == OCTETS => (*found).to_owned(),
            _ => said,
        };
        let kept = stream.media_type.map(|at| (at, Value::String(kept)));
        [(position, Value::Binary(request.body.to_vec()))].into_iter().chain(kept).collect()
    }

    /// The values of a deleted stream and of the property that holds its media type.
    pub(super) fn stream_deleted(&self, ty: TypeId, position: usize, stream: &Stream) -> Vec<(usize, Value)> {
        let nothing = |at| match self.rule(ty, at).map(|derived| &derived.rule) {
            Some(Rule::Default(value)) => value.clone(),
            _ => Value::Null,
        };
        let media_type = stream.media_type.map(|at| (at, nothing(at)));
        [(position, Value::Null)].into_iter().chain(media_type).collect()
    }
}

/// Whether a stream takes a body of this media type.
pub(super) fn check_media_type(stream: &Stream, content_type: Option<&str>) -> Result<(), PlanError> {
    let got = content_type.map(media_type).unwrap_or_default();
    if stream.takes(&got) {
        return Ok(());
    }
    let accepts = if stream.accepts.is_empty() { "any but JSON".into() } else { stream.accepts.join(", ") };
    Err(PlanError::StreamMediaType { got, accepts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_takes_the_media_types_it_lists_and_needs_one() {
        let stream = Stream { media_type: None, accepts: vec![OCTETS.into(), "image/*".into()] };
        for fits in ["application/octet-stream", "Image/PNG", "image/svg+xml; charset=utf-8"] {
            assert!(check_media_type(&stream, Some(fits)).is_ok(), "{fits}");
        }
        for other in [Some("application/json"), Some("images/png"), Some(""), None] {
            let refused = check_media_type(&stream, other).unwrap_err().to_string();
            assert!(refused.ends_with("but application/octet-stream, image/*"), "{refused}");
        }
        assert!(check_media_type(&Stream::default(), Some("text/plain")).is_ok());
        assert!(check_media_type(&Stream::default(), Some("application/problem+json")).is_err());
    }
}
