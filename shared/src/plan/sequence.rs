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
        let ids = jobs.iter().filter_map(|job| job.request.name().cloned());
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::overlay::Overlay;
    use super::*;
    use crate::{
        edm::{ETag, Incarnation, Version},
        store::{Condition, ItemKey, Patch, Stored},
    };

    /// One thing that a unit does to an item.
    #[derive(Clone, Debug)]
    enum Act {
        Rely(Condition),
        Put,
        Delete,
        Patch(String),
    }

    fn key(at: u8) -> ItemKey {
        ItemKey { partition: "p".into(), sort: at.to_string() }
    }

    fn version(text: &str) -> Condition {
        Condition::Version(ETag { incarnation: Incarnation("i".into()), version: Version(text.into()) })
    }

    fn apply_all(overlay: &mut Overlay<'_>, acts: &[(u8, Act)]) {
        for (at, act) in acts {
            let key = key(*at);
            match act {
                Act::Rely(condition) => overlay.rely(&key, condition.clone()),
                Act::Put => overlay.put(&key, Stored::Link),
                Act::Delete => overlay.delete(&key),
                Act::Patch(version) => overlay.patch(&key, Patch { version: version.clone(), ..Patch::default() }),
            }
        }
    }

    fn acts() -> impl Strategy<Value = Vec<(u8, Act)>> {
        let act = prop_oneof![
            Just(Act::Rely(Condition::Exists)),
            Just(Act::Rely(Condition::Absent)),
            Just(Act::Rely(version("v"))),
            Just(Act::Put),
            Just(Act::Delete),
            "[a-z]{2}".prop_map(Act::Patch),
        ];
        prop::collection::vec((0..4_u8, act), 0..8)
    }

    proptest! {
        #[test]
        fn what_is_rolled_back_was_never_done(items in prop::collection::vec((acts(), any::<bool>()), 0..8)) {
            let snapshot = Snapshot::default();
            let (mut all, mut kept) = (Overlay::new(&snapshot), Overlay::new(&snapshot));
            for (acts, keeps) in &items {
                all.save();
                apply_all(&mut all, acts);
                if *keeps {
                    apply_all(&mut kept, acts);
                } else {
                    all.roll_back();
                }
                prop_assert_eq!(all.len(), kept.len());
            }
            prop_assert_eq!(all.into_writes(), kept.into_writes());
        }
    }

    #[test]
    fn an_item_asks_for_its_own_assumptions_alone() {
        let snapshot = Snapshot::default();
        let mut overlay = Overlay::new(&snapshot);
        overlay.rely(&key(1), Condition::Exists);
        overlay.rely(&key(2), Condition::Exists);
        overlay.save();
        assert!(!overlay.need_assumed());
        overlay.rely(&key(2), version("v"));
        overlay.rely(&key(3), Condition::Absent);
        assert!(overlay.need_assumed());
        let mut asked = overlay.into_needs().items;
        asked.sort_unstable();
        assert!(asked.iter().eq(&[key(2), key(3)]), "{asked:?}");
    }

    #[test]
    fn without_a_savepoint_all_assumptions_are_asked_for() {
        let mut snapshot = Snapshot::default();
        snapshot.learn(key(1), None);
        let mut overlay = Overlay::new(&snapshot);
        overlay.rely(&key(1), Condition::Absent);
        assert!(!overlay.need_all_assumed());
        overlay.save();
        overlay.rely(&key(2), Condition::Absent);
        overlay.save();
        assert!(overlay.need_all_assumed() && overlay.into_needs().items.contains(&key(2)));
    }
}
