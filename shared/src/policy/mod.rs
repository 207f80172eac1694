//! What is done about failed jobs: sources of events, rules, targets. Pure.
//!
//! | file | what |
//! |---|---|
//! | `source` | who sends events, and how they show who they are |
//! | `decision` | what is decided about an event |
//! | `target` | where jobs are requeued |

mod decision;
mod source;
mod target;

pub use crate::events::ReadFormat as SourceFormat;
pub use decision::{Decision, Limit, Verdict};
pub use source::{Source, SourceAuthentication};
pub use target::{Credential, Target, TargetAuthentication};
