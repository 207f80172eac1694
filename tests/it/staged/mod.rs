//! Units of work that one transaction cannot hold.

mod interleavings;
mod scene;
mod sizes;
mod view;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rig::Rig;

/// All items of the table as its stream tells them, by key.
pub(crate) fn items(rig: &Rig) -> BTreeMap<(String, String), Value> {
    let mut items = BTreeMap::new();
    for record in rig.records(None) {
        let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str().unwrap().to_owned();
        let key = (key("pk"), key("sk"));
        match record["dynamodb"].get("NewImage") {
            Some(item) => drop(items.insert(key, item.clone())),
            None => drop(items.remove(&key)),
        }
    }
    items
}

/// What units have left on items, and of themselves: records aside that are closed.
pub(crate) fn left_behind(rig: &Rig) -> Vec<(String, String)> {
    view::left_on(&items(rig))
}
