//! What a rule asks of an event.

use super::pattern::Pattern;
use crate::events::{EventKind, JobEvent};

/// One thing that a rule asks. Each is met by any one of its values.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Source(Vec<String>),
    Event(Vec<EventKind>),
    Job(Vec<i64>),
    Description(Vec<Pattern>),
    /// In upper or lower case.
    LegalEntity(Vec<String>),
    /// In upper or lower case.
    Status(Vec<String>),
    Error(Vec<Pattern>),
}

/// An event as the rules see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// Name of the source that sent it.
    pub(super) source: &'a str,
    pub(super) kind: EventKind,
    pub(super) event: &'a JobEvent,
}

/// A condition that an event does not meet, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its key in the rule.
    pub condition: &'static str,
    /// What the rule asks for.
    pub wanted: String,
    /// What the event has. Control characters are escaped.
    pub found: String,
}

impl Condition {
    /// What an event does not meet of it.
    pub(super) fn mismatch(&self, seen: Seen<'_>) -> Option<Mismatch> {
        let missed = || Mismatch { condition: self.key(), wanted: self.wanted(), found: self.found(seen) };
        (!self.is_met(seen)).then(missed)
    }

    pub(super) fn is_met(&self, seen: Seen<'_>) -> bool {
        let event = seen.event;
        let same = |values: &[String], text: &str| values.iter().any(|v| v.to_lowercase() == text.to_lowercase());
        match self {
            Self::Source(names) => names.iter().any(|name| name == seen.source),
            Self::Event(kinds) => kinds.contains(&seen.kind),
            Self::Job(ids) => event.job.is_some_and(|job| ids.contains(&job)),
            Self::Description(patterns) => patterns.iter().any(|p| p.matches(&event.job_description)),
            Self::LegalEntity(names) => same(names, &event.legal_entity),
            Self::Status(names) => same(names, &event.job_status),
            Self::Error(patterns) => patterns.iter().any(|p| p.matches(&event.error_text)),
        }
    }

    fn key(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Event(_) => "event",
            Self::Job(_) => "job",
            Self::Description(_) => "description",
            Self::LegalEntity(_) => "legal_entity",
            Self::Status(_) => "status",
            Self::Error(_) => "error",
        }
    }

    fn wanted(&self) -> String {
        match self {
            Self::Source(names) | Self::LegalEntity(names) | Self::Status(names) => either(names, |name| quoted(name)),
            Self::Event(kinds) => either(kinds, |kind| quoted(kind_name(*kind))),
            Self::Job(ids) => either(ids, i64::to_string),
            Self::Description(patterns) | Self::Error(patterns) => either(patterns, Pattern::shown),
        }
    }

    fn found(&self, seen: Seen<'_>) -> String {
        let event = seen.event;
        match self {
            Self::Source(_) => quoted(seen.source),
            Self::Event(_) => quoted(kind_name(seen.kind)),
            Self::Job(_) => event.job.map_or_else(|| "no job".to_owned(), |job| job.to_string()),
            Self::Description(_) => quoted(&event.job_description),
            Self::LegalEntity(_) => quoted(&event.legal_entity),
            Self::Status(_) => quoted(&event.job_status),
            Self::Error(_) => quoted(&event.error_text),
        }
    }
}

/// What an event is called in the file.
pub(super) fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Started => "started",
        EventKind::Failed => "failed",
        EventKind::Finished => "finished",
        EventKind::Canceled => "canceled",
    }
}

/// In quotes and on one line.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

fn either<T>(values: &[T], show: impl Fn(&T) -> String) -> String {
    values.iter().map(show).collect::<Vec<_>>().join(" or ")
}
