//! An ordered list of HTTP headers: few entries, written in a fixed order, names in any case.

use http::{HeaderName, HeaderValue};

/// HTTP headers in order. Lookups are linear: a request has a handful.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

/// Why a header could not be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadersError {
    /// Not a token (RFC 9110 §5.1).
    #[error("'{0}' is not a header name")]
    Name(String),
    /// Holds a control character.
    #[error("the value of header '{0}' has a character that is not allowed")]
    Value(String),
}

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header after the others.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// Adds a header after the others, from text.
    pub fn try_append(&mut self, name: &str, value: &str) -> Result<(), HeadersError> {
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeadersError::Name(name.into()))?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| HeadersError::Value(name.into()))?;
        self.append(header, value);
        Ok(())
    }

    /// Adds a header unless one of that name is there.
    pub fn inherit(&mut self, name: &HeaderName, value: &HeaderValue) {
        if !self.0.iter().any(|(n, _)| n == name) {
            self.append(name.clone(), value.clone());
        }
    }

    /// Adds a value to a header that is a list: behind those that are there, in one line.
    pub fn list(&mut self, name: HeaderName, value: HeaderValue) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            None => self.append(name, value),
            Some((_, list)) => {
                let both = [list.as_bytes(), b", ", value.as_bytes()].concat();
                // Two values of headers with a comma between them are one.
                if let Ok(both) = HeaderValue::from_bytes(&both) {
                    *list = both;
                }
            }
        }
    }

    /// The first value of a header, when it is UTF-8. `name` is lower-case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.as_str() == name).and_then(|(_, v)| std::str::from_utf8(v.as_bytes()).ok())
    }

    /// All values of a header, when they are UTF-8. `name` is lower-case.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n.as_str() == name)
            .filter_map(|(_, v)| std::str::from_utf8(v.as_bytes()).ok())
    }

    /// The isolations that are asked for: by `Isolation`, or else by `OData-Isolation` (Protocol §8.2.6).
    pub fn isolations(&self) -> impl Iterator<Item = &str> {
        self.get_all(if self.get("isolation").is_some() { "isolation" } else { "odata-isolation" })
    }

    /// Takes the first header of a name out. `name` is lower-case.
    pub fn take(&mut self, name: &str) -> Option<HeaderValue> {
        let at = self.0.iter().position(|(n, _)| n.as_str() == name)?;
        Some(self.0.remove(at).1)
    }

    /// The headers in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(n, v)| (n, v))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for Headers {
    fn from_iter<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}
