//! Which web pages may write (Fetch Standard §3.1, §4.10; Fetch Metadata Request Headers §2). Pure.
//!
//! A browser sends some requests of any page without asking first: the POST of a form, of plain text, of a body without a
//! media type, of no body. They reach a host that asks for no authentication, and carry passwords and cookies that the browser
//! keeps. But the browser says where they come from: `Origin` in all that are not GET or HEAD, `Sec-Fetch-Site` in
//! those to this machine and to `https`. No page can leave these out or choose them. A page can send neither a bearer
//! token nor `x-api-key` without a preflight, so these prove that the browser has asked, or that there is none.

use http::{Method, header};
use url::Url;

use super::Cors;
use crate::{
    auth::has_bearer,
    batch::Headers,
    exchange::{Incoming, origin},
};

/// Characters of an origin that a message repeats.
const MAX_SHOWN: usize = 100;

/// A web page that may not write does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a web page of {page} may not write here: it is not of this host, and CORS does not allow its origin; a request with a \
     bearer token is taken from anywhere"
)]
pub struct ForeignOrigin {
    /// Its origin in quotes, or that it is not said.
    page: String,
}

impl Cors {
    /// Refuses what is not just a read, of a page whose origin is neither that of this host nor one that may call. The
    /// method and the headers decide alone.
    pub fn check_write(&self, incoming: &Incoming, public_url: Option<&str>) -> Result<(), ForeignOrigin> {
        let headers = &incoming.headers;
        let reads = matches!(incoming.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if reads || *self == Self::Any || is_preflighted(headers) {
            return Ok(());
        }
        let site = Site::of(headers);
        let mut origins = headers.iter().filter(|(name, _)| **name == header::ORIGIN).peekable();
        if origins.peek().is_none() {
            return match site {
                Site::Unsaid | Site::Same => Ok(()),
                Site::Near | Site::Cross => Err(ForeignOrigin { page: "another origin".into() }),
            };
        }
        let own = Own::of(incoming, public_url, site);
        for (_, value) in origins {
            let text = String::from_utf8_lossy(value.as_bytes());
            if self.listed(&text).is_none() && !own.is(&text) {
                let shown: String = text.chars().take(MAX_SHOWN).collect();
                return Err(ForeignOrigin { page: format!("'{shown}'") });
            }
        }
        Ok(())
    }
}

/// Whether a request has what a browser sends for no page before it has asked.
fn is_preflighted(headers: &Headers) -> bool {
    has_bearer(headers) || headers.get("x-api-key").is_some_and(|key| !key.trim().is_empty())
}

/// Where a browser says that a request comes from, compared with where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    /// No browser, an old one, a request that no page made, or one to a host that gets no such header.
    Unsaid,
    /// The same origin.
    Same,
    /// Another origin of the same site, such as another port.
    Near,
    Cross,
}

impl Site {
    fn of(headers: &Headers) -> Self {
        let said = |value| headers.get_all("sec-fetch-site").any(|said| said.eq_ignore_ascii_case(value));
        match () {
            () if said("cross-site") => Self::Cross,
            () if said("same-site") => Self::Near,
            () if said("same-origin") => Self::Same,
            () => Self::Unsaid,
        }
    }
}

/// The origins of this host: that of its public URL, and that by which it was called.
struct Own {
    urls: [Option<Url>; 2],
    site: Site,
}

impl Own {
    fn of(incoming: &Incoming, public_url: Option<&str>, site: Site) -> Self {
        // A page of another origin cannot send `X-Forwarded-Host` without a preflight.
        let called = origin(None, incoming);
        Self { urls: [public_url, Some(&called)].map(|url| Url::parse(url?).ok()), site }
    }

    fn is(&self, text: &str) -> bool {
        let Ok(page) = Url::parse(text) else { return false };
        let same_host = |own: &Url| own.host().is_some() && own.host() == page.host();
        match self.site {
            Site::Cross => false,
            // A proxy may have taken TLS or the port off without saying so; the browser knows what it called.
            Site::Same => self.urls.iter().flatten().any(same_host),
            Site::Near | Site::Unsaid => self.urls.iter().flatten().any(|own| own.origin() == page.origin()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::uri::Encoding;

    const EVIL: (&str, &str) = ("origin", "https://evil.example");
    const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
    const NEAR: (&str, &str) = ("sec-fetch-site", "same-site");
    const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");
    const HOST: (&str, &str) = ("host", "localhost:8080");
    const OWN: (&str, &str) = ("origin", "http://localhost:8080");

    fn incoming(method: Method, list: &[(&str, &str)]) -> Incoming {
        let mut headers = Headers::new();
        for (name, value) in list {
            headers.try_append(name, value).unwrap();
        }
        Incoming {
            method,
            path: "/data".into(),
            path_encoding: Encoding::Percent,
            query: None,
            headers,
            body: Bytes::new(),
            scheme: "http",
            id: String::new(),
            time_left: None,
        }
    }

    fn writes(cors: &Cors, public_url: Option<&str>, list: &[(&str, &str)]) -> bool {
        cors.check_write(&incoming(Method::POST, list), public_url).is_ok()
    }

    #[test]
    fn a_page_of_another_origin_does_not_write() {
        for list in [
            &[HOST, EVIL][..],
            &[HOST, EVIL, CROSS],
            &[HOST, EVIL, SAME],
            &[HOST, ("origin", "null")],
            &[HOST, ("origin", "null"), SAME],
            &[HOST, ("origin", "")],
            &[HOST, ("origin", "http://localhost:3000"), NEAR],
            &[HOST, ("origin", "http://localhost")],
            &[HOST, ("origin", "https://localhost:8080")],
            &[HOST, ("origin", "http://127.0.0.1:8080"), CROSS],
            &[HOST, ("origin", "http://localhost:8080.evil.example")],
            &[HOST, ("origin", "http://localhost:8080@evil.example")],
            &[HOST, OWN, EVIL],
            &[HOST, EVIL, OWN],
            &[HOST, OWN, CROSS],
            &[HOST, CROSS],
            &[HOST, NEAR],
            &[HOST, CROSS, SAME],
            &[EVIL],
        ] {
            assert!(!writes(&Cors::Off, None, list), "{list:?}");
            for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::from_bytes(b"MERGE").unwrap()] {
                assert!(Cors::Off.check_write(&incoming(method, list), None).is_err(), "{list:?}");
            }
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                assert_eq!(Cors::Off.check_write(&incoming(method, list), None), Ok(()), "{list:?}");
            }
            assert!(writes(&Cors::Any, None, list), "{list:?}");
        }
    }

    #[test]
    fn a_page_of_this_host_and_what_is_no_page_do() {
        for (public_url, list) in [
            (None, &[HOST][..]),
            (None, &[HOST, ("sec-fetch-site", "none")]),
            (None, &[HOST, OWN]),
            (None, &[HOST, OWN, SAME]),
            (None, &[("host", "LocalHost:80"), ("origin", "http://localhost")]),
            (None, &[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")]),
            // Behind proxies.
            (None, &[HOST, ("x-forwarded-proto", "https"), ("origin", "https://localhost:8080")]),
            (None, &[HOST, ("x-forwarded-host", "api.example"), ("origin", "http://api.example")]),
            (None, &[("host", "api.example"), ("origin", "https://api.example:8443"), SAME]),
            (Some("https://api.example/base"), &[HOST, ("origin", "https://api.example")]),
            (Some("https://api.example/base"), &[HOST, OWN]),
        ] {
            assert!(writes(&Cors::Off, public_url, list), "{list:?}");
        }
        assert!(!writes(&Cors::Off, Some("nope"), &[HOST, EVIL]));
    }

    #[test]
    fn a_listed_page_does_and_no_other() {
        let cors = Cors::of(["https://app.example"]).unwrap();
        let app = ("origin", "https://app.example");
        assert!(writes(&cors, None, &[HOST, app, CROSS]));
        assert!(!writes(&cors, None, &[HOST, EVIL, CROSS]));
        assert!(!writes(&cors, None, &[HOST, app, EVIL]));
    }

    #[test]
    fn only_what_needs_a_preflight_is_a_proof() {
        for (name, value, proof) in [
            ("authorization", "Bearer a.b-c", true),
            ("authorization", "bearer x", true),
            ("x-api-key", "k", true),
            ("authorization", "Basic YTpi", false),
            ("authorization", "Bearer", false),
            ("authorization", "Bearer ", false),
            ("authorization", "Bearer a b", false),
            ("x-api-key", "", false),
            ("x-api-key", " ", false),
            ("cookie", "session=Bearer", false),
        ] {
            assert_eq!(writes(&Cors::Off, None, &[HOST, EVIL, CROSS, (name, value)]), proof, "{name}: {value}");
        }
    }

    #[test]
    fn a_long_origin_is_cut() {
        let long = format!("https://{}.example", "x".repeat(5_000));
        let refused = Cors::Off.check_write(&incoming(Method::POST, &[HOST, ("origin", &long)]), None);
        let text = refused.unwrap_err().to_string();
        assert!(text.len() < 400 && text.starts_with("a web page of 'https://xxx"), "{text}");
    }
}
