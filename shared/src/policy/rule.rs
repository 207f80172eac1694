//! A rule: which events it is about, and what is done about them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    Decision, Limit, Verdict,
    backoff::Backoff,
    condition::{Condition, Mismatch, Seen},
    duration::Shown,
    window::Allowed,
};

/// How far the clock of a sender may be ahead.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// One of the `[[rules]]`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    /// All of them must be met.
    pub(super) conditions: Vec<Condition>,
    pub(super) action: Action,
}

/// What is done about an event.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Ignore,
    Requeue(Box<Requeue>),
}

/// How a job is requeued.
#[derive(Clone, Debug)]
pub(super) struct Requeue {
    pub(super) limit: Limit,
    pub(super) backoff: Backoff,
    pub(super) allowed: Option<Allowed>,
    pub(super) max_age: Duration,
}

impl Rule {
    pub(super) fn matches(&self, seen: Seen<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.is_met(seen))
    }

    /// The conditions that an event does not meet.
    pub(super) fn mismatches(&self, seen: Seen<'_>) -> Vec<Mismatch> {
        self.conditions.iter().filter_map(|condition| condition.mismatch(seen)).collect()
    }

    pub(super) fn requeue(&self) -> Option<&Requeue> {
        match &self.action {
            Action::Requeue(requeue) => Some(requeue),
            Action::Ignore => None,
        }
    }

    /// What it says about an event that it matches.
    pub(super) fn verdict(&self, seen: Seen<'_>, now: Timestamp) -> Verdict {
        let name = &self.name;
        let (decision, reason, limit) = match &self.action {
            Action::Ignore => (Decision::Ignored, format!("rule '{name}' ignores it"), None),
            Action::Requeue(_) if seen.event.job.is_none() => {
                (Decision::Ignored, format!("rule '{name}' would requeue the job, but the event names none"), None)
            }
            Action::Requeue(requeue) => requeue.decide(name, seen.event.time.unwrap_or(now), now),
        };
        Verdict { decision, rule: Some(name.clone()), reason, limit }
    }
}

impl Requeue {
    /// What becomes of an event of this time, and why.
    fn decide(&self, rule: &str, time: Timestamp, now: Timestamp) -> (Decision, String, Option<Limit>) {
        if let Some(why) = self.too_old(time, now) {
            return (Decision::TooOld, format!("rule '{rule}' matches, but the event {why}"), None);
        }
        let times = times(self.limit.max_retries);
        (Decision::Requeue, format!("rule '{rule}' requeues the job, {times} at most"), Some(self.limit))
    }

    /// Why an event happened too long ago, or in the future.
    fn too_old(&self, time: Timestamp, now: Timestamp) -> Option<String> {
        if let Some(why) = ahead(time, now) {
            return Some(why);
        }
        let age = now.duration_since(time);
        let shown = Shown(age.unsigned_abs());
        let is_over = Duration::try_from(age).is_ok_and(|age| age > self.max_age);
        is_over.then(|| format!("happened {shown} ago; its max_age is {}", Shown(self.max_age)))
    }
}

/// Why an event cannot have happened yet.
pub(super) fn ahead(time: Timestamp, now: Timestamp) -> Option<String> {
    let ahead = time.duration_since(now);
    let (shown, max) = (Shown(ahead.unsigned_abs()), Shown(MAX_AHEAD.unsigned_abs()));
    (ahead > MAX_AHEAD).then(|| format!("is {shown} in the future; {max} are let pass"))
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
