//! An accident at every call of a staged unit: it is there as a whole or not at all, the same for every reader ever after,
//! and nothing of it stays.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use shared::store::{Deadline, Staging};
use tests::strict::{Fault, Plan};

use super::{clock, left_behind};
use crate::{
    rig::{Answer, Rig, member},
    soak::rounds,
};

const ROOT: &str = "/trippin";

/// A change set of three, and what is to be seen of its entities once it is there.
struct Unit {
    name: &'static str,
    /// Entities that there are before.
    there: &'static [&'static str],
    /// Method and entity.
    operations: &'static [(&'static str, &'static str)],
    /// What is there before and after it: entities, and whether they are changed.
    before: &'static [(&'static str, bool)],
    after: &'static [(&'static str, bool)],
}

const UNITS: [Unit; 3] = [
    Unit {
        name: "creations",
        there: &[],
        operations: &[("POST", "a"), ("POST", "b"), ("POST", "c")],
        before: &[],
        after: &[("a", true), ("b", true), ("c", true)],
    },
    Unit {
        name: "changes",
        there: &["a", "b", "c"],
        operations: &[("PATCH", "c"), ("PATCH", "a"), ("PATCH", "b")],
        before: &[("a", false), ("b", false), ("c", false)],
        after: &[("a", true), ("b", true), ("c", true)],
    },
    Unit {
        name: "one of each",
        there: &["a", "b"],
        operations: &[("POST", "c"), ("DELETE", "a"), ("PATCH", "b")],
        before: &[("a", false), ("b", false)],
        after: &[("b", true), ("c", true)],
    },
];

fn staging(direct_items: usize) -> Staging {
    Staging { direct_items, part_items: 1, at_once: 1, now: clock::now, ..Staging::default() }
}

fn person(name: &str, changed: bool) -> Value {
    json!({ "UserName": name, "FirstName": "f", "LastName": if changed { "new" } else { "old" } })
}

fn operation(case: &str, id: usize, (method, entity): (&str, &str)) -> Value {
    let (id, name) = (id.to_string(), format!("{case}{entity}"));
    let url = format!("People('{name}')");
    match method {
        "POST" => member(Some("g"), &id, "POST", "People", person(&name, true)),
        "DELETE" => member(Some("g"), &id, "DELETE", &url, Value::Null),
        _ => member(Some("g"), &id, "PATCH", &url, json!({ "LastName": "new" })),
    }
}

/// What a reader sees of the entities of a case: names without the case, and whether they are changed.
fn seen(case: &str, rows: &[Value]) -> Vec<(String, bool)> {
    let name = |row: &Value| row["UserName"].as_str().unwrap().strip_prefix(case).unwrap().to_owned();
    let mut seen: Vec<_> = rows.iter().map(|row| (name(row), row["LastName"] == "new")).collect();
    seen.sort();
    seen
}

/// Reads the entities of a case in all ways; all show the same.
async fn look(rig: &Rig, case: &str) -> Vec<(String, bool)> {
    let filter = format!("$filter=startswith(UserName,'{case}')");
    let listed = rig.get(&format!("{ROOT}/People?{filter}")).await;
    let listed = seen(case, listed.json()["value"].as_array().unwrap());
    let count = rig.get(&format!("{ROOT}/People/$count?{filter}")).await.text();
    assert_eq!(count.trim_start_matches('\u{feff}'), listed.len().to_string(), "{case}");
    let mut alone = Vec::new();
    let gets: Vec<Value> = ["a", "b", "c"]
        .map(|entity| member(None, entity, "GET", &format!("People('{case}{entity}')"), Value::Null))
        .into();
    for entity in ["a", "b", "c"] {
        let answer = rig.get(&format!("{ROOT}/People('{case}{entity}')")).await;
        alone.extend((answer.status == 200).then(|| answer.json()));
    }
    assert_eq!(seen(case, &alone), listed, "{case}");
    let body = json!({ "requests": gets }).to_string();
    let headers = ["accept: application/json", "prefer: odata.continue-on-error"];
    let answer = rig.send("POST", &format!("{ROOT}/$batch"), &headers, body).await.json();
    let responses = answer["responses"].as_array().unwrap().iter();
    let found: Vec<Value> = responses.filter(|one| one["status"] == 200).map(|one| one["body"].clone()).collect();
    assert_eq!(seen(case, &found), listed, "{case}");
    listed
}

/// Sends a change set until it is answered, or until it hangs: then it goes on no more.
async fn send(rig: &Rig, requests: Vec<Value>) -> Option<Answer> {
    let own = rig.clone();
    let task = tokio::spawn(async move { own.batch(ROOT, &requests).await });
    loop {
        tokio::task::yield_now().await;
        if task.is_finished() {
            return Some(task.await.unwrap());
        }
        let is_hung = |fault| matches!(fault, Some(Fault::Hang | Fault::HangAfterCommit));
        if rig.strict.calls().iter().any(|call| is_hung(call.fault)) {
            task.abort();
            return None;
        }
    }
}

/// Whether what is seen is the unit as a whole (`Some(true)`), or nothing of it.
fn is_there(unit: &Unit, seen: &[(String, bool)]) -> Option<bool> {
    let is = |expected: &[(&str, bool)]| {
        seen.iter().map(|(name, changed)| (name.as_str(), *changed)).eq(expected.iter().copied())
    };
    [(unit.after, true), (unit.before, false)].into_iter().find_map(|(expected, there)| is(expected).then_some(there))
}

/// One accident. False when the unit has no such call.
async fn accident(rig: &Rig, direct: &Rig, unit: &Unit, case: &str, at: usize, fault: Fault) -> bool {
    let there: Vec<Value> = unit.there.iter().map(|entity| person(&format!("{case}{entity}"), false)).collect();
    for person in there {
        assert_eq!(direct.send("POST", &format!("{ROOT}/People"), &[], person.to_string()).await.status, 201);
    }
    rig.strict.forget();
    rig.strict.set_plan(Plan::at(at, fault));
    let requests = unit.operations.iter().enumerate().map(|(id, one)| operation(case, id, *one)).collect();
    let answer = send(rig, requests).await;
    let happened = rig.strict.calls().len() > at;
    rig.strict.set_plan(Plan::none());
    let what = format!("{} {fault:?} at call {at}", unit.name);
    let decided = is_there(unit, &look(rig, case).await).unwrap_or_else(|| panic!("{what}: half of it is there"));
    if let Some(answer) = &answer {
        let done = answer.statuses().iter().filter(|status| **status < 300).count() == 3;
        assert!(done && decided, "{what}: {}", answer.text());
    }
    clock::end_leases();
    assert_eq!(is_there(unit, &look(rig, case).await), Some(decided), "{what}: once the lease is over");
    if at.is_multiple_of(2) {
        write_again(direct, unit, case, decided, &what).await;
    }
    happened
}

/// A writer comes to the same items: it finds them as all readers did, and can write them.
async fn write_again(direct: &Rig, unit: &Unit, case: &str, decided: bool, what: &str) {
    let state = if decided { unit.after } else { unit.before };
    for entity in ["a", "b", "c"] {
        let name = format!("{case}{entity}");
        let created = direct.send("POST", &format!("{ROOT}/People"), &[], person(&name, false).to_string()).await;
        let was_there = state.iter().any(|(other, _)| *other == entity);
        assert_eq!(created.status, if was_there { 409 } else { 201 }, "{what}: {}", created.text());
        let gone = direct.send("DELETE", &format!("{ROOT}/People('{name}')"), &[], "").await;
        assert_eq!(gone.status, 204, "{what}: {}", gone.text());
    }
    assert_eq!(look(direct, case).await, [], "{what}");
}

#[tokio::test]
async fn a_unit_is_decided_once_wherever_its_owner_stops() {
    let seeded = Rig::seeded().await;
    let (rig, direct) = (seeded.staging(staging(0)), seeded.staging(staging(100)));
    let mut cases = 0;
    for unit in &UNITS {
        for fault in [Fault::DropBefore, Fault::DropAfterCommit, Fault::Hang, Fault::HangAfterCommit] {
            for at in 0.. {
                cases += 1;
                if !accident(&rig, &direct, unit, &format!("c{cases}x"), at, fault).await {
                    assert!(at >= 8, "{}: three parts are taken and given back", unit.name);
                    break;
                }
            }
        }
    }
    eprintln!("{cases} accidents");
    clock::end_leases();
    rig.store().sweep_units(Deadline::after(Duration::from_mins(1))).await.unwrap();
    assert_eq!(left_behind(&rig), []);
}

/// How many of the operations of a large unit show.
async fn showing(rig: &Rig, case: usize, operations: usize) -> usize {
    let url = |at: usize| format!("Airlines('C{case}x{at}')");
    let gets = (0..operations).map(|at| member(None, &at.to_string(), "GET", &url(at), Value::Null));
    let body = json!({ "requests": gets.collect::<Vec<_>>() }).to_string();
    let headers = ["accept: application/json", "prefer: odata.continue-on-error"];
    let answer = rig.send("POST", &format!("{ROOT}/$batch"), &headers, body).await.json();
    answer["responses"].as_array().unwrap().iter().filter(|one| one["body"]["Name"] == "new").count()
}

#[tokio::test]
async fn soak_a_large_unit_is_decided_once_wherever_its_owner_stops() {
    const SIZE: usize = 300;
    let seeded = Rig::seeded().await;
    let rig = seeded.staging(Staging { now: clock::now, ..Staging::default() });
    let mut random = StdRng::seed_from_u64(1);
    let (mut whole, cases) = (0, rounds(5, 60));
    for case in 0..cases {
        let airline = |at: usize, name: &str| {
            let body = json!({ "AirlineCode": format!("C{case}x{at}"), "Name": name });
            member(Some("g"), &at.to_string(), "POST", "Airlines", body)
        };
        // A third of them is there before.
        let there: Vec<Value> = (0..SIZE / 3).map(|at| airline(at, "old")).collect();
        assert_eq!(rig.batch(ROOT, &there).await.statuses(), vec![201; SIZE / 3]);
        let change = |at: usize| {
            let url = format!("Airlines('C{case}x{at}')");
            member(Some("g"), &at.to_string(), "PATCH", &url, json!({ "Name": "new" }))
        };
        let requests = (0..SIZE).map(|at| if at < SIZE / 3 { change(at) } else { airline(at, "new") }).collect();
        rig.strict.forget();
        let fault = [Fault::Hang, Fault::HangAfterCommit][random.random_range(0..2)];
        rig.strict.set_plan(Plan::at(random.random_range(0..12), fault));
        let answer = send(&rig, requests).await;
        rig.strict.set_plan(Plan::none());
        let seen = showing(&rig, case, SIZE).await;
        assert!(seen == SIZE || seen == 0 && answer.is_none(), "{seen} of {SIZE}");
        clock::end_leases();
        assert_eq!(showing(&rig, case, SIZE).await, seen, "once the lease is over");
        whole += usize::from(seen == SIZE);
    }
    eprintln!("{cases} units of {SIZE} with an accident, {whole} of them happened");
    rig.store().sweep_units(Deadline::after(Duration::from_mins(1))).await.unwrap();
    assert_eq!(left_behind(&rig), []);
}
