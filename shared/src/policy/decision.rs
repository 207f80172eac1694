//! What is decided about an event.

/// What becomes of an event. The names are those of the enumeration `RequeueDecisionKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The job is requeued.
    Requeue,
    /// A rule says that nothing is done, or the event is of a kind that nothing is done about.
    Ignored,
    /// No rule matches.
    NoRule,
    /// It happened too long ago, or in the future.
    TooOld,
    /// The job was requeued as often as the rule allows.
    Exhausted,
    /// The job finished after this failure, or was requeued.
    Superseded,
    /// The job finished: what was counted before starts again.
    Reset,
    /// The event that tests an endpoint.
    Test,
    /// Part of a delivery that is no event.
    Unreadable,
}

/// What the rules say about an event, before it is known how often its job was requeued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is to be done: never [`Decision::Exhausted`] or [`Decision::Superseded`].
    pub decision: Decision,
    /// The rule that says so.
    pub rule: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// How often the job may be requeued, where it is to be requeued.
    pub limit: Option<Limit>,
}

/// How often a rule requeues a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many times.
    pub max_retries: u32,
    /// Failures that are older than the new one by so many seconds do not count; all count without it.
    pub reset_after: Option<u64>,
}

impl Decision {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Requeue,
        Self::Ignored,
        Self::NoRule,
        Self::TooOld,
        Self::Exhausted,
        Self::Superseded,
        Self::Reset,
        Self::Test,
        Self::Unreadable,
    ];

    /// Its name in the enumeration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requeue => "Requeue",
            Self::Ignored => "Ignored",
            Self::NoRule => "NoRule",
            Self::TooOld => "TooOld",
            Self::Exhausted => "Exhausted",
            Self::Superseded => "Superseded",
            Self::Reset => "Reset",
            Self::Test => "Test",
            Self::Unreadable => "Unreadable",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.name() == name)
    }
}
