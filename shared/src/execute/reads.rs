//! Reads that stand in a row in a batch: each is answered on its own, but what they need is read together.

use http::Method;

use crate::{
    batch::{BatchItem, Request},
    exchange::MAX_ANSWER,
    plan::{self, Evaluation, Job, Needs, Outcome, PlanError, Snapshot, refers},
    respond::Failure,
    store::StoreError,
};

use super::{
    batch::Run,
    fetch::{ROUND_BYTES, in_time},
    unit::MAX_READS,
};

/// So many of them are looked at to find what has to be read.
const READS_AT_ONCE: usize = 1000;

/// The reads at the start of `items`. Reading changes nothing, so they may be read together even where a stop may come
/// between them: answers after the stop are left out.
pub(super) fn plain_reads(items: &[BatchItem]) -> Vec<&Request> {
    let requests = items.iter().map_while(|item| match item {
        BatchItem::Single(request) if is_plain_read(request) => Some(request),
        _ => None,
    });
    requests.collect()
}

/// A GET that depends on no other request, and asks for no instant of its own: it may be read together with its neighbours.
fn is_plain_read(request: &Request) -> bool {
    let alone = request.headers.isolations().next().is_some();
    request.method == Method::GET && request.depends_on.is_empty() && !refers(request) && !alone
}

/// What comes of what is known.
enum Known {
    /// What the first read that is not answered and those after it need.
    Needs(Needs),
    /// The next one is refused, which follows from several readings.
    Doubtful,
}

impl Run<'_> {
    /// Answers reads. Where one cannot be read at all, it must not spoil the others: then each is read alone.
    pub(super) async fn reads(&mut self, requests: &[&Request], index: usize) {
        let jobs = requests.iter().enumerate();
        let mut jobs: Vec<Job<'_>> =
            jobs.map(|(at, request)| Job { index: index + at, request, prepared: None }).collect();
        let Err((answered, error)) = self.read_together(&mut jobs).await else { return };
        for job in jobs.iter().skip(answered) {
            match &error {
                _ if self.is_stopped() => return,
                StoreError::Unavailable(text) => {
                    self.answer(job, Err(StoreError::Unavailable(text.clone()).into()));
                }
                _ => self.single(job.request, job.index).await,
            }
        }
    }

    /// Answers one after the other as far as what was read goes, reads what the others need, and again. A refusal that
    /// follows from several readings is found alone, where it is checked. Neither what is
    /// answered is kept nor what it was answered from: large entities must not be in memory all together. With an error,
    /// how many are answered.
    async fn read_together(&mut self, jobs: &mut [Job<'_>]) -> Result<(), (usize, StoreError)> {
        let mut snapshot = Snapshot::default();
        let (mut answered, mut rounds, mut bytes) = (0, 0, 0);
        let mut readings = vec![0; jobs.len()];
        while answered < jobs.len() && !self.is_stopped() {
            let before = answered;
            let known = self.answer_known(jobs, &mut answered, &mut snapshot, &mut readings, rounds < MAX_READS);
            let Known::Needs(needs) = known else {
                if let Some(job) = jobs.get(answered) {
                    self.single(job.request, job.index).await;
                }
                answered += 1;
                continue;
            };
            if answered > before {
                rounds = 0;
                if bytes >= ROUND_BYTES {
                    (snapshot, bytes) = (Snapshot::default(), 0);
                }
            }
            rounds += 1;
            match self.engine.fetch(self.context, needs, &mut snapshot, self.call.deadline).await {
                Ok(more) => bytes += more,
                // What is not read by then is answered so in the next round.
                Err(StoreError::OutOfTime) => {}
                Err(error) => return Err((answered, error)),
            }
        }
        Ok(())
    }

    /// Answers those that can be answered before the first that cannot. `readings` counts how often each needed more.
    fn answer_known(
        &mut self,
        jobs: &mut [Job<'_>],
        answered: &mut usize,
        snapshot: &mut Snapshot,
        readings: &mut [usize],
        may_need: bool,
    ) -> Known {
        let mut needs = Needs::default();
        let mut waits = false;
        for (job, readings) in jobs.iter_mut().zip(readings).skip(*answered).take(READS_AT_ONCE) {
            if self.is_stopped() {
                break;
            }
            let result = match self.read(job, snapshot) {
                Ok(Evaluation::Needs(more)) if may_need => {
                    needs.merge(more);
                    *readings += 1;
                    waits = true;
                    continue;
                }
                _ if waits => continue,
                Ok(Evaluation::Ready { mut outcomes, .. }) => outcomes.pop().ok_or_else(|| PlanError::Internal.into()),
                Ok(Evaluation::Failed { error, .. }) if *readings > 1 && error.is_of_state() => return Known::Doubtful,
                Ok(Evaluation::Failed { error, .. }) => Err(error.into()),
                Ok(Evaluation::Needs(_)) => Err(PlanError::Internal.into()),
                Err(failure) => Err(failure),
            };
            self.answer(job, result);
            snapshot.forget_rows(job.index);
            *answered += 1;
        }
        Known::Needs(needs)
    }

    /// Evaluates a read, unless there is no time or no room for an answer.
    fn read(&mut self, job: &mut Job<'_>, snapshot: &Snapshot) -> Result<Evaluation, Failure> {
        in_time(self.call.deadline)?;
        if self.answers.is_spent() {
            return Err(PlanError::AnswerTooLarge { max: MAX_ANSWER }.into());
        }
        let job = std::slice::from_mut(job);
        Ok(plan::evaluate(self.context, job, snapshot, &mut self.references, self.fresh, ""))
    }

    /// Answers a read.
    fn answer(&mut self, job: &Job<'_>, result: Result<Outcome, Failure>) {
        let result = result.and_then(|outcome| {
            self.answers.draft(|writer| writer.single(&outcome.response))?;
            Ok(outcome)
        });
        self.settle_single(job.request, job.index, result);
    }
}
