//! What an endpoint may say, and which events it is told of.

use url::Url;

use super::{EventKind, Secret, SecretFault};

/// The URL of an endpoint that is the service itself: what happens to its jobs is told to its own policy, without a request.
/// No client may write this URL.
pub const OWN_EVENTS: &str = "rebatch:events";

/// The longest URL.
const MAX_URL: usize = 2048;

/// What is said of an endpoint, as far as it is said: all of it at creation, some of it in a change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoint<'a> {
    /// `Url`.
    pub url: Option<&'a str>,
    /// `BusinessEventIds`.
    pub business_event_ids: Option<&'a [&'a str]>,
    /// `LegalEntity`.
    pub legal_entity: Option<&'a str>,
    /// `Secret`.
    pub secret: Option<&'a str>,
}

/// What is wrong with an endpoint. Nothing of a secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    /// It is longer than the limit.
    #[error("Url has {0} bytes; at most {MAX_URL} are taken")]
    UrlLength(usize),
    /// It is no absolute URL.
    #[error("Url is no absolute URL: {0}")]
    Url(#[from] url::ParseError),
    /// Neither `http` nor `https`.
    #[error("Url begins with \"{0}:\"; \"https:\" and \"http:\" are taken")]
    Scheme(String),
    /// Something in it is not as it is in a URL.
    #[error("Url has spaces or backslashes in it, or no \"//\" after its scheme")]
    Form,
    /// It has a user name or a password.
    #[error("Url has a user name or a password in it")]
    UserInfo,
    /// It has a fragment.
    #[error("Url has a fragment (\"#…\"), which is never sent")]
    Fragment,
    /// It names no event of the catalogue.
    #[error("BusinessEventIds[{index}] is no event of the catalogue: {}", known())]
    EventId {
        /// Position in the list.
        index: usize,
    },
    /// It is no id of a company.
    #[error("LegalEntity is made of letters, digits, '-' and '_', or is empty for all companies")]
    LegalEntity,
    /// It is no secret of Standard Webhooks.
    #[error("Secret: {0}")]
    Secret(#[from] SecretFault),
}

impl EndpointFault {
    /// The property that is wrong.
    pub fn property(&self) -> &'static str {
        match self {
            Self::UrlLength(_) | Self::Url(_) | Self::Scheme(_) | Self::Form | Self::UserInfo | Self::Fragment => "Url",
            Self::EventId { .. } => "BusinessEventIds",
            Self::LegalEntity => "LegalEntity",
            Self::Secret(_) => "Secret",
        }
    }
}

impl Endpoint<'_> {
    /// Checks all that is said; the first fault is the answer. Where the host's name leads to is checked when it is
    /// resolved, at each attempt.
    pub fn check(&self) -> Result<(), EndpointFault> {
        self.url.map_or(Ok(()), check_url)?;
        self.business_event_ids.map_or(Ok(()), check_event_ids)?;
        self.legal_entity.map_or(Ok(()), check_legal_entity)?;
        self.secret.map_or(Ok(()), |secret| Ok(Secret::parse(secret).map(drop)?))
    }
}

/// Whether an endpoint with these `BusinessEventIds` and `LegalEntity` is told of an event of a company. No ids are
/// all events, no legal entity is all companies; companies are the same in upper and lower case.
pub fn subscribes(business_event_ids: &[&str], legal_entity: &str, kind: EventKind, company: &str) -> bool {
    let event = business_event_ids.is_empty() || business_event_ids.contains(&kind.business_event_id());
    event && (legal_entity.is_empty() || legal_entity.eq_ignore_ascii_case(company))
}

fn check_url(text: &str) -> Result<(), EndpointFault> {
    if text.len() > MAX_URL {
        return Err(EndpointFault::UrlLength(text.len()));
    }
    // The URLs of these schemes have a host, or do not parse.
    let url = Url::parse(text)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(EndpointFault::Scheme(url.scheme().to_owned()));
    }
    // The parser repairs what was never a URL of this form.
    if !text.contains("://") || text.contains(|c: char| c.is_whitespace() || c == '\\') {
        return Err(EndpointFault::Form);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointFault::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(EndpointFault::Fragment);
    }
    Ok(())
}

fn check_event_ids(ids: &[&str]) -> Result<(), EndpointFault> {
    match ids.iter().position(|id| EventKind::from_business_event_id(id).is_none()) {
        Some(index) => Err(EndpointFault::EventId { index }),
        None => Ok(()),
    }
}

fn check_legal_entity(text: &str) -> Result<(), EndpointFault> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.bytes().all(allowed) { Ok(()) } else { Err(EndpointFault::LegalEntity) }
}

fn known() -> String {
    EventKind::ALL.map(EventKind::business_event_id).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<(), EndpointFault> {
        Endpoint { url: Some(text), ..Endpoint::default() }.check()
    }

    #[test]
    fn absolute_urls_of_http_are_taken() {
        for text in [
            "https://example.com",
            "http://localhost:8080/hook",
            "https://example.com/hook?code=a%2Fb&x=",
            "https://[2001:db8::1]:8443/",
            "HTTPS://Zürich.example/",
        ] {
            assert_eq!(url(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn other_urls_are_refused_for_what_is_wrong() {
        for (text, fault) in [
            ("", "Url is no absolute URL: relative URL without a base"),
            ("/hook", "Url is no absolute URL: relative URL without a base"),
            ("https://", "Url is no absolute URL: empty host"),
            ("https://exa mple.com/", "Url is no absolute URL: invalid international domain name"),
            ("https://example.com:99999/", "Url is no absolute URL: invalid port number"),
            ("ftp://example.com/", "Url begins with \"ftp:\"; \"https:\" and \"http:\" are taken"),
            (OWN_EVENTS, "Url begins with \"rebatch:\"; \"https:\" and \"http:\" are taken"),
            ("mailto:a@example.com", "Url begins with \"mailto:\"; \"https:\" and \"http:\" are taken"),
            ("file:///etc/passwd", "Url begins with \"file:\"; \"https:\" and \"http:\" are taken"),
            ("http:example.com", "Url has spaces or backslashes in it, or no \"//\" after its scheme"),
            (" https://example.com/ ", "Url has spaces or backslashes in it, or no \"//\" after its scheme"),
            ("https://example.com\\x", "Url has spaces or backslashes in it, or no \"//\" after its scheme"),
            ("https://user@example.com/", "Url has a user name or a password in it"),
            ("https://:hunter2@example.com/", "Url has a user name or a password in it"),
            ("https://example.com/#", "Url has a fragment (\"#…\"), which is never sent"),
        ] {
            assert_eq!(url(text).unwrap_err().to_string(), fault, "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL - 20));
        assert_eq!(url(&long), Ok(()));
        assert_eq!(url(&format!("{long}x")), Err(EndpointFault::UrlLength(2049)));
    }

    #[test]
    fn event_ids_are_those_of_the_catalogue() {
        let ids = |ids: &[&str]| Endpoint { business_event_ids: Some(ids), ..Endpoint::default() }.check();
        assert_eq!(ids(&[]), Ok(()));
        assert_eq!(ids(&EventKind::ALL.map(EventKind::business_event_id)), Ok(()));
        let fault = ids(&["BatchJobFailedBusinessEvent", "batchJobFailedBusinessEvent"]).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "BusinessEventIds[1] is no event of the catalogue: BatchJobStartedBusinessEvent, \
             BatchJobFailedBusinessEvent, BatchJobFinishedBusinessEvent, BatchJobCancelledBusinessEvent"
        );
    }

    #[test]
    fn a_fault_names_its_property() {
        let good = Endpoint {
            url: Some("https://example.com/"),
            business_event_ids: Some(&[]),
            legal_entity: Some("USMF"),
            secret: Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        };
        assert_eq!((good.check(), Endpoint::default().check()), (Ok(()), Ok(())));
        for (endpoint, property) in [
            (Endpoint { url: Some("x"), ..good }, "Url"),
            (Endpoint { business_event_ids: Some(&[""]), ..good }, "BusinessEventIds"),
            (Endpoint { legal_entity: Some("us mf"), ..good }, "LegalEntity"),
            (Endpoint { secret: Some("hunter2"), ..good }, "Secret"),
        ] {
            let fault = endpoint.check().unwrap_err();
            assert_eq!(fault.property(), property);
            assert!(fault.to_string().starts_with(property) && !format!("{fault} {fault:?}").contains("hunter2"));
        }
    }

    #[test]
    fn an_endpoint_is_told_what_it_asked_for() {
        let failed = &["BatchJobFailedBusinessEvent"][..];
        for (ids, legal_entity, kind, told) in [
            (failed, "", EventKind::Failed, true),
            (failed, "", EventKind::Finished, false),
            (&[], "", EventKind::Finished, true),
            (failed, "USMF", EventKind::Failed, true),
            (failed, "dat", EventKind::Failed, false),
            (&[], "dat", EventKind::Started, false),
        ] {
            assert_eq!(subscribes(ids, legal_entity, kind, "usmf"), told, "{ids:?} {legal_entity} {kind:?}");
        }
    }
}
