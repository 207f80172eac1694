//! What is to be seen of the entities of a table, found out from its items alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::explore::Items;

/// Entities, and the flags that each has.
pub(super) type View = BTreeMap<String, BTreeSet<String>>;

/// Of a child without its parent.
pub(super) const ORPHAN: &str = "orphan";
/// What names of children begin with.
pub(super) const CHILD: &str = "child";

/// Names of flags have one letter.
fn flags<'j>(names: impl Iterator<Item = &'j String>) -> BTreeSet<String> {
    names.filter(|name| name.len() == 1).cloned().collect()
}

/// The view of a list's rows.
pub(super) fn of_list(rows: &Value) -> View {
    let rows = rows.as_array().into_iter().flatten().filter_map(Value::as_object);
    rows.map(|row| (row["UserName"].as_str().unwrap().to_owned(), flags(row.keys()))).collect()
}

/// The view that the items give: what has an intent is what its unit's record says. A child has the flag `t`, and is an
/// `ORPHAN` when its parent is not there.
pub(super) fn of_items(items: &Items) -> View {
    let of = |kind: &'static str| items.iter().filter(move |((partition, _), _)| partition.starts_with(kind));
    let people: Vec<(&str, &Value)> =
        of("E|").filter_map(|((_, sort), item)| Some((sort.as_str(), settled(items, item)?))).collect();
    let parents: BTreeSet<&str> = people.iter().filter_map(|(_, person)| person["i"]["S"].as_str()).collect();
    let mut view: View = people
        .iter()
        .map(|(sort, now)| {
            let flags = now["x"]["M"].as_object().map(|members| flags(members.keys())).unwrap_or_default();
            ((*sort).to_owned(), flags)
        })
        .collect();
    for ((partition, sort), item) in of("C|") {
        if settled(items, item).is_some() {
            let parent = partition.split('|').nth(2).unwrap_or_default();
            let orphan = (!parents.contains(parent)).then(|| ORPHAN.to_owned());
            view.insert(
                format!("{CHILD}{}", &sort[sort.len() - 1..]),
                orphan.into_iter().chain(["t".into()]).collect(),
            );
        }
    }
    view
}

/// An item as it is now; `None` where there is none.
pub(super) fn settled<'i>(items: &'i Items, item: &'i Value) -> Option<&'i Value> {
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
