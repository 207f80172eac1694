//! What is to be seen of the entities of a table, found out from its items alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::explore::Items;

/// Entities, and the flags that each has.
pub(super) type View = BTreeMap<String, BTreeSet<String>>;

/// Names of flags have one letter.
fn flags<'j>(names: impl Iterator<Item = &'j String>) -> BTreeSet<String> {
    names.filter(|name| name.len() == 1).cloned().collect()
}

/// The view of a list's rows.
pub(super) fn of_list(rows: &Value) -> View {
    let rows = rows.as_array().into_iter().flatten().filter_map(Value::as_object);
    rows.map(|row| (row["UserName"].as_str().unwrap().to_owned(), flags(row.keys()))).collect()
}

/// The view that the items give: what has an intent is what its unit's record says.
pub(super) fn of_items(items: &Items) -> View {
    let people = items.iter().filter(|((partition, _), _)| partition.starts_with("E|"));
    let entity = |((_, sort), item): (&(String, String), &Value)| {
        let now = settled(items, item)?;
        let flags = now["x"]["M"].as_object().map(|members| flags(members.keys())).unwrap_or_default();
        Some((sort.clone(), flags))
    };
    people.filter_map(entity).collect()
}

/// An item as it is now; `None` where there is none.
fn settled<'i>(items: &'i Items, item: &'i Value) -> Option<&'i Value> {
    let intent = &item["w"]["M"];
    let Some(unit) = intent["u"]["S"].as_str() else { return Some(item) };
    let record = items.get(&(format!("U|{unit}"), "-".to_owned()));
    let committed = record.is_some_and(|record| record["st"]["S"] == "committed");
    let was_there = intent.get("a").is_none();
    match (committed, intent.get("n"), intent.get("d")) {
        (true, Some(new), _) => Some(&new["M"]),
        (true, None, Some(_)) => None,
        _ => was_there.then_some(item),
    }
}

/// The keys of items that units have left something on, and of what units have left of themselves.
pub(super) fn left_on(items: &Items) -> Vec<(String, String)> {
    let is_left = |(partition, _): &(String, String), item: &Value| {
        partition.starts_with("U|") && item.get("dp").is_some() || item.get("w").is_some() || item.get("l").is_some()
    };
    items.iter().filter(|(key, item)| is_left(key, item)).map(|(key, _)| key.clone()).collect()
}
