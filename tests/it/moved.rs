//! What leads to an entity may move between the reads and the commit: nothing is decided by what was.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tests::strict::Plan;

use crate::rig::{Answer, Rig, member};

const ROOT: &str = "/api/data/v9.2";
const ONE: &str = "accounts(00000000-0000-0000-0000-000000000001)";
const TWO: &str = "accounts(5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7)";
const TASK: &str = "tasks(c40a7be1-2f58-4d96-b3ac-916e0d27f584)";

/// Method, URL, body (null: none).
type Step = (&'static str, String, Value);

async fn send(rig: &Rig, (method, url, body): Step) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    rig.send(method, &format!("{ROOT}/{url}"), &[], body).await
}

/// Seeds, and somebody else who does this right before the first write.
async fn with_rival(rival: Step) -> Rig {
    let rig = Rig::seeded().await;
    let (other, rival, done) = (rig.again(), rival, AtomicBool::new(false));
    rig.strict.set_plan(Plan::from_fn(move |call| {
        let writes = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];
        if writes.contains(&call.operation.as_str()) && !done.swap(true, Ordering::SeqCst) {
            let (other, rival) = (other.clone(), rival.clone());
            let thread = std::thread::spawn(move || {
                let answer = tokio::runtime::Runtime::new().unwrap().block_on(send(&other, rival));
                assert_eq!(answer.status, 204, "{}", answer.text());
            });
            thread.join().unwrap();
        }
        None
    }));
    rig
}

fn step(method: &'static str, url: &str, body: Value) -> Step {
    (method, url.to_owned(), body)
}

fn rename() -> Step {
    step("PATCH", ONE, json!({ "accountnumber": "B" }))
}

async fn count(rig: &Rig, url: &str) -> String {
    send(rig, step("GET", &format!("{url}/$count"), Value::Null)).await.text()
}

#[tokio::test]
async fn a_change_does_not_follow_a_key() {
    let rig = with_rival(rename()).await;
    let url = "accounts(accountnumber='TA-0001')";
    let answer = send(&rig, step("PATCH", url, json!({ "name": "changed" }))).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let name = async |key: &str| {
        send(&rig, step("GET", &format!("accounts(accountnumber='{key}')"), Value::Null)).await.json()["name"].clone()
    };
    assert_eq!((name("B").await, name("TA-0001").await), (json!("Test Account"), json!("changed")));
    for (method, body) in [("PATCH", json!({ "name": "gone" })), ("DELETE", Value::Null)] {
        let rig = with_rival(rename()).await;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = rig.send(method, &format!("{ROOT}/{url}"), &["if-match: *"], body).await;
        assert_eq!(answer.status, 404, "{method} {}", answer.text());
        assert_eq!(send(&rig, step("GET", ONE, Value::Null)).await.json()["name"], "Test Account");
    }
}

#[tokio::test]
async fn a_bind_does_not_follow_a_key() {
    let bind = json!({ "regardingobjectid_account_task@odata.bind": "accounts(accountnumber='TA-0001')" });
    for alone in [true, false] {
        let rig = with_rival(rename()).await;
        let status = if alone {
            send(&rig, step("POST", "tasks", bind.clone())).await.status
        } else {
            let other = member(Some("g"), "2", "POST", "accounts", json!({ "name": "x" }));
            rig.batch(ROOT, &[member(Some("g"), "1", "POST", "tasks", bind.clone()), other]).await.statuses()[0]
        };
        assert_eq!((status, count(&rig, "tasks").await, count(&rig, "accounts").await), (400, "4".into(), "2".into()));
    }
}

#[tokio::test]
async fn a_bind_leads_to_what_is_there_at_the_commit() {
    let bind = json!({ "regardingobjectid_account_task@odata.bind": TWO });
    for change in [
        step("POST", "tasks", bind.clone()),
        step("PATCH", TASK, bind.clone()),
        step("PUT", &format!("{TASK}/regardingobjectid_account_task/$ref"), json!({ "@odata.id": TWO })),
    ] {
        let rig = with_rival(step("DELETE", TWO, Value::Null)).await;
        let answer = send(&rig, change.clone()).await;
        assert_eq!(answer.status, 400, "{change:?} {}", answer.text());
        assert_eq!(
            (count(&rig, "tasks").await, count(&rig, &format!("{ONE}/Account_Tasks")).await),
            ("4".into(), "4".into())
        );
    }
    let rig = with_rival(step("DELETE", TWO, Value::Null)).await;
    let answer = send(&rig, step("POST", &format!("{TWO}/Account_Tasks/$ref"), json!({ "@odata.id": TASK }))).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
}

#[tokio::test]
async fn a_link_is_removed_only_while_it_is_there() {
    let repoint = step("PATCH", TASK, json!({ "regardingobjectid_account_task@odata.bind": TWO }));
    for url in [
        format!("{ONE}/Account_Tasks(c40a7be1-2f58-4d96-b3ac-916e0d27f584)/$ref"),
        format!("{ONE}/Account_Tasks/$ref?$id={TASK}"),
    ] {
        let rig = with_rival(repoint.clone()).await;
        let answer = send(&rig, step("DELETE", &url, Value::Null)).await;
        assert_eq!(answer.status, 404, "{url} {}", answer.text());
        assert_eq!(count(&rig, &format!("{TWO}/Account_Tasks")).await, "1");
    }
}
