use proptest::prelude::*;

use super::*;
use crate::edm::{ETag, Incarnation, Version};

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

fn apply(overlay: &mut Overlay<'_>, at: u8, act: &Act) {
    let key = key(at);
    match act {
        Act::Rely(condition) => overlay.rely(&key, condition.clone()),
        Act::Put => overlay.put(&key, Stored::Link),
        Act::Delete => overlay.delete(&key),
        Act::Patch(version) => overlay.patch(&key, Patch { version: version.clone(), ..Patch::default() }),
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
            acts.iter().for_each(|(at, act)| apply(&mut all, *at, act));
            if *keeps {
                acts.iter().for_each(|(at, act)| apply(&mut kept, *at, act));
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
