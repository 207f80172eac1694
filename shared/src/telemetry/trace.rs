//! Where a request stands in a trace: W3C Trace Context, level 2. Pure; random bits are arguments.

use std::fmt;

use http::{HeaderName, HeaderValue};
use uuid::Uuid;

use crate::batch::Headers;

/// Name of the header that has the ids.
pub const TRACEPARENT: &str = "traceparent";
/// Name of the header that has what tracing systems add.
pub const TRACESTATE: &str = "tracestate";

/// Length of a `traceparent` of version 00.
const PARENT_LENGTH: usize = 55;
/// Flag `sampled`.
const SAMPLED: u8 = 1;
/// Flags that are known; all others are not passed on (§3.2.2.5).
const KNOWN_FLAGS: u8 = 0b11;
/// Most members of a `tracestate` (§3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// Longest `tracestate` that is passed on, in bytes (§3.3.1.5).
const MAX_STATE: usize = 512;
/// A member that is longer goes first where there is too much.
const LONG_MEMBER: usize = 128;
/// Longest key of a member, and longest value.
const MAX_PART: usize = 256;

/// A request's place in a trace: the trace, and the span that others have as their parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: Option<String>,
}

impl TraceContext {
    /// A new trace. Its lines are in the log, so it is `sampled`.
    pub fn new([trace, span]: [Uuid; 2]) -> Self {
        Self { trace: trace.as_u128(), span: span_of(span), flags: SAMPLED, state: None }
    }

    /// A span of its own in the trace of whoever sent these headers; in a new trace where they say none, or not in the
    /// right form.
    pub fn of(headers: &Headers, fresh: [Uuid; 2]) -> Self {
        let mut parents = headers.get_all(TRACEPARENT);
        let states: Vec<&str> = headers.get_all(TRACESTATE).collect();
        let parent = match (parents.next(), parents.next()) {
            (Some(parent), None) => Self::parse(parent, Some(&states.join(","))),
            _ => None,
        };
        parent.map_or_else(|| Self::new(fresh), |parent| parent.child(fresh[1]))
    }

    /// Reads `traceparent` and `tracestate`. One that is not in the right form is none; with a wrong `tracestate` only
    /// that is left out (§3.2.2, §3.3).
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let (known, rest) = parent.split_at_checked(PARENT_LENGTH)?;
        let mut parts = known.split('-');
        let version = hex(parts.next()?, 2)?;
        // Later versions may have more after what this one knows.
        let fits = if version == 0 { rest.is_empty() } else { rest.is_empty() || rest.starts_with('-') };
        let (trace, span) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let valid = fits && version != 0xff && parts.next().is_none() && trace != 0 && span != 0;
        let span = u64::try_from(span).ok()?;
        valid.then(|| Self { trace, span, flags: flags & KNOWN_FLAGS, state: state.and_then(bounded) })
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(&self, fresh: Uuid) -> Self {
        Self { span: span_of(fresh), ..self.clone() }
    }

    /// The id of the trace, as all its headers have it.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The value of `traceparent`, with this span as the parent.
    pub fn parent(&self) -> String {
        self.to_string()
    }

    /// Both values as one text, which rows keep: `traceparent`, and after a space `tracestate`.
    pub fn text(&self) -> String {
        match &self.state {
            Some(state) => format!("{self} {state}"),
            None => self.to_string(),
        }
    }

    /// Reads a text of a row.
    pub fn from_text(text: &str) -> Option<Self> {
        let (parent, state) = text.split_once(' ').map_or((text, None), |(parent, state)| (parent, Some(state)));
        Self::parse(parent, state)
    }

    /// Both headers, for a request of that span.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let values = [(TRACEPARENT, Some(self.parent())), (TRACESTATE, self.state.clone())];
        let header = |(name, value): (_, Option<String>)| {
            Some((HeaderName::from_static(name), HeaderValue::try_from(value?).ok()?))
        };
        values.into_iter().filter_map(header)
    }

    /// Adds the header that tells where an answer comes from.
    pub fn tell(&self, headers: &mut Headers) {
        if let Ok(value) = HeaderValue::try_from(self.parent()) {
            headers.append(HeaderName::from_static(TRACEPARENT), value);
        }
    }

    /// The value of `tracestate`.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// An id of a span. The version bits of a UUID keep it from being 0.
fn span_of(fresh: Uuid) -> u64 {
    fresh.as_u64_pair().0
}

/// A number of so many digits, in small letters.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { u128::from_str_radix(text, 16).ok() } else { None }
}

/// A `tracestate` in its canonical form and no longer than what is passed on; `None` where it is empty or wrong.
fn bounded(state: &str) -> Option<String> {
    let members = state.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
    let mut members: Vec<&str> = members.take(MAX_MEMBERS + 1).collect();
    let mut keys: Vec<&str> = members.iter().filter_map(|member| member.split_once('=')).map(|(key, _)| key).collect();
    keys.sort_unstable();
    let repeated = keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    if repeated || members.len() > MAX_MEMBERS || !members.iter().all(|member| is_member(member)) {
        return None;
    }
    let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>();
    if length(&members) > MAX_STATE + 1 {
        members.retain(|member| member.len() <= LONG_MEMBER);
    }
    while length(&members) > MAX_STATE + 1 {
        members.pop();
    }
    (!members.is_empty()).then(|| members.join(","))
}

/// `key=value` (§3.3.1.3).
fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let begins = |key: &str| key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_key = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-*/@".contains(&c);
    let is_value = |c: u8| matches!(c, 0x20..=0x7e) && !b",=".contains(&c);
    begins(key)
        && key.len() <= MAX_PART
        && key.bytes().all(is_key)
        && (1..=MAX_PART).contains(&value.len())
        && value.bytes().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn fresh() -> [Uuid; 2] {
        [Uuid::from_u128(0x1111_4111_8111_1111), Uuid::from_u128(0x2222_0000_4222_0000 << 64)]
    }

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.try_append(name, value).unwrap();
        }
        headers
    }

    #[test]
    fn a_request_is_a_span_of_its_own_in_the_trace_of_its_sender() {
        let context = TraceContext::of(
            &headers(&[("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2 ")]),
            fresh(),
        );
        assert_eq!(context.parent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-2222000042220000-01");
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.state(), Some("a=1,b=2"));
        assert_eq!(TraceContext::from_text(&context.text()), Some(context));
    }

    #[test]
    fn a_trace_begins_where_none_is_told() {
        let new = TraceContext::new(fresh());
        assert_eq!(new.parent(), "00-00000000000000001111411181111111-2222000042220000-01");
        let wrong = PARENT.replace("4bf9", "4BF9");
        for lines in [
            &[][..],
            &[("tracestate", "a=1")],
            &[("traceparent", wrong.as_str()), ("tracestate", "a=1")],
            &[("traceparent", PARENT), ("traceparent", PARENT)],
        ] {
            assert_eq!(TraceContext::of(&headers(lines), fresh()), new, "{lines:?}");
        }
        assert_eq!(TraceContext::parse(&new.parent(), None), Some(new));
    }

    #[test]
    fn only_the_right_form_is_read() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let zeros = |count| "0".repeat(count);
        let read = |text: &str| TraceContext::parse(text, None).map(|context| context.parent());
        for wrong in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-1"),
            format!("00-{trace}-{span}-01-"),
            format!("00-{trace}-{span}-01-more"),
            format!("01-{trace}-{span}-01more"),
            format!("ff-{trace}-{span}-01"),
            format!("0-{trace}-{span}-001"),
            format!("00-{}-{span}-01", zeros(32)),
            format!("00-{trace}-{}-01", zeros(16)),
            format!("00-{trace}-{span}-0g"),
            format!("00-{trace}-{span}-+1"),
            format!("00_{trace}_{span}_01"),
            format!(" 00-{trace}-{span}-01"),
            PARENT.to_uppercase(),
            "é".repeat(28),
        ] {
            assert_eq!(read(&wrong), None, "{wrong:?}");
        }
        // What a later version says beyond this one is not passed on, nor are flags that nobody knows here.
        for (text, flags) in [("00", "00"), ("01", "01"), ("02", "02"), ("ff", "03"), ("f0", "00")] {
            let expected = Some(format!("00-{trace}-{span}-{flags}"));
            assert_eq!(read(&format!("00-{trace}-{span}-{text}")), expected, "{text}");
            assert_eq!(read(&format!("cc-{trace}-{span}-{text}-what-comes")), expected, "{text}");
        }
    }

    #[test]
    fn a_state_is_passed_on_within_bounds() {
        for (state, expected) in [
            ("", None),
            (" , ,", None),
            ("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")),
            (" a=1 ,\tfw529a3039@dt=x y,", Some("a=1,fw529a3039@dt=x y")),
            ("a=1,a=2", None),
            ("a", None),
            ("A=1", None),
            ("=1", None),
            ("a=", None),
            ("a=b=c", None),
            ("a=é", None),
        ] {
            assert_eq!(bounded(state).as_deref(), expected, "{state:?}");
        }
        let many = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(bounded(&many(32)), Some(many(32)));
        assert_eq!(bounded(&many(33)), None);
    }

    #[test]
    fn of_too_long_a_state_long_members_go_first_and_then_the_last() {
        let long = format!("long={}", "x".repeat(200));
        let short = |at: usize| format!("s{at}={}", "y".repeat(96));
        let all = [short(1), long, short(2), short(3), short(4), short(5), short(6)].join(",");
        let kept = bounded(&all).unwrap();
        assert_eq!(kept, [short(1), short(2), short(3), short(4), short(5)].join(","));
        assert!(kept.len() <= MAX_STATE);
    }
}
