//! What is done about an event, and why.

use jiff::Timestamp;

use super::{
    Decision, Policy, Source, Verdict,
    condition::{Mismatch, Seen, quoted},
    rule::{Rule, ahead},
};
use crate::events::{EventKind, JobEvent, What};

/// Why an event is treated as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it is to the rules; `None` for what is no event of a batch job.
    pub kind: Option<EventKind>,
    /// All rules in their order, whether they were asked or not.
    pub rules: Vec<Asked>,
    /// What is to be done.
    pub verdict: Verdict,
}

/// What a rule says about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub rule: String,
    /// Its conditions that the event does not meet; it matches if there is none.
    pub mismatches: Vec<Mismatch>,
}

impl Policy {
    /// What the rules say about an event of a source. The first rule that matches decides, and no others are asked.
    ///
    /// An event that tests an endpoint is that, whatever the rules say. A job that finished resets what was counted,
    /// and a job that started needs nothing, unless a rule ignores it: then the record names the rule, and nothing is
    /// reset. An event without a time happens now; how a time was found that is not plain is part of the reason.
    pub fn decide(&self, source: &Source, event: &JobEvent, now: Timestamp) -> Verdict {
        let Some(kind) = kind_of(event) else { return no_job_event(event) };
        let seen = Seen { source: &source.name, kind, event };
        let verdict = match self.rules.iter().find(|rule| rule.matches(seen)) {
            Some(rule) => rule.verdict(seen, now),
            None => self.no_rule(kind, event.time.unwrap_or(now), now),
        };
        match &event.time_note {
            Some(note) => Verdict { reason: format!("{} ({note})", verdict.reason), ..verdict },
            None => verdict,
        }
    }

    /// The same, with what each rule says. For events that test an endpoint, or are none, no rule is asked.
    pub fn explain(&self, source: &Source, event: &JobEvent, now: Timestamp) -> Explanation {
        let kind = kind_of(event);
        let asked = |rule: &Rule, kind| Asked {
            rule: rule.name.clone(),
            mismatches: rule.mismatches(Seen { source: &source.name, kind, event }),
        };
        Explanation {
            kind,
            rules: kind.map_or_else(Vec::new, |kind| self.rules.iter().map(|rule| asked(rule, kind)).collect()),
            verdict: self.decide(source, event, now),
        }
    }

    fn no_rule(&self, kind: EventKind, time: Timestamp, now: Timestamp) -> Verdict {
        let (decision, reason) = match (kind, ahead(time, now)) {
            // It would outrank every failure until then.
            (EventKind::Finished, Some(why)) => (Decision::TooOld, format!("the job finished, but the event {why}")),
            (EventKind::Finished, None) => {
                (Decision::Reset, "the job finished: its retries are counted anew".to_owned())
            }
            (EventKind::Started, _) => (Decision::Ignored, "a job that starts needs nothing".to_owned()),
            (EventKind::Failed | EventKind::Canceled, _) => (
                Decision::NoRule,
                match self.rules.len() {
                    0 => "there is no rule".to_owned(),
                    1 => "the one rule does not match".to_owned(),
                    count => format!("none of the {count} rules matches"),
                },
            ),
        };
        Verdict { decision, rule: None, reason, limit: None }
    }
}

fn kind_of(event: &JobEvent) -> Option<EventKind> {
    if let What::Job(kind) = event.what { Some(kind) } else { None }
}

fn no_job_event(event: &JobEvent) -> Verdict {
    let (decision, reason) = match event.what {
        What::Test => (Decision::Test, "it tests the endpoint".to_owned()),
        _ => (Decision::Ignored, format!("{} is no event of a batch job", quoted(&event.type_name))),
    };
    Verdict { decision, rule: None, reason, limit: None }
}
