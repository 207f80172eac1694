//! Large units that add children to a parent which others delete at the same time: no child is ever made where there is
//! no parent.

use std::{collections::BTreeSet, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tests::explore::Items;

use super::{left_behind, records, view::settled};
use crate::{
    rig::{Answer, Rig, member},
    soak::rounds,
};

const ROOT: &str = "/trippin";
/// Children that a unit makes.
const CHILDREN: usize = 120;
const HOLD: Duration = Duration::from_millis(1);
const BUDGET: Duration = Duration::from_mins(1);

fn children(parent: &str, from: usize) -> Vec<Value> {
    let child = |at: usize| {
        json!({
            "TripId": at, "Name": "n", "Budget": 1, "StartsAt": "2026-01-01T00:00:00Z",
            "EndsAt": "2026-01-01T00:00:00Z", "Tags": [],
        })
    };
    let url = format!("People('{parent}')/Trips");
    (from..from + CHILDREN).map(|at| member(Some("g"), &at.to_string(), "POST", &url, child(at))).collect()
}

/// A person; a large unit does it as well as a small one.
fn person(name: &str) -> Value {
    json!({ "UserName": name, "FirstName": "f", "LastName": "l" })
}

/// Whether a unit was done; else all of it was refused because there is no parent.
fn is_done(answer: &Answer, size: usize) -> bool {
    let statuses: BTreeSet<u16> = answer.statuses().into_iter().collect();
    let done = statuses.len() == 1 && statuses.contains(&201);
    let refused = statuses.contains(&404) && statuses.is_subset(&[404, 424].into());
    assert!(done || refused, "{statuses:?} of {size}: {:.500}", answer.text());
    done
}

/// Deletes the parent: alone, or in a unit that is too large for one transaction.
async fn delete(rig: Rig, parent: String, round: usize, pause: Duration) {
    tokio::time::sleep(pause).await;
    let url = format!("People('{parent}')");
    if round.is_multiple_of(2) {
        let answer = rig.send("DELETE", &format!("{ROOT}/{url}"), &["if-match: *"], "").await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        return;
    }
    let mut requests = vec![member(Some("g"), "d", "DELETE", &url, Value::Null)];
    let others = 0..CHILDREN;
    requests.extend(others.map(|at| {
        let name = format!("{parent}x{at}");
        member(Some("g"), &at.to_string(), "POST", "People", person(&name))
    }));
    let answer = rig.batch(ROOT, &requests).await;
    let mut expected = vec![201; CHILDREN + 1];
    expected[0] = 204;
    assert_eq!(answer.statuses(), expected, "{:.500}", answer.text());
}

/// Goes through the stream: whenever a child comes to be, its parent is there. Returns how many children came to be.
fn check_births(records: &[Value]) -> usize {
    let (mut items, mut known) = (Items::new(), BTreeSet::new());
    for record in records {
        let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str().unwrap().to_owned();
        let key = (key("pk"), key("sk"));
        // An intent that is taken, or given back once its unit is decided, changes nothing that is to be seen.
        let counts = !key.0.starts_with("U|") || key.1 == "-";
        let new = record["dynamodb"].get("NewImage").cloned();
        let is_intent = new.as_ref().is_some_and(|item| item.get("w").is_some());
        match new {
            Some(item) => drop(items.insert(key, item)),
            None => drop(items.remove(&key)),
        }
        if counts && !is_intent {
            let (parents, children) = seen(&items);
            for (partition, sort) in children {
                let parent = partition.split('|').nth(2).unwrap().to_owned();
                let is_born = known.insert((partition.clone(), sort));
                assert!(!is_born || parents.contains(&parent), "{partition} has a child and no parent");
            }
        }
    }
    known.len()
}

/// The parents and the children that are there.
fn seen(items: &Items) -> (BTreeSet<String>, Vec<(String, String)>) {
    let of = |kind: &'static str| items.iter().filter(move |((partition, _), _)| partition.starts_with(kind));
    let incarnation = |item: &Value| Some(settled(items, item)?["i"]["S"].as_str()?.to_owned());
    let parents = of("E|").filter_map(|(_, item)| incarnation(item)).collect();
    let children = of("C|").filter(|(_, item)| settled(items, item).is_some());
    (parents, children.map(|(key, _)| key.clone()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_children_are_made_where_there_is_a_parent() {
    let rounds = rounds(4, 60);
    let rig = Rig::seeded().await;
    let busy = rig.with(HOLD, BUDGET);
    let mut random = StdRng::seed_from_u64(5);
    let (mut done, mut refused, mut born) = (0, 0, 0);
    let mut last = records(&rig, None).pop();
    for round in 0..rounds {
        let parent = format!("P{round}");
        let made = rig.send("POST", &format!("{ROOT}/People"), &[], person(&parent).to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let pause = Duration::from_millis(random.random_range(0..800));
        let deletion = tokio::spawn(delete(busy.clone(), parent.clone(), round, pause));
        let (first, second) = (children(&parent, 0), children(&parent, CHILDREN));
        let (first, second) = tokio::join!(busy.batch(ROOT, &first), busy.batch(ROOT, &second));
        deletion.await.unwrap();
        let here = [first, second].iter().filter(|answer| is_done(answer, CHILDREN)).count();
        (done, refused, born) = (done + here, refused + 2 - here, born + here * CHILDREN);
        let mut news = records(&rig, last.as_ref());
        assert_eq!(check_births(&news), here * CHILDREN, "children of units that were refused");
        last = news.pop();
    }
    assert_eq!(left_behind(&rig), []);
    eprintln!("{rounds} parents: {done} units made {born} children, {refused} came too late");
}
