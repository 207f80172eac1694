//! Parts between delimiter lines.

use std::ops::Range;

use memchr::memmem;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The parts of a multipart body, as ranges of it. What stands before the first delimiter and after the closing one is
/// skipped.
///
/// A delimiter is a whole line: `--`, the boundary, `--` when it closes, blanks. The line end before it is its own.
pub(super) struct Parts<'h, 'n> {
    text: &'h [u8],
    hits: memmem::FindIter<'h, 'n>,
    needle: usize,
    state: State,
}

enum State {
    Start,
    /// In the part that starts here.
    Open(usize),
    Done,
}

/// Why the parts end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// No delimiter at all.
    NoDelimiter,
    /// No closing delimiter; the last part starts here.
    Unclosed(usize),
}

struct Delimiter {
    /// End of the content before it.
    before: usize,
    /// Start of the content after it.
    after: usize,
    closes: bool,
}

impl<'h, 'n> Parts<'h, 'n> {
    /// `needle` is `--` and the boundary.
    pub(super) fn new(text: &'h [u8], needle: &'n str) -> Self {
        Self { text, hits: memmem::find_iter(text, needle), needle: needle.len(), state: State::Start }
    }

    /// The next hit that is a whole line. A boundary has no line feed, so a hit that is no line hides none that is.
    fn delimiter(&mut self) -> Option<Delimiter> {
        let (text, needle) = (self.text, self.needle);
        self.hits.find_map(|at| delimiter_at(text, at, needle))
    }
}

impl Iterator for Parts<'_, '_> {
    type Item = Result<Range<usize>, Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = match self.state {
            State::Done => return None,
            State::Open(start) => start,
            State::Start => match self.delimiter() {
                Some(first) if !first.closes => first.after,
                other => {
                    self.state = State::Done;
                    return if other.is_some() { None } else { Some(Err(Cut::NoDelimiter)) };
                }
            },
        };
        let Some(end) = self.delimiter() else {
            self.state = State::Done;
            return Some(Err(Cut::Unclosed(start)));
        };
        self.state = if end.closes { State::Done } else { State::Open(end.after) };
        // Two delimiters in a row share their line end.
        Some(Ok(start..end.before.max(start)))
    }
}

fn delimiter_at(text: &[u8], at: usize, needle: usize) -> Option<Delimiter> {
    let (before, line) = text.split_at_checked(at)?;
    if !(before.is_empty() || before.ends_with(b"\n") || before == BYTE_ORDER_MARK) {
        return None;
    }
    let tail = line.get(needle..)?;
    let closing = tail.strip_prefix(b"--").and_then(skip_line_end);
    let rest = closing.or_else(|| skip_line_end(tail))?;
    let before = before.strip_suffix(b"\n").unwrap_or(before);
    let before = before.strip_suffix(b"\r").unwrap_or(before);
    Some(Delimiter { before: before.len(), after: text.len() - rest.len(), closes: closing.is_some() })
}

/// What follows blanks and a line end.
fn skip_line_end(text: &[u8]) -> Option<&[u8]> {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let text = text.get(blanks..)?;
    if text.is_empty() { Some(text) } else { text.strip_prefix(b"\r\n").or_else(|| text.strip_prefix(b"\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'t>(text: &'t str, boundary: &str) -> Result<Vec<&'t str>, Cut> {
        Parts::new(text.as_bytes(), &format!("--{boundary}")).map(|part| part.map(|range| &text[range])).collect()
    }

    #[test]
    fn cuts_at_whole_lines_only() {
        let text = "--AAA1234\r\n--AAA123\r\none\r\n--AAA1234\r\nx--AAA123\r\n--AAA123-\n--AAA123\ntwo\n--AAA123--";
        assert_eq!(split(text, "AAA123").unwrap(), ["one\r\n--AAA1234\r\nx--AAA123\r\n--AAA123-", "two"]);
    }

    #[test]
    fn skips_preamble_epilogue_padding_and_byte_order_mark() {
        for text in ["hello\n\r\n--b \t\r\none\r\n--b--  \r\nbye\r\n--b\r\n", "\u{feff}--b\none\n--b--"] {
            assert_eq!(split(text, "b").unwrap(), ["one"], "{text:?}");
        }
    }

    #[test]
    fn keeps_the_bytes_of_a_part() {
        assert_eq!(split("--b\r\none\r\n\r\n--b\r\n\n two \n\n--b--", "b").unwrap(), ["one\r\n", "\n two \n"]);
        assert_eq!(split("--b\r\n--b\r\n\r\n--b--", "b").unwrap(), ["", ""]);
    }

    #[test]
    fn tells_why_parts_are_missing() {
        assert_eq!(split("--b--\r\n", "b").unwrap(), Vec::<&str>::new());
        assert_eq!(split("--c\r\n--c--", "b"), Err(Cut::NoDelimiter));
        assert_eq!(split("", "b"), Err(Cut::NoDelimiter));
        assert_eq!(split("--b\r\none\r\n--b\r\ntwo", "b"), Err(Cut::Unclosed(15)));
    }
}
