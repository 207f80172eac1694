//! From a decision to requeue a job to the job that waits again.
//!
//! A decision that is due is in the queue of its target. Each target has turns, beside those of endpoints: a row is read,
//! scheduled by its rule (the backoff of this retry, then the rule's window), claimed by a conditional write, carried out
//! by a call, and finished in one transaction with the row of the attempt; where the target refused for good, the claim on
//! the job's retries is given back in it, too. Whoever stops in between leaves a claim that runs out, and a row that says
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
//! | `row` | one decision: when, by whom, what came of it |
//! | `turn` | all that is due at one target |
//! | `wait` | how long until the next attempt |

mod answer;
mod call;
mod row;
mod token;
mod turn;
mod wait;

use std::{fmt, sync::Arc};

pub use token::TokenProvider;

use super::{Courier, Outbox, gate::Door};
use crate::{
    ledger::Ledger,
    policy::{Policy, Target},
    store::ItemKey,
};
use token::Tokens;

/// How the host reaches the service itself, for targets without a URL.
#[derive(Clone)]
pub struct OwnService {
    /// URL of the service's root: `http://127.0.0.1:8080/data`.
    pub url: String,
    /// Makes a token for each call, always of the same caller: the ids of requests are those of a caller.
    pub token: TokenProvider,
}

impl OwnService {
    /// The service at this URL, where calls need no token.
    pub fn open(url: impl Into<String>) -> Self {
        Self { url: url.into(), token: Arc::new(|| None) }
    }
}

impl fmt::Debug for OwnService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnService").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A target cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum RequeueError {
    /// It is the service itself, and the host does not know where that is.
    #[error("target '{0}' has no url, and the URL of the own service is not known")]
    NoUrl(String),
    /// Its token was not looked up, or cannot be a header.
    #[error("the token of target '{0}' is not there, or cannot be sent: it must be printable ASCII without spaces")]
    Token(String),
}

/// Where jobs are requeued, and what is decided about it.
pub(super) struct Requeues {
    pub(super) ledger: Ledger,
    policy: Arc<Policy>,
    courier: Courier,
    pub(super) addresses: Vec<Address>,
}

/// A target that can be called.
pub(super) struct Address {
    target: Target,
    /// Of its service root, without a final slash.
    url: String,
    tokens: Tokens,
    door: Door,
}

impl Outbox {
    /// The same, which requeues jobs as well: what `policy` decided and `ledger` has. `own` is where targets without a URL
    /// are. Targets are set up by whoever runs the service, so that `courier` may go to private addresses; make a courier
    /// of its own for them.
    pub fn with_requeues(
        self,
        ledger: Ledger,
        policy: Arc<Policy>,
        own: Option<&OwnService>,
        courier: Courier,
    ) -> Result<Self, RequeueError> {
        let addresses = policy.targets().map(|target| Address::new(&ledger, target, own)).collect::<Result<_, _>>()?;
        Ok(Self { requeues: Some(Arc::new(Requeues { ledger, policy, courier, addresses })), ..self })
    }
}

impl Address {
    fn new(ledger: &Ledger, target: &Target, own: Option<&OwnService>) -> Result<Self, RequeueError> {
        let own = own.filter(|_| target.url.is_none());
        let url = target.url.as_deref().or(own.map(|own| own.url.as_str()));
        let url = url.ok_or_else(|| RequeueError::NoUrl(target.name.clone()))?.trim_end_matches('/').to_owned();
        let tokens = Tokens::new(&target.authentication, own.map(|own| &own.token));
        let tokens = tokens.ok_or_else(|| RequeueError::Token(target.name.clone()))?;
        let partition = format!("B|gate|{}", ledger.service().name);
        let note = ItemKey { partition, sort: format!(">{}", target.name) };
        Ok(Self { target: target.clone(), door: Door { note, of: url.clone() }, url, tokens })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.target.name
    }
}
