//! Units of work that one transaction cannot hold.

mod sizes;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rig::Rig;

/// All items of the table as its stream tells them, by key.
pub(crate) fn items(rig: &Rig) -> BTreeMap<(String, String), Value> {
    let mut items = BTreeMap::new();
    let mut last: Option<String> = None;
    loop {
        let records = rig.records(last.as_deref());
        let Some(end) = records.last() else { return items };
        last = end["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
        for record in records {
            let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str().unwrap().to_owned();
            let key = (key("pk"), key("sk"));
            match record["dynamodb"].get("NewImage") {
                Some(item) => drop(items.insert(key, item.clone())),
                None => drop(items.remove(&key)),
            }
        }
    }
}

/// What units have left on items, and of themselves: records aside that are closed.
pub(crate) fn left_behind(rig: &Rig) -> Vec<(String, String)> {
    let is_left = |(partition, sort): &(String, String), item: &Value| {
        let of_unit = partition.starts_with("U|") && (sort != "-" || item.get("dp").is_some());
        of_unit || item.get("w").is_some() || item.get("l").is_some()
    };
    items(rig).into_iter().filter(|(key, item)| is_left(key, item)).map(|(key, _)| key).collect()
}
