//! Reads the query string (URL Conventions §5.1).

use super::{Expr, UriError, UriLimits, literal::is_identifier, parse_filter, path::decode};

/// System query options the standard knows and this service lacks.
const UNSUPPORTED: [&str; 9] =
    ["expand", "orderby", "search", "apply", "compute", "levels", "deltatoken", "index", "schemaversion"];

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
    /// Names of system options may lack the `$` and come in any case; each may appear once. `+` is a plus.
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

    /// The value of a custom option, by exact name.
    pub fn custom(&self, name: &str) -> Option<&str> {
        self.custom.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn add(&mut self, piece: &str, at: usize, limits: &UriLimits) -> Result<(), UriError> {
        let (name, value) = piece.split_once('=').map_or((piece, None), |(name, value)| (name, Some(value)));
        let value_at = at + name.len() + 1;
        let name = decode(name, at)?;
        let value = value.map(|value| decode(value, value_at)).transpose()?;
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
            return Err(bad("it appears more than once"));
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
