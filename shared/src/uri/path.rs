//! Splits a resource path into segments (URL Conventions §2: split first, then decode, then read).

use std::borrow::Cow;

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
        Encoding::Decoded => Cow::Borrowed(piece),
    };
    let (name, arguments) = match text.split_once('(') {
        None => (&*text, None),
        // `$filter(…)` and `$crossjoin(…)` hold no key.
        Some((name, _)) if name.starts_with('$') => return Err(UriError::unsupported(format!("'{name}(…)'"))),
        Some((name, rest)) => (name, Some(KeyPredicate::parse(name, rest, offset)?)),
    };
    if name.is_empty() || name.contains(')') {
        return Err(UriError::syntax(offset, "a name", &text));
    }
    Ok(Segment { name: name.to_owned(), arguments, offset })
}

/// Decodes percent-encoded UTF-8 once; `+` stays a plus. `offset` is where `text` begins in what the client sent.
pub(super) fn decode(text: &str, offset: usize) -> Result<Cow<'_, str>, UriError> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3);
        if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
            return Err(UriError::Encoding { position: offset + at });
        }
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_err(|_| UriError::Encoding { position: offset })
}

/// The text of one segment as sent, percent-decoded.
pub fn decode_segment(segment: &str) -> Result<Cow<'_, str>, UriError> {
    decode(segment, 0)
}

/// Whether a path relative to the service root is that of `$batch`.
pub fn is_batch(path: &str, encoding: Encoding) -> bool {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    match encoding {
        Encoding::Percent => decode(inner, 0).is_ok_and(|text| text == "$batch"),
        Encoding::Decoded => inner == "$batch",
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::{
        Encoding::{Decoded, Percent},
        *,
    };

    fn parse(path: &str, encoding: Encoding) -> Result<Vec<Segment>, UriError> {
        parse_path(path, encoding, &UriLimits::default())
    }

    fn single(path: &str, encoding: Encoding) -> String {
        match parse(path, encoding).unwrap().as_slice() {
            [Segment { arguments: Some(KeyPredicate::Single(text)), .. }] => text.clone(),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn slashes_at_either_end_add_no_segment() {
        assert_eq!(parse("", Percent), Ok(vec![]));
        assert_eq!(parse("/", Percent), Ok(vec![]));
        assert_eq!(parse("/a/b/", Percent), parse("/a/b", Percent));
        assert!(parse("a//b", Percent).is_err());
        assert!(parse("///", Percent).is_err());
    }

    #[test]
    fn a_segment_knows_where_it_begins() {
        let offsets: Vec<_> = parse("/a('%2F')/b/c", Percent).unwrap().iter().map(|segment| segment.offset).collect();
        assert_eq!(offsets, [1, 10, 12]);
    }

    #[test]
    fn the_batch_is_found_however_it_is_encoded() {
        for path in ["$batch", "%24batch", "%24%62atch", "$batch/", "%24batch/", "/$batch"] {
            assert!(is_batch(path, Percent), "{path}");
        }
        for path in ["$Batch", "$batch//", "$batch/x", "x/$batch", "%2524batch", "$batch()", "$batch%2F", ""] {
            assert!(!is_batch(path, Percent), "{path}");
        }
        assert!(is_batch("$batch/", Decoded) && !is_batch("%24batch", Decoded));
    }

    #[test]
    fn awkward_keys_survive_both_encodings() {
        for key in ["A/1", "a b", "100%", "x#y", "O''Bryan", "a)b", "(", "=", "a=b,c", "", "?", "%2F", "ÿ", "''/"] {
            let literal = format!("'{key}'");
            let encoded = utf8_percent_encode(&literal, NON_ALPHANUMERIC).to_string();
            assert_eq!(single(&format!("s({literal})"), Decoded), literal);
            assert_eq!(single(&format!("s({encoded})"), Percent), literal);
            assert_eq!(single(&format!("s%28{encoded}%29"), Percent), literal);
        }
        assert_eq!(single("s('A/1')", Percent), "'A/1'");
        assert_eq!(single("s(%27A/1%27)", Percent), "'A/1'");
        assert_eq!(single("s('A+1')", Percent), "'A+1'");
    }

    #[test]
    fn named_parts_are_split_outside_quotes() {
        let segments = parse("s(a='x,y=1', b=2,c=NS.E'Q')/t()", Decoded).unwrap();
        let parts = [("a", "'x,y=1'"), ("b", "2"), ("c", "NS.E'Q'")];
        let parts = parts.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        assert_eq!(segments[0].arguments, Some(KeyPredicate::Named(parts)));
        assert_eq!(segments[1].arguments, Some(KeyPredicate::Empty));
    }

    #[test]
    fn malformed_segments_are_refused() {
        for path in [
            "s('a",
            "s('a'",
            "s('a''",
            "s('a'x)",
            "s(1",
            "s(1)x",
            "s(1,)",
            "s(,1)",
            "s(1,2)",
            "s(a=)",
            "s(=1)",
            "s(a=1,2)",
            "s(a=1;b=2)",
            "s((1))",
            "s)",
            "(1)",
            "s('O'Neil')",
            "s(a b)",
            "s(a=b=c)",
            "s(1))",
        ] {
            let parsed = parse(path, Decoded);
            assert!(matches!(parsed, Err(UriError::Syntax { .. })), "{path}: {parsed:?}");
        }
    }

    #[test]
    fn percent_sequences_are_checked_and_decoded_once() {
        assert_eq!(parse("ab%2", Percent), Err(UriError::Encoding { position: 2 }));
        assert_eq!(parse("x/a%zz", Percent), Err(UriError::Encoding { position: 3 }));
        assert_eq!(parse("x/%FF", Percent), Err(UriError::Encoding { position: 2 }));
        assert_eq!(single("s('%2541')", Percent), "'%41'");
        assert_eq!(single("s('100%')", Decoded), "'100%'");
    }

    #[test]
    fn limits_hold() {
        let limits = UriLimits { path: 10, segments: 2, ..UriLimits::default() };
        assert!(parse_path("a/b", Percent, &limits).is_ok());
        assert!(parse_path("a/b/c", Percent, &limits).unwrap_err().is_too_long());
        assert!(parse_path("aaaaaaaaaaa", Percent, &limits).unwrap_err().is_too_long());
    }

    proptest! {
        #[test]
        fn any_key_survives_both_encodings(key in any::<String>(), other in any::<String>()) {
            let (key, other) = (key.replace('\'', "''"), other.replace('\'', "''"));
            let text = format!("s(a='{key}',b='{other}')/t('{other}')");
            let percent = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let encoded = format!("s(a='{}',b='{}')/t(%27{}%27)", percent(&key), percent(&other), percent(&other));
            let names = |path: &str, encoding| {
                let segments = parse_path(path, encoding, &UriLimits { path: usize::MAX, ..UriLimits::default() });
                segments.unwrap().into_iter().map(|s| (s.name, s.arguments)).collect::<Vec<_>>()
            };
            let read = names(&text, Decoded);
            prop_assert_eq!(&read, &names(&encoded, Percent));
            let parts = vec![("a".to_owned(), format!("'{key}'")), ("b".to_owned(), format!("'{other}'"))];
            prop_assert_eq!(&read[0].1, &Some(KeyPredicate::Named(parts)));
            prop_assert_eq!(&read[1].1, &Some(KeyPredicate::Single(format!("'{other}'"))));
        }

        #[test]
        fn arbitrary_paths_never_panic(path in "[a-z'%27/(),=$ é]{0,40}|.{0,40}") {
            let _ = parse(&path, Percent);
            let _ = parse(&path, Decoded);
        }
    }
}
