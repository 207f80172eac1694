//! The name that a request has for the host: `Host`, and the authority of an absolute target (RFC 9112 §3.2, RFC 3986 §3.2). Pure.

use std::net::Ipv6Addr;

use ::http::{HeaderMap, Uri, Version, header};

/// Longest name of a host, in bytes: that of a domain name, an escape for each byte.
const MAX_HOST: usize = 3 * 255;

/// Why a request does not say properly which host it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityFault {
    /// No `Host`.
    #[error("Host is missing: a request of HTTP/1.1 has one (RFC 9112 §3.2)")]
    Missing,
    /// Several.
    #[error("Host is given more than once (RFC 9112 §3.2)")]
    Repeated,
    /// `Host` is no name or address.
    #[error("Host is not the name or the address of a host, with or without a port (RFC 9112 §3.2)")]
    Malformed,
    /// The authority of the target is no name or address.
    #[error("the target of the request does not name a host properly (RFC 9112 §3.2.2)")]
    Target,
}

/// Refuses a request whose `Host` or whose absolute target is none. Only a request of HTTP/1.0 may be without `Host`.
pub fn check(version: Version, target: &Uri, headers: &HeaderMap) -> Result<(), AuthorityFault> {
    if target.authority().is_some_and(|authority| parse(authority.as_str()).is_none()) {
        return Err(AuthorityFault::Target);
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let Some(host) = hosts.next() else {
        return if version < Version::HTTP_11 { Ok(()) } else { Err(AuthorityFault::Missing) };
    };
    if hosts.next().is_some() {
        return Err(AuthorityFault::Repeated);
    }
    let host = std::str::from_utf8(host.as_bytes()).ok().and_then(parse);
    host.map(drop).ok_or(AuthorityFault::Malformed)
}

/// The host of an authority without user information; `None` where it is malformed or empty, as none is in `http`
/// (RFC 9110 §4.2.1).
pub(crate) fn parse(authority: &str) -> Option<&str> {
    let (host, port) = match authority.rfind(':') {
        // A colon inside brackets is part of an address.
        Some(at) if !authority.ends_with(']') => (authority.get(..at)?, authority.get(at + 1..)?),
        _ => (authority, ""),
    };
    let port_fits = port.is_empty() || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    (port_fits && is_host(host)).then_some(host)
}

fn is_host(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        let address = literal.strip_suffix(']');
        return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok() || is_future(address));
    }
    let mut bytes = host.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()];
                digits.into_iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
            }
            byte => is_name_byte(byte),
        };
        if !fits {
            return false;
        }
    }
    (1..=MAX_HOST).contains(&host.len())
}

/// An address of a version of IP to come: `v1F.…`.
fn is_future(address: &str) -> bool {
    let parts = address.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(version, rest)| {
        let hex = !version.is_empty() && version.bytes().all(|b| b.is_ascii_hexdigit());
        hex && (1..=MAX_HOST).contains(&rest.len()) && rest.bytes().all(|b| b == b':' || is_name_byte(b))
    })
}

/// Unreserved characters and delimiters that may stand in a name.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn checked(version: Version, target: &str, hosts: &[&[u8]]) -> Result<(), AuthorityFault> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_bytes(host).unwrap());
        }
        check(version, &target.parse().unwrap(), &headers)
    }

    #[test]
    fn a_request_names_one_host() {
        assert_eq!(checked(Version::HTTP_11, "/", &[b"localhost:8080"]), Ok(()));
        assert_eq!(checked(Version::HTTP_11, "/", &[]), Err(AuthorityFault::Missing));
        assert_eq!(checked(Version::HTTP_11, "http://h/", &[]), Err(AuthorityFault::Missing));
        assert_eq!(checked(Version::HTTP_11, "/", &[b"a", b"a"]), Err(AuthorityFault::Repeated));
        assert_eq!(checked(Version::HTTP_11, "http://a/", &[b"a b"]), Err(AuthorityFault::Malformed));
        assert_eq!(checked(Version::HTTP_11, "/", &[b"\xe4.example"]), Err(AuthorityFault::Malformed));
        assert_eq!(checked(Version::HTTP_11, "http://u@h/", &[b"h"]), Err(AuthorityFault::Target));
        assert_eq!(checked(Version::HTTP_11, "http://a/", &[b"b"]), Ok(()));
        assert_eq!(checked(Version::HTTP_10, "/", &[]), Ok(()));
        assert_eq!(checked(Version::HTTP_10, "/", &[b"a", b"a"]), Err(AuthorityFault::Repeated));
        assert_eq!(checked(Version::HTTP_10, "/", &[b"a/b"]), Err(AuthorityFault::Malformed));
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (authority, host) in [
            ("localhost", "localhost"),
            ("a-b_c.example:0", "a-b_c.example"),
            ("127.0.0.1:65535", "127.0.0.1"),
            ("h:", "h"),
            ("%7Eu.example", "%7Eu.example"),
            ("[::1]", "[::1]"),
            ("[2001:db8::1]:443", "[2001:db8::1]"),
            ("[v1.a:b]:1", "[v1.a:b]"),
        ] {
            assert_eq!(parse(authority), Some(host), "{authority}");
        }
        let long = "x".repeat(MAX_HOST + 1);
        for wrong in [
            "",
            ":80",
            " ",
            "a b",
            "u@h",
            "h/p",
            "h?q",
            "h#f",
            "h\\x",
            "h:x",
            "h:65536",
            "h:-1",
            "h:+1",
            "h:1:2",
            "::1",
            "[::1",
            "::1]",
            "[::1]x",
            "[]",
            "[g::]",
            "[fe80::1%25eth0]",
            "[v.a]",
            "[vg.a]",
            "%zz",
            "%4",
            "<h>",
            "\"h\"",
            "h\t",
            &long,
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
