//! Text files: their encoding, and lines and columns in them. Pure.

use std::fmt;

/// A place in a text file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Why bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// They begin with the byte order mark of UTF-16.
    #[error("is UTF-16 text; save it as UTF-8")]
    Utf16,
    /// A byte that has no place in UTF-8.
    #[error("is not UTF-8 text")]
    Byte(Position),
}

impl Position {
    /// Where a text begins.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place of a byte offset.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
        }
    }

    /// The place of an error in a JSON text. The error counts bytes of its line, and none at the line's beginning.
    pub fn of_json(text: &str, error: &serde_json::Error) -> Self {
        Self::of_bytes(text, error.line(), error.column())
    }

    /// The place of the byte with this number in its line; both count from 1.
    pub fn of_bytes(text: &str, line: usize, byte: usize) -> Self {
        let text = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
        let before = byte.saturating_sub(1);
        Self { line: line.max(1), column: text.char_indices().take_while(|(at, _)| *at < before).count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl NotText {
    /// Where it is seen.
    pub fn position(&self) -> Position {
        match self {
            Self::Utf16 => Position::START,
            Self::Byte(position) => *position,
        }
    }
}

/// The text of a file. A byte order mark is taken off: editors write one, and nobody sees it.
pub fn decode(bytes: &[u8]) -> Result<&str, NotText> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(NotText::Utf16);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let (valid, _) = bytes.split_at(error.valid_up_to());
        NotText::Byte(Position::of(&String::from_utf8_lossy(valid), valid.len()))
    })
}

/// The message of an error in a JSON text, without the place that it ends with.
pub fn json_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(decode(b"\xef\xbb\xbfa\xc3\xa4"), Ok("aä"));
        assert_eq!(decode(b"a\xc3\xa4"), Ok("aä"));
        assert_eq!(decode(b""), Ok(""));
        for utf16 in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a"] {
            assert_eq!(decode(utf16), Err(NotText::Utf16));
        }
    }

    #[test]
    fn the_first_bad_byte_has_line_and_column() {
        for (bytes, place) in [
            (&b"\xff"[..], at(1, 1)),
            (b"\xef\xbb\xbf\xff", at(1, 1)),
            (b"a\n\xc3\xa4b\xe4", at(2, 3)),
            (b"a\xe2\x82", at(1, 2)),
        ] {
            assert_eq!(decode(bytes), Err(NotText::Byte(place)), "{bytes:?}");
        }
    }

    #[test]
    fn errors_of_json_are_placed_by_characters() {
        for (text, place, message) in [
            ("{\"ä\": tru}", at(1, 10), "expected ident"),
            ("[1,]", at(1, 4), "trailing comma"),
            ("{}\n x", at(2, 2), "trailing characters"),
            ("", at(1, 1), "EOF while parsing a value"),
            ("{\n", at(2, 1), "EOF while parsing an object"),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            assert_eq!((Position::of_json(text, &error), json_message(&error).as_str()), (place, message), "{text}");
        }
    }
}
