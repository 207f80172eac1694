//! Splits a resource path into segments (URL Conventions §2: split first, then decode, then read).

use percent_encoding::percent_decode_str;

use super::{Encoding, KeyPredicate, UriError, UriLimits};

/// One segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The part before the parentheses, decoded.
    pub name: String,
    /// The parenthesised part.
    pub arguments: Option<KeyPredicate>,
    /// Where the segment begins: byte offset in the path as sent.
    pub offset: usize,
}

/// Splits a path relative to the service root into its segments; none for the root itself.
///
/// A slash at either end is tolerated. A slash inside quotes is data in both encodings; in [`Encoding::Percent`] `%27`
/// is a quote as well.
pub fn parse_path(path: &str, encoding: Encoding, limits: &UriLimits) -> Result<Vec<Segment>, UriError> {
    UriError::check("bytes of the path", path.len(), limits.path)?;
    let inner = path.strip_prefix('/').unwrap_or(path);
    let start = path.len() - inner.len();
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let pieces = split(inner, encoding);
    UriError::check("segments of the path", pieces.len(), limits.segments)?;
    pieces.into_iter().map(|(at, piece)| segment(piece, start + at, encoding)).collect()
}

/// Pieces between slashes outside quotes, each with its offset.
fn split(path: &str, encoding: Encoding) -> Vec<(usize, &str)> {
    let mut pieces = Vec::new();
    let (mut quoted, mut begin) = (false, 0);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'%' if encoding == Encoding::Percent && path.get(at..at + 3) == Some("%27") => quoted = !quoted,
            b'/' if !quoted => {
                pieces.push((begin, path.get(begin..at).unwrap_or_default()));
                begin = at + 1;
            }
            _ => {}
        }
    }
    pieces.push((begin, path.get(begin..).unwrap_or_default()));
    pieces
}

fn segment(piece: &str, offset: usize, encoding: Encoding) -> Result<Segment, UriError> {
    let text = match encoding {
        Encoding::Percent => decode(piece, offset)?,
        Encoding::Decoded => piece.to_owned(),
    };
    let (name, arguments) = match text.split_once('(') {
        None => (text.as_str(), None),
        // `$filter(…)` and `$crossjoin(…)` hold no key.
        Some((name, _)) if name.starts_with('$') => return Err(UriError::unsupported(format!("'{name}(…)'"))),
        Some((name, rest)) => (name, Some(KeyPredicate::parse(name, rest, offset)?)),
    };
    if name.is_empty() || name.contains(['\'', ')', '"']) {
        return Err(UriError::syntax(offset, "a name", &text));
    }
    Ok(Segment { name: name.to_owned(), arguments, offset })
}

/// Decodes percent-encoded UTF-8 once; `+` stays a plus. `offset` is where `text` begins in what the client sent.
pub(super) fn decode(text: &str, offset: usize) -> Result<String, UriError> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3);
        if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
            return Err(UriError::Encoding { position: offset + at });
        }
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| UriError::Encoding { position: offset })
}
