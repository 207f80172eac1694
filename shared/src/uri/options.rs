//! Reads the query string (URL Conventions §5.1).

use std::borrow::Cow;

use super::{Expr, UriError, UriLimits, literal::is_identifier, parse_filter, path::decode};

/// System query options the standard knows and this service lacks.
const UNSUPPORTED: [&str; 9] =
    ["expand", "orderby", "search", "apply", "compute", "levels", "deltatoken", "index", "schemaversion"];

/// What is wrong with an option that was set before.
pub(super) const REPEATED: &str = "it appears more than once";

/// The options of a query string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// `$select`: names of properties, or `*`. Never empty.
    pub select: Option<Vec<String>>,
    /// `$filter`
    pub filter: Option<Expr>,
    /// `$top`
    pub top: Option<u64>,
    /// `$skip`
    pub skip: Option<u64>,
    /// `$count`
    pub count: Option<bool>,
    /// `$skiptoken`, as this service wrote it into a next link.
    pub skiptoken: Option<String>,
    /// `$format`
    pub format: Option<String>,
    /// `$id`
    pub id: Option<String>,
    /// Options that are not of the standard, in the order sent; without `=` the value is empty.
    pub custom: Vec<(String, String)>,
}

impl QueryOptions {
    /// Reads a query string as sent: percent-encoded, without `?`.
    ///
    /// Names of system options may lack the `$` and come in any case; each may appear once. `+` is a space, as form encoders write it, but a
    /// sign between digits (`T10:00:00+02:00`, `1e+5`).
    pub fn parse(query: &str, limits: &UriLimits) -> Result<Self, UriError> {
        UriError::check("bytes of the query", query.len(), limits.query)?;
        let mut options = Self::default();
        let (mut count, mut at) = (0, 0);
        for piece in query.split('&') {
            if !piece.is_empty() {
                count += 1;
                UriError::check("query options", count, limits.options)?;
                options.add(piece, at, limits)?;
            }
            at += piece.len() + 1;
        }
        Ok(options)
    }

    /// The names of the system options that are there.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("$select", self.select.is_some()),
            ("$filter", self.filter.is_some()),
            ("$top", self.top.is_some()),
            ("$skip", self.skip.is_some()),
            ("$count", self.count.is_some()),
            ("$skiptoken", self.skiptoken.is_some()),
            ("$format", self.format.is_some()),
            ("$id", self.id.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The value of a custom option, by exact name.
    pub fn custom(&self, name: &str) -> Option<&str> {
        self.custom.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn add(&mut self, piece: &str, at: usize, limits: &UriLimits) -> Result<(), UriError> {
        let (name, value) = piece.split_once('=').map_or((piece, None), |(name, value)| (name, Some(value)));
        let value_at = at + name.len() + 1;
        let name = decode(name, at)?.into_owned();
        let value = value.map(|value| decode(&with_spaces(value), value_at).map(Cow::into_owned)).transpose()?;
        if name.starts_with('@') {
            return Err(UriError::unsupported(format!("the parameter alias '{name}'")));
        }
        let trimmed = name.trim();
        let plain = trimmed.strip_prefix('$').unwrap_or(trimmed).to_ascii_lowercase();
        if UNSUPPORTED.contains(&plain.as_str()) {
            return Err(UriError::unsupported(format!("the query option '${plain}'")));
        }
        let known = ["select", "filter", "top", "skip", "count", "skiptoken", "format", "id"].contains(&plain.as_str());
        if !known {
            if trimmed.starts_with('$') {
                return Err(UriError::BadOption { name, reason: "there is no such system query option" });
            }
            self.custom.push((name, value.unwrap_or_default()));
            return Ok(());
        }
        let bad = |reason| UriError::BadOption { name: name.clone(), reason };
        let value = value.ok_or_else(|| bad("a value is missing"))?;
        if trimmed.len() != name.len() || value.starts_with([' ', '\t']) {
            return Err(bad("no space may stand around '='"));
        }
        if value.is_empty() {
            return Err(bad("the value is empty"));
        }
        if !self.set(&plain, value, &name, limits)? {
            return Err(bad(REPEATED));
        }
        Ok(())
    }

    /// Sets a known option; false when it was set before.
    fn set(&mut self, plain: &str, value: String, name: &str, limits: &UriLimits) -> Result<bool, UriError> {
        let bad = |reason| UriError::BadOption { name: name.to_owned(), reason };
        Ok(match plain {
            "select" => put(&mut self.select, select(&value, name)?),
            "filter" => put(&mut self.filter, parse_filter(&value, limits)?),
            "top" => put(&mut self.top, number(&value).ok_or_else(|| bad("a whole number from 0 is expected"))?),
            "skip" => put(&mut self.skip, number(&value).ok_or_else(|| bad("a whole number from 0 is expected"))?),
            "count" => put(&mut self.count, boolean(&value).ok_or_else(|| bad("'true' or 'false' is expected"))?),
            "skiptoken" => put(&mut self.skiptoken, value),
            "format" => put(&mut self.format, value),
            _ => put(&mut self.id, value),
        })
    }
}

fn put<T>(slot: &mut Option<T>, value: T) -> bool {
    slot.replace(value).is_none()
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn boolean(text: &str) -> Option<bool> {
    [("true", true), ("false", false)].into_iter().find(|(t, _)| text.eq_ignore_ascii_case(t)).map(|(_, value)| value)
}

/// The items of `$select`. Those with options, paths, types or annotations are beyond this service.
fn select(text: &str, name: &str) -> Result<Vec<String>, UriError> {
    if text.contains('(') {
        return Err(UriError::unsupported("'$select' with nested options"));
    }
    text.split(',').map(|item| select_item(item.trim(), name)).collect()
}

fn select_item(item: &str, name: &str) -> Result<String, UriError> {
    if item == "*" || is_identifier(item) {
        return Ok(item.to_owned());
    }
    let parts = || item.split(['/', '.', '@', '#']);
    if item.contains(['/', '.', '@']) && parts().all(|p| p.is_empty() || p == "*" || is_identifier(p)) {
        return Err(UriError::unsupported(format!("'$select={item}'")));
    }
    Err(UriError::BadOption { name: name.to_owned(), reason: "names of properties, separated by commas, are expected" })
}

/// Turns `+` into a space unless it is the sign of a number: between digits, or after the `e` of one.
fn with_spaces(value: &str) -> Cow<'_, str> {
    if !value.contains('+') {
        return value.into();
    }
    let bytes = value.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let sign = |at: usize| {
        let before = at.checked_sub(1);
        let exponent = before.and_then(|at| bytes.get(at)).is_some_and(|b| matches!(b, b'e' | b'E'));
        digit(Some(at + 1)) && (digit(before) || exponent && digit(at.checked_sub(2)))
    };
    value.char_indices().map(|(at, c)| if c == '+' && !sign(at) { ' ' } else { c }).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(query: &str) -> Result<QueryOptions, UriError> {
        QueryOptions::parse(query, &UriLimits::default())
    }

    #[test]
    fn options_are_read_in_any_spelling() {
        let options = parse("$top=2&SKIP=0&%24Count=TRUE&$format=json&$select=a,%20b,*&$skiptoken=x%26y&").unwrap();
        assert_eq!((options.top, options.skip, options.count), (Some(2), Some(0), Some(true)));
        assert_eq!(options.format.as_deref(), Some("json"));
        assert_eq!(options.skiptoken.as_deref(), Some("x&y"));
        assert_eq!(options.select, Some(vec!["a".to_owned(), "b".to_owned(), "*".to_owned()]));
        assert_eq!(parse(""), Ok(QueryOptions::default()));
    }

    #[test]
    fn custom_options_are_kept_and_plus_stays() {
        let options = parse("cross-company=true&x&x=1%2B1+1&Foo=").unwrap();
        let custom = [("cross-company", "true"), ("x", ""), ("x", "1+1+1"), ("Foo", "")];
        assert_eq!(options.custom, custom.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(options.custom("x"), Some(""));
        assert_eq!(options.custom("foo"), None);
    }

    #[test]
    fn a_filter_is_decoded_after_the_split() {
        let options = parse("$filter=name%20eq%20'a%26b'&$top=1").unwrap();
        let Some(Expr::Compare { right, .. }) = options.filter else { panic!("{options:?}") };
        assert_eq!(*right, Expr::Literal("'a&b'".to_owned()));
        assert!(matches!(parse("$filter=name eq 'a&b'"), Err(UriError::Syntax { .. })));
    }

    #[test]
    fn wrong_options_are_refused() {
        for query in [
            "$top=1&top=2",
            "$Top=1&$top=1",
            "$count",
            "$count=yes",
            "$count=",
            "$top=-1",
            "$top=x",
            "$top=",
            "$top=+1",
            "$top=99999999999999999999",
            "$skip=1.0",
            "$filter =true",
            "$filter= true",
            "$foo=1",
            "$=1",
            "$select=",
            "$select=a,,b",
            "$select=a b",
            "$select=,",
            "$select=5",
            "$skiptoken=",
            "$format=",
            "$filter=",
        ] {
            assert!(matches!(parse(query), Err(UriError::BadOption { .. })), "{query}: {:?}", parse(query));
        }
        assert_eq!(parse("a=1&b=%zz"), Err(UriError::Encoding { position: 6 }));
    }

    #[test]
    fn options_of_the_standard_that_are_missing_are_named() {
        for query in [
            "$expand=x",
            "OrderBy=x",
            "$search=x",
            "apply=x",
            "$compute=x",
            "$deltatoken=x",
            "$index=1",
            "$schemaversion=*",
            "@p=1",
            "$select=a/b",
            "$select=a($top=1)",
            "$select=NS.*",
            "$select=@a.b",
            "$filter=a in (1)",
        ] {
            assert!(parse(query).is_err_and(|error| error.is_unsupported()), "{query}: {:?}", parse(query));
        }
    }

    #[test]
    fn limits_hold() {
        let limits = UriLimits { query: 20, options: 3, ..UriLimits::default() };
        assert!(QueryOptions::parse("a&b&c", &limits).is_ok());
        assert!(QueryOptions::parse("a&b&c&d", &limits).unwrap_err().is_too_long());
        assert!(QueryOptions::parse(&"a".repeat(21), &limits).unwrap_err().is_too_long());
    }

    proptest! {
        #[test]
        fn arbitrary_queries_never_panic(query in "[$a-z=&%27@+é]{0,40}|(\\$filter|select|top|&|=|%20|x|,|\\(){0,20}") {
            let _ = parse(&query);
        }

        #[test]
        fn any_custom_value_round_trips(value in any::<String>()) {
            let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            let limits = UriLimits { query: usize::MAX, ..UriLimits::default() };
            let options = QueryOptions::parse(&format!("x={encoded}"), &limits).unwrap();
            prop_assert_eq!(options.custom("x"), Some(value.as_str()));
        }
    }
}
