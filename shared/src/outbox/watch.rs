//! What one round of work sees of an endpoint or a target, and whether the round goes on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::attempt::Health;

/// What is seen in one round.
pub(super) struct Watch {
    /// It failed before: one row is tried, and the others wait for what comes of it.
    pub(super) probing: bool,
    /// Set when no further row is to be begun.
    halt: AtomicBool,
    /// Rows it failed at, as long as no other one arrived.
    doubts: AtomicUsize,
}

impl Watch {
    pub(super) fn new(probing: bool) -> Self {
        Self { probing, halt: AtomicBool::new(false), doubts: AtomicUsize::new(0) }
    }

    /// An attempt begins.
    pub(super) fn begin(&self) {
        if self.probing {
            self.halt();
        }
    }

    /// Takes in what an attempt says. One row that it fails at is that row's matter; a second one that it fails at, with
    /// none that arrived, is its own.
    pub(super) fn judge(&self, health: Health) -> Health {
        let judged = match health {
            Health::Well => {
                self.doubts.store(0, Ordering::Relaxed);
                Health::Well
            }
            Health::Doubtful if self.probing || self.doubts.fetch_add(1, Ordering::Relaxed) > 0 => {
                Health::Failing(None)
            }
            health => health,
        };
        if matches!(judged, Health::Failing(_) | Health::Gone) {
            self.halt();
        }
        judged
    }

    /// No further row is begun.
    pub(super) fn halt(&self) {
        self.halt.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }
}
