//! Units of work that one transaction cannot hold.

mod bank;
mod clock;
mod crashes;
mod held;
mod interleavings;
mod kills;
mod overlaps;
mod parents;
mod requeues;
mod scene;
mod sizes;
mod times;
mod view;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rig::Rig;

/// All items of the table as its stream tells them, by key.
pub(crate) fn items(rig: &Rig) -> BTreeMap<(String, String), Value> {
    let mut items = BTreeMap::new();
    for record in records(rig, None) {
        let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str().unwrap().to_owned();
        let key = (key("pk"), key("sk"));
        match record["dynamodb"].get("NewImage") {
            Some(item) => drop(items.insert(key, item.clone())),
            None => drop(items.remove(&key)),
        }
    }
    items
}

/// All records of the stream, or those after one: it tells some at a time.
fn records(rig: &Rig, after: Option<&Value>) -> Vec<Value> {
    let number = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
    let mut all: Vec<Value> = Vec::new();
    loop {
        let more = rig.records(all.last().or(after).map(number).as_deref());
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// What units have left on items, and of themselves: records aside that are closed.
pub(crate) fn left_behind(rig: &Rig) -> Vec<(String, String)> {
    view::left_on(&items(rig))
}
