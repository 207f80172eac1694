//! A batch with an id: one executor at a time, and one answer for all who ask.
//!
//! Whoever runs it has taken its place first, for as long as a function can be at work. What its units come to is kept
//! with them, so an executor that is cut off loses nothing: when its time is over, a repeat takes the place, answers from
//! what is kept and runs what is not. A late commit of the former executor meets an outcome that is there already. The
//! answer as a whole is kept before anybody is given it.

use std::{collections::HashMap, time::Duration};

use bytes::BytesMut;
use uuid::Uuid;

use crate::{
    batch::Response,
    exchange::Outgoing,
    plan::{BatchRepeat, Context, Ending, Outcome, PlanError, Reference, operation_id},
    repeat::{Asked, Claim, Given, RepeatFault},
    respond::{Failure, accepted},
    store::{
        ATTEMPT_TIMEOUT, Commit, Condition, Deadline, ItemKey, Kept, Progress, Schedule, StoreError, Stored, Write,
        WriteKind,
    },
};

use super::{
    Engine,
    engine::Call,
    fetch::in_time,
    keep::{MAX_ROUNDS, PAUSE},
};

/// What is left of the time of a batch to keep its answer, at most.
const TO_KEEP: Duration = Duration::from_secs(1);

/// The right to run a batch.
#[derive(Debug)]
pub(super) struct Turn {
    /// What its units need to know.
    pub(super) repeat: BatchRepeat,
    /// The operation that took the place.
    writer: String,
}

/// Who runs a batch.
#[derive(Debug)]
pub(super) enum Begun {
    /// This call.
    Now(Turn),
    /// An earlier one has run it, and this is the answer.
    Before(Outgoing),
}

/// What is found at the place of a batch.
enum Found {
    /// Nothing that counts.
    Nothing,
    /// The answer.
    Answer(Outgoing),
    /// An executor whose time is over.
    Former(Kept),
}

/// The claim of a batch, where it has an id.
pub(super) fn claim(call: &Call<'_>, context: &Context<'_>) -> Result<Option<Claim>, PlanError> {
    let incoming = call.incoming;
    let Some(given) = Given::of(&incoming.headers)?.together()? else { return Ok(None) };
    let url = format!("{}?{}", incoming.path, incoming.query.as_deref().unwrap_or_default());
    let asked = Asked { method: incoming.method.as_str(), url: &url, body: &incoming.body };
    Ok(Some(Claim::new(context.scope(), &given, asked, context.now)?))
}

/// Until when the units of a batch are run, when its answer is to be kept by `deadline`.
pub(super) fn end_of_units(deadline: Deadline) -> Deadline {
    deadline.sooner(TO_KEEP.min(deadline.left() / 8))
}

impl Turn {
    /// What keeps the answer of the batch, which says so. It happens only if nobody else has taken the place by now.
    pub(super) fn writes(&self, answer: &mut Outgoing) -> Vec<Write> {
        let (kept, parts) = self.ended(&operation_id(Uuid::new_v4()), answer);
        let (mine, key) = (Condition::Writer(self.writer.clone()), self.repeat.claim.key.clone());
        let write = |key, stored, condition| Write { key, kind: WriteKind::Put(stored, Schedule::Keep), condition };
        let parts = parts.into_iter().map(|(key, part)| write(key, part, Condition::Absent));
        parts.chain([write(key, Stored::Kept(kept), mine)]).collect()
    }

    /// The items that keep the answer.
    fn ended(&self, writer: &str, answer: &mut Outgoing) -> (Kept, Vec<(ItemKey, Stored)>) {
        accepted(&mut answer.headers);
        let (status, headers, body) = (answer.status, answer.headers.clone(), answer.body.clone());
        let response = Response { id: None, status, headers, body };
        let ending = Ending::Done(vec![Outcome { response, reference: Reference::Nothing, repeated: false }]);
        self.repeat.claim.ended(writer, &ending.encode())
    }
}

impl Engine {
    /// Takes the place of a batch, unless its answer is there or somebody is at work on it.
    pub(super) async fn begin(&self, call: &Call<'_>, claim: Claim) -> Result<Begun, Failure> {
        let lease = (call.deadline.left() + ATTEMPT_TIMEOUT).as_millis();
        let lease = i64::try_from(lease).unwrap_or(i64::MAX);
        let mut former: Option<Kept> = None;
        for _ in 0..MAX_ROUNDS {
            let (now, writer) = (crate::clock::now(), operation_id(Uuid::new_v4()));
            let free = || Condition::Free(now.as_second());
            let condition = former.as_ref().map_or_else(free, |former| Condition::Writer(former.writer.clone()));
            let running = claim.running(&writer, now.as_millisecond().saturating_add(lease));
            let place = (claim.key.clone(), Stored::Kept(running));
            let Err(found) = self.place(call, place, condition, &writer).await? else {
                let known = if former.is_some() { self.known(call, &claim).await? } else { HashMap::new() };
                return Ok(Begun::Now(Turn { repeat: BatchRepeat { claim, known }, writer }));
            };
            former = match self.look(call, &claim, found).await? {
                Found::Answer(answer) => return Ok(Begun::Before(answer)),
                Found::Former(kept) => Some(kept),
                Found::Nothing => None,
            };
        }
        Err(StoreError::Contention { attempts: MAX_ROUNDS }.into())
    }

    /// Keeps the answer of a batch, before anybody is given it. Where somebody else has taken the place by now, theirs
    /// counts.
    pub(super) async fn conclude(
        &self,
        call: &Call<'_>,
        turn: &Turn,
        mut answer: Outgoing,
    ) -> Result<Outgoing, Failure> {
        let (claim, writer) = (&turn.repeat.claim, operation_id(Uuid::new_v4()));
        let (kept, parts) = turn.ended(&writer, &mut answer);
        for part in parts {
            // Nobody else writes there: what is found is what was written and not answered.
            drop(self.place(call, part, Condition::Absent, &writer).await?);
        }
        let mine = Condition::Writer(turn.writer.clone());
        let Err(found) = self.place(call, (claim.key.clone(), Stored::Kept(kept)), mine, &writer).await? else {
            return Ok(answer);
        };
        match self.look(call, claim, found).await? {
            Found::Answer(answer) => Ok(answer),
            Found::Former(_) | Found::Nothing => Err(running(PAUSE)),
        }
    }

    /// Leaves a batch to its repeat, which goes on from there. If that cannot be written, the repeat has to wait.
    pub(super) async fn leave(&self, call: &Call<'_>, turn: &Turn) {
        let writer = operation_id(Uuid::new_v4());
        let left = (turn.repeat.claim.key.clone(), Stored::Kept(turn.repeat.claim.running(&writer, 0)));
        if let Err(error) = self.place(call, left, Condition::Writer(turn.writer.clone()), &writer).await {
            tracing::debug!(%error, "the place of a batch is held until its time is over");
        }
    }

    /// Writes an item, or shows what is there.
    async fn place(
        &self,
        call: &Call<'_>,
        (key, stored): (ItemKey, Stored),
        condition: Condition,
        operation: &str,
    ) -> Result<Result<(), Option<Stored>>, StoreError> {
        let write = [Write { key, kind: WriteKind::Put(stored, Schedule::Keep), condition }];
        for _ in 0..MAX_ROUNDS {
            in_time(call.deadline)?;
            match self.store.commit(&call.service.model, &write, operation, call.deadline).await? {
                Commit::Done => return Ok(Ok(())),
                Commit::Refused(items) => return Ok(Err(items.into_iter().find_map(|(_, stored)| stored))),
                Commit::Conflict => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(StoreError::Contention { attempts: MAX_ROUNDS })
    }

    /// What it means that this is at the place of a batch.
    async fn look(&self, call: &Call<'_>, claim: &Claim, found: Option<Stored>) -> Result<Found, Failure> {
        let now = crate::clock::now();
        let kept = match found {
            Some(Stored::Kept(kept)) if kept.expires > now.as_second() => kept,
            _ => return Ok(Found::Nothing),
        };
        if kept.digest != claim.digest {
            return Err(PlanError::from(RepeatFault::Other).into());
        }
        match &kept.progress {
            Progress::Ended { bytes, .. } => {
                let parts = claim.parts(&kept);
                self.answer_of(call, BytesMut::from(&**bytes), &parts).await.map(Found::Answer)
            }
            Progress::Running { until } => match until.saturating_sub(now.as_millisecond()) {
                left @ 1.. => Err(running(Duration::from_millis(left.unsigned_abs()))),
                _ => Ok(Found::Former(kept)),
            },
        }
    }

    /// What the units that former executors ran came to.
    async fn known(&self, call: &Call<'_>, claim: &Claim) -> Result<HashMap<ItemKey, Stored>, StoreError> {
        let partition = &claim.key.partition;
        let (mut known, mut after) = (HashMap::new(), None::<String>);
        loop {
            in_time(call.deadline)?;
            let units = Some(Claim::UNITS);
            let page = self.store.page(partition, units, after.as_deref(), None, call.deadline).await?;
            for (sort, item) in page.items {
                let key = ItemKey { partition: partition.clone(), sort };
                known.insert(key, Stored::from_item(&call.service.model, &item)?);
            }
            after = page.last;
            if after.is_none() {
                return Ok(known);
            }
        }
    }

    /// The answer to a batch, from its first part and the others.
    async fn answer_of(&self, call: &Call<'_>, mut all: BytesMut, parts: &[ItemKey]) -> Result<Outgoing, Failure> {
        if !parts.is_empty() {
            in_time(call.deadline)?;
            let mut items = self.store.get(parts, call.deadline).await?;
            for key in parts {
                match items.remove(key).map(|item| Stored::from_item(&call.service.model, &item)).transpose()? {
                    Some(Stored::Part(part)) => all.extend_from_slice(&part.bytes),
                    _ => return Err(StoreError::Corrupt("a part of an answer is missing".into()).into()),
                }
            }
        }
        let ending = Ending::decode(all.freeze());
        let outcome = if let Some(Ending::Done(outcomes)) = ending { outcomes.into_iter().next() } else { None };
        let corrupt = || StoreError::Corrupt("the answer of a batch".into());
        let Response { status, headers, body, .. } = outcome.ok_or_else(corrupt)?.response;
        Ok(Outgoing { status, headers, body })
    }
}

fn running(left: Duration) -> Failure {
    // Whole seconds, and not one too few.
    let retry_after = Duration::from_secs(left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX));
    PlanError::from(RepeatFault::Running { retry_after }).into()
}
