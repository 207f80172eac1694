//! What leads to an entity may move between the reads and the commit: nothing is decided by what was.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use tests::strict::{Call, Plan};

use crate::rig::{Answer, Rig, member};

const ROOT: &str = "/api/data/v9.2";
const CENTRAL: &str = "/api/v2.0";
const ONE: &str = "accounts(00000000-0000-0000-0000-000000000001)";
const TWO: &str = "accounts(5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7)";
const TASK: &str = "tasks(c40a7be1-2f58-4d96-b3ac-916e0d27f584)";

/// Method, URL (without a leading slash: below the root), body (null: none).
type Step = (&'static str, String, Value);

async fn send(rig: &Rig, (method, url, body): Step) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let url = if url.starts_with('/') { url } else { format!("{ROOT}/{url}") };
    // Business Central changes nothing without it.
    let any: &[&str] = if method == "PATCH" && url.starts_with(CENTRAL) { &["if-match: *"] } else { &[] };
    rig.send(method, &url, any, body).await
}

/// Seeds, and somebody else who does this right before the first write.
async fn with_rival(rival: Step) -> Rig {
    let writes = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];
    with_rival_at(rival, move |call| writes.contains(&call.operation.as_str())).await
}

/// The same before the first call of which that is true.
async fn with_rival_at(rival: Step, comes: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Rig {
    let rig = Rig::seeded().await;
    let (other, rival, done) = (rig.again(), rival, AtomicBool::new(false));
    rig.strict.forget();
    rig.strict.set_plan(Plan::from_fn(move |call| {
        if comes(call) && !done.swap(true, Ordering::SeqCst) {
            let (other, rival) = (other.clone(), rival.clone());
            let thread = std::thread::spawn(move || {
                let answer = tokio::runtime::Runtime::new().unwrap().block_on(send(&other, rival));
                assert!(answer.status < 300, "{}", answer.text());
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

/// A change set in one step.
fn change_set(requests: &[Value]) -> Step {
    step("POST", "$batch", json!({ "requests": requests }))
}

fn part(id: &str, method: &str, url: &str, body: Value) -> Value {
    member(Some("g"), id, method, url, body)
}

/// Somebody has the key at every instant, and is found: whoever looks for it reads where it leads, and then what is there.
#[tokio::test]
async fn a_key_that_goes_to_another_entity_meanwhile_is_found_there() {
    let key = "accounts(accountnumber='TA-0001')";
    let moves = [
        part("1", "PATCH", ONE, json!({ "accountnumber": "B" })),
        part("2", "PATCH", TWO, json!({ "accountnumber": "TA-0001", "name": "theirs" })),
    ];
    for alone in [true, false] {
        let rig = with_rival_at(change_set(&moves), |call| call.number == 1).await;
        let found = if alone {
            send(&rig, step("GET", key, Value::Null)).await.json()
        } else {
            let reads = [member(None, "1", "GET", TASK, Value::Null), member(None, "2", "GET", key, Value::Null)];
            rig.batch(ROOT, &reads).await.json()["responses"][1]["body"].clone()
        };
        assert_eq!(found["name"], "theirs", "{found}");
    }
    let rig = with_rival_at(change_set(&moves), |call| call.number == 1).await;
    let answer = rig.send("PATCH", &format!("{ROOT}/{key}"), &["if-match: *"], r#"{"telephone1":"1"}"#).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(send(&rig, step("GET", TWO, Value::Null)).await.json()["telephone1"], "1");
}

/// A task leads to an account at every instant, though not to the same.
#[tokio::test]
async fn a_lookup_that_leads_elsewhere_meanwhile_is_followed_there() {
    let new = "7d1c2b90-0000-4000-8000-0000000000aa";
    let moves = [
        part("1", "POST", "accounts", json!({ "accountid": new, "name": "theirs" })),
        part("2", "PATCH", TASK, json!({ "regardingobjectid_account_task@odata.bind": format!("/accounts({new})") })),
        part("3", "DELETE", ONE, Value::Null),
    ];
    let url = format!("{TASK}/regardingobjectid_account_task");
    let bind = step("PATCH", TASK, json!({ "regardingobjectid_account_task@odata.bind": format!("/{ONE}") }));
    for method in ["GET", "PATCH"] {
        let mut found = 0;
        for call in 0..4 {
            let ready = Arc::new(AtomicBool::new(false));
            let from = Arc::clone(&ready);
            let rig =
                with_rival_at(change_set(&moves), move |one| from.load(Ordering::SeqCst) && one.number == call).await;
            assert!(send(&rig, bind.clone()).await.status < 300);
            rig.strict.forget();
            ready.store(true, Ordering::SeqCst);
            let body = if method == "GET" { Value::Null } else { json!({ "telephone1": "1" }) };
            let answer = send(&rig, step(method, &url, body)).await;
            assert!(matches!(answer.status, 200 | 204), "{method}, call {call}: {}", answer.text());
            found += usize::from(answer.text().contains("theirs"));
        }
        assert!(method != "GET" || found > 0);
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

#[tokio::test]
async fn what_is_taken_meanwhile_is_taken() {
    let create = |number: &str| step("POST", "accounts", json!({ "accountnumber": number }));
    for change in [create("N"), step("PATCH", TWO, json!({ "accountnumber": "N" }))] {
        let rig = with_rival(create("N")).await;
        assert_eq!(send(&rig, change).await.status, 412);
        assert_eq!(count(&rig, "accounts").await, "3");
    }
    let rig = with_rival(step("PATCH", "accounts(accountnumber='N')", json!({ "name": "theirs" }))).await;
    let answer = send(&rig, step("PATCH", "accounts(accountnumber='N')", json!({ "telephone1": "1" }))).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let account = send(&rig, step("GET", "accounts(accountnumber='N')", Value::Null)).await.json();
    assert_eq!((&account["name"], &account["telephone1"]), (&json!("theirs"), &json!("1")));
}

#[tokio::test]
async fn a_number_is_given_once_and_a_parent_must_be_there() {
    let trip =
        json!({ "Name": "t", "Budget": 1, "StartsAt": "2026-01-01T00:00:00Z", "EndsAt": "2026-01-02T00:00:00Z" });
    let create = step("POST", "/trippin/People('dario')/Trips", trip);
    let rig = with_rival(create.clone()).await;
    let answer = send(&rig, create.clone()).await;
    assert_eq!((answer.status, &answer.json()["TripId"]), (201, &json!(2)), "{}", answer.text());
    let rig = with_rival(step("DELETE", "/trippin/People('dario')", Value::Null)).await;
    assert_eq!(send(&rig, create.clone()).await.status, 404);
    let person = json!({ "UserName": "dario", "FirstName": "f", "LastName": "l" });
    let create = step("POST", "/trippin/People", person);
    assert_eq!(send(&rig, create.clone()).await.status, 201);
    let trips = send(&rig, step("GET", "/trippin/People('dario')/Trips/$count", Value::Null)).await;
    assert_eq!(trips.text(), "0");
    let rig = with_rival(step("POST", "/trippin/Airlines", json!({ "AirlineCode": "X", "Name": "theirs" }))).await;
    let airline = json!({ "AirlineCode": "X", "Name": "mine" });
    let other = json!({ "AirlineCode": "NW", "Name": "mine" });
    let steps = [("1", airline), ("2", other)];
    let requests = steps.map(|(id, body)| member(Some("g"), id, "POST", "Airlines", body));
    assert_eq!(rig.batch("/trippin", &requests).await.statuses(), [409, 424], "the first is the culprit");
}

/// Whatever is done to an account while its number is looked up: nothing is linked to what has another number.
#[tokio::test]
async fn a_number_leads_to_what_has_it_at_the_commit() {
    const SALARIES: &str = "ae4110b4-1d3d-eb11-bb72-000d3a2b9218";
    const PAYROLL: &str = "844110b4-1d3d-eb11-bb72-000d3a2b9218";
    let account = |id: &str| format!("{CENTRAL}/accounts({id})");
    let change = |id: &str, number: &str| -> Step { ("PATCH", account(id), json!({ "number": number })) };
    let line = || {
        let url = format!("{CENTRAL}/journals(f91409ba-1d3d-eb11-bb72-000d3a2b9218)/journalLines");
        ("POST", url, json!({ "accountNumber": "60700", "amount": 1 }))
    };
    for (name, rival, expected) in [
        ("renumbered", change(SALARIES, "N"), None),
        ("deleted", ("DELETE", account(SALARIES), Value::Null), None),
        ("renamed", ("PATCH", account(SALARIES), json!({ "displayName": "theirs" })), Some(SALARIES)),
    ] {
        for call in 0..3 {
            let seen = std::sync::atomic::AtomicUsize::new(0);
            let rig = with_rival_at(rival.clone(), move |_| seen.fetch_add(1, Ordering::SeqCst) == call).await;
            let answer = send(&rig, line()).await;
            if let Some(id) = expected {
                assert_eq!((answer.status, &answer.json()["accountId"]), (201, &json!(id)), "{name} {call}");
            } else {
                assert_eq!(answer.status, 400, "{name} {call}: {}", answer.text());
                assert!(answer.text().contains("60700"), "{name} {call}: {}", answer.text());
            }
        }
    }
    // Another account has the number from then on.
    for call in 0..3 {
        let seen = std::sync::atomic::AtomicUsize::new(0);
        let swap = [
            json!({ "method": "PATCH", "url": format!("accounts({SALARIES})"), "body": { "number": "N" } }),
            json!({ "method": "PATCH", "url": format!("accounts({PAYROLL})"), "body": { "number": "60700" } }),
        ];
        let headers = json!({ "content-type": "application/json", "if-match": "*" });
        let swap: Vec<Value> = swap
            .into_iter()
            .enumerate()
            .map(|(id, mut request)| {
                request["id"] = id.to_string().into();
                request["atomicityGroup"] = "g".into();
                request["headers"] = headers.clone();
                request
            })
            .collect();
        let swap = ("POST", format!("{CENTRAL}/$batch"), json!({ "requests": swap }));
        let rig = with_rival_at(swap, move |_| seen.fetch_add(1, Ordering::SeqCst) == call).await;
        let answer = send(&rig, line()).await;
        assert_eq!((answer.status, &answer.json()["accountId"]), (201, &json!(PAYROLL)), "{call}: {}", answer.text());
    }
}
