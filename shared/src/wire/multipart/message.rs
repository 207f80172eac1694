//! Lines, header blocks, request and status lines of parts.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use memchr::memchr;

use crate::{
    batch::{Headers, HeadersError},
    wire::{
        Limits,
        error::{Fault, excerpt},
    },
};

/// Reads lines of one part of a batch body. Offsets are those of the batch body.
pub(super) struct Cursor<'a> {
    body: &'a Bytes,
    at: usize,
    end: usize,
}

/// One header: its name, and its value without blanks around it.
pub(super) struct Field {
    pub(super) name: Range<usize>,
    pub(super) value: Bytes,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(body: &'a Bytes, range: Range<usize>) -> Self {
        Self { body, at: range.start, end: range.end }
    }

    /// Where the cursor is.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// What is left.
    pub(super) fn rest(&self) -> Range<usize> {
        self.at..self.end
    }

    /// Bytes of a range.
    pub(super) fn text(&self, range: Range<usize>) -> &'a [u8] {
        self.body.get(range).unwrap_or_default()
    }

    /// The next line without its end, CRLF or LF.
    pub(super) fn line(&mut self) -> Option<Range<usize>> {
        let rest = self.text(self.rest());
        if rest.is_empty() {
            return None;
        }
        let (length, next) = memchr(b'\n', rest).map_or((rest.len(), rest.len()), |at| (at, at + 1));
        let line = rest.get(..length).unwrap_or_default();
        let line = if next > length { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        let start = self.at;
        self.at += next;
        Some(start..start + line.len())
    }

    /// Skips empty lines.
    pub(super) fn skip_empty_lines(&mut self) {
        loop {
            let before = self.at;
            if !self.line().is_some_and(|line| line.is_empty()) {
                self.at = before;
                return;
            }
        }
    }

    /// The next header of a block; `None` after the empty line that ends it, or at the end of the part.
    pub(super) fn field(&mut self) -> Result<Option<Field>, Fault> {
        let Some(line) = self.line().filter(|line| !line.is_empty()) else { return Ok(None) };
        let text = self.text(line.clone());
        let Some(colon) = memchr(b':', text) else { return Err(Fault::HeaderLine { line: excerpt(text) }) };
        let (name, start) = (line.start..line.start + colon, line.start + colon + 1);
        let name_text = self.text(name.clone());
        // A request line with a colon in its URL is no header: the empty line before it is missing.
        if name_text.is_empty() || name_text.iter().any(u8::is_ascii_whitespace) {
            return Err(HeadersError::Name(excerpt(name_text)).into());
        }
        let mut end = line.end;
        let mut folded = false;
        while matches!(self.text(self.rest()).first(), Some(b' ' | b'\t')) {
            end = self.line().map_or(end, |line| line.end);
            folded = true;
        }
        Ok(Some(Field { name, value: self.value(start..end, folded) }))
    }

    fn value(&self, range: Range<usize>, folded: bool) -> Bytes {
        let text = self.text(range);
        if !folded {
            return self.body.slice_ref(text.trim_ascii());
        }
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines.collect::<Vec<_>>().join(&b' ').into()
    }
}

/// Reads the header block of a request or response. A fault comes with the offset of its line.
pub(super) fn headers(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Headers, (usize, Fault)> {
    let start = cursor.offset();
    let mut headers = Headers::new();
    loop {
        let at = cursor.offset();
        let header = header(cursor, start, limits).map_err(|fault| (at, fault))?;
        let Some((name, value)) = header else { return Ok(headers) };
        if headers.len() == limits.headers {
            return Err((at, Fault::HeaderCount { max: limits.headers }));
        }
        headers.append(name, value);
    }
}

fn header(cursor: &mut Cursor<'_>, start: usize, limits: &Limits) -> Result<Option<(HeaderName, HeaderValue)>, Fault> {
    let Some(Field { name, value }) = cursor.field()? else { return Ok(None) };
    check_size(cursor, start, limits)?;
    let text = cursor.text(name);
    let name = HeaderName::from_bytes(text).map_err(|_| HeadersError::Name(excerpt(text)))?;
    let value = HeaderValue::from_maybe_shared(value).map_err(|_| HeadersError::Value(name.to_string()))?;
    Ok(Some((name, value)))
}

/// Fails when the header block that starts at `start` is too long.
pub(super) fn check_size(cursor: &Cursor<'_>, start: usize, limits: &Limits) -> Result<(), Fault> {
    if cursor.offset() - start > limits.header_bytes {
        return Err(Fault::HeaderBytes { max: limits.header_bytes });
    }
    Ok(())
}

/// Method and URL. The URL is all between the method and the trailing version: clients leave blanks in it, and the
/// version out.
pub(super) fn request_line(line: &[u8], limits: &Limits) -> Result<(Method, String), Fault> {
    let line = line.trim_ascii();
    let (method, rest) = line.split_at(memchr(b' ', line).unwrap_or(line.len()));
    let method =
        Method::from_bytes(&method.to_ascii_uppercase()).map_err(|_| Fault::Method { method: excerpt(method) })?;
    let url = without_version(rest).trim_ascii();
    if url.len() > limits.url_bytes {
        return Err(Fault::UrlBytes { got: url.len(), max: limits.url_bytes });
    }
    let url = std::str::from_utf8(url).map_err(|_| Fault::UrlCharacter)?;
    if url.is_empty() {
        return Err(Fault::NoUrl);
    }
    if url.chars().any(char::is_control) {
        return Err(Fault::UrlCharacter);
    }
    Ok((method, url.into()))
}

fn without_version(text: &[u8]) -> &[u8] {
    let last = memchr::memrchr(b' ', text).and_then(|at| text.split_at_checked(at));
    match last {
        Some((url, word)) if is_version(word.trim_ascii()) => url,
        _ => text,
    }
}

fn is_version(word: &[u8]) -> bool {
    word.split_at_checked(5).is_some_and(|(name, number)| {
        name.eq_ignore_ascii_case(b"HTTP/")
            && !number.is_empty()
            && number.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    })
}

/// The status of `HTTP/1.1 200 OK`.
pub(super) fn status_line(line: &[u8]) -> Result<StatusCode, Fault> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let version = words.next().filter(|word| is_version(word));
    let status = version.and(words.next()).and_then(|word| StatusCode::from_bytes(word).ok());
    status.ok_or_else(|| Fault::StatusLine { line: excerpt(line) })
}
