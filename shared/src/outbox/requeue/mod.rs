//! From a decision to requeue a job to the job that waits again.
//!
//! A decision that is due is in the queue of its target. Each target has turns, beside those of endpoints: a row is read,
//! scheduled by its rule (the backoff of this retry, then the rule's window), claimed by a conditional write, carried out
//! by a call, and finished in one transaction with the row of the attempt; where the target refused for good, the claim on
//! the job's retries is given back in it, too. Of the decisions about one job one is carried out at a time: the same
//! transaction settles those that wait for it, and the next one follows at once. Whoever stops in between leaves a claim that runs out, and a row that says
//! that the outcome is unknown: the call is made again, with the same id of the request.
//!
//! # Never twice for one failure
//!
//! A target that keeps ids of requests (`Repeatability-Request-ID`), as this service does, answers the repeat as it
//! answered the first call, and does nothing, as long as it remembers that one: this service remembers the last 32 to 64
//! changes of each job. One that does not, as Finance & Operations, is asked for the job's state before each call: where
//! the job is not in the state that the event tells of, nothing is called. If an earlier call may have worked, and the job
//! is under way or has finished, that is its success; if it is in another state, somebody has put it there, and the
//! decision ends as failed. If no earlier call may have worked, somebody else was faster.
//!
//! **The gap that remains** is one of targets that keep no ids. A call worked, its answer was lost, and before the state
//! is read again the job has run and failed once more: then the repeat requeues that newer failure. So that failure is
//! answered early, and once more by its own event, which meets a job that waits or runs. The state may be read much later
//! than the call was made: after the wait between attempts, which grows to hours, and not before the gate of a target that
//! failed opens. Any failure until then is what the repeat answers. To keep that time short, a repeat of what may have
//! worked does not wait for the rule's window.
//!
//! | file | what |
//! |---|---|
//! | `answer` | what an answer means |
//! | `token` | how calls show who makes them |
//! | `call` | one attempt: the requests of it |
//! | `queue` | the decisions about one job: whose turn it is |
//! | `own` | a call to the service itself |
//! | `row` | one decision: when, by whom, what came of it |
//! | `turn` | all that is due at one target |
//! | `wait` | how long until the next attempt |

mod answer;
mod call;
mod own;
mod queue;
mod row;
mod token;
mod turn;
mod wait;

use std::sync::Arc;

use super::{Courier, Outbox, gate::Door};
use crate::{
    execute::Engine,
    ledger::Ledger,
    policy::{Policy, Target},
    store::ItemKey,
};
use token::Tokens;

/// A target cannot be called: its token was not looked up, or cannot be a header.
#[derive(Debug, thiserror::Error)]
#[error("the token of target '{0}' is not there, or cannot be sent: it must be printable ASCII without spaces")]
pub struct RequeueError(String);

/// Where jobs are requeued, and what is decided about it.
pub(super) struct Requeues {
    pub(super) ledger: Ledger,
    pub(super) policy: Arc<Policy>,
    courier: Courier,
    pub(super) addresses: Vec<Address>,
}

/// A target that can be called.
pub(super) struct Address {
    target: Target,
    way: Way,
    door: Door,
}

/// How a target is reached.
enum Way {
    /// Over HTTP, at the URL of its service root, without a final slash.
    Http { url: String, tokens: Tokens },
    /// It is the service itself: its engine is asked, which needs neither network nor token. `root` is the path of the
    /// service's root.
    Own { engine: Engine, root: String },
}

impl Outbox {
    /// The same, which requeues jobs as well: what `policy` decided and `ledger` has. `own` answers for targets without a
    /// URL, which are the service itself. Targets are set up by whoever runs the service, so that `courier` may go to
    /// private addresses; make a courier of its own for them.
    pub fn with_requeues(
        self,
        ledger: Ledger,
        policy: Arc<Policy>,
        own: &Engine,
        courier: Courier,
    ) -> Result<Self, RequeueError> {
        let addresses = policy.targets().map(|target| Address::new(&ledger, target, own)).collect::<Result<_, _>>()?;
        Ok(Self { requeues: Some(Arc::new(Requeues { ledger, policy, courier, addresses })), ..self })
    }
}

impl Address {
    fn new(ledger: &Ledger, target: &Target, own: &Engine) -> Result<Self, RequeueError> {
        let service = ledger.service();
        let (way, of) = match &target.url {
            Some(url) => {
                let url = url.trim_end_matches('/').to_owned();
                let tokens = Tokens::new(&target.authentication).ok_or_else(|| RequeueError(target.name.clone()))?;
                (Way::Http { url: url.clone(), tokens }, url)
            }
            None => (Way::Own { engine: own.clone(), root: service.root.clone() }, "own".to_owned()),
        };
        let note = ItemKey { partition: format!("B|gate|{}", service.name), sort: format!(">{}", target.name) };
        Ok(Self { target: target.clone(), way, door: Door { note, of } })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.target.name
    }
}
