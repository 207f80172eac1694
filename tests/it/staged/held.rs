//! What a unit holds from one attempt to the next.

use std::time::Duration;

use shared::{
    edm::Model,
    store::{Commit, Condition, Deadline, ItemKey, Schedule, Stage, Staging, Stored, Write, WriteKind},
};

use super::left_behind;
use crate::rig::{Rig, services};

fn key(sort: &str) -> ItemKey {
    ItemKey { partition: "A|held".into(), sort: sort.into() }
}

fn put(sort: &str, target: &str, condition: Condition) -> Write {
    let stored = Stored::AlternateKey(target.into());
    Write { key: key(sort), kind: WriteKind::Put(stored, Schedule::default()), condition }
}

fn model() -> &'static Model {
    let services = Box::leak(Box::new(services()));
    &services.iter().next().unwrap().model
}

/// An attempt that was refused wanted more than the one after it: only what the last one wants happens.
#[tokio::test]
async fn what_the_last_attempt_does_not_want_is_not_done() {
    let rig = Rig::seeded().await;
    let (model, deadline) = (model(), Deadline::after(Duration::from_mins(1)));
    let store = rig.store().with_staging(Staging { direct_items: 0, part_items: 1, at_once: 1, ..Staging::default() });
    let there = [put("old", "old", Condition::Absent), put("taken", "old", Condition::Absent)];
    assert!(matches!(store.commit(model, &there, "operation", deadline).await.unwrap(), Commit::Done));
    let mut stage = Stage::new(&store);
    let more = [
        put("new", "new", Condition::Absent),
        put("old", "new", Condition::Exists),
        put("taken", "new", Condition::Absent),
    ];
    let refused = store.commit_staged(model, &more, &mut stage, deadline).await.unwrap();
    assert!(matches!(refused, Commit::Refused(_)) && !stage.holds());
    store.hold(model, more.get(..2).unwrap(), &mut stage, deadline).await.unwrap();
    let refused = store.commit_staged(model, &more, &mut stage, deadline).await.unwrap();
    assert!(matches!(refused, Commit::Refused(_)) && stage.holds());
    let check = Write { key: key("old"), kind: WriteKind::Check, condition: Condition::Exists };
    let last = [check, put("other", "new", Condition::Absent)];
    assert!(matches!(store.commit_staged(model, &last, &mut stage, deadline).await.unwrap(), Commit::Done));
    let items = store.get(&["new", "old", "taken", "other"].map(key), deadline).await.unwrap();
    let target = |sort: &str| items.get(&key(sort)).and_then(|item| item.get("k")?.as_s().ok().cloned());
    assert_eq!(target("new"), None);
    assert_eq!(target("old").as_deref(), Some("old"));
    assert_eq!(target("other").as_deref(), Some("new"));
    assert_eq!(left_behind(&rig), []);
}
