//! Root patterns: which service a path belongs to.
//!
//! A pattern is a path of literal segments, segments with a final `*` (`v9.*`) and placeholders (`{version}`: one segment
//! of letters, digits, `.`, `-`, `_`, so that neither `$batch` nor `journals(…)` is mistaken for a part of a root).
//! Of several patterns that match a path, the most specific one wins: segment by segment from the left, a literal
//! before a `*` (the longer the text before it, the better) before a placeholder; then the longer pattern. The literal
//! segments that a pattern begins with belong to its service: no placeholder of another service's pattern stands for one of
//! them, so `/api/data/v10.0` is no root of a service at `/api/{publisher}/{version}` beside one at `/api/data/v9.*`.
//! Two patterns that this order cannot tell apart are an error when the services are loaded.

use std::{borrow::Cow, cmp::Reverse};

use percent_encoding::percent_decode_str;

use super::error::Problem;
use crate::uri::Encoding;

/// Where it is asked whether the host lives. No service is there.
pub const HEALTH: &str = "/health";
/// Where it is asked whether the host can work. No service is there.
pub const READY: &str = "/ready";
/// Where the figures of the host are. No service is there.
pub const METRICS: &str = "/metrics";
/// Where events come in. No service is there or below.
const EVENTS: &str = "/events";

/// More segments than any root needs.
const MAX_SEGMENTS: usize = 16;

/// A root pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// This text.
    Literal(String),
    /// Text that begins with this.
    Prefix(String),
    /// Any name.
    Placeholder,
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return if is_name(name) { Ok(Self::Placeholder) } else { Err("a placeholder is a name in braces") };
        }
        if let Some(prefix) = text.strip_suffix('*') {
            return if prefix.is_empty() || is_name(prefix) {
                Ok(Self::Prefix(prefix.into()))
            } else {
                Err("'*' stands at the end of a segment of letters, digits, '.', '-', '_'")
            };
        }
        if matches!(text, "." | "..") {
            return Err("clients take the segments '.' and '..' out of a path");
        }
        if is_name(text) {
            Ok(Self::Literal(text.into()))
        } else {
            Err("a segment consists of letters, digits, '.', '-', '_'")
        }
    }

    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => segment == text,
            Self::Prefix(prefix) => segment.starts_with(prefix.as_str()) && is_name(segment),
            Self::Placeholder => is_name(segment),
        }
    }

    /// How specific it is: literal, then by length of the text before `*`, then placeholder.
    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Literal(_) => (2, 0),
            Self::Prefix(prefix) => (1, prefix.len()),
            Self::Placeholder => (0, 0),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Literal(text) | Self::Prefix(text) => text,
            Self::Placeholder => "",
        }
    }
}

/// Letters, digits, `.`, `-`, `_`; at least one.
pub(super) fn is_name(segment: &str) -> bool {
    !segment.is_empty()
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl Pattern {
    /// Reads a pattern such as `/api/{publisher}/v9.*`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let problem = |reason| Problem::Root { pattern: text.into(), reason };
        let is_below_events = text.strip_prefix(EVENTS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if [HEALTH, READY, METRICS].contains(&text) || is_below_events {
            return Err(problem("the host itself answers there"));
        }
        let path = text.strip_prefix('/').ok_or_else(|| problem("it must begin with '/'"))?;
        let segments = path.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>().map_err(problem)?;
        if segments.len() > MAX_SEGMENTS {
            return Err(problem("it has more than 16 segments"));
        }
        Ok(Self { text: text.into(), segments })
    }

    /// Segments before the first that is not literal.
    fn literal_prefix(&self) -> &[Segment] {
        let end = self.segments.iter().position(|segment| !matches!(segment, Segment::Literal(_)));
        self.segments.split_at(end.unwrap_or(self.segments.len())).0
    }

    /// Whether a path that this pattern matches begins with these literal segments, and some of them only by a placeholder.
    fn captures(&self, literals: &[Segment], path: &str, encoding: Encoding) -> bool {
        let called = path.split('/').skip(1);
        let begins = called
            .zip(literals)
            .filter(|(called, literal)| decoded(called, encoding).is_some_and(|called| literal.matches(&called)));
        begins.count() == literals.len() && self.segments.get(..literals.len()) != Some(literals)
    }

    /// As written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Splits a path into the root and what follows it, without the slash between them.
    fn split<'p>(&self, path: &'p str, encoding: Encoding) -> Option<(&'p str, &'p str)> {
        let mut rest = path;
        for segment in &self.segments {
            let after = rest.strip_prefix('/')?;
            let end = after.find('/').unwrap_or(after.len());
            let (called, following) = after.split_at_checked(end)?;
            if !segment.matches(&decoded(called, encoding)?) {
                return None;
            }
            rest = following;
        }
        let root = path.strip_suffix(rest)?;
        Some((root, rest.strip_prefix('/').unwrap_or(rest)))
    }
}

/// A segment's text. An edge that has decoded the path must not have it decoded twice.
fn decoded(segment: &str, encoding: Encoding) -> Option<Cow<'_, str>> {
    match encoding {
        Encoding::Percent => percent_decode_str(segment).decode_utf8().ok(),
        Encoding::Decoded => Some(Cow::Borrowed(segment)),
    }
}

/// Where a pattern is declared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Index of the service.
    pub(super) service: usize,
    /// Byte offset in its `service.toml`.
    pub(super) offset: usize,
}

/// The patterns of all services, most specific first.
#[derive(Clone, Debug)]
pub(super) struct Roots(Vec<(Pattern, Origin)>);

impl Roots {
    /// Orders patterns. `Err`: two that the order cannot tell apart, the one declared first in front.
    pub(super) fn new(mut patterns: Vec<(Pattern, Origin)>) -> Result<Self, Box<[(Pattern, Origin); 2]>> {
        // Rank decides; the texts bring equal patterns side by side.
        patterns.sort_by_cached_key(|(pattern, _)| {
            let ranks: Vec<_> = pattern.segments.iter().map(Segment::rank).collect();
            let texts: Vec<_> = pattern.segments.iter().map(|segment| segment.text().to_owned()).collect();
            Reverse((ranks, texts))
        });
        for pair in patterns.windows(2) {
            if let [first, second] = pair
                && first.0.segments == second.0.segments
            {
                return Err(Box::new([first.clone(), second.clone()]));
            }
        }
        Ok(Self(patterns))
    }

    /// Index of the service of a path, the root as called and the rest of the path.
    pub(super) fn find<'p>(&self, path: &'p str, encoding: Encoding) -> Option<(usize, &'p str, &'p str)> {
        self.0.iter().find_map(|(pattern, origin)| {
            let (root, rest) = pattern.split(path, encoding)?;
            let is_captured = self.0.iter().any(|(other, at)| {
                at.service != origin.service && pattern.captures(other.literal_prefix(), path, encoding)
            });
            (!is_captured).then_some((origin.service, root, rest))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [&str; 8] = [
        "/api/{publisher}/{group}/{version}",
        "/api/v2.0",
        "/data",
        "/api/data/v9.*",
        "/api/data/v8.*",
        "/api/data/v9.2",
        "/trippin",
        "/api/data",
    ];

    fn new(patterns: &[&str]) -> Result<Roots, Box<[(Pattern, Origin); 2]>> {
        let origin = |service| Origin { service, offset: 0 };
        Roots::new((0..).map(origin).zip(patterns).map(|(at, text)| (Pattern::parse(text).unwrap(), at)).collect())
    }

    fn roots(patterns: &[&str]) -> Roots {
        new(patterns).unwrap()
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let roots = roots(&PATTERNS);
        for (path, expected) in [
            ("/api/v2.0", Some((1, "/api/v2.0", ""))),
            ("/api/v2.0/", Some((1, "/api/v2.0", ""))),
            (
                "/api/v2.0/companies(1)/journals(2)/journalLines",
                Some((1, "/api/v2.0", "companies(1)/journals(2)/journalLines")),
            ),
            ("/api/contoso/app1/v1.0/items", Some((0, "/api/contoso/app1/v1.0", "items"))),
            ("/api/contoso/app1/v1.0", Some((0, "/api/contoso/app1/v1.0", ""))),
            ("/api/contoso/app1", None),
            ("/api/contoso/app1/items(1)", None),
            ("/api/contoso/app1/$batch", None),
            ("/api/data/v9.2/accounts(1)", Some((5, "/api/data/v9.2", "accounts(1)"))),
            ("/api/data/v9.1/accounts(1)", Some((3, "/api/data/v9.1", "accounts(1)"))),
            ("/api/data/v8.2/accounts/Account_Tasks", Some((4, "/api/data/v8.2", "accounts/Account_Tasks"))),
            ("/api/data/accounts", Some((7, "/api/data", "accounts"))),
            ("/api/data/v10.0/accounts", Some((7, "/api/data", "v10.0/accounts"))),
            ("/data/BatchJobs(5637144576)", Some((2, "/data", "BatchJobs(5637144576)"))),
            ("/database", None),
            ("/Data", None),
            ("/data//x", Some((2, "/data", "/x"))),
            ("//data", None),
            ("data", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(roots.find(path, Encoding::Percent), expected, "{path}");
        }
    }

    #[test]
    fn a_placeholder_stands_for_no_literal_prefix_of_another_service() {
        let roots = roots(&PATTERNS[..5]);
        for path in ["/api/data/v10.0/accounts", "/api/data/x/y/items", "/api/d%61ta/x/y"] {
            assert_eq!(roots.find(path, Encoding::Percent), None, "{path}");
        }
        assert_eq!(roots.find("/api/datas/x/y", Encoding::Percent), Some((0, "/api/datas/x/y", "")));
        let origin = |service| Origin { service, offset: 0 };
        let pattern = |text| Pattern::parse(text).unwrap();
        let own = [(pattern("/api/data/v9.*"), origin(0)), (pattern("/api/{publisher}/{version}"), origin(0))];
        assert_eq!(
            Roots::new(own.into()).unwrap().find("/api/data/v10.0", Encoding::Percent),
            Some((0, "/api/data/v10.0", ""))
        );
    }

    #[test]
    fn an_encoded_segment_is_compared_decoded_and_never_decoded_twice() {
        let roots = roots(&PATTERNS);
        let found = roots.find("/api/data/v9%2E2/accounts('A%2F1')", Encoding::Percent);
        assert_eq!(found, Some((5, "/api/data/v9%2E2", "accounts('A%2F1')")));
        assert_eq!(roots.find("/d%61ta", Encoding::Decoded), None);
        assert_eq!(roots.find("/api/a%2Fb/c/d", Encoding::Percent), None);
        assert_eq!(roots.find("/api/%FF/c/d", Encoding::Percent), None);
    }

    #[test]
    fn patterns_that_answer_the_same_paths_are_refused() {
        for pair in [["/a/{x}", "/a/{y}"], ["/a", "/a"], ["/v9.*", "/v9.*"]] {
            assert!(new(&pair).is_err(), "{pair:?}");
        }
        roots(&["/v9.*", "/v9*", "/v*", "/{x}", "/v9.2"]);
    }

    #[test]
    fn a_malformed_pattern_is_refused() {
        for text in [
            "",
            "data",
            "/",
            "/a/",
            "/a//b",
            "/{}",
            "/{a",
            "/a*b",
            "/*.x",
            "/a b",
            "/a?b",
            "/$batch",
            "/%41",
            "/health",
            "/data/../x",
            "/./x",
            "/ready",
            "/metrics",
            "/events",
            "/events/",
            "/events/x",
            "/events/{x}",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        for text in ["/health/x", "/metrics.x", "/eventss", "/events2/x", "/x/events"] {
            Pattern::parse(text).unwrap();
        }
    }

    proptest! {
        #[test]
        fn any_path_is_root_plus_rest_or_unmatched(path in "(/api|/data|/v2\\.0|/|[a-z%é]{0,3}|%2F){0,6}") {
            for encoding in [Encoding::Percent, Encoding::Decoded] {
                if let Some((_, root, rest)) = roots(&PATTERNS).find(&path, encoding) {
                    let whole = [root, "/", rest].concat();
                    prop_assert!(path == whole || (path == root && rest.is_empty()));
                }
            }
        }
    }
}
