//! What a unit has taken, from one attempt to the next.

use indexmap::IndexMap;
use jiff::Timestamp;

use crate::store::ItemKey;

use super::{
    intent::After,
    part::{Grip, Part, Taken},
};

/// A unit that is not decided.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) unit: String,
    pub(super) lease: Timestamp,
    /// What it has taken: the part, and how.
    pub(super) taken: IndexMap<ItemKey, (usize, Taken)>,
    pub(super) parts: usize,
}

impl Pending {
    /// What is not taken yet of what is wanted now, and what has to be taken anew because something else becomes of it.
    pub(super) fn divide(&self, wanted: Vec<Taken>) -> (Vec<Taken>, Vec<Taken>) {
        let (mut fresh, mut held) = (Vec::new(), Vec::new());
        let mut left: IndexMap<&ItemKey, &Taken> = self.taken.iter().map(|(key, (_, taken))| (key, taken)).collect();
        for mut one in wanted {
            match (left.get(&one.key), &one.grip) {
                (None, _) => fresh.push(one),
                // What it has for itself alone, it relies on as well.
                (Some(Taken { grip: Grip::Alone(_), .. }), Grip::Shared) => {}
                (Some(before), _) => {
                    one.is_held = true;
                    one.is_there = before.is_there;
                    left.swap_remove(&one.key);
                    held.push(one);
                }
            }
        }
        // An earlier attempt may have wanted something that this one does not.
        let changed =
            left.into_values().filter(|taken| matches!(&taken.grip, Grip::Alone(after) if *after != After::Same));
        held.extend(changed.map(Taken::unchanged));
        (fresh, held)
    }

    /// Remembers what was taken.
    pub(super) fn keep(&mut self, part: Part) {
        for taken in part.items {
            let number =
                if taken.is_held { self.taken.get(&taken.key).map_or(part.number, |(n, _)| *n) } else { part.number };
            self.taken.insert(taken.key.clone(), (number, taken));
        }
    }
}
