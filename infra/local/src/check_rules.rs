//! `rebatch check-rules`: what would be done about an event, and why, without doing it.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use shared::{
    events::{EventFault, JobEvent, ReadError, Received, What, id_text, read},
    policy::{Decision, Explanation, Limit, Policy, PolicyFileError, SecretsOf, Source},
    text_file::{self, NotText, Position},
};

use crate::cli::CheckRules;

/// Longer than any request of events.
const MAX_EVENT: u64 = 8 << 20;

/// Why there is nothing to be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    #[error("there is no source '{name}' in the policy: {known}")]
    Source { name: String, known: String },
    #[error("the policy has no source")]
    NoSource,
    #[error("the policy has several sources, so --source must name one: {0}")]
    SeveralSources(String),
    #[error("{}: cannot be read: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: has more than {MAX_EVENT} bytes", .0.display())]
    TooLong(PathBuf),
    #[error("{}:{}: {problem}", path.display(), problem.position())]
    NotText { path: PathBuf, problem: NotText },
    #[error("{}:{position}: is not JSON: {message}", path.display())]
    NotJson { path: PathBuf, position: Position, message: String },
    #[error("{}: {problem}", path.display())]
    Read { path: PathBuf, problem: ReadError },
}

/// What is told of the events.
pub(crate) struct Told {
    pub(crate) text: String,
    /// The first event that cannot be read.
    pub(crate) fault: Option<String>,
}

/// Says what would be done about the events of a file. `now` counts where the command line says no time.
pub(crate) fn check_rules(options: &CheckRules, now: Timestamp) -> Result<Told, CheckError> {
    let policy = Policy::load(&options.policy_file(), SecretsOf::Nobody, |_| None)?;
    let source = source(&policy, options.source.as_deref())?;
    let path = &options.event;
    let body = body(path)?;
    let text = text_file::decode(&body).map_err(|problem| CheckError::NotText { path: path.clone(), problem })?;
    let header = |name: &str| (name == "content-type").then_some("application/json");
    let received =
        read(source.format, |id| policy.event_kind(id), header, text.as_bytes()).map_err(|problem| match problem {
            ReadError::NotJson { line, column, message } => {
                CheckError::NotJson { path: path.clone(), position: Position::of_bytes(text, line, column), message }
            }
            problem => CheckError::Read { path: path.clone(), problem },
        })?;
    let check = Check { policy: &policy, source, now: options.at.unwrap_or(now), retries: options.retries };
    let mut told = Told { text: String::new(), fault: None };
    match received {
        Received::Validation { code } => {
            line(
                &mut told.text,
                "event",
                &format!("Event Grid asks whether its events are wanted: {code:?} is the answer"),
            );
        }
        Received::Events(events) => {
            for event in events {
                check.tell(event, path, &mut told);
            }
        }
    }
    told.text.push_str("Nothing was done.\n");
    Ok(told)
}

/// The source that is named, or the only one that sends requests, or else the service itself.
fn source<'p>(policy: &'p Policy, name: Option<&str>) -> Result<&'p Source, CheckError> {
    let own = policy.own_source();
    let known = || policy.sources().chain(own).map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        let named = policy.source(name).or(own.filter(|own| own.name == name));
        return named.ok_or_else(|| CheckError::Source { name: name.to_owned(), known: known() });
    }
    let mut sources = policy.sources();
    match (sources.next(), sources.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => own.ok_or(CheckError::NoSource),
        (Some(_), Some(_)) => Err(CheckError::SeveralSources(known())),
    }
}

/// What a file holds, or what comes in where it is `-`.
fn body(path: &Path) -> Result<Vec<u8>, CheckError> {
    let mut body = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX_EVENT + 1).read_to_end(&mut body)
    } else {
        File::open(path).and_then(|file| file.take(MAX_EVENT + 1).read_to_end(&mut body))
    };
    read.map_err(|source| CheckError::File { path: path.to_owned(), source })?;
    if u64::try_from(body.len()).is_ok_and(|length| length > MAX_EVENT) {
        return Err(CheckError::TooLong(path.to_owned()));
    }
    Ok(body)
}

/// What events are checked with.
struct Check<'p> {
    policy: &'p Policy,
    source: &'p Source,
    now: Timestamp,
    /// How often the job was requeued before.
    retries: u32,
}

impl Check<'_> {
    fn tell(&self, event: Result<JobEvent, EventFault>, path: &Path, told: &mut Told) {
        match event {
            Ok(event) => self.tell_event(&event, &mut told.text),
            Err(fault) => {
                line(&mut told.text, "event", &format!("cannot be read: {fault}"));
                line(&mut told.text, "decision", Decision::Unreadable.name());
                told.text.push('\n');
                told.fault.get_or_insert_with(|| format!("{}: {fault}", path.display()));
            }
        }
    }

    fn tell_event(&self, event: &JobEvent, text: &mut String) {
        let explanation = self.policy.explain(self.source, event, self.now);
        line(
            text,
            "event",
            &format!("{} {} of source '{}'", shown(&event.type_name), id_text(event.id), self.source.name),
        );
        if event.what != What::Test {
            line(text, "", &job(event));
        }
        rules(&explanation, text);
        let verdict = &explanation.verdict;
        match (&verdict.limit, &verdict.rule) {
            (Some(limit), Some(rule)) => self.tell_requeue(rule, *limit, &verdict.reason, text),
            _ => line(text, "decision", &format!("{}: {}", verdict.decision.name(), verdict.reason)),
        }
        text.push('\n');
    }

    /// A requeue is one only while the job has retries left.
    fn tell_requeue(&self, rule: &str, limit: Limit, reason: &str, text: &mut String) {
        let (done, max) = (self.retries, limit.max_retries);
        if done >= max {
            let decision = Decision::Exhausted.name();
            return line(text, "decision", &format!("{decision}: {reason}, and {done} retries were made"));
        }
        line(text, "decision", &format!("{}: {reason}", Decision::Requeue.name()));
        let retry = done + 1;
        let due = |jitter| self.policy.schedule(rule, retry, self.now, jitter);
        let (first, last) = (due(0.0), due(1.0));
        let when = if first == last { format!("at {first}") } else { format!("between {first} and {last}") };
        line(text, "when", &format!("retry {retry} of {max}, {when}"));
        let url = self.policy.target(&self.source.target).and_then(|target| target.url.as_deref());
        line(text, "target", &format!("'{}': {}", self.source.target, url.unwrap_or("this service")));
    }
}

/// What the event says of its job.
fn job(event: &JobEvent) -> String {
    let job = event.job.map_or_else(|| "no job".to_owned(), |job| format!("job {job}"));
    let time = event.time.map_or_else(|| "at no time that it says".to_owned(), |time| format!("at {time}"));
    let mut text = format!(
        "{job} {} of legal entity {}, status {}, {time}",
        shown(&event.job_description),
        shown(&event.legal_entity),
        shown(&event.job_status),
    );
    if !event.error_text.is_empty() {
        // Writing to a text cannot fail.
        let _ = write!(text, ", error {}", shown(&event.error_text));
    }
    text
}

/// Each rule, and why it does not match.
fn rules(explanation: &Explanation, text: &mut String) {
    let deciding = explanation.rules.iter().position(|rule| rule.mismatches.is_empty());
    for (at, rule) in explanation.rules.iter().enumerate() {
        let why = rule.mismatches.iter().map(|m| format!("{} is {}, not {}", m.condition, m.found, m.wanted));
        let why = why.collect::<Vec<_>>().join("; ");
        let says = match deciding {
            Some(first) if at == first => "matches".to_owned(),
            Some(first) if at > first && why.is_empty() => "would match, but a rule before it does".to_owned(),
            _ => format!("does not match: {why}"),
        };
        line(text, if at == 0 { "rules" } else { "" }, &format!("{}. '{}' {says}", at + 1, rule.rule));
    }
}

fn line(text: &mut String, title: &str, content: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{title:<9} {content}");
}

/// In quotes, with what would move the cursor escaped.
fn shown(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}
