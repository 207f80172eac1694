//! The business events of batch jobs.

use crate::jobs::Status;

/// What happened to a batch job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// "Batch job started".
    Started,
    /// "Batch job failed".
    Failed,
    /// "Batch job finished".
    Finished,
    /// "Batch job cancelled".
    Canceled,
}

impl EventKind {
    /// All of them, in the order of the catalogue.
    pub const ALL: [Self; 4] = [Self::Started, Self::Failed, Self::Finished, Self::Canceled];

    /// The category, and module, of all of them in the catalogue.
    pub const CATEGORY: &'static str = "Batch";

    /// Its id in the catalogue and in payloads. Finance & Operations takes the name of the X++ class of the event. The
    /// names of these four are not public: they are formed after the rule `<noun><past tense>BusinessEvent`.
    pub fn business_event_id(self) -> &'static str {
        match self {
            Self::Started => "BatchJobStartedBusinessEvent",
            Self::Failed => "BatchJobFailedBusinessEvent",
            Self::Finished => "BatchJobFinishedBusinessEvent",
            Self::Canceled => "BatchJobCancelledBusinessEvent",
        }
    }

    /// The event of that id.
    pub fn from_business_event_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.business_event_id() == id)
    }

    /// Its name in the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "Batch job started",
            Self::Failed => "Batch job failed",
            Self::Finished => "Batch job finished",
            Self::Canceled => "Batch job cancelled",
        }
    }

    /// What a change of state announces. The creation of a job (`from` is `None`) announces nothing, whatever its first
    /// state: nothing happened to the job yet, and the jobs of a seed were not just now started or failed.
    pub fn from_transition(from: Option<Status>, to: Status) -> Option<Self> {
        if from.is_none_or(|from| from == to) {
            return None;
        }
        match to {
            Status::Executing => Some(Self::Started),
            Status::Error => Some(Self::Failed),
            Status::Finished => Some(Self::Finished),
            Status::Canceled => Some(Self::Canceled),
            Status::Hold
            | Status::Waiting
            | Status::Ready
            | Status::NotRun
            | Status::Cancelling
            | Status::Scheduled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_one_event() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_business_event_id(kind.business_event_id()), Some(kind));
        }
        assert_eq!(EventKind::from_business_event_id("BatchJobCanceledBusinessEvent"), None);
    }

    #[test]
    fn a_change_announces_where_it_leads() {
        let expected = [
            (Status::Executing, EventKind::Started),
            (Status::Error, EventKind::Failed),
            (Status::Finished, EventKind::Finished),
            (Status::Canceled, EventKind::Canceled),
        ];
        for from in Status::ALL {
            for to in Status::ALL {
                let kind = expected.iter().find(|(status, _)| *status == to && from != to).map(|(_, kind)| *kind);
                assert_eq!(EventKind::from_transition(Some(from), to), kind, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn a_new_job_announces_nothing() {
        for first in Status::ALL {
            assert_eq!(EventKind::from_transition(None, first), None, "{first:?}");
        }
    }
}
