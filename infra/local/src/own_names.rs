//! By which names a host without authentication is called. Pure.
//!
//! A web page may have its own name lead to this machine (DNS rebinding): for the browser the host is then part of the
//! page, which reads and writes what it likes. Its requests have that name in `Host`, which no page can choose.

use std::net::{Ipv4Addr, Ipv6Addr};

use ::http::{StatusCode, Uri};
use shared::exchange::{Incoming, Outgoing};

use crate::authority;

/// Bytes of a name that a message repeats.
const MAX_SHOWN: usize = 100;

/// A host is called by a name that is not its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this host is not called '{name}': without authentication it answers to the names of this machine (localhost, \
     127.0.0.1, [::1]) and to that of --public-url"
)]
pub struct Misdirected {
    name: String,
}

/// The names of a host.
#[derive(Clone, Debug)]
pub enum OwnNames {
    /// Any: callers show who they are, which no page can do for them.
    Any,
    /// Those of this machine, and one by which others call it.
    Loopback(Option<String>),
}

impl OwnNames {
    /// Those of a host that lets everybody in, and that has this public URL.
    pub fn of_open(public_url: Option<&str>) -> Self {
        let url = public_url.and_then(|url| url.parse::<Uri>().ok()).filter(|url| url.scheme().is_some());
        Self::Loopback(url.and_then(|url| Some(url.host()?.to_owned())))
    }

    /// Whether a URL leads to this machine, wherever it is called from.
    pub fn is_of_this_machine(url: &str) -> bool {
        url.parse::<Uri>().is_ok_and(|url| url.host().is_some_and(is_loopback))
    }

    /// Refuses a request to another name. The port does not matter: it is the name that leads somewhere else.
    pub fn check(&self, incoming: &Incoming) -> Result<(), Misdirected> {
        let Self::Loopback(public) = self else { return Ok(()) };
        // Old clients send none, and browsers always do.
        let Some(called) = incoming.headers.get("host") else { return Ok(()) };
        let host = authority::parse(called).unwrap_or_default();
        let is_public = public.as_ref().is_some_and(|public| public.eq_ignore_ascii_case(host));
        if is_public || is_loopback(host) {
            return Ok(());
        }
        Err(Misdirected { name: called.chars().take(MAX_SHOWN).collect() })
    }
}

impl Misdirected {
    /// 421: the request is for another host (RFC 9110 §15.5.20).
    pub fn to_outgoing(&self) -> Outgoing {
        crate::http::refusal(StatusCode::MISDIRECTED_REQUEST, &self.to_string())
    }
}

/// `localhost` and all below it (RFC 6761 §6.3), and the loopback addresses as browsers write them.
fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let label = name.rsplit('.').next().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    label.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || address.is_some_and(|address| {
            address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback())
        })
}

#[cfg(test)]
mod tests {
    use ::http::Method;
    use bytes::Bytes;
    use shared::{batch::Headers, uri::Encoding};

    use super::*;

    #[test]
    fn a_url_of_this_machine_has_a_name_of_it() {
        for url in ["http://127.0.0.1:8080", "http://localhost:8080/odata", "https://[::1]"] {
            assert!(OwnNames::is_of_this_machine(url), "{url}");
        }
        for url in ["https://api.example", "http://localhost.example", "http://10.0.0.1", "nope"] {
            assert!(!OwnNames::is_of_this_machine(url), "{url}");
        }
    }

    fn called(names: &OwnNames, host: Option<&str>) -> Result<(), Misdirected> {
        let mut headers = Headers::new();
        if let Some(host) = host {
            headers.try_append("host", host).unwrap();
        }
        names.check(&Incoming {
            method: Method::GET,
            path: "/health".into(),
            path_encoding: Encoding::Percent,
            query: None,
            headers,
            body: Bytes::new(),
            scheme: "http",
            id: String::new(),
            time_left: None,
        })
    }

    #[test]
    fn the_names_of_this_machine_are_taken_at_any_port() {
        let names = OwnNames::of_open(None);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:1",
            "app.localhost:3000",
            "127.0.0.1",
            "127.9.8.7:80",
            "[::1]:8080",
        ] {
            assert_eq!(called(&names, Some(host)), Ok(()), "{host}");
        }
        assert_eq!(called(&names, None), Ok(()));
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "0.0.0.0:8080",
            "[::]",
            "[::2]:8080",
            "192.168.0.1",
            "localhost..",
            "::1",
            "",
        ] {
            assert!(called(&names, Some(host)).is_err(), "{host}");
            assert_eq!(called(&OwnNames::Any, Some(host)), Ok(()), "{host}");
        }
    }

    #[test]
    fn the_public_url_is_a_name_too() {
        let names = OwnNames::of_open(Some("https://Api.example:8443/base"));
        for (host, taken) in [
            ("api.example", true),
            ("API.example:8443", true),
            ("127.0.0.1:8080", true),
            ("api.example.evil.example", false),
            ("x.api.example", false),
        ] {
            assert_eq!(called(&names, Some(host)).is_ok(), taken, "{host}");
        }
        for nothing in ["nope", "nope:80", "https://", ""] {
            assert!(called(&OwnNames::of_open(Some(nothing)), Some("nope")).is_err(), "{nothing}");
        }
    }

    #[test]
    fn the_answer_names_what_was_called() {
        let long = format!("{}.example", "x".repeat(700));
        let answer = called(&OwnNames::of_open(None), Some(&long)).unwrap_err().to_outgoing();
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.status == 421 && text.len() < 400, "{text}");
        assert!(text.contains("not called 'xxx") && text.contains("--public-url"), "{text}");
    }
}
