//! Reads that stand in a row in a batch: each is answered on its own, but what they need is read together.

use http::Method;

use crate::{
    batch::{BatchItem, Request},
    exchange::MAX_ANSWER,
    plan::{self, Evaluation, Job, Needs, Outcome, PlanError, Snapshot, refers},
    respond::Failure,
    store::StoreError,
};

use super::{batch::Run, fetch::ROUND_BYTES, unit::MAX_READS};

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

/// The fate of a read that lacks something.
enum Lacking {
    /// The read goes on.
    Read,
    /// There is no time to.
    OutOfTime,
    /// The table does not answer.
    Unavailable(String),
    /// The same is needed over and over: a bug.
    Endless,
}

impl Lacking {
    fn failure(&self) -> Failure {
        match self {
            Self::OutOfTime => StoreError::OutOfTime.into(),
            Self::Unavailable(text) => StoreError::Unavailable(text.clone()).into(),
            Self::Read | Self::Endless => PlanError::Internal.into(),
        }
    }
}

impl Run<'_> {
    /// Answers reads. Where an item cannot be understood, it must not spoil the others: then each is read alone.
    pub(super) async fn reads(&mut self, requests: &[&Request], index: usize) {
        let jobs = requests.iter().enumerate();
        let mut jobs: Vec<Job<'_>> =
            jobs.map(|(at, request)| Job { index: index + at, request, prepared: None }).collect();
        let answered = self.read_together(&mut jobs).await;
        for job in jobs.iter().skip(answered) {
            if self.is_stopped() {
                return;
            }
            self.single(job.request, job.index).await;
        }
    }

    /// Answers one after the other as far as what was read goes, reads what the others need, and again. A refusal that
    /// follows from several readings is found alone, where it is checked. Neither what is
    /// answered is kept nor what it was answered from: large entities must not be in memory all together. When the time is
    /// over or the table is not there, what was read by then is still answered. Returns how many are answered.
    async fn read_together(&mut self, jobs: &mut [Job<'_>]) -> usize {
        let mut snapshot = Snapshot::default();
        let (mut answered, mut rounds, mut bytes) = (0, 0, 0);
        let mut readings = vec![0; jobs.len()];
        let mut lacking = Lacking::Read;
        while answered < jobs.len() && !self.is_stopped() {
            let before = answered;
            let known = self.answer_known(jobs, &mut answered, &mut snapshot, &mut readings, &lacking).await;
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
                Ok(_) if rounds == MAX_READS => lacking = Lacking::Endless,
                Ok(more) => bytes += more,
                Err(StoreError::OutOfTime) => lacking = Lacking::OutOfTime,
                Err(StoreError::Unavailable(text)) => lacking = Lacking::Unavailable(text),
                Err(_) => break,
            }
        }
        answered
    }

    /// Answers those that can be answered before the first that cannot. `readings` counts how often each needed more.
    async fn answer_known(
        &mut self,
        jobs: &mut [Job<'_>],
        answered: &mut usize,
        snapshot: &mut Snapshot,
        readings: &mut [usize],
        lacking: &Lacking,
    ) -> Known {
        let mut needs = Needs::default();
        let mut waits = false;
        for (job, readings) in jobs.iter_mut().zip(readings).skip(*answered).take(READS_AT_ONCE) {
            if self.is_stopped() {
                break;
            }
            let result = match self.read(job, snapshot) {
                Ok(Evaluation::Needs(more)) if matches!(lacking, Lacking::Read) => {
                    needs.merge(more);
                    *readings += 1;
                    waits = true;
                    continue;
                }
                _ if waits => continue,
                Ok(Evaluation::Needs(_)) => Err(lacking.failure()),
                Ok(Evaluation::Ready { mut outcomes, .. }) => outcomes.pop().ok_or_else(|| PlanError::Internal.into()),
                Ok(Evaluation::Failed { error, .. }) if *readings > 1 && error.is_of_state() => return Known::Doubtful,
                Ok(Evaluation::Failed { error, .. }) => Err(error.into()),
                Err(failure) => Err(failure),
            };
            self.answer(job, result);
            snapshot.forget_rows(job.index);
            *answered += 1;
            self.share.pass().await;
        }
        Known::Needs(needs)
    }

    /// Evaluates a read, unless there is no room for an answer.
    fn read(&mut self, job: &mut Job<'_>, snapshot: &Snapshot) -> Result<Evaluation, Failure> {
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
