//! What is done about failed jobs: sources of events, rules, targets. Pure but for `load`.
//!
//! | file | what |
//! |---|---|
//! | `source` | who sends events, and how they show who they are |
//! | `target` | where jobs are requeued |
//! | `decision` | what is decided about an event |
//! | `decide` | what the rules say about an event, and why |
//! | `rule`, `condition`, `pattern` | which events a rule is about, and what it does |
//! | `backoff`, `window`, `duration` | when a job is requeued |
//! | `file` | all of it as it is written in `policy.toml` |
//! | `load` | reads the file |

mod backoff;
mod condition;
mod decide;
mod decision;
mod duration;
mod file;
mod load;
mod pattern;
mod rule;
mod source;
mod target;
mod window;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::Timestamp;

use self::rule::{Requeue, Rule};
pub use self::{
    condition::Mismatch,
    decide::{Asked, Explanation},
    decision::{Decision, Limit, Verdict},
    file::{AddressFault, PolicyFileError, PolicyProblem, SecretsOf},
    pattern::PatternFault,
    source::{OWN_SOURCE, Source, SourceAuthentication},
    target::{Credential, Target, TargetAuthentication},
};
use crate::events::EventKind;
pub use crate::events::ReadFormat as SourceFormat;

/// All that `policy.toml` says. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Those that send requests.
    sources: BTreeMap<String, Source>,
    /// Names of sources that the host does not have although the file does.
    left_out: Vec<String>,
    /// The service itself, where one of its targets is the service itself.
    own: Option<Source>,
    targets: BTreeMap<String, Target>,
    /// Ids of business events beside those that [`EventKind`] knows.
    event_names: HashMap<String, EventKind>,
    /// In the order of the file: the first one that matches decides.
    rules: Vec<Rule>,
    keep_decisions: Duration,
}

/// A source that lets everybody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source '{source_name}' has authentication \"none\"")]
pub struct OpenSource {
    /// Its name.
    pub source_name: String,
}

impl Policy {
    /// The source of that name that sends requests.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.get(name)
    }

    /// All sources that send requests, in the order of their names.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.values()
    }

    /// The source `self`: the service, which tells of its own jobs without a request. There is one as soon as there is a
    /// target that is the service itself; of several such targets the first one, by name, is that of its events.
    pub fn own_source(&self) -> Option<&Source> {
        self.own.as_ref()
    }

    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.get(name)
    }

    /// All targets, in the order of their names.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.values()
    }

    /// What the business event of an id is: one that everybody knows, or one of `[event_names]`.
    pub fn event_kind(&self, id: &str) -> Option<EventKind> {
        EventKind::from_business_event_id(id).or_else(|| self.event_names.get(id).copied())
    }

    /// How long decisions are kept: longer than any event is acted on, so that a late duplicate is known as one.
    pub fn keep_decisions(&self) -> Duration {
        self.keep_decisions
    }

    /// When retry number `retry` (1 is the first) of a job is due that a rule requeues: after its backoff, and then when
    /// its window is open. `jitter` is a random number from 0 (the shortest wait) to 1 (the longest). A rule that there
    /// is no more, or that requeues nothing, makes nothing wait.
    pub fn schedule(&self, rule: &str, retry: u32, from: Timestamp, jitter: f64) -> Timestamp {
        let due = self.requeue(rule).map_or(from, |requeue| requeue.backoff.due(retry, from, jitter));
        self.open_at(rule, due)
    }

    /// The first instant, at `at` or after it, at which a rule requeues jobs: `at` itself when its window is open, and
    /// where there is no window or no such rule.
    pub fn open_at(&self, rule: &str, at: Timestamp) -> Timestamp {
        let allowed = self.requeue(rule).and_then(|requeue| requeue.allowed.as_ref());
        allowed.map_or(at, |allowed| allowed.first(at))
    }

    /// Refuses sources that let everybody in.
    pub fn check_closed(&self) -> Result<(), OpenSource> {
        match self.sources().find(|source| source.is_open()) {
            Some(source) => Err(OpenSource { source_name: source.name.clone() }),
            None => Ok(()),
        }
    }

    /// The same without the sources that let everybody in.
    #[must_use]
    pub fn without_open(mut self) -> Self {
        let (open, closed) = self.sources.into_iter().partition(|(_, source)| source.is_open());
        let open: BTreeMap<String, Source> = open;
        self.left_out.extend(open.into_keys());
        Self { sources: closed, ..self }
    }

    /// Names of sources that were left out.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// How often a rule requeues a job, if it does.
    pub fn limit(&self, rule: &str) -> Option<Limit> {
        Some(self.requeue(rule)?.limit)
    }

    fn requeue(&self, rule: &str) -> Option<&Requeue> {
        self.rules.iter().find(|known| known.name == rule)?.requeue()
    }
}

#[cfg(test)]
mod tests;
