//! Checks of the values of options.

use std::{path::PathBuf, time::Duration};

use clap::builder::{PathBufValueParser, TypedValueParser};
use jiff::SignedDuration;
use shared::exchange::root_url;

/// Longest time that a token of the dev issuer is good for.
const MAX_TTL: Duration = Duration::from_hours(24 * 366);

/// The URL of an option, as browsers write it. The mistake of another one does not repeat it, as clap's own would: it may
/// have a password.
pub(crate) fn root(option: &str, url: Option<&str>) -> Result<Option<String>, String> {
    url.map(root_url).transpose().map_err(|error| format!("{option} {error}"))
}

/// A data file is a path.
pub(crate) fn data_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.as_os_str() == ":memory:" {
            return Err("--memory keeps the data in memory; ./:memory: is a file of this name".to_owned());
        }
        if is_uri(path.as_os_str().as_encoded_bytes()) {
            return Err(format!("a data file is named by its path and not by a URI; ./{} is a file", path.display()));
        }
        Ok(path)
    })
}

/// Whether a path begins with the scheme of a URI; one letter may be the name of a drive.
fn is_uri(path: &[u8]) -> bool {
    let scheme = path.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    is_scheme && (2..path.len()).contains(&scheme.len())
}

/// How long a token is good for: `90s`, `1h`, `30d`.
pub(crate) fn lifetime(text: &str) -> Result<Duration, String> {
    // Days have 24 hours here, so no calendar is asked.
    let hours = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok())
        .map(|days| format!("{}h", u64::from(days) * 24));
    let parsed: SignedDuration = hours.as_deref().unwrap_or(text).parse().map_err(|_| "not a time".to_owned())?;
    let lifetime = Duration::try_from(parsed).map_err(|_| "not a time".to_owned())?;
    if lifetime.as_secs() == 0 || lifetime > MAX_TTL { Err("between 1s and 366d".into()) } else { Ok(lifetime) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_a_time() {
        for (text, seconds) in [("90s", 90), ("1h30m", 5400), ("30d", 2_592_000)] {
            assert_eq!(lifetime(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "1", "0s", "-1h", "367d", "4000000000d", "soon"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_data_file_is_no_uri() {
        for uri in ["file:x", "FILE:/x", "sqlite:/x", "https://x/y", "sqlite+x:y"] {
            assert!(is_uri(uri.as_bytes()), "{uri}");
        }
        for path in ["x.db", "./file:x", "/a:b", "c:x.db", ".rebatch/data.db", "a b:c", "1:x", "x", ":"] {
            assert!(!is_uri(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_url_that_is_refused_is_not_repeated() {
        assert_eq!(root("--x", Some("HTTP://A/")), Ok(Some("http://a".into())));
        assert_eq!(root("--x", None), Ok(None));
        let refused = root("--x", Some("https://u:secret@a.example")).unwrap_err();
        assert!(refused.starts_with("--x has a user, a password") && !refused.contains("secret"), "{refused}");
    }
}
