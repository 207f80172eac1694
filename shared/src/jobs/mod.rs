//! Batch jobs: their states, what leads from one to another, and the action that puts a job back to waiting. Pure.
//!
//! Sources: `reference/microsoft-wire.md` §1.1–1.4.

mod action;
mod change;
pub mod history;
mod setup;
mod status;

pub use action::{Refusal, Reply, SET_BATCH_JOB_TO_WAITING, batch_job_id};
pub use change::{JobFault, Touch, Values};
pub use setup::{Fields, Jobs, ReplyForm, Requeues};
pub use status::{Status, Transition, sources, transition};
