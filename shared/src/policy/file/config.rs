//! `policy.toml` as it is written. What it means is checked afterwards; spans lead back to the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::shape::{OneOrMany, TextOr};

/// One text or a list of texts, with its place.
pub(super) type Texts = Spanned<OneOrMany<String>>;

/// A secret: `{ env = "NAME" }`, or the text itself.
pub(super) type SecretConfig = TextOr<EnvConfig>;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyConfig {
    /// How long decisions are kept.
    pub(super) keep_decisions: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) sources: BTreeMap<Spanned<String>, SourceConfig>,
    #[serde(default)]
    pub(super) targets: BTreeMap<Spanned<String>, TargetConfig>,
    #[serde(default)]
    pub(super) event_names: EventNamesConfig,
    #[serde(default)]
    pub(super) windows: BTreeMap<Spanned<String>, WindowConfig>,
    #[serde(default)]
    pub(super) rules: Vec<RuleConfig>,
}

/// `[sources.<name>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SourceConfig {
    #[serde(default)]
    pub(super) format: FormatConfig,
    pub(super) target: Spanned<String>,
    pub(super) authentication: Option<Spanned<TextOr<SourceAuthenticationConfig>>>,
    #[serde(default)]
    pub(super) allowed_origins: Vec<Spanned<String>>,
    pub(super) allowed_rate: Option<Spanned<i64>>,
}

/// The form of what a source sends.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FormatConfig {
    #[default]
    Auto,
    FinanceOperations,
    EventGrid,
    CloudEvents,
}

/// How a source shows who it is; which of them is said makes the difference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SourceAuthenticationConfig {
    pub(super) signature: Option<Spanned<OneOrMany<SecretConfig>>>,
    pub(super) shared: Option<Spanned<OneOrMany<SecretConfig>>>,
    pub(super) header: Option<Spanned<String>>,
    pub(super) code: Option<Spanned<bool>>,
    pub(super) bearer: Option<Spanned<IssuerConfig>>,
}

/// `bearer` of a source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct IssuerConfig {
    pub(super) issuer: Texts,
    pub(super) audience: Texts,
    pub(super) keys: String,
    pub(super) algorithms: Option<Texts>,
    pub(super) callers: Option<Texts>,
}

/// `{ env = "NAME" }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct EnvConfig {
    pub(super) env: Spanned<String>,
}

/// `[targets.<name>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct TargetConfig {
    pub(super) url: Option<Spanned<String>>,
    pub(super) repeatability: Option<Spanned<bool>>,
    pub(super) authentication: Option<Spanned<TextOr<TargetAuthenticationConfig>>>,
    pub(super) timeout: Option<Spanned<String>>,
}

/// How a call of a target shows who makes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct TargetAuthenticationConfig {
    pub(super) bearer: Option<Spanned<SecretConfig>>,
    pub(super) client_credentials: Option<Spanned<ClientConfig>>,
}

/// `client_credentials` of a target.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ClientConfig {
    pub(super) token_url: Spanned<String>,
    pub(super) client_id: Spanned<String>,
    pub(super) client_secret: Spanned<SecretConfig>,
    pub(super) scope: Option<Spanned<String>>,
    pub(super) resource: Option<Spanned<String>>,
}

/// `[event_names]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct EventNamesConfig {
    #[serde(default)]
    pub(super) failed: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) started: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) finished: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) canceled: Vec<Spanned<String>>,
}

/// `[windows.<name>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct WindowConfig {
    pub(super) time_zone: Spanned<String>,
    pub(super) open: Spanned<Vec<SpanConfig>>,
}

/// One of a window's times.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct SpanConfig {
    /// Every day without them.
    pub(super) days: Option<Texts>,
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
}

/// One of the `[[rules]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RuleConfig {
    pub(super) name: Spanned<String>,
    pub(super) source: Option<Texts>,
    pub(super) event: Option<Spanned<OneOrMany<EventConfig>>>,
    pub(super) job: Option<Spanned<OneOrMany<i64>>>,
    pub(super) description: Option<Spanned<OneOrMany<TextOr<RegexConfig>>>>,
    pub(super) legal_entity: Option<Texts>,
    pub(super) status: Option<Texts>,
    pub(super) error: Option<Spanned<OneOrMany<TextOr<RegexConfig>>>>,
    pub(super) action: Spanned<ActionConfig>,
    pub(super) max_retries: Option<Spanned<i64>>,
    pub(super) reset_after: Option<Spanned<String>>,
    pub(super) backoff: Option<Spanned<BackoffConfig>>,
    pub(super) window: Option<Spanned<TextOr<OutsideConfig>>>,
    pub(super) max_age: Option<Spanned<String>>,
}

/// The events that a rule can be about.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventConfig {
    Failed,
    Canceled,
    Started,
    Finished,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionConfig {
    Requeue,
    Ignore,
}

/// `{ regex = "…" }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RegexConfig {
    pub(super) regex: Spanned<String>,
}

/// `{ outside = "…" }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct OutsideConfig {
    pub(super) outside: Spanned<String>,
}

/// `backoff` of a rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct BackoffConfig {
    pub(super) initial: Spanned<String>,
    pub(super) factor: Option<Spanned<f64>>,
    pub(super) cap: Option<Spanned<String>>,
    pub(super) jitter: Option<Spanned<f64>>,
}
