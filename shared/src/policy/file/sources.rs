//! `[sources.<name>]`

use std::collections::BTreeMap;

use http::HeaderName;
use toml::Spanned;

use super::{
    Located, PolicyProblem, Vars, check_name,
    config::{FormatConfig, IssuerConfig, SecretConfig, SourceAuthenticationConfig, SourceConfig, Texts},
    secret,
    shape::{OneOrMany, TextOr},
};
use crate::{
    auth::{Authenticator, JwtConfig, Tokens},
    events::Secret,
    policy::{OWN_SOURCE, Source, SourceAuthentication, SourceFormat, Target},
};

/// What `authentication` may have.
const METHODS: &str = "one of 'signature', 'shared' and 'bearer'";
/// Requests a minute that a handshake can allow.
const MAX_RATE: u32 = 1_000_000;

/// The sources that the file describes.
pub(super) fn sources(
    config: &BTreeMap<Spanned<String>, SourceConfig>,
    targets: &BTreeMap<String, Target>,
    vars: Vars<'_>,
) -> Result<BTreeMap<String, Source>, Located> {
    let mut sources = BTreeMap::new();
    for (name, config) in config {
        check_name(name)?;
        if name.as_ref() == OWN_SOURCE {
            return Err((name.span().start, PolicyProblem::ReservedSource));
        }
        let target = config.target.as_ref();
        if !targets.contains_key(target) {
            return Err((config.target.span().start, PolicyProblem::UnknownTarget(target.clone())));
        }
        let missing = || (name.span().start, PolicyProblem::NoAuthentication(name.as_ref().clone()));
        let source = Source {
            name: name.as_ref().clone(),
            format: format(config.format),
            authentication: authentication(config.authentication.as_ref().ok_or_else(missing)?, vars)?,
            target: target.clone(),
            allowed_origins: config.allowed_origins.iter().map(origin).collect::<Result<_, _>>()?,
            allowed_rate: config.allowed_rate.as_ref().map(rate).transpose()?,
        };
        sources.insert(source.name.clone(), source);
    }
    Ok(sources)
}

/// The source of events about the service's own jobs, where there is a target for it.
pub(super) fn own(targets: &BTreeMap<String, Target>) -> Option<Source> {
    let target = targets.values().find(|target| target.url.is_none())?;
    Some(Source {
        name: OWN_SOURCE.to_owned(),
        format: SourceFormat::FinanceOperations,
        authentication: SourceAuthentication::InProcess,
        target: target.name.clone(),
        allowed_origins: Vec::new(),
        allowed_rate: None,
    })
}

fn format(config: FormatConfig) -> SourceFormat {
    match config {
        FormatConfig::Auto => SourceFormat::Auto,
        FormatConfig::FinanceOperations => SourceFormat::FinanceOperations,
        FormatConfig::EventGrid => SourceFormat::EventGrid,
        FormatConfig::CloudEvents => SourceFormat::CloudEvents,
    }
}

fn authentication(
    config: &Spanned<TextOr<SourceAuthenticationConfig>>,
    vars: Vars<'_>,
) -> Result<SourceAuthentication, Located> {
    let at = config.span().start;
    let config = match config.as_ref() {
        TextOr::Text(text) if text == "none" => return Ok(SourceAuthentication::None),
        TextOr::Text(_) => return Err((at, PolicyProblem::Authentication(METHODS))),
        TextOr::Table(config) => config,
    };
    let places = [config.header.as_ref().map(Spanned::span), config.code.as_ref().map(Spanned::span)];
    let unused = |found| match places.iter().flatten().next() {
        Some(place) => Err((place.start, PolicyProblem::NotShared)),
        None => Ok(found),
    };
    match (&config.signature, &config.shared, &config.bearer) {
        (Some(secrets), None, None) => unused(signature(secrets, vars)?),
        (None, Some(secrets), None) => shared(config, secrets, vars),
        (None, None, Some(issuer)) => unused(bearer(issuer)?),
        _ => Err((at, PolicyProblem::Authentication(METHODS))),
    }
}

fn signature(secrets: &Spanned<OneOrMany<SecretConfig>>, vars: Vars<'_>) -> Result<SourceAuthentication, Located> {
    let mut parsed = Vec::new();
    for (at, config) in filled(secrets)? {
        let Some(text) = secret(config, vars)? else { return Ok(SourceAuthentication::Withheld) };
        parsed.push(Secret::parse(&text).map_err(|fault| (at, PolicyProblem::Secret(fault)))?);
    }
    Ok(SourceAuthentication::Signature(parsed))
}

fn shared(
    config: &SourceAuthenticationConfig,
    secrets: &Spanned<OneOrMany<SecretConfig>>,
    vars: Vars<'_>,
) -> Result<SourceAuthentication, Located> {
    let code = config.code.as_ref().is_some_and(|code| *code.as_ref());
    let header = config.header.as_ref().map(header).transpose()?;
    if header.is_none() && !code {
        return Err((secrets.span().start, PolicyProblem::NoPlace));
    }
    let mut texts = Vec::new();
    for (at, config) in filled(secrets)? {
        let Some(text) = secret(config, vars)? else { return Ok(SourceAuthentication::Withheld) };
        // Each by itself, so that the message has the place of the one that is wrong.
        Tokens::parse(&text).map_err(|fault| (at, PolicyProblem::SharedSecret(fault)))?;
        texts.push(text);
    }
    let secrets_at = secrets.span().start;
    let secrets = Tokens::parse(&texts.join("\n")).map_err(|fault| (secrets_at, PolicyProblem::SharedSecret(fault)))?;
    Ok(SourceAuthentication::Shared { header, code, secrets })
}

fn bearer(config: &Spanned<IssuerConfig>) -> Result<SourceAuthentication, Located> {
    let at = config.span().start;
    let config = config.as_ref();
    let optional = |texts: &Option<Texts>| texts.as_ref().map_or_else(|| Ok(Vec::new()), texts_of);
    let authenticator = Authenticator::jwt(&JwtConfig {
        issuers: texts_of(&config.issuer)?,
        audiences: texts_of(&config.audience)?,
        keys: config.keys.clone(),
        algorithms: optional(&config.algorithms)?,
        ..JwtConfig::default()
    });
    let authenticator = authenticator.map_err(|error| (at, PolicyProblem::Issuer(error)))?;
    Ok(SourceAuthentication::Bearer { authenticator, callers: optional(&config.callers)? })
}

fn texts_of(texts: &Texts) -> Result<Vec<String>, Located> {
    Ok(filled(texts)?.into_iter().map(|(_, text)| text.clone()).collect())
}

/// The values of a list that has some.
pub(super) fn filled<T>(values: &Spanned<OneOrMany<T>>) -> Result<Vec<(usize, &T)>, Located> {
    let items = OneOrMany::items(values);
    if items.is_empty() { Err((values.span().start, PolicyProblem::EmptyList)) } else { Ok(items) }
}

fn header(name: &Spanned<String>) -> Result<HeaderName, Located> {
    let parsed = HeaderName::from_bytes(name.as_ref().as_bytes());
    parsed.map_err(|_| (name.span().start, PolicyProblem::Header(name.as_ref().clone())))
}

/// `WebHook-Request-Origin` is a host name (CloudEvents, HTTP 1.1 Web Hooks §4.1.1).
fn origin(origin: &Spanned<String>) -> Result<String, Located> {
    let text = origin.as_ref();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    if text == "*" || ((1..=253).contains(&text.len()) && text.bytes().all(allowed)) {
        Ok(text.clone())
    } else {
        Err((origin.span().start, PolicyProblem::Origin(text.clone())))
    }
}

fn rate(rate: &Spanned<i64>) -> Result<u32, Located> {
    let range = 1..=MAX_RATE;
    let found = u32::try_from(*rate.as_ref()).ok().filter(|rate| range.contains(rate));
    found.ok_or_else(|| (rate.span().start, PolicyProblem::range("allowed_rate", &range, rate.as_ref())))
}
