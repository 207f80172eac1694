//! `[[rules]]`

use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
    time::Duration,
};

use toml::Spanned;

use super::{
    DAY, Located, PolicyProblem,
    config::{ActionConfig, BackoffConfig, EventConfig, RegexConfig, RuleConfig, Texts},
    duration_in,
    shape::{OneOrMany, TextOr},
    sources::filled,
    windows,
};
use crate::{
    events::EventKind,
    policy::{
        Limit, PatternFault,
        backoff::Backoff,
        condition::Condition,
        duration::Shown,
        pattern::Pattern,
        rule::{Action, Requeue, Rule},
        window::Window,
    },
};

/// Characters of a rule's name.
const MAX_NAME: usize = 100;
/// How often a job is requeued where the rule does not say, and at most.
const MAX_RETRIES: u32 = 5;
const RETRIES: RangeInclusive<u32> = 1..=100;
/// How old an event may be where the rule does not say.
const MAX_AGE: Duration = DAY;
const AGES: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(3_650 * 24);
/// When what was counted may be forgotten.
const RESETS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(365 * 24);
/// The waits and numbers of a backoff.
const WAITS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(7 * 24);
const FACTORS: RangeInclusive<f64> = 1.0..=10.0;
const JITTERS: RangeInclusive<f64> = 0.0..=1.0;

type Windows = BTreeMap<String, Window>;

/// The rules of the file, in their order.
pub(super) fn rules(
    config: &[RuleConfig],
    is_source: impl Fn(&str) -> bool,
    windows: &Windows,
    kept: Duration,
) -> Result<Vec<Rule>, Located> {
    let mut names = HashSet::new();
    let mut rules = Vec::new();
    for config in config {
        let (at, name) = (config.name.span().start, config.name.as_ref().clone());
        if name.trim().is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
            return Err((at, PolicyProblem::RuleName));
        }
        if !names.insert(name.clone()) {
            return Err((at, PolicyProblem::SameRule(name)));
        }
        let action = match config.action.as_ref() {
            ActionConfig::Ignore => ignore(config)?,
            ActionConfig::Requeue => Action::Requeue(Box::new(requeue(config, windows, kept)?)),
        };
        rules.push(Rule { name, conditions: conditions(config, &is_source)?, action });
    }
    Ok(rules)
}

/// A rule that ignores has no use for what only a requeue needs.
fn ignore(config: &RuleConfig) -> Result<Action, Located> {
    let only_requeue = [
        ("max_retries", config.max_retries.as_ref().map(Spanned::span)),
        ("reset_after", config.reset_after.as_ref().map(Spanned::span)),
        ("backoff", config.backoff.as_ref().map(Spanned::span)),
        ("window", config.window.as_ref().map(Spanned::span)),
        ("max_age", config.max_age.as_ref().map(Spanned::span)),
    ];
    match only_requeue.into_iter().find_map(|(key, span)| Some((key, span?))) {
        Some((key, span)) => Err((span.start, PolicyProblem::OnlyRequeue(key))),
        None => Ok(Action::Ignore),
    }
}

fn conditions(config: &RuleConfig, is_source: impl Fn(&str) -> bool) -> Result<Vec<Condition>, Located> {
    let mut conditions = Vec::new();
    if let Some(names) = &config.source {
        let unknown = filled(names)?.into_iter().find(|(_, name)| !is_source(name));
        if let Some((at, name)) = unknown {
            return Err((at, PolicyProblem::UnknownSource(name.clone())));
        }
        conditions.push(Condition::Source(texts(names)?));
    }
    conditions.push(Condition::Event(events(config)?));
    if let Some(ids) = &config.job {
        conditions.push(Condition::Job(filled(ids)?.into_iter().map(|(_, id)| *id).collect()));
    }
    if let Some(config) = &config.description {
        conditions.push(Condition::Description(patterns(config, Pattern::glob)?));
    }
    if let Some(names) = &config.legal_entity {
        conditions.push(Condition::LegalEntity(texts(names)?));
    }
    if let Some(names) = &config.status {
        conditions.push(Condition::Status(texts(names)?));
    }
    if let Some(config) = &config.error {
        conditions.push(Condition::Error(patterns(config, Pattern::regex)?));
    }
    Ok(conditions)
}

/// The events that a rule is about: failed jobs, where it does not say.
fn events(config: &RuleConfig) -> Result<Vec<EventKind>, Located> {
    let Some(events) = &config.event else { return Ok(vec![EventKind::Failed]) };
    let requeues = *config.action.as_ref() == ActionConfig::Requeue;
    let kind = |(at, event): (usize, &EventConfig)| match event {
        EventConfig::Started if requeues => Err((at, PolicyProblem::RequeueEvent("started"))),
        EventConfig::Finished if requeues => Err((at, PolicyProblem::RequeueEvent("finished"))),
        EventConfig::Started => Ok(EventKind::Started),
        EventConfig::Finished => Ok(EventKind::Finished),
        EventConfig::Failed => Ok(EventKind::Failed),
        EventConfig::Canceled => Ok(EventKind::Canceled),
    };
    filled(events)?.into_iter().map(kind).collect()
}

fn texts(texts: &Texts) -> Result<Vec<String>, Located> {
    Ok(filled(texts)?.into_iter().map(|(_, text)| text.clone()).collect())
}

/// Patterns, where `plain` is what a text without `{ regex = … }` is.
fn patterns(
    config: &Spanned<OneOrMany<TextOr<RegexConfig>>>,
    plain: impl Fn(&str) -> Result<Pattern, PatternFault>,
) -> Result<Vec<Pattern>, Located> {
    let pattern = |(at, config): (usize, &TextOr<RegexConfig>)| {
        let (at, pattern) = match config {
            TextOr::Text(text) => (at, plain(text)),
            TextOr::Table(config) => (config.regex.span().start, Pattern::regex(config.regex.as_ref())),
        };
        pattern.map_err(|fault| (at, PolicyProblem::Pattern(fault)))
    };
    filled(config)?.into_iter().map(pattern).collect()
}

fn requeue(config: &RuleConfig, windows: &Windows, kept: Duration) -> Result<Requeue, Located> {
    let max_retries = match &config.max_retries {
        None => MAX_RETRIES,
        Some(got) => {
            let found = u32::try_from(*got.as_ref()).ok().filter(|count| RETRIES.contains(count));
            found.ok_or_else(|| (got.span().start, PolicyProblem::range("max_retries", &RETRIES, got.as_ref())))?
        }
    };
    let reset_after = config.reset_after.as_ref().map(|text| duration_in("reset_after", text, &RESETS)).transpose()?;
    let max_age = config.max_age.as_ref().map(|text| duration_in("max_age", text, &AGES)).transpose()?;
    let max_age = max_age.unwrap_or(MAX_AGE);
    if max_age + DAY > kept {
        let at = config.max_age.as_ref().map_or_else(|| config.name.span(), Spanned::span);
        let (max_age, kept) = (Shown(max_age).to_string(), Shown(kept).to_string());
        return Err((at.start, PolicyProblem::MaxAge { max_age, kept }));
    }
    Ok(Requeue {
        limit: Limit { max_retries, reset_after: reset_after.map(|duration| duration.as_secs()) },
        backoff: config.backoff.as_ref().map_or(Ok(Backoff::NONE), backoff)?,
        allowed: config.window.as_ref().map(|config| windows::allowed(config, windows)).transpose()?,
        max_age,
    })
}

fn backoff(config: &Spanned<BackoffConfig>) -> Result<Backoff, Located> {
    let at = config.span().start;
    let config = config.as_ref();
    let initial = duration_in("initial", &config.initial, &WAITS)?;
    let cap = config.cap.as_ref().map_or(Ok(Backoff::CAP), |text| duration_in("cap", text, &WAITS))?;
    if initial > cap {
        let at = config.cap.as_ref().map_or(at, |cap| cap.span().start);
        let (initial, cap) = (Shown(initial).to_string(), Shown(cap).to_string());
        return Err((at, PolicyProblem::BackoffCap { initial, cap }));
    }
    let number = |key, got: &Option<Spanned<f64>>, default, range: RangeInclusive<f64>| match got {
        Some(got) if !range.contains(got.as_ref()) => {
            Err((got.span().start, PolicyProblem::range(key, &range, got.as_ref())))
        }
        Some(got) => Ok(*got.as_ref()),
        None => Ok(default),
    };
    Ok(Backoff {
        initial,
        factor: number("factor", &config.factor, Backoff::FACTOR, FACTORS)?,
        cap,
        jitter: number("jitter", &config.jitter, Backoff::JITTER, JITTERS)?,
    })
}
