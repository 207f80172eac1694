//! A caller and what was granted to them.

use std::collections::BTreeSet;

use uuid::Uuid;

/// What a request needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// `data.read`: GET.
    DataRead,
    /// `data.write`: everything that changes entities.
    DataWrite,
    /// `jobs.requeue`: SetBatchJobToWaiting.
    JobsRequeue,
    /// `admin`: everything; what no other permission allows, too.
    Admin,
}

/// Who makes a request. What they may do follows from [`Grants`] and the service's table of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Their name in history: the subject or application of a token, `anonymous` without authentication.
    pub name: String,
    /// Their object id in the directory (`oid`), where the token has one.
    pub object_id: Option<Uuid>,
    /// What was granted to them.
    pub grants: Grants,
}

/// What a caller was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grants {
    /// Everything: no authentication, or the host's own token.
    All,
    /// The scopes and roles of a token.
    Named(BTreeSet<String>),
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 4] = [Self::DataRead, Self::DataWrite, Self::JobsRequeue, Self::Admin];

    /// Its name, which is also the scope or role that gives it unless the service says otherwise.
    pub fn name(self) -> &'static str {
        match self {
            Self::DataRead => "data.read",
            Self::DataWrite => "data.write",
            Self::JobsRequeue => "jobs.requeue",
            Self::Admin => "admin",
        }
    }
}

impl Caller {
    /// Whoever calls a host without authentication.
    pub fn anonymous() -> Self {
        Self { name: "anonymous".into(), object_id: None, grants: Grants::All }
    }
}
