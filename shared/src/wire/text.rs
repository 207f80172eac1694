//! What both writers share: header spelling, JSON strings.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

/// Appends a header name the way clients know it: `content-type` → `Content-Type`.
pub(super) fn push_canonical(out: &mut Vec<u8>, name: &HeaderName) {
    let special = match name.as_str() {
        "odata-version" => "OData-Version",
        "odata-maxversion" => "OData-MaxVersion",
        "odata-entityid" => "OData-EntityId",
        "odata-isolation" => "OData-Isolation",
        "etag" => "ETag",
        "asyncresult" => "AsyncResult",
        "www-authenticate" => "WWW-Authenticate",
        "req_id" => "REQ_ID",
        other => return push_title(out, other),
    };
    out.extend_from_slice(special.as_bytes());
}

fn push_title(out: &mut Vec<u8>, name: &str) {
    let mut first = true;
    for byte in name.bytes() {
        out.push(if first { byte.to_ascii_uppercase() } else { byte });
        first = byte == b'-';
    }
}

/// Appends a JSON string (RFC 8259 §7).
pub(super) fn push_json_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 15].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The text of a header value.
pub(super) fn value_text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}
