//! The host's own address, as clients see it: the configured one, then `X-Forwarded-*`, then `Host`.

use super::Incoming;
use crate::batch::Headers;

/// Scheme, authority and path prefix, without a final slash.
pub(crate) fn origin(public_url: Option<&str>, incoming: &Incoming) -> String {
    if let Some(url) = public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let headers = &incoming.headers;
    let scheme = first(headers, "x-forwarded-proto").filter(|s| matches!(*s, "http" | "https"));
    let authority = first(headers, "x-forwarded-host").or_else(|| first(headers, "host")).filter(|a| is_authority(a));
    let authority = authority.unwrap_or("localhost");
    let prefix = first(headers, "x-forwarded-prefix").filter(|p| is_prefix(p)).map(|p| p.trim_matches('/'));
    let scheme = scheme.unwrap_or(incoming.scheme);
    match prefix.filter(|p| !p.is_empty()) {
        Some(prefix) => format!("{scheme}://{authority}/{prefix}"),
        None => format!("{scheme}://{authority}"),
    }
}

/// The path below that of the configured URL: a domain may map a path of its own to the host and not take it off.
pub(crate) fn below_public<'p>(public_url: Option<&str>, path: &'p str) -> Option<&'p str> {
    let (_, rest) = public_url?.trim_end_matches('/').split_once("://")?;
    let (_, base) = rest.split_once('/')?;
    path.strip_prefix('/')?.strip_prefix(base).filter(|rest| rest.starts_with('/'))
}

/// The first of the values that proxies have lined up.
fn first<'h>(headers: &'h Headers, name: &'h str) -> Option<&'h str> {
    headers.get(name)?.split(',').next().map(str::trim).filter(|value| !value.is_empty())
}

/// Host and port: what may stand in a URL that answers repeat.
fn is_authority(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b))
}

fn is_prefix(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/$".contains(&b))
}
