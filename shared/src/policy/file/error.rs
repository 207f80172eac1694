//! What can be wrong with `policy.toml`, and where. Nothing of a secret is in any of these.

use std::{fmt, ops::RangeInclusive};

use crate::{
    auth::{AuthConfigError, TokensError},
    events::SecretFault,
    policy::PatternFault,
    text_file::{NotText, Position},
};

/// A policy that cannot be used. Shown as `file:line:column: problem`.
#[derive(Debug, thiserror::Error)]
pub struct PolicyFileError {
    /// The file, as given to the loader.
    pub file: String,
    /// Where in the file, when the problem has a place.
    pub position: Option<Position>,
    /// What is wrong.
    #[source]
    pub problem: Box<PolicyProblem>,
}

/// What is wrong with a policy.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it is")]
pub enum PolicyProblem {
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    #[error("has more than {0} bytes")]
    FileSize(u64),
    #[error(transparent)]
    NotText(NotText),
    #[error("{0}")]
    Toml(String),
    #[error("there are {got} {what}; at most {max} are taken")]
    TooMany { what: &'static str, got: usize, max: usize },
    #[error("a name has 1 to {max} letters, digits, '-' and '_'")]
    Name { max: usize },
    #[error("a list without values is met by nothing")]
    EmptyList,
    #[error("'{0}' is no length of time: write 90s, 5m, 1h30m or 2d")]
    NoDuration(String),
    #[error("{key} is {range}, not {got}")]
    Range { key: &'static str, range: String, got: String },
    #[error("a variable of the environment has a name")]
    NoVariable,
    #[error("the environment has no variable {0}, or an empty one")]
    MissingVariable(String),

    #[error(
        "the name 'self' is reserved: it is the source of events about this service's own jobs, and needs no table"
    )]
    ReservedSource,
    #[error("source '{0}' says nothing of its authentication: say \"none\" if none is meant")]
    NoAuthentication(String),
    #[error("authentication is \"none\" or a table with {0}")]
    Authentication(&'static str),
    #[error("'header' and 'code' say where the secret of 'shared' is: without it they have no meaning")]
    NotShared,
    #[error("'shared' needs a place for the secret: header = \"X-…\", code = true, or both")]
    NoPlace,
    #[error("'{0}' is no name of a header")]
    Header(String),
    #[error("{0}")]
    Secret(SecretFault),
    #[error("{0}")]
    SharedSecret(TokensError),
    #[error("{0}")]
    Issuer(AuthConfigError),
    #[error("'{0}' is no origin: a host name, or \"*\" for all")]
    Origin(String),
    #[error("there is no target '{0}'")]
    UnknownTarget(String),

    #[error("{0}")]
    Url(AddressFault),
    #[error("a token is made of visible ASCII characters")]
    Token,
    #[error("client_id is empty")]
    NoClient,
    #[error("'scope' and 'resource' are two ways to say the same: one of them is enough")]
    ScopeAndResource,
    #[error("a target without url is this service itself: it keeps ids of requests and wants no authentication")]
    OwnTarget,

    #[error("'{0}' is no name of an event: 1 to 200 characters")]
    EventName(String),
    #[error("'{id}' is the event \"{other}\" already")]
    SameEventName { id: String, other: &'static str },

    #[error("'{0}' is no time zone of the IANA database, such as Europe/Berlin")]
    TimeZone(String),
    #[error("a window that is never open")]
    NeverOpen,
    #[error("'{0}' is no day: mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri")]
    Day(String),
    #[error("'{0}' is no time of the day: 00:00 to 23:59, and 24:00 as an end")]
    Time(String),
    #[error("there is no window '{0}'")]
    UnknownWindow(String),
    #[error("window '{0}' is always open: outside of it there is no time")]
    AlwaysOpen(String),

    #[error("a rule's name has 1 to 100 characters")]
    RuleName,
    #[error("two rules are named '{0}'")]
    SameRule(String),
    #[error("there is no source '{0}'")]
    UnknownSource(String),
    #[error("{0}")]
    Pattern(PatternFault),
    #[error("a job that {0} is not requeued: a rule that requeues is about failed and canceled jobs")]
    RequeueEvent(&'static str),
    #[error("'{0}' is for rules that requeue")]
    OnlyRequeue(&'static str),
    #[error("a wait of {initial} to begin with is longer than the longest, {cap}")]
    BackoffCap { initial: String, cap: String },
    #[error(
        "max_age {max_age} is too long: decisions are kept for {kept} (keep_decisions), and that must be a day more"
    )]
    MaxAge { max_age: String, kept: String },
}

/// What is wrong with a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// It has no scheme and host.
    #[error("no absolute URL: {0}")]
    NotAbsolute(url::ParseError),
    /// It is longer than the limit.
    #[error("the URL has {got} bytes; at most {max} are taken")]
    TooLong {
        /// How many it has.
        got: usize,
        /// How many it may have.
        max: usize,
    },
    /// What is sent could be read on its way.
    #[error("the URL begins with https://, or with http:// for this machine only")]
    Insecure,
    /// It has parts that a root has not.
    #[error("the URL has no user, password, query or fragment")]
    Parts,
}

impl PolicyProblem {
    /// With the file it was found in.
    pub(in crate::policy) fn in_file(self, file: &str) -> PolicyFileError {
        PolicyFileError { file: file.into(), position: None, problem: Box::new(self) }
    }

    /// With file and byte offset.
    pub(super) fn at(self, file: &str, text: &str, offset: usize) -> PolicyFileError {
        PolicyFileError { file: file.into(), position: Some(Position::of(text, offset)), problem: Box::new(self) }
    }

    /// A number out of its range.
    pub(super) fn range<T: fmt::Display>(key: &'static str, range: &RangeInclusive<T>, got: impl fmt::Display) -> Self {
        Self::Range { key, range: format!("{} to {}", range.start(), range.end()), got: got.to_string() }
    }
}

impl PolicyFileError {
    /// A file that is no text.
    pub(in crate::policy) fn not_text(file: &str, problem: NotText) -> Self {
        let position = Some(problem.position());
        Self { file: file.into(), position, problem: Box::new(PolicyProblem::NotText(problem)) }
    }
}

impl fmt::Display for PolicyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "{}:{position}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}
