//! `policy.toml`: from its text to a [`Policy`]. Everything that it names is looked up here, so that a mistake stops the
//! start with its line and column, not an event later.

mod config;
mod error;
mod rules;
mod shape;
mod sources;
mod targets;
#[cfg(test)]
mod tests;
mod windows;

use std::{collections::HashMap, ops::RangeInclusive, time::Duration};

use toml::Spanned;

pub use self::error::{AddressFault, PolicyFileError, PolicyProblem};
use self::{
    config::{EventNamesConfig, PolicyConfig, SecretConfig},
    shape::TextOr,
};
use super::{
    Policy,
    condition::kind_name,
    duration::{self, Shown},
};
use crate::events::EventKind;

/// Sources, targets, windows and rules, each.
const MAX_ENTRIES: usize = 200;
/// Characters of a name that is a key.
const MAX_NAME: usize = 50;
/// Characters of a business event's id.
const MAX_EVENT_NAME: usize = 200;

const DAY: Duration = Duration::from_hours(24);
/// How long decisions are kept where the file does not say.
const KEEP_DECISIONS: Duration = Duration::from_hours(90 * 24);
const KEPT: RangeInclusive<Duration> = DAY..=Duration::from_hours(3_650 * 24);

/// A problem, and where it is in the text.
type Located = (usize, PolicyProblem);

/// The variables that secrets can come from; `None` where they are not looked up.
type Vars<'v> = Option<&'v dyn Fn(&str) -> Option<String>>;

/// Whose secrets are looked up. Those that a host has no use for it need not be given; everything else of the policy is
/// read and checked all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretsOf {
    /// Sources and targets: for a host that takes events in and carries out what is decided.
    Everybody,
    /// Sources: for a host that takes events in.
    Sources,
    /// Targets: for a host that carries out what is decided.
    Targets,
    /// Nobody: for a look at the rules.
    Nobody,
}

impl Policy {
    /// Reads the text of a `policy.toml`. `file` is its name in messages; `var` are the variables that secrets can come
    /// from.
    pub fn parse(
        file: &str,
        text: &str,
        secrets: SecretsOf,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, PolicyFileError> {
        let config: PolicyConfig = toml::from_str(text).map_err(|error| {
            let problem = PolicyProblem::Toml(without_value(error.message()));
            problem.at(file, text, error.span().map_or(0, |span| span.start))
        })?;
        Self::new(&config, secrets, &var).map_err(|(offset, problem)| problem.at(file, text, offset))
    }

    fn new(config: &PolicyConfig, secrets: SecretsOf, var: &dyn Fn(&str) -> Option<String>) -> Result<Self, Located> {
        let keep_decisions = match &config.keep_decisions {
            Some(text) => duration_in("keep_decisions", text, &KEPT)?,
            None => KEEP_DECISIONS,
        };
        for (what, got) in [
            ("sources", config.sources.len()),
            ("targets", config.targets.len()),
            ("windows", config.windows.len()),
            ("rules", config.rules.len()),
        ] {
            if got > MAX_ENTRIES {
                return Err((0, PolicyProblem::TooMany { what, got, max: MAX_ENTRIES }));
            }
        }
        let (of_sources, of_targets) = match secrets {
            SecretsOf::Everybody => (Some(var), Some(var)),
            SecretsOf::Sources => (Some(var), None),
            SecretsOf::Targets => (None, Some(var)),
            SecretsOf::Nobody => (None, None),
        };
        let targets = targets::targets(&config.targets, of_targets)?;
        let sources = sources::sources(&config.sources, &targets, of_sources)?;
        let windows = windows::windows(&config.windows)?;
        let own = sources::own(&targets);
        let is_source = |name: &str| sources.contains_key(name) || own.as_ref().is_some_and(|own| own.name == name);
        let rules = rules::rules(&config.rules, is_source, &windows, keep_decisions)?;
        let event_names = event_names(&config.event_names)?;
        Ok(Self { sources, left_out: Vec::new(), own, targets, event_names, rules, keep_decisions })
    }
}

/// Serde's message of a value of the wrong type repeats the value, which may be a secret in the wrong place.
fn without_value(message: &str) -> String {
    let cut = message.strip_prefix("invalid type: ").and_then(|rest| {
        let (unexpected, expected) = rest.rsplit_once(", expected ")?;
        let kind = unexpected.split(['"', '`']).next().unwrap_or_default().trim_end();
        Some(format!("invalid type: {kind}, expected {expected}"))
    });
    cut.unwrap_or_else(|| message.to_owned())
}

/// The ids of business events that the file names, each of one kind.
fn event_names(config: &EventNamesConfig) -> Result<HashMap<String, EventKind>, Located> {
    let mut names = HashMap::new();
    for (kind, ids) in [
        (EventKind::Failed, &config.failed),
        (EventKind::Started, &config.started),
        (EventKind::Finished, &config.finished),
        (EventKind::Canceled, &config.canceled),
    ] {
        for id in ids {
            let (at, id) = (id.span().start, id.as_ref().clone());
            if id.trim().is_empty() || id.chars().count() > MAX_EVENT_NAME {
                return Err((at, PolicyProblem::EventName(id)));
            }
            let known = EventKind::from_business_event_id(&id).or_else(|| names.get(&id).copied());
            if let Some(other) = known.filter(|other| *other != kind) {
                return Err((at, PolicyProblem::SameEventName { id, other: kind_name(other) }));
            }
            names.insert(id, kind);
        }
    }
    Ok(names)
}

/// Names are parts of URLs and of keys in the table.
fn check_name(name: &Spanned<String>) -> Result<(), Located> {
    let text = name.as_ref();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err((name.span().start, PolicyProblem::Name { max: MAX_NAME }))
    }
}

/// A length of time in its range.
fn duration_in(
    key: &'static str,
    text: &Spanned<String>,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, Located> {
    let at = text.span().start;
    let parsed = duration::parse(text.as_ref());
    let duration = parsed.ok_or_else(|| (at, PolicyProblem::NoDuration(text.as_ref().clone())))?;
    if range.contains(&duration) {
        Ok(duration)
    } else {
        let range = Shown(*range.start())..=Shown(*range.end());
        Err((at, PolicyProblem::range(key, &range, text.as_ref())))
    }
}

/// A secret, from a variable or as it stands there; `None` where it is not looked up.
fn secret(secret: &SecretConfig, vars: Vars<'_>) -> Result<Option<String>, Located> {
    let config = match secret {
        TextOr::Text(text) => return Ok(Some(text.clone())),
        TextOr::Table(config) => config,
    };
    let (at, name) = (config.env.span().start, config.env.as_ref());
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err((at, PolicyProblem::NoVariable));
    }
    let Some(var) = vars else { return Ok(None) };
    let value = var(name).filter(|value| !value.trim().is_empty());
    let value = value.ok_or_else(|| (at, PolicyProblem::MissingVariable(name.clone())))?;
    Ok(Some(value.trim().to_owned()))
}
