//! `Isolation: snapshot` of plain OData: all that a batch reads is of one instant, and its requests fail by themselves.

mod bank;
mod equivalence;
mod faults;
mod instant;
mod own;

use serde_json::{Value, json};

use crate::rig::{Answer, Rig, member};

const ROOT: &str = "/trippin";
const ISOLATED: &str = "isolation: snapshot";

/// A JSON batch with the isolation.
async fn isolated(rig: &Rig, requests: &[Value]) -> Answer {
    let body = json!({ "requests": requests }).to_string();
    rig.send("POST", &format!("{ROOT}/$batch"), &["accept: application/json", ISOLATED], body).await
}

fn get(id: &str, url: &str) -> Value {
    member(None, id, "GET", url, Value::Null)
}

fn airline(code: &str) -> String {
    format!("Airlines('{code}')")
}

fn post(id: &str, code: &str, name: &str) -> Value {
    member(None, id, "POST", "Airlines", json!({ "AirlineCode": code, "Name": name }))
}

fn patch(id: &str, code: &str, name: &str) -> Value {
    member(None, id, "PATCH", &airline(code), json!({ "Name": name }))
}

/// The same in a change set.
fn grouped(group: &str, mut request: Value) -> Value {
    request["atomicityGroup"] = group.into();
    request
}

/// The body of an answer in a batch.
fn body(answer: &Answer, at: usize) -> Value {
    answer.json()["responses"][at]["body"].clone()
}

fn names(collection: &Value) -> Vec<&str> {
    collection["value"].as_array().unwrap().iter().map(|row| row["Name"].as_str().unwrap()).collect()
}

/// Airlines `A0`, `A1`, …, all of one name; the calls are forgotten.
async fn airlines(count: usize) -> Rig {
    let rig = Rig::seeded().await;
    for from in (0..count).step_by(100) {
        let create = |at: usize| grouped("g", post(&at.to_string(), &format!("A{at}"), "0"));
        let requests: Vec<Value> = (from..count.min(from + 100)).map(create).collect();
        let statuses = rig.batch(ROOT, &requests).await.statuses();
        assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
    }
    rig.strict.forget();
    rig
}
