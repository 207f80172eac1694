//! Requests that come again with their ids: each is carried out once, and each repeat gets the first answer.

mod batches;
mod change_sets;
mod cut_off;
mod faults;
mod kill;
mod lossy;
mod rules;
mod singles;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::{
    auth::Caller,
    batch::Headers,
    repeat::{Asked, Claim, Given, Scope},
    store::ItemKey,
};

use crate::rig::{Answer, Rig, TABLE};

pub(crate) const TRIPPIN: &str = "/trippin";
pub(crate) const DATAVERSE: &str = "/api/data/v9.2";
pub(crate) const CENTRAL: &str = "/api/v2.0";

/// A time as HTTP writes it.
pub(crate) fn sent(ago: SignedDuration) -> String {
    (Timestamp::now() - ago).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The header lines of a request that may be a repeat.
pub(crate) fn lines(id: &str) -> [String; 2] {
    let sent = sent(SignedDuration::ZERO);
    [format!("repeatability-request-id: {id}"), format!("repeatability-first-sent: {sent}")]
}

/// Sends a request with an id, and further header lines.
pub(crate) async fn send(rig: &Rig, method: &str, url: &str, id: &str, more: &[&str], body: &str) -> Answer {
    let lines = lines(id);
    let headers: Vec<&str> = lines.iter().map(String::as_str).chain(more.iter().copied()).collect();
    rig.send(method, url, &headers, body.to_owned()).await
}

/// Sends a JSON batch with an id, which goes on after a failure.
pub(crate) async fn batch(rig: &Rig, root: &str, id: &str, requests: &[Value]) -> Answer {
    let body = serde_json::json!({ "requests": requests }).to_string();
    let more = ["accept: application/json", "prefer: odata.continue-on-error"];
    send(rig, "POST", &format!("{root}/$batch"), id, &more, &body).await
}

/// A request of a batch with an id of its own.
pub(crate) fn with_id(mut request: Value, id: &str) -> Value {
    for line in lines(id) {
        let (name, value) = line.split_once(": ").unwrap();
        request["headers"][name] = value.into();
    }
    request
}

/// What a client sees of an answer, but for its trace.
pub(crate) fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let headers = answer.headers.iter().filter(|(name, _)| !name.as_str().starts_with("trace"));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, headers.collect(), answer.body.to_vec())
}

pub(crate) fn result(answer: &Answer) -> Option<&str> {
    answer.headers.get("repeatability-result")
}

/// Where is kept how a request with this id ended.
pub(crate) fn place(service: &str, id: &str) -> ItemKey {
    let mut headers = Headers::new();
    for line in lines(id) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.try_append(name, value).unwrap();
    }
    let given = Given::of(&headers).unwrap().together().unwrap().unwrap();
    let scope = Scope { service, caller: &Caller::anonymous(), hours: 24 };
    Claim::new(scope, &given, Asked { method: "", url: "", body: b"" }, Timestamp::now()).unwrap().key
}

/// Attribute with the time until which somebody is at work on a batch.
pub(crate) const RUNNING: &str = "ru";

/// Lets the time pass for which nobody else may be at work on a batch.
pub(crate) async fn let_pass(client: &aws_sdk_dynamodb::Client, place: ItemKey) {
    set(client, TABLE, place, RUNNING, 0).await;
}

/// Changes a number of an item that has it.
async fn set(client: &aws_sdk_dynamodb::Client, table: &str, place: ItemKey, name: &str, to: i64) {
    let update = client.update_item().table_name(table);
    let update = update.key("pk", AttributeValue::S(place.partition)).key("sk", AttributeValue::S(place.sort));
    let update = update.update_expression("SET #n = :to").condition_expression("attribute_exists(#n)");
    let update = update.expression_attribute_names("#n", name);
    // Where it does not have it, there is nothing to wait for.
    let _ = update.expression_attribute_values(":to", AttributeValue::N(to.to_string())).send().await;
}

/// Repeats a batch until it is answered for good, as if time passed between.
pub(crate) async fn settled<S: Future<Output = Answer>>(
    rig: &Rig,
    service: &str,
    id: &str,
    send: impl Fn() -> S,
) -> Answer {
    for _ in 0..100 {
        let answer = send().await;
        if result(&answer) == Some("accepted") {
            return answer;
        }
        assert!(matches!(answer.status, 200 | 409 | 503), "{} {}", answer.status, answer.text());
        assert!(answer.status == 200 || answer.headers.get("retry-after").is_some());
        let_pass(&rig.client(), place(service, id)).await;
    }
    panic!("never answered");
}

/// How many tasks have this subject.
pub(crate) async fn tasks(rig: &Rig, subject: &str) -> usize {
    let answer = rig.get(&format!("{DATAVERSE}/tasks/$count?$filter=subject eq '{subject}'")).await;
    answer.text().parse().unwrap()
}
