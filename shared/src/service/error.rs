//! What can be wrong with the folder of a service, and where.

use std::fmt;

use crate::{
    edm::{CsdlError, KeyError, ValueError},
    text_file::{NotText, Position},
};

/// A service that cannot be loaded. Shown as `folder/file:line:column: problem`.
#[derive(Debug, thiserror::Error)]
pub struct ServiceError {
    /// The file, as given to the loader.
    pub file: String,
    /// Where in the file, when the problem has a place.
    pub position: Option<Position>,
    /// What is wrong.
    #[source]
    pub problem: Box<Problem>,
}

/// What is wrong with a service's folder.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it is")]
pub enum Problem {
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    #[error("no folder with a service.toml in it")]
    NoService,
    #[error("no service here has batch jobs ([jobs])")]
    NoJobs,
    #[error("a service's folder is named with letters, digits, '.', '-' and '_'")]
    ServiceName,
    #[error("another service has this name")]
    SameService,
    #[error(transparent)]
    NotText(NotText),
    #[error("{0}")]
    Toml(String),
    #[error("{0}")]
    Json(String),
    #[error("{0}")]
    Model(String),
    #[error("the model says IsolationSupported, and the profile of the service refuses 'Isolation: snapshot'")]
    NoSnapshots,
    #[error("the model has no entity set")]
    NoSet,
    #[error("the model has no entity set '{0}'")]
    UnknownSet(String),
    #[error("the model has no type '{0}'")]
    UnknownType(String),
    #[error("type '{ty}' has no property '{name}'")]
    UnknownProperty { ty: String, name: String },
    #[error("type '{ty}' has no navigation property '{name}'")]
    UnknownNavigation { ty: String, name: String },
    #[error("navigation property '{0}' leads to many; a value is copied from one")]
    CollectionNavigation(String),
    #[error("'{0}' is not 'navigation/property'")]
    CopyPath(String),
    #[error("'copy' with several sources needs 'by', the property whose value says which one counts")]
    CopyBy,
    #[error("'client = \"lookup\"' needs an alternate key of '{ty}' that is '{name}' alone")]
    NoAlternateKey { ty: String, name: String },
    #[error("'client = \"lookup\"' is for 'copy'")]
    LookupOfNone,
    #[error("a client's value always wins over this rule: 'client' has no meaning")]
    ClientWins,
    #[error("type '{0}' is contained in no other, so it has no parent to copy from")]
    NoParent(String),
    #[error("no '{name}' contains a '{ty}'")]
    NotParent { ty: String, name: String },
    #[error("'{0}' cannot be joined from itself")]
    ConcatOfItself(String),
    #[error("'{0}' is joined from others: the model has to declare it as Core.Computed")]
    ConcatNotComputed(String),
    #[error("'{0}' is not 'type/navigation'")]
    WithParentPath(String),
    #[error("navigation property '{0}' does not contain one single entity, which could exist with its parent")]
    NotContained(String),
    #[error(
        "'{property}' of '{ty}' is not known before it is written: a rule copy_from_parent, by_parent or default is missing"
    )]
    Unknowable { ty: String, property: String },
    #[error("the parents of '{ty}' do not all have '{name}' in the same place")]
    ParentsDiffer { ty: String, name: String },
    #[error("rule '{rule}' needs {needs}, and '{property}' is none")]
    RuleType { rule: &'static str, needs: &'static str, property: String },
    #[error("a sequence must step by 1 or more, not {0}")]
    SequenceStep(i64),
    #[error("value of '{property}': {error}")]
    Value { property: String, error: Box<ValueError> },
    #[error("type '{ty}' of its {of} has no property '{name}'")]
    Lacks { ty: String, of: &'static str, name: &'static str },
    #[error("{0} is for services without companies: their rows would be in as many places")]
    OfCompanies(&'static str),
    #[error("service '{0}' has [requeues] too; one can have it")]
    SameRequeues(String),
    #[error("a limit of 0 would refuse everything")]
    ZeroLimit,
    #[error("{0} is no status of an error (400 to 599)")]
    Status(u16),
    #[error("a set has 1 to {max} shards, not {got}")]
    Shards { got: u16, max: u16 },
    #[error("'{0}' is no state that a job is put back to waiting from")]
    UnknownStatus(String),
    #[error("a job could never be put back to waiting: 'requeue_from' is empty")]
    NoRequeueState,
    #[error("'{name}' of a batch job must be {needs}")]
    JobProperty { name: String, needs: &'static str },
    #[error("a limit of retries is 0 or more, not {0}")]
    RetryLimit(i64),
    #[error("'{0}' is no permission")]
    UnknownPermission(String),
    #[error("no root")]
    NoRoot,
    #[error("root '{pattern}': {reason}")]
    Root { pattern: String, reason: &'static str },
    #[error("root '{pattern}' answers the same paths as '{other}' of service '{service}'")]
    SameRoot { pattern: String, other: String, service: String },
    #[error("no company")]
    NoCompany,
    #[error("two companies are named '{0}'")]
    SameCompany(String),
    #[error("no company is named '{0}'")]
    UnknownCompany(String),
    #[error("a company's '{0}' must be a string")]
    CompanyName(String),
    #[error("company '{0}' has no key")]
    NoCompanyKey(String),
    #[error("key of a company: {0}")]
    CompanyKey(KeyError),
    #[error("the service has no companies, so its seed cannot be grouped by them")]
    SeedCompanies,
    #[error("'{0}' is read-only: its rows come from service.toml")]
    SeedReadOnly(String),
    #[error("'{0}' stands here a second time")]
    SeedTwice(String),
    #[error("{0}")]
    SeedRow(Box<ValueError>),
    #[error("another row of '{set}' has the key {key} (line {line})")]
    SeedKey { set: String, key: String, line: usize },
}

impl Problem {
    /// With the file it was found in.
    pub(super) fn in_file(self, file: &str) -> ServiceError {
        ServiceError { file: file.into(), position: None, problem: Box::new(self) }
    }

    /// With file and byte offset.
    pub(super) fn at(self, file: &str, text: &str, offset: usize) -> ServiceError {
        ServiceError { file: file.into(), position: Some(Position::of(text, offset)), problem: Box::new(self) }
    }
}

impl ServiceError {
    /// A file that is no text.
    pub(super) fn not_text(file: &str, problem: NotText) -> Self {
        let position = Some(problem.position());
        Self { file: file.into(), position, problem: Box::new(Problem::NotText(problem)) }
    }

    /// A model that cannot be read.
    pub(super) fn model(file: &str, error: &CsdlError) -> Self {
        let problem = Box::new(Problem::Model(error.problem.to_string()));
        Self { file: file.into(), position: Some(error.position), problem }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "{}:{position}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}
