//! `Content-Type` of a batch, of its parts and of inner bodies.

use super::error::{DecodeError, excerpt};

/// Format of a batch body, from its `Content-Type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `application/json`
    Json,
    /// `multipart/mixed; boundary=…`
    Multipart {
        /// The boundary.
        boundary: Boundary,
    },
}

impl Envelope {
    /// Reads the value of `Content-Type`: any case, any other parameters (Protocol §11.7.1).
    pub fn from_content_type(value: &str) -> Result<Self, DecodeError> {
        let essence = essence(value);
        if essence.eq_ignore_ascii_case("application/json") {
            return Ok(Self::Json);
        }
        if essence.eq_ignore_ascii_case("multipart/mixed") {
            return Ok(Self::Multipart { boundary: Boundary::from_content_type(value)? });
        }
        Err(DecodeError::MediaType { got: excerpt(value.as_bytes()) })
    }

    /// The value of `Content-Type` for this envelope.
    pub fn content_type(&self) -> String {
        match self {
            Self::Json => "application/json".into(),
            Self::Multipart { boundary } => format!("multipart/mixed; boundary=\"{boundary}\""),
        }
    }
}

/// The text that, after `--`, starts the delimiter lines of a multipart body (RFC 2046 §5.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

/// Why there is no boundary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundaryError {
    /// No such parameter.
    #[error("'multipart/mixed' needs the parameter 'boundary'")]
    Missing,
    /// Empty or too long.
    #[error("a boundary has 1 to {max} characters, this one has {got}", max = Boundary::MAX_BYTES)]
    Length {
        /// Its length.
        got: usize,
    },
    /// A character outside `bchars`.
    #[error("'{0}' is not allowed in a boundary")]
    Character(char),
    /// A blank at the end.
    #[error("a boundary must not end with a blank")]
    Blank,
}

impl Boundary {
    /// The longest boundary.
    pub const MAX_BYTES: usize = 70;

    /// Checks the grammar: `0*69<bchars> bcharsnospace`.
    pub fn new(text: &str) -> Result<Self, BoundaryError> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(BoundaryError::Length { got: text.len() });
        }
        if let Some(c) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "'()+_,-./:=? ".contains(*c))) {
            return Err(BoundaryError::Character(c));
        }
        if text.ends_with(' ') {
            return Err(BoundaryError::Blank);
        }
        Ok(Self(text.into()))
    }

    /// The `boundary` parameter of a `Content-Type`, quoted or bare (then up to the next `;`: clients leave the quotes
    /// out whatever the characters).
    pub fn from_content_type(value: &str) -> Result<Self, BoundaryError> {
        let (_, mut rest) = value.split_once(';').ok_or(BoundaryError::Missing)?;
        loop {
            let (name, tail) = rest.split_once('=').ok_or(BoundaryError::Missing)?;
            // A parameter without a value is skipped.
            let name = name.rsplit(';').next().unwrap_or(name).trim();
            let (text, tail) = parameter_value(tail.trim_start());
            if name.eq_ignore_ascii_case("boundary") {
                return Self::new(&text);
            }
            rest = tail;
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Boundary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A parameter's value and what follows it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.trim_end().into(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    (value, chars.as_str())
}

/// `type/subtype` of a `Content-Type`.
pub(super) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or(content_type).trim()
}

/// How a JSON batch carries a body (JSON Format §19.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyForm {
    /// Inline.
    Json,
    /// As a string.
    Text,
    /// As a base64url string.
    Base64,
}

impl BodyForm {
    /// By the body's `Content-Type`; a body without one is JSON.
    pub(super) fn of(content_type: Option<&str>) -> Self {
        let essence = content_type.map_or("application/json", essence);
        let (kind, subtype) = essence.split_once('/').unwrap_or((essence, ""));
        let suffix = subtype.rsplit('+').next().unwrap_or(subtype);
        if kind.eq_ignore_ascii_case("application") && suffix.eq_ignore_ascii_case("json") {
            Self::Json
        } else if kind.eq_ignore_ascii_case("text") {
            Self::Text
        } else {
            Self::Base64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(content_type: &str) -> Result<String, DecodeError> {
        match Envelope::from_content_type(content_type)? {
            Envelope::Multipart { boundary } => Ok(boundary.as_str().into()),
            Envelope::Json => panic!("JSON"),
        }
    }

    #[test]
    fn reads_both_formats_in_any_case() {
        for json in ["application/json", "Application/JSON ; odata.metadata=minimal;IEEE754Compatible=true"] {
            assert_eq!(Envelope::from_content_type(json), Ok(Envelope::Json));
        }
        assert_eq!(boundary("Multipart/Mixed;BOUNDARY=batch_1").unwrap(), "batch_1");
    }

    #[test]
    fn reads_quoted_and_bare_boundaries() {
        for (value, expected) in [
            ("multipart/mixed; boundary=\"batch_1\"", "batch_1"),
            ("multipart/mixed; charset=\"a;boundary=x\"; boundary = batch_1 ; q=1", "batch_1"),
            ("multipart/mixed; flag; boundary=b", "b"),
            ("multipart/mixed; boundary=\"a b'()+_,-./:=?\"", "a b'()+_,-./:=?"),
            ("multipart/mixed; boundary=batch(36522ad7):=?", "batch(36522ad7):=?"),
            ("multipart/mixed; boundary=\"a\\b\"", "ab"),
        ] {
            assert_eq!(boundary(value).unwrap(), expected, "{value}");
        }
        assert_eq!(boundary(&format!("multipart/mixed; boundary={}", "x".repeat(70))).unwrap().len(), 70);
    }

    #[test]
    fn refuses_what_is_no_boundary() {
        for (value, error) in [
            ("multipart/mixed", BoundaryError::Missing),
            ("multipart/mixed; charset=utf-8", BoundaryError::Missing),
            ("multipart/mixed; boundary=", BoundaryError::Length { got: 0 }),
            ("multipart/mixed; boundary=\"a \"", BoundaryError::Blank),
            ("multipart/mixed; boundary=a*b", BoundaryError::Character('*')),
        ] {
            assert_eq!(boundary(value), Err(DecodeError::Boundary(error)), "{value}");
        }
        let long = boundary(&format!("multipart/mixed; boundary={}", "x".repeat(71)));
        assert_eq!(long, Err(DecodeError::Boundary(BoundaryError::Length { got: 71 })));
    }

    #[test]
    fn refuses_other_types() {
        for value in ["", "text/plain", "multipart/form-data; boundary=a", "application/jsonx", "application/xml"] {
            let error = Envelope::from_content_type(value).unwrap_err();
            assert_eq!(error.status(), 415, "{value}");
        }
    }

    #[test]
    fn body_form_follows_the_media_type() {
        for (value, form) in [
            (None, BodyForm::Json),
            (Some("application/json;type=entry"), BodyForm::Json),
            (Some("Application/Problem+JSON"), BodyForm::Json),
            (Some("text/plain; charset=utf-8"), BodyForm::Text),
            (Some("image/png"), BodyForm::Base64),
            (Some("application/xml"), BodyForm::Base64),
        ] {
            assert_eq!(BodyForm::of(value), form, "{value:?}");
        }
    }
}
