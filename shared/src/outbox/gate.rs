//! Endpoints and targets that failed are left alone for a while, all that waits for them together.
//!
//! Else each of a thousand rows would find out by itself that nobody answers. When the time is over, one row is tried;
//! if it is delivered, the gate is open, if not, it stays shut for longer. A gate is that of one version of an endpoint, or
//! of one URL of a target: whoever changes the endpoint (its URL, its secret, switches it on again) opens it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    events::next_attempt,
    store::{Deadline, Due, Item, ItemKey, Store, StoreError},
};

use super::{Outbox, jitter, later};

/// The longest wait, unless the one behind it asks for a longer one.
const MAX_WAIT: Duration = Duration::from_mins(10);
/// How long a gate is remembered after it opened, in seconds.
const REMEMBERED: i64 = 24 * 60 * 60;
/// After so many failures in a row (somewhat more than an hour), what is old is not kept for the endpoint any longer.
const LONG_DEAD: u32 = 12;

/// Where a gate is, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Door {
    /// Where it is written down.
    pub(super) note: ItemKey,
    /// The version of what is behind it.
    pub(super) of: String,
}

/// A gate that is, or was, shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    /// Failures in a row.
    pub(super) failures: u32,
    /// Shut until then.
    pub(super) until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Note {
    failures: u32,
    until: String,
    /// The version of what failed.
    of: String,
}

impl Gate {
    /// The gate after one more failure.
    pub(super) fn shut(before: u32, asked: Option<Duration>, now: Timestamp) -> Self {
        let failures = before.saturating_add(1);
        let wait = next_attempt(failures, jitter(), None).unwrap_or(MAX_WAIT).min(MAX_WAIT);
        let wait = wait.max(asked.unwrap_or_default());
        Self { failures, until: later(now, wait) }
    }

    /// Whether it has been failing for so long that old rows are given up.
    pub(super) fn is_long_dead(&self) -> bool {
        self.failures >= LONG_DEAD
    }

    /// The gate at a door in its note; none when what is behind it was changed since.
    pub(super) fn read(item: &Item, door: &Door) -> Option<Self> {
        let note: Note = serde_json::from_str(Store::note_text(item)?).ok()?;
        let same = note.of == door.of;
        Some(Self { failures: note.failures, until: Due::instant(&note.until)? }).filter(|_| same)
    }
}

impl Outbox {
    /// Writes down that a gate is shut, or removes it.
    pub(super) async fn set_gate(&self, door: &Door, gate: Option<Gate>, deadline: Deadline) -> Result<(), StoreError> {
        let Some(gate) = gate else { return self.store.remove_note(&door.note, deadline).await };
        let of = door.of.clone();
        let note = Note { failures: gate.failures, until: Due::text(gate.until), of };
        let text = serde_json::to_string(&note).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let expires = gate.until.as_second().saturating_add(REMEMBERED);
        self.store.put_note(&door.note, &text, expires, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_stays_shut_for_longer_each_time_but_never_for_hours() {
        let now = Timestamp::UNIX_EPOCH;
        let wait = |before, asked| Gate::shut(before, asked, now).until.as_second();
        assert!((3..=7).contains(&wait(0, None)));
        assert!((90..=150).contains(&wait(2, None)));
        assert_eq!(wait(50, None), 600);
        assert_eq!(wait(0, Some(Duration::from_hours(2))), 7_200);
    }
}
