//! A unit that was refused takes its items before it reads them again: from then on nobody changes them but it.

use crate::{
    edm::Model,
    store::{Deadline, Store, StoreError, Write},
};

use super::{Stage, part::Taken};

impl Store {
    /// Takes the items of `writes`, without saying what is to become of them. Where other units go first, or an item that is
    /// relied on is gone, nothing is taken.
    pub async fn hold(
        &self,
        model: &Model,
        writes: &[Write],
        stage: &mut Stage,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let mut wanted = Vec::with_capacity(writes.len());
        for one in writes {
            wanted.push(Taken::held_only(model, one)?);
        }
        let end = self.take_all(wanted, stage, deadline).await;
        if !matches!(end, Ok(None)) {
            self.release(stage, deadline).await;
        }
        end.map(drop)
    }

    /// Gives back what a unit holds that is not to be committed.
    pub async fn release(&self, stage: &mut Stage, deadline: Deadline) {
        if let Some(pending) = stage.pending.take() {
            self.abandon(&pending, deadline).await;
        }
    }
}
