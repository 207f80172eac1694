//! `[targets.<name>]`

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive, time::Duration};

use toml::Spanned;
use url::{Host, Url};

use super::{
    AddressFault, Located, PolicyProblem, Vars, check_name,
    config::{ClientConfig, SecretConfig, TargetAuthenticationConfig, TargetConfig},
    duration_in, secret,
    shape::TextOr,
};
use crate::policy::{Credential, Target, TargetAuthentication};

/// What `authentication` may have.
const METHODS: &str = "one of 'bearer' and 'client_credentials'";
/// The longest URL.
const MAX_URL: usize = 2_048;
/// How long an answer may take where the file does not say.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);

/// The targets that the file describes.
pub(super) fn targets(
    config: &BTreeMap<Spanned<String>, TargetConfig>,
    vars: Vars<'_>,
) -> Result<BTreeMap<String, Target>, Located> {
    let mut targets = BTreeMap::new();
    for (name, config) in config {
        check_name(name)?;
        let url = config.url.as_ref().map(root).transpose()?;
        let authentication = match &config.authentication {
            Some(config) => authentication(config, vars)?,
            None => TargetAuthentication::None,
        };
        if let (None, Some(at)) = (&url, said_of_own(config)) {
            return Err((at, PolicyProblem::OwnTarget));
        }
        let timeout = config.timeout.as_ref().map(|text| duration_in("timeout", text, &TIMEOUTS)).transpose()?;
        let target = Target {
            name: name.as_ref().clone(),
            repeatability: config.repeatability.as_ref().map_or(url.is_none(), |keeps| *keeps.as_ref()),
            url,
            authentication,
            timeout: timeout.unwrap_or(TIMEOUT),
        };
        targets.insert(target.name.clone(), target);
    }
    Ok(targets)
}

/// Where it is said how the service shows itself who it is, or that it forgets what it was asked.
fn said_of_own(config: &TargetConfig) -> Option<usize> {
    let authentication = config.authentication.as_ref().filter(|of| matches!(of.as_ref(), TextOr::Table(_)));
    let forgets = config.repeatability.as_ref().filter(|keeps| !*keeps.as_ref());
    authentication.map(|of| of.span().start).or(forgets.map(|keeps| keeps.span().start))
}

fn authentication(
    config: &Spanned<TextOr<TargetAuthenticationConfig>>,
    vars: Vars<'_>,
) -> Result<TargetAuthentication, Located> {
    let wrong = || (config.span().start, PolicyProblem::Authentication(METHODS));
    let config = match config.as_ref() {
        TextOr::Text(text) if text == "none" => return Ok(TargetAuthentication::None),
        TextOr::Text(_) => return Err(wrong()),
        TextOr::Table(config) => config,
    };
    match (&config.bearer, &config.client_credentials) {
        (Some(token), None) => {
            Ok(credential(token, vars)?.map_or(TargetAuthentication::Withheld, TargetAuthentication::Bearer))
        }
        (None, Some(client)) => client_credentials(client.as_ref(), vars),
        _ => Err(wrong()),
    }
}

fn client_credentials(config: &ClientConfig, vars: Vars<'_>) -> Result<TargetAuthentication, Located> {
    if config.client_id.as_ref().trim().is_empty() {
        return Err((config.client_id.span().start, PolicyProblem::NoClient));
    }
    if let (Some(_), Some(resource)) = (&config.scope, &config.resource) {
        return Err((resource.span().start, PolicyProblem::ScopeAndResource));
    }
    check_url(&config.token_url, true)?;
    let Some(client_secret) = credential(&config.client_secret, vars)? else {
        return Ok(TargetAuthentication::Withheld);
    };
    let text = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.as_ref().clone());
    Ok(TargetAuthentication::ClientCredentials {
        token_url: config.token_url.as_ref().clone(),
        client_id: config.client_id.as_ref().clone(),
        client_secret,
        scope: text(&config.scope),
        resource: text(&config.resource),
    })
}

fn credential(config: &Spanned<SecretConfig>, vars: Vars<'_>) -> Result<Option<Credential>, Located> {
    let at = config.span().start;
    let Some(text) = secret(config.as_ref(), vars)? else { return Ok(None) };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err((at, PolicyProblem::Token));
    }
    Ok(Some(Credential(text)))
}

/// A service root, without a final slash.
fn root(url: &Spanned<String>) -> Result<String, Located> {
    check_url(url, false)?;
    Ok(url.as_ref().trim_end_matches('/').to_owned())
}

/// Tokens and secrets are sent there: nobody on the way may read them.
fn check_url(text: &Spanned<String>, query: bool) -> Result<(), Located> {
    let fault = |fault| Err((text.span().start, PolicyProblem::Url(fault)));
    let got = text.as_ref().len();
    if got > MAX_URL {
        return fault(AddressFault::TooLong { got, max: MAX_URL });
    }
    let url = match Url::parse(text.as_ref()) {
        Ok(url) => url,
        Err(error) => return fault(AddressFault::NotAbsolute(error)),
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    if !is_safe || !text.as_ref().contains("://") {
        return fault(AddressFault::Insecure);
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.fragment().is_some() || (!query && url.query().is_some()) {
        return fault(AddressFault::Parts);
    }
    Ok(())
}

/// By address, or by the one name that cannot lead elsewhere (RFC 6761 §6.3).
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}
