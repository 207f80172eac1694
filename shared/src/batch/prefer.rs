//! The `Prefer` header (RFC 7240, OData 4.01 Protocol §8.2.8).

use std::borrow::Cow;

use super::Headers;

/// What a client prefers, of what this service knows. A preference with a value that makes no sense is left out, as
/// are unknown ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// `continue-on-error`: bare or `=true`, or `=false`.
    pub continue_on_error: Option<bool>,
    /// `return=…`, or the older `return-content` and `return-no-content`.
    pub return_: Option<Return>,
    /// `maxpagesize`, at least 1.
    pub maxpagesize: Option<u32>,
    /// `respond-async`
    pub respond_async: bool,
}

/// What a write answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Headers only.
    Minimal,
    /// The entity.
    Representation,
}

impl Preferences {
    /// Reads all `Prefer` headers. The first mention of a preference counts, and one without the `odata.` prefix
    /// counts more than one with it.
    pub fn of(headers: &Headers) -> Self {
        let (mut plain, mut prefixed) = (Self::default(), Self::default());
        for value in headers.get_all("prefer") {
            for preference in split(value, ',') {
                let name_value = split(preference, ';').next().unwrap_or_default();
                let (name, value) = name_value.split_once('=').unwrap_or((name_value, ""));
                let name = name.trim().to_ascii_lowercase();
                let value = unquoted(value.trim());
                match name.strip_prefix("odata.") {
                    Some(name) => prefixed.note(name, &value),
                    None => plain.note(&name, &value),
                }
            }
        }
        Self {
            continue_on_error: plain.continue_on_error.or(prefixed.continue_on_error),
            return_: plain.return_.or(prefixed.return_),
            maxpagesize: plain.maxpagesize.or(prefixed.maxpagesize),
            respond_async: plain.respond_async || prefixed.respond_async,
        }
    }

    /// An empty value is no value.
    fn note(&mut self, name: &str, value: &str) {
        let value = value.to_ascii_lowercase();
        match (name, value.as_str()) {
            ("continue-on-error", "" | "true") => _ = self.continue_on_error.get_or_insert(true),
            ("continue-on-error", "false") => _ = self.continue_on_error.get_or_insert(false),
            ("return", "minimal") | ("return-no-content", _) => _ = self.return_.get_or_insert(Return::Minimal),
            ("return", "representation") | ("return-content", _) => {
                _ = self.return_.get_or_insert(Return::Representation);
            }
            ("maxpagesize", number) => {
                self.maxpagesize = self.maxpagesize.or(number.parse().ok().filter(|size| *size > 0));
            }
            ("respond-async", _) => self.respond_async = true,
            _ => {}
        }
    }
}

/// Cuts at a separator, but not inside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let cut = c == separator && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        cut
    })
}

fn unquoted(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').map(|text| text.strip_suffix('"').unwrap_or(text)) else {
        return text.into();
    };
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut chars = inner.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefer(values: &[&str]) -> Preferences {
        let mut headers = Headers::new();
        for value in values {
            headers.try_append("Prefer", value).unwrap();
        }
        Preferences::of(&headers)
    }

    #[test]
    fn continue_on_error_has_two_names_and_three_spellings() {
        for (value, expected) in [
            ("continue-on-error", Some(true)),
            ("Continue-On-Error=TRUE", Some(true)),
            ("odata.continue-on-error", Some(true)),
            ("odata.continue-on-error=\"false\"", Some(false)),
            ("continue-on-error = false ; why=\"a,b\"", Some(false)),
            ("continue-on-error=maybe", None),
            ("continue-on-errors", None),
            ("other=\"continue-on-error, x\"", None),
        ] {
            assert_eq!(prefer(&[value]).continue_on_error, expected, "{value}");
        }
    }

    #[test]
    fn the_name_without_prefix_wins_and_then_the_first() {
        assert_eq!(prefer(&["odata.maxpagesize=5, maxpagesize=7"]).maxpagesize, Some(7));
        assert_eq!(prefer(&["maxpagesize=7", "maxpagesize=8"]).maxpagesize, Some(7));
        assert_eq!(prefer(&["return=minimal, return=representation"]).return_, Some(Return::Minimal));
    }

    #[test]
    fn reads_lists_and_repeated_headers() {
        let all = prefer(&[
            "a=\"\\\",return=minimal\";b, respond-async,wait=10",
            "Return=\"representation\";x,maxpagesize=\"10\"",
        ]);
        let expected = Preferences {
            continue_on_error: None,
            return_: Some(Return::Representation),
            maxpagesize: Some(10),
            respond_async: true,
        };
        assert_eq!(all, expected);
    }

    #[test]
    fn takes_older_spellings_and_leaves_nonsense_out() {
        assert_eq!(prefer(&["return-no-content"]).return_, Some(Return::Minimal));
        assert_eq!(prefer(&["return-content"]).return_, Some(Return::Representation));
        assert_eq!(
            prefer(&["return=none, maxpagesize=0, maxpagesize=-1", "maxpagesize=4294967296,,;="]),
            Preferences::default()
        );
    }
}
