//! What a unit adds where its requests may be repeats: it looks for how they ended, and keeps how they end now.
//!
//! The place of an outcome is assumed to be free, which is a condition of the commit. So the outcome is kept if and only
//! if the writes are, a repeat is known by the refused condition, and of any number of repeats at once one is carried out.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use http::Method;

use crate::{
    batch::{Request, Response},
    jobs::Refusal,
    repeat::{Asked, Claim, Given, RepeatFault, Scope},
    respond,
    store::{ItemKey, Progress, Stored},
    uri::{EntityPath, Resource},
};

use super::{
    Ending, PlanError,
    context::Context,
    overlay::{Halt, Step},
    prepare::{Place, Prepared},
    rerun::RERUN,
    unit::{Evaluation, Job, Outcome, Unit},
};

/// A batch with an id: each of its units keeps how it ended.
#[derive(Clone, Debug)]
pub struct BatchRepeat {
    /// The claim of the batch as a whole.
    pub claim: Claim,
    /// What earlier executors have kept.
    pub known: HashMap<ItemKey, Stored>,
}

impl BatchRepeat {
    /// What is kept of the unit that begins with the request of this index; `None` where it is not decided.
    pub fn kept(&self, index: usize) -> Option<Bytes> {
        let (claim, Stored::Kept(kept)) = self.decided(index)? else { return None };
        let Progress::Ended { bytes, .. } = &kept.progress else { return None };
        let mut all = BytesMut::from(&**bytes);
        for key in claim.parts(kept) {
            if let Some(Stored::Part(part)) = self.known.get(&key) {
                all.extend_from_slice(&part.bytes);
            }
        }
        Some(all.freeze())
    }

    /// Whether the unit that begins with the request of this index is decided.
    pub fn has_decided(&self, index: usize) -> bool {
        self.decided(index).is_some()
    }

    fn decided(&self, index: usize) -> Option<(Claim, &Stored)> {
        if self.known.is_empty() {
            return None;
        }
        let claim = self.claim.of_unit(index);
        let stored = self.known.get(&claim.key)?;
        Some((claim, stored))
    }
}

/// What the headers of a request mean for what it leads to.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    /// Its id, for what remembers the ids of its own changes.
    pub(super) id: Option<String>,
    /// Where is kept how it ends.
    pub(super) claim: Option<Claim>,
}

/// How jobs and decisions remember the ids of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Nothing does.
    None,
    /// The entity does. An id is enough, and what is kept besides tells a repeat from another request.
    Entity,
    /// The entity does, and nothing else has to.
    Alone,
}

impl Repeats {
    /// Reads the headers. A GET can be repeated as it is.
    pub(super) fn of(
        context: &Context<'_>,
        request: &Request,
        (place, query): (&Place, Option<&str>),
        resource: &Resource,
    ) -> Result<Self, RepeatFault> {
        if request.method == Method::GET {
            return Ok(Self::default());
        }
        let given = Given::of(&request.headers)?;
        let (id, memory) = (given.id.clone(), memory(context, resource));
        if memory == Memory::Alone || memory == Memory::Entity && given.first_sent.is_none() {
            return Ok(Self { id, claim: None });
        }
        let Some(repeat) = given.together()? else { return Ok(Self::default()) };
        let alone = || format!("{}/{}?{}", place.root, place.path, query.unwrap_or_default());
        let url = if request.url.is_empty() { alone() } else { request.url.clone() };
        let asked = Asked { method: request.method.as_str(), url: &url, body: &request.body };
        Ok(Self { id, claim: Some(Claim::new(context.scope(), &repeat, asked, context.now)?) })
    }
}

/// Who remembers the id of a request that leads there.
fn memory(context: &Context<'_>, resource: &Resource) -> Memory {
    let service = context.service;
    let is_decision = |path: &EntityPath| service.requeues.is_some_and(|sets| sets.decisions == path.set);
    match resource {
        Resource::Action { path, name } => {
            let reruns = name.rsplit('.').next() == Some(RERUN) && is_decision(path);
            if reruns || service.requeued_by(path, name).is_some() { Memory::Alone } else { Memory::None }
        }
        Resource::Entities(path) if service.jobs.as_ref().is_some_and(|jobs| jobs.set == path.set) => Memory::Entity,
        _ => Memory::None,
    }
}

impl Context<'_> {
    /// Whose ids requests have.
    pub fn scope(&self) -> Scope<'_> {
        let hours = self.service.limits.repeatability_hours;
        Scope { service: &self.service.name, caller: self.caller, hours }
    }
}

impl Unit<'_> {
    /// The claim of the whole unit, where it is one of a batch with an id and changes anything.
    pub(super) fn claim(&self, jobs: &[Job<'_>]) -> Option<Claim> {
        let batch = self.context.batch?;
        let writes = jobs.iter().any(|job| job.request.method != Method::GET);
        jobs.first().filter(|_| writes).map(|first| batch.claim.of_unit(first.index))
    }

    /// The answers of a unit that was decided once.
    pub(super) fn recall_unit(&mut self, claim: Option<&Claim>, jobs: &[Job<'_>]) -> Step<Option<Evaluation>> {
        let Some(claim) = claim else { return Ok(None) };
        let (outcomes, refused) = match self.recall(claim)? {
            None => return Ok(None),
            Some(Ending::Done(outcomes)) => (outcomes, None),
            Some(Ending::Failed { before, answer }) => (before, Some(answer)),
        };
        let outcomes = outcomes.into_iter().zip(jobs).map(|(outcome, job)| {
            if let Some(id) = job.request.name() {
                self.references.insert(id.clone(), outcome.reference.clone());
            }
            Outcome { response: Response { id: job.request.id.clone(), ..outcome.response }, ..outcome }
        });
        let outcomes: Vec<Outcome> = outcomes.collect();
        Ok(Some(match refused {
            None => Evaluation::Ready { outcomes, writes: Vec::new() },
            Some(answer) => {
                let (culprit, error) = (outcomes.len(), PlanError::Answered(answer.into()));
                Evaluation::Failed { culprit, error, before: outcomes, keepers: Vec::new() }
            }
        }))
    }

    /// How what is claimed ended, if it did. Where nothing is known, the commit checks that nothing is there.
    pub(super) fn recall(&mut self, claim: &Claim) -> Step<Option<Ending>> {
        let now = self.context.now.as_second();
        let known = self.context.batch.and_then(|batch| match batch.known.get(&claim.key) {
            Some(Stored::Kept(kept)) if kept.expires > now => Some(kept.clone()),
            _ => None,
        });
        let Some(kept) = known.or_else(|| self.overlay.kept(&claim.key, now)) else { return Ok(None) };
        if kept.digest != claim.digest {
            return Err(RepeatFault::Other.into());
        }
        let mut all = BytesMut::new();
        let keys = claim.parts(&kept);
        match kept.progress {
            Progress::Running { .. } => return Err(PlanError::Internal.into()),
            Progress::Ended { bytes, .. } if keys.is_empty() => {
                return Ending::decode(bytes).map(Some).ok_or_else(|| PlanError::Internal.into());
            }
            Progress::Ended { bytes, .. } => all.extend_from_slice(&bytes),
        }
        for key in &keys {
            self.overlay.prefetch(key);
        }
        for key in &keys {
            match self.overlay.peek(key)? {
                Some(Stored::Part(part)) => all.extend_from_slice(&part.bytes),
                _ => return Err(PlanError::Internal.into()),
            }
        }
        Ending::decode(all.freeze()).map(Some).ok_or_else(|| PlanError::Internal.into())
    }

    /// Keeps how what was claimed has ended.
    pub(super) fn keep(&mut self, claim: &Claim, ending: &Ending) {
        let (kept, parts) = claim.ended(self.operation, &ending.encode());
        self.overlay.put(&claim.key, Stored::Kept(kept));
        for (key, part) in parts {
            self.overlay.put(&key, part);
        }
    }

    /// Carries a request out, unless that has been done.
    pub(super) fn once(&mut self, request: &Prepared, claim: &Claim) -> Step<Outcome> {
        match self.recall(claim)? {
            Some(Ending::Done(outcomes)) => {
                return outcomes.into_iter().next().ok_or_else(|| PlanError::Internal.into());
            }
            Some(Ending::Failed { answer, .. }) => return Err(PlanError::Answered(answer.into()).into()),
            None => {}
        }
        let mut outcome = self.dispatch(request).inspect_err(|halt| {
            if let Halt::Need = halt {
                // What is read anyway shows whether it is a repeat.
                self.overlay.prefetch(&claim.key);
            }
        })?;
        respond::accepted(&mut outcome.response.headers);
        self.keep(claim, &Ending::Done(vec![outcome.clone()]));
        Ok(outcome)
    }

    /// Where to keep that the current request is refused: such a refusal follows from what is stored, and may not turn
    /// into something else when the request comes again.
    pub(super) fn keepers(&self, error: &PlanError) -> Vec<Claim> {
        let own = self.current.as_ref().and_then(|request| request.claim.clone());
        own.filter(|_| error.is_of_state()).into_iter().collect()
    }
}

impl PlanError {
    /// Whether the same request could end otherwise when other things are stored.
    pub fn is_of_state(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::NoTarget(_)
            | Self::Stale
            | Self::AlreadyThere
            | Self::Duplicate { .. }
            | Self::Immutable(_)
            | Self::MissingTarget { .. }
            | Self::NoneWithKey { .. }
            | Self::Contradiction { .. }
            | Self::SequenceExhausted(_)
            | Self::Job(_)
            | Self::Rerun(_) => true,
            Self::NotSetToWaiting(refused) => !matches!(refused.refusal, Refusal::Forbidden | Refusal::Parameter(_)),
            _ => false,
        }
    }
}

/// The answer that a request was given once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The answer.
    pub response: Response,
    /// The code of the error, as the log has it; `None` in a repeat.
    pub code: Option<&'static str>,
}

impl From<Response> for Box<Answered> {
    fn from(response: Response) -> Self {
        Self::new(Answered { response, code: None })
    }
}
