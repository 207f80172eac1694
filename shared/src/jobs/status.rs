//! The states of a batch job and the one table of transitions between them.

/// State of a batch job. The numbers and names are those of the enumeration `BatchStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Withheld by a person.
    Hold,
    /// Will run when its time comes.
    Waiting,
    /// Runs.
    Executing,
    /// Failed.
    Error,
    /// Ended well.
    Finished,
    /// Its tasks may be picked up.
    Ready,
    /// Its conditions did not let it run.
    NotRun,
    /// Is being cancelled.
    Cancelling,
    /// Was cancelled.
    Canceled,
    /// Has its place in a priority queue.
    Scheduled,
}

/// What a change from one state to another is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// None: the state stays.
    None,
    /// A step of the job's life.
    Step,
    /// From a state that only a requeue leads out of: it counts as a retry.
    Requeue,
    /// Impossible.
    Illegal,
}

impl Status {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Hold,
        Self::Waiting,
        Self::Executing,
        Self::Error,
        Self::Finished,
        Self::Ready,
        Self::NotRun,
        Self::Cancelling,
        Self::Canceled,
        Self::Scheduled,
    ];

    /// Its number in the enumeration.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The state with that number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.number() == number)
    }

    /// Its name in the enumeration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "Hold",
            Self::Waiting => "Waiting",
            Self::Executing => "Executing",
            Self::Error => "Error",
            Self::Finished => "Finished",
            Self::Ready => "Ready",
            Self::NotRun => "NotRun",
            Self::Cancelling => "Cancelling",
            Self::Canceled => "Canceled",
            Self::Scheduled => "Scheduled",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The states that a step leads to. Out of a state without steps, only a requeue leads.
    fn steps(self) -> &'static [Self] {
        use Status as S;
        match self {
            S::Hold => &[S::Waiting, S::Scheduled, S::Canceled],
            S::Waiting => &[S::Hold, S::Ready, S::Scheduled, S::Executing, S::NotRun, S::Cancelling, S::Canceled],
            S::Scheduled => &[S::Hold, S::Waiting, S::Ready, S::Executing, S::NotRun, S::Cancelling, S::Canceled],
            S::Ready => &[S::Hold, S::Waiting, S::Executing, S::NotRun, S::Cancelling, S::Canceled, S::Error],
            // A task that failed and has retries left is ready again.
            S::Executing => &[S::Ready, S::Finished, S::Error, S::Cancelling, S::Canceled],
            S::Cancelling => &[S::Canceled, S::Finished, S::Error],
            S::NotRun => &[S::Hold, S::Waiting, S::Canceled],
            S::Error | S::Finished | S::Canceled => &[],
        }
    }
}

/// What the change from `from` to `to` is.
pub fn transition(from: Status, to: Status) -> Transition {
    if from == to {
        Transition::None
    } else if from.steps().contains(&to) {
        Transition::Step
    } else if to == Status::Waiting && matches!(from, Status::Error | Status::Finished | Status::Canceled) {
        Transition::Requeue
    } else {
        Transition::Illegal
    }
}

/// The states that a step leads from to `to`.
pub fn sources(to: Status) -> impl Iterator<Item = Status> {
    Status::ALL.into_iter().filter(move |from| transition(*from, to) == Transition::Step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_those_of_the_enumeration() {
        for (number, status) in (0..).zip(Status::ALL) {
            assert_eq!((status.number(), Status::from_number(number)), (number, Some(status)));
            assert_eq!(Status::from_name(status.name()), Some(status));
        }
        assert_eq!((Status::from_number(10), Status::from_name("Withhold")), (None, None));
    }

    #[test]
    fn only_a_requeue_leads_out_of_an_end() {
        for end in [Status::Error, Status::Finished, Status::Canceled] {
            for to in Status::ALL {
                let expected = match to {
                    Status::Waiting => Transition::Requeue,
                    _ if to == end => Transition::None,
                    _ => Transition::Illegal,
                };
                assert_eq!(transition(end, to), expected, "{end:?} → {to:?}");
            }
        }
    }

    #[test]
    fn every_end_is_reached_by_a_run() {
        assert_eq!(sources(Status::Finished).collect::<Vec<_>>(), [Status::Executing, Status::Cancelling]);
        assert!(sources(Status::Executing).all(|s| matches!(s, Status::Waiting | Status::Ready | Status::Scheduled)));
    }
}
