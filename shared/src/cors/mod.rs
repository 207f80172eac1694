//! Which web pages may call: Cross-Origin Resource Sharing (Fetch Standard §3.2). Pure.
//!
//! A browser asks before it sends most requests of a page from elsewhere (a *preflight*), and shows the page an answer only
//! when that allows it. Without configured origins no preflight is answered. Who calls is another question: a
//! preflight has no token and needs none, and a page that may call is not let in by that. Requests for which a browser does
//! not ask are those that `foreign` is about.

mod foreign;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

pub use self::foreign::ForeignOrigin;
use crate::{
    batch::Headers,
    exchange::{Incoming, Outgoing},
};

/// Methods of OData requests.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Headers of answers that pages may read, beside those that they always may.
const EXPOSED: &str = "Allow, ETag, Location, OData-EntityId, OData-Version, Preference-Applied, \
                       Repeatability-Result, Retry-After, WWW-Authenticate, traceparent";
/// How long a browser need not ask again, in seconds: no browser that matters remembers for longer.
const MAX_AGE: &str = "7200";
/// Most origins.
const MAX_ORIGINS: usize = 100;
/// Most bytes of the names of headers that a page asks to send.
const MAX_ASKED: usize = 2_048;

/// The origins of pages that may call; by default those of none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// None: no answer says anything about origins.
    #[default]
    Off,
    /// All.
    Any,
    /// These, as browsers write them.
    Listed(Vec<HeaderValue>),
}

/// Why origins cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorsError {
    /// Not how a browser would say it.
    #[error("'{0}' is no origin: https://host or https://host:port as browsers write it, or * alone for all")]
    Origin(String),
    /// More than anybody needs.
    #[error("there are {0} origins; at most {MAX_ORIGINS} are taken")]
    TooMany(usize),
}

impl Cors {
    /// The origins of a list.
    pub fn of<'o>(origins: impl IntoIterator<Item = &'o str>) -> Result<Self, CorsError> {
        let origins: Vec<&str> = origins.into_iter().collect();
        match origins.as_slice() {
            [] => Ok(Self::Off),
            ["*"] => Ok(Self::Any),
            many if many.len() > MAX_ORIGINS => Err(CorsError::TooMany(many.len())),
            some => some.iter().map(|text| origin(text)).collect::<Result<_, _>>().map(Self::Listed),
        }
    }

    /// The answer to a preflight from a page that may call. Anything else is a request like all others.
    pub fn preflight(&self, incoming: &Incoming) -> Option<Outgoing> {
        let asked = incoming.headers.get("access-control-request-method");
        if incoming.method != Method::OPTIONS || asked.is_none() {
            return None;
        }
        let mut headers = Headers::new();
        headers.append(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.allowed(&incoming.headers)?);
        headers.append(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        // What it asks to send is what it may: no header gives a page any right.
        if let Some(names) = names(&incoming.headers) {
            headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        headers.append(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.append(header::VARY, HeaderValue::from_static(vary));
        Some(Outgoing { status: StatusCode::NO_CONTENT, headers, body: Bytes::new() })
    }

    /// The headers that the answer to a request gets, whatever the answer is.
    pub fn headers(&self, request: &Headers) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        if let Self::Listed(_) = self {
            // Also where the page may not call: a cache must not give its answer to one that may.
            headers.push((header::VARY, HeaderValue::from_static("Origin")));
        }
        if let Some(origin) = self.allowed(request) {
            headers.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
            headers.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED)));
        }
        headers
    }

    /// `Access-Control-Allow-Origin` for a request that is from a page that may call.
    fn allowed(&self, request: &Headers) -> Option<HeaderValue> {
        let origin = request.get("origin")?;
        match self {
            Self::Off => None,
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Listed(_) => self.listed(origin).cloned(),
        }
    }

    /// An origin of the list.
    fn listed(&self, origin: &str) -> Option<&HeaderValue> {
        let Self::Listed(origins) = self else { return None };
        origins.iter().find(|known| known.as_bytes() == origin.as_bytes())
    }
}

/// An origin that is written as a browser writes it: in small letters, without the port that its scheme has anyway, without
/// a path. Any other way of writing would never match.
fn origin(text: &str) -> Result<HeaderValue, CorsError> {
    let wrong = || CorsError::Origin(text.chars().take(200).collect());
    let url = Url::parse(text).map_err(|_| wrong())?;
    // A star would be taken for a host's name.
    let is_web = matches!(url.scheme(), "https" | "http") && !text.contains('*');
    if !is_web || url.origin().ascii_serialization() != text {
        return Err(wrong());
    }
    HeaderValue::from_str(text).map_err(|_| wrong())
}

/// The names of the headers that a page asks to send, if they are names.
fn names(request: &Headers) -> Option<HeaderValue> {
    let asked = request.get("access-control-request-headers")?;
    let is_name = |name: &str| HeaderName::from_bytes(name.trim().as_bytes()).is_ok();
    if asked.len() > MAX_ASKED || !asked.split(',').all(is_name) {
        return None;
    }
    HeaderValue::from_str(asked).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::Encoding;

    fn headers(list: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in list {
            headers.try_append(name, value).unwrap();
        }
        headers
    }

    fn asked(method: Method, list: &[(&str, &str)]) -> Incoming {
        Incoming {
            method,
            path: "/data".into(),
            path_encoding: Encoding::Percent,
            query: None,
            headers: headers(list),
            body: Bytes::new(),
            scheme: "https",
            id: String::new(),
            time_left: None,
        }
    }

    const PAGE: (&str, &str) = ("origin", "https://app.example");
    const METHOD: (&str, &str) = ("access-control-request-method", "PATCH");

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        assert_eq!(Cors::of([]), Ok(Cors::Off));
        assert_eq!(Cors::of(["*"]), Ok(Cors::Any));
        assert!(Cors::of(["https://app.example", "http://localhost:4200", "https://[::1]:8443"]).is_ok());
        for wrong in [
            "",
            "app.example",
            "https://app.example/",
            "https://app.example:443",
            "https://App.example",
            "https://*.example",
            "https://a.example/b",
            "https://u@a.example",
            "file:///x",
            "null",
            "HTTPS://a.example",
        ] {
            assert_eq!(Cors::of([wrong]), Err(CorsError::Origin(wrong.into())));
        }
        assert_eq!(Cors::of(["https://a.example", "*"]), Err(CorsError::Origin("*".into())));
        assert_eq!(Cors::of([PAGE.1; 101]), Err(CorsError::TooMany(101)));
    }

    #[test]
    fn a_preflight_of_a_listed_page_is_answered() {
        let cors = Cors::of([PAGE.1]).unwrap();
        let sends = ("access-control-request-headers", "authorization,content-type, if-match");
        let answer = cors.preflight(&asked(Method::OPTIONS, &[PAGE, METHOD, sends])).unwrap();
        let header = |name| answer.headers.get(name);
        assert_eq!((answer.status, answer.body.len()), (StatusCode::NO_CONTENT, 0));
        assert_eq!(header("access-control-allow-origin"), Some(PAGE.1));
        assert_eq!(header("access-control-allow-methods"), Some(METHODS));
        assert_eq!(header("access-control-allow-headers"), Some(sends.1));
        assert_eq!(
            (header("access-control-max-age"), header("access-control-allow-credentials")),
            (Some("7200"), None)
        );
        assert!(header("vary").unwrap().starts_with("Origin, "));
        let any = Cors::Any.preflight(&asked(Method::OPTIONS, &[("origin", "null"), METHOD])).unwrap();
        assert_eq!(any.headers.get("access-control-allow-origin"), Some("*"));
    }

    #[test]
    fn what_is_no_preflight_of_a_listed_page_is_not() {
        let cors = Cors::of([PAGE.1]).unwrap();
        for (method, list) in [
            (Method::GET, &[PAGE, METHOD][..]),
            (Method::OPTIONS, &[PAGE]),
            (Method::OPTIONS, &[METHOD]),
            (Method::OPTIONS, &[("origin", "https://app.example.evil.example"), METHOD]),
            (Method::OPTIONS, &[("origin", "http://app.example"), METHOD]),
            (Method::OPTIONS, &[("origin", "null"), METHOD]),
        ] {
            assert!(cors.preflight(&asked(method, list)).is_none(), "{list:?}");
        }
        assert!(Cors::Off.preflight(&asked(Method::OPTIONS, &[PAGE, METHOD])).is_none());
    }

    #[test]
    fn only_names_of_headers_are_repeated() {
        for names in ["a b", "x\u{7f}", "a,,b", "<script>", &"a,".repeat(1_100)] {
            let list = [PAGE, METHOD, ("access-control-request-headers", names)];
            if let Ok(name) = HeaderValue::from_str(names) {
                let mut incoming = asked(Method::OPTIONS, &list[..2]);
                incoming.headers.append(header::ACCESS_CONTROL_REQUEST_HEADERS, name);
                let answer = Cors::Any.preflight(&incoming).unwrap();
                assert_eq!(answer.headers.get("access-control-allow-headers"), None, "{names}");
            }
        }
    }

    #[test]
    fn answers_say_who_may_read_them() {
        let cors = Cors::of([PAGE.1, "https://b.example"]).unwrap();
        let names = |origins: &Cors, list: &[(&str, &str)]| -> Vec<String> {
            let said = origins.headers(&headers(list));
            said.into_iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
        };
        let listed = names(&cors, &[PAGE]);
        assert_eq!(listed[..2], ["vary: Origin", "access-control-allow-origin: https://app.example"]);
        assert!(listed[2].contains("OData-EntityId"));
        assert_eq!(names(&cors, &[("origin", "https://c.example")]), ["vary: Origin"]);
        assert_eq!(names(&cors, &[]), ["vary: Origin"]);
        assert_eq!(names(&Cors::Any, &[PAGE])[0], "access-control-allow-origin: *");
        assert!(names(&Cors::Any, &[]).is_empty() && names(&Cors::Off, &[PAGE]).is_empty());
    }
}
