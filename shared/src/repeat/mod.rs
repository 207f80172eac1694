//! Repeats of requests: which request is one, and where is kept how it ended (OASIS Repeatable Requests 1.0). Pure.
//!
//! A client whose answer was lost sends the same request again, with the id and the time of the first one:
//! `Repeatability-Request-ID`, `Repeatability-First-Sent`, and `Repeatability-Client-ID` where it has several parts that
//! make ids. The id is that of one caller of one service. It may stand at a write, alone or in a batch, and at a batch as
//! a whole. At a GET it means nothing: a read can be repeated as it is.
//!
//! `plan` claims the place of the outcome and writes the outcome there, in the commit of the unit itself. `execute` does
//! the same with a batch as a whole.

mod claim;
mod given;

use std::time::Duration;

pub use claim::{Asked, Claim, Scope};
pub use given::{FIRST_SENT, Given, Repeatability};

/// Why a request is not carried out, or not now, for what it says about being a repeat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepeatFault {
    /// A header cannot be understood, or lacks the one that belongs to it.
    #[error("header '{name}': {reason}")]
    Header {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// It may be a repeat of one whose outcome is not kept any more.
    #[error("the request was first sent more than {hours} hours ago: whether it was carried out is not known any more")]
    TooOld {
        /// How long outcomes are kept.
        hours: usize,
    },
    /// Its first time is still to come.
    #[error("the request says that it was first sent in the future")]
    TooNew,
    /// The id is that of another request.
    #[error("another request was sent with this Repeatability-Request-ID: method, URL or body differ")]
    Other,
    /// The first one is being carried out.
    #[error("the batch with this Repeatability-Request-ID is being carried out; its answer will be there for a repeat")]
    Running {
        /// When to ask again.
        retry_after: Duration,
    },
    /// Something before it in the batch is to be carried out first, by a repeat.
    #[error("an operation before this one could not be carried out; a repeat of the batch goes on from there")]
    Suspended,
}

impl RepeatFault {
    /// Whether the request is no repeat that this service can know, and will not become one.
    pub fn is_rejection(&self) -> bool {
        match self {
            Self::Header { .. } | Self::TooOld { .. } | Self::TooNew | Self::Other => true,
            Self::Running { .. } | Self::Suspended => false,
        }
    }
}
