//! `[windows.<name>]`

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::{
    Located, PolicyProblem, check_name,
    config::{OutsideConfig, SpanConfig, WindowConfig},
    shape::TextOr,
    sources::filled,
};
use crate::policy::window::{Allowed, Span, Window};

/// Days of the week as they are written, from Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Times of one window.
const MAX_SPANS: usize = 20;

/// The windows that the file describes.
pub(super) fn windows(config: &BTreeMap<Spanned<String>, WindowConfig>) -> Result<BTreeMap<String, Window>, Located> {
    let mut windows = BTreeMap::new();
    for (name, config) in config {
        check_name(name)?;
        let (at, open) = (config.open.span().start, config.open.as_ref());
        if open.is_empty() {
            return Err((at, PolicyProblem::NeverOpen));
        }
        if open.len() > MAX_SPANS {
            return Err((at, PolicyProblem::TooMany { what: "times", got: open.len(), max: MAX_SPANS }));
        }
        let zone = &config.time_zone;
        let unknown = || (zone.span().start, PolicyProblem::TimeZone(zone.as_ref().clone()));
        let window = Window {
            name: name.as_ref().clone(),
            zone: TimeZone::get(zone.as_ref()).map_err(|_| unknown())?,
            spans: open.iter().map(span).collect::<Result<_, _>>()?,
        };
        windows.insert(window.name.clone(), window);
    }
    Ok(windows)
}

/// When a rule lets jobs be requeued: `window = "name"` or `window = { outside = "name" }`.
pub(super) fn allowed(
    config: &Spanned<TextOr<OutsideConfig>>,
    windows: &BTreeMap<String, Window>,
) -> Result<Allowed, Located> {
    let (at, name, outside) = match config.as_ref() {
        TextOr::Text(name) => (config.span().start, name, false),
        TextOr::Table(config) => (config.outside.span().start, config.outside.as_ref(), true),
    };
    let window = windows.get(name).cloned().ok_or_else(|| (at, PolicyProblem::UnknownWindow(name.clone())))?;
    if outside && window.is_always_open() {
        return Err((at, PolicyProblem::AlwaysOpen(name.clone())));
    }
    Ok(Allowed { window, outside })
}

fn span(config: &SpanConfig) -> Result<Span, Located> {
    let mut days = [config.days.is_none(); 7];
    if let Some(config) = &config.days {
        for (at, text) in filled(config)? {
            add_days(text, &mut days).ok_or_else(|| (at, PolicyProblem::Day(text.clone())))?;
        }
    }
    let time = |text: &Spanned<String>, last: u16| {
        let time = minute(text.as_ref()).filter(|minute| *minute <= last);
        time.ok_or_else(|| (text.span().start, PolicyProblem::Time(text.as_ref().clone())))
    };
    Ok(Span { days, from: time(&config.from, 1439)?, to: time(&config.to, 1440)? })
}

/// Adds a day, or a range of days, which may go over the end of the week.
fn add_days(text: &str, days: &mut [bool; 7]) -> Option<()> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (mut at, last) = (day(first)?, day(last)?);
    loop {
        *days.get_mut(at)? = true;
        if at == last {
            return Some(());
        }
        at = (at + 1) % days.len();
    }
}

/// The minute of the day: `06:30`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, max: u16| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| is_number && *number <= max)
    };
    let minute = number(hours, 24)? * 60 + number(minutes, 59)?;
    (minute <= 1440).then_some(minute)
}
