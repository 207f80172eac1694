//! The outer shape of literals (ABNF "Literal Data Values"): enough to tell where one ends and what it may be.

/// What a literal looks like. Whether its value exists (a 31st of February) is for its type to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiteralShape {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean,
    /// `'…'`
    String,
    /// `1`, `-1.5`, `2e3`
    Number,
    /// `INF`, `-INF`, `NaN`
    NotFinite,
    /// `01234567-89ab-cdef-0123-456789abcdef`
    Guid,
    /// `2026-01-31`
    Date,
    /// `2026-01-31T12:00:00Z`
    DateTimeOffset,
    /// `12:00:00`
    TimeOfDay,
    /// `duration'PT1S'`
    Duration,
    /// `binary'AA=='`
    Binary,
    /// `NS.Enum'Member'`
    Enum,
}

impl LiteralShape {
    /// The shape of a whole text; `None` when it is no literal.
    pub(crate) fn of(text: &str) -> Option<Self> {
        if let Some(at) = text.find('\'') {
            let (prefix, quoted) = text.split_at_checked(at)?;
            if quoted_length(quoted) != Some(quoted.len()) {
                return None;
            }
            return Self::of_prefix(prefix);
        }
        match text {
            "null" => Some(Self::Null),
            "INF" | "-INF" | "NaN" => Some(Self::NotFinite),
            _ if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => Some(Self::Boolean),
            _ if is_number(text) => Some(Self::Number),
            _ if is_guid(text) => Some(Self::Guid),
            _ if is_date(text) => Some(Self::Date),
            _ if is_time(text) => Some(Self::TimeOfDay),
            _ if is_date_time_offset(text) => Some(Self::DateTimeOffset),
            _ => None,
        }
    }

    /// The shape of a quoted literal with this in front of the quote.
    fn of_prefix(prefix: &str) -> Option<Self> {
        match prefix {
            "" => Some(Self::String),
            _ if prefix.eq_ignore_ascii_case("duration") => Some(Self::Duration),
            _ if prefix.eq_ignore_ascii_case("binary") => Some(Self::Binary),
            _ if prefix.contains('.') && prefix.split('.').all(is_identifier) => Some(Self::Enum),
            _ => None,
        }
    }
}

/// Length of the quoted string that begins `text`, both quotes counted; a doubled quote is part of it.
pub(super) fn quoted_length(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    if bytes.next()?.1 != b'\'' {
        return None;
    }
    let mut bytes = bytes.peekable();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\'' && bytes.next_if(|(_, next)| *next == b'\'').is_none() {
            return Some(at + 1);
        }
    }
    None
}

/// Whether text is an `odataIdentifier` (at most 128 characters).
pub(super) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(begins_identifier) && chars.clone().count() < 128 && chars.all(continues_identifier)
}

/// Whether an identifier may begin with this character.
pub(super) fn begins_identifier(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// Whether an identifier may go on with this character.
pub(super) fn continues_identifier(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Whether the text begins with a GUID that no further identifier character follows.
pub(super) fn begins_with_guid(text: &str) -> bool {
    let Some((guid, rest)) = text.split_at_checked(36) else { return false };
    is_guid(guid) && !rest.starts_with(|c: char| continues_identifier(c) || c == '-')
}

fn is_guid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = unsigned(mantissa);
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, rest)| (whole, Some(rest)));
    digits(whole) && fraction.is_none_or(digits) && exponent.is_none_or(|e| digits(unsigned(e)))
}

fn is_date(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let mut parts = text.split('-');
    let year = parts.next().is_some_and(|y| y.len() >= 4 && digits(y));
    year && parts.next().is_some_and(two_digits) && parts.next().is_some_and(two_digits) && parts.next().is_none()
}

fn is_time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, rest)| (clock, Some(rest)));
    let parts = clock.split(':').count();
    clock.split(':').all(two_digits) && (parts == 3 || parts == 2 && fraction.is_none()) && fraction.is_none_or(digits)
}

fn is_date_time_offset(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't']) else { return false };
    if !is_date(date) {
        return false;
    }
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return is_time(time);
    }
    time.split_once(['+', '-']).is_some_and(|(time, offset)| {
        is_time(time) && offset.split_once(':').is_some_and(|(h, m)| two_digits(h) && two_digits(m))
    })
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn two_digits(text: &str) -> bool {
    text.len() == 2 && digits(text)
}
