//! The answer to a batch while it grows. Each item is written and weighed before it is committed, so that what was
//! committed can always be answered.

use crate::{
    exchange::{MAX_ANSWER, Weight},
    plan::PlanError,
    respond::BatchError,
    wire::{Encoded, Mark, Writer},
};

/// Where less is left, nothing is read any more: an entity with status and headers hardly takes less.
const LEAST_READ: usize = 1024;

/// What is answered so far, and the room that the answers to the rest have to have.
#[derive(Debug)]
pub(super) struct Answers {
    writer: Writer,
    /// Up to where answers are settled. What stands behind it is the draft of the next one.
    settled: Mark,
    weight: Weight,
    draft: Weight,
    /// What the least answers weigh to all items after the current one, to all after the next one, …; the last is first.
    rest: Vec<Weight>,
}

impl Answers {
    /// No answers yet. `ends` is what stands around them, `least` the answer that each item gets when there is no room
    /// for another. The first `certain` items are answered whatever fails; after them a failure may be the last answer.
    pub(super) fn new(writer: Writer, ends: Weight, least: &[Weight], certain: usize) -> Result<Self, BatchError> {
        let mut rest = Vec::with_capacity(least.len());
        let mut after = Weight::default();
        for (position, item) in least.iter().enumerate().rev() {
            rest.push(after);
            after = if position < certain { after + *item } else { after.max(*item) };
        }
        if (ends + after).total() > MAX_ANSWER {
            return Err(BatchError::AnswerTooLarge { max: MAX_ANSWER });
        }
        Ok(Self { settled: writer.mark(), writer, weight: ends, draft: Weight::default(), rest })
    }

    /// Writes the answer to the current item in place of an earlier draft. It may stay only if all that follow have room.
    pub(super) fn draft(&mut self, write: impl FnOnce(&mut Writer)) -> Result<(), PlanError> {
        self.put(write);
        if (self.reserved() + self.draft).total() > MAX_ANSWER {
            return Err(PlanError::AnswerTooLarge { max: MAX_ANSWER });
        }
        Ok(())
    }

    /// The same with an answer that is not larger than the least: it has room.
    pub(super) fn put(&mut self, write: impl FnOnce(&mut Writer)) {
        self.writer.rewind(self.settled);
        write(&mut self.writer);
        self.draft = Weight::of(self.writer.since(self.settled));
    }

    /// The draft is the answer to the current item. The next one becomes the current one.
    pub(super) fn settle(&mut self) {
        self.settled = self.writer.mark();
        self.weight = self.weight + std::mem::take(&mut self.draft);
        self.rest.pop();
    }

    /// Whether no read will have room any more.
    pub(super) fn is_spent(&self) -> bool {
        self.reserved().total() + LEAST_READ > MAX_ANSWER
    }

    /// The whole answer.
    pub(super) fn finish(self) -> Encoded {
        self.writer.finish()
    }

    /// What is settled, and the least that follows the current item.
    fn reserved(&self) -> Weight {
        self.weight + self.rest.last().copied().unwrap_or_default()
    }
}
