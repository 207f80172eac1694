//! The URL of a root: what clients call a host, or where a program finds one.

use url::Url;

/// Longest URL, in bytes.
const MAX_BYTES: usize = 2_000;

/// Why a text is no URL of a root. No message repeats the text: it may have a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootUrlError {
    /// No scheme of the web, or no host.
    #[error("is no absolute URL, such as https://example.com or http://127.0.0.1:8080/odata")]
    NotAbsolute,
    /// Parts that a root has not.
    #[error("has a user, a password, a query or a fragment: the URL of a root has none")]
    Parts,
    /// Longer than the limit.
    #[error("has {0} bytes; at most {MAX_BYTES} are taken")]
    TooLong(usize),
}

/// The URL as browsers write it, without a final slash.
pub fn root_url(text: &str) -> Result<String, RootUrlError> {
    if text.len() > MAX_BYTES {
        return Err(RootUrlError::TooLong(text.len()));
    }
    // A parser would take these off or turn them round in silence.
    let has_host = ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && !text.get(scheme.len()..).is_some_and(|rest| rest.starts_with('/'))
    });
    if !has_host || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(RootUrlError::NotAbsolute);
    }
    let url = Url::parse(text).map_err(|_| RootUrlError::NotAbsolute)?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        return Err(RootUrlError::Parts);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_written_as_browsers_write_it() {
        for (text, url) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://Example.com/", "https://example.com"),
            ("HTTPS://example.com:443/a/b/", "https://example.com/a/b"),
            ("http://[::1]:80/x%20y", "http://[::1]/x%20y"),
        ] {
            assert_eq!(root_url(text).as_deref(), Ok(url), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        use RootUrlError as E;
        let long = format!("https://example.com/{}", "a".repeat(2_000));
        for (text, error) in [
            ("", E::NotAbsolute),
            ("nope", E::NotAbsolute),
            ("/odata", E::NotAbsolute),
            ("example.com", E::NotAbsolute),
            ("ftp://example.com", E::NotAbsolute),
            ("file:///tmp", E::NotAbsolute),
            ("http:example.com", E::NotAbsolute),
            ("http://", E::NotAbsolute),
            ("http:///example.com", E::NotAbsolute),
            ("http://:80", E::NotAbsolute),
            ("http://a:99999", E::NotAbsolute),
            (" http://a", E::NotAbsolute),
            ("http://a\n", E::NotAbsolute),
            ("http://a\\b", E::NotAbsolute),
            ("http://a b", E::NotAbsolute),
            ("http://a/?", E::Parts),
            ("http://a/?q", E::Parts),
            ("http://a/#f", E::Parts),
            ("http://u@a", E::Parts),
            ("http://u:secret@a", E::Parts),
            (&long, E::TooLong(2_020)),
        ] {
            assert_eq!(root_url(text), Err(error), "{text}");
        }
    }
}
