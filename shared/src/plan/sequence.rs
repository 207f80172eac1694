//! A batch whose reads are of one instant: its items one after another over one snapshot.
//!
//! All writes are laid into one overlay, so that each item sees those of the items before it. An item that fails takes
//! back its own: the overlay has a savepoint before each. What is left in the end is one unit of work.

use crate::store::{self, Write};

use super::{
    PlanError,
    context::{Context, Fresh, Reference, References},
    snapshot::{Needs, Snapshot},
    unit::{End, Job, Unit},
};

/// The items of a batch while they are evaluated.
#[derive(Debug)]
pub struct Sequence<'a> {
    unit: Unit<'a>,
    /// Something must be read first. What comes after it is looked at only to ask for more at once.
    waits: bool,
}

/// What becomes of all items.
#[derive(Debug)]
pub enum Sum {
    /// Something must be read first.
    Needs(Needs),
    /// They can be answered once this is committed; empty when nothing changes.
    Writes(Vec<Write>),
}

impl<'a> Sequence<'a> {
    /// Nothing is evaluated yet. `operation` is the operation id of the commit.
    pub fn new(
        context: &'a Context<'a>,
        snapshot: &'a Snapshot,
        references: &'a mut References,
        fresh: &'a Fresh<'a>,
        operation: &'a str,
    ) -> Self {
        let mut unit = Unit::new(context, snapshot, references, fresh, operation);
        unit.isolated = true;
        Self { unit, waits: false }
    }

    /// Whether something must be read first.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Evaluates the next item: requests that are applied together. Nothing is decided after one that waits.
    pub fn item(&mut self, jobs: &mut [Job<'_>]) -> End {
        self.unit.overlay.save();
        let end = self.unit.run_all(jobs);
        match &end {
            End::Halted => self.waits = true,
            End::Failed { .. } => self.fail(jobs),
            End::Done(_) => {}
        }
        if self.waits { End::Halted } else { end }
    }

    /// The last item fails after all.
    pub fn fail(&mut self, jobs: &[Job<'_>]) {
        self.unit.overlay.roll_back();
        self.skip(jobs);
    }

    /// An item fails that is not evaluated.
    pub fn skip(&mut self, jobs: &[Job<'_>]) {
        let ids = jobs.iter().filter_map(|job| job.request.id.clone());
        self.unit.references.extend(ids.map(|id| (id, Reference::Failed)));
    }

    /// What must be read first, or else all that the items write. An error when that is more than can be committed.
    pub fn sum(self) -> Result<Sum, PlanError> {
        let mut overlay = self.unit.overlay;
        // Where nothing is written, no commit checks what was assumed.
        if self.waits || !overlay.is_written() && overlay.need_all_assumed() {
            return Ok(Sum::Needs(overlay.into_needs()));
        }
        let writes = overlay.into_writes();
        store::check_size(&self.unit.context.service.model, &writes)?;
        Ok(Sum::Writes(writes))
    }
}
