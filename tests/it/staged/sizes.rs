//! However many operations a service takes, they happen together, and in few calls.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::left_behind;
use crate::rig::{Rig, if_match, member};

const TRIPPIN: &str = "/trippin";
const DATAVERSE: &str = "/api/data/v9.2";
const FINANCE: &str = "/data";

fn airline(at: usize) -> Value {
    let code = format!("A{at}");
    member(Some("g"), &at.to_string(), "POST", "Airlines", json!({ "AirlineCode": code, "Name": "n" }))
}

async fn count(rig: &Rig, url: &str) -> usize {
    rig.get(&format!("{url}/$count")).await.text().trim_start_matches('\u{feff}').parse().unwrap()
}

/// Calls of a unit of so many items, when nobody is in its way: one to take and one to give back each 98 of them, and two.
fn calls_of(items: usize) -> usize {
    2 * items.div_ceil(98) + 2
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_beyond_one_transaction_are_one_unit() {
    let rig = Rig::seeded().await;
    let before = count(&rig, &format!("{TRIPPIN}/Airlines")).await;
    for operations in [101, 1_000] {
        let requests: Vec<Value> = (0..operations).map(|at| airline(operations * 10_000 + at)).collect();
        rig.strict.forget();
        let begun = Instant::now();
        let answer = rig.batch(TRIPPIN, &requests).await;
        println!("{operations} creates: {} calls in {:?}", rig.strict.calls().len(), begun.elapsed());
        assert_eq!(answer.statuses(), vec![201; operations], "{:.2000}", answer.text());
        let calls = rig.calls().len();
        assert_eq!(calls, calls_of(operations));
        assert!(calls <= operations.div_ceil(25) + 2);
    }
    assert_eq!(count(&rig, &format!("{TRIPPIN}/Airlines")).await, before + 1_101);
    assert_eq!(left_behind(&rig), []);
}

/// As many as one change set of Finance & Operations may have; then each is requeued, in another one.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_jobs_are_created_as_one_unit_and_requeued_as_another() {
    let rig = Rig::seeded().await.with(Duration::ZERO, Duration::from_mins(3));
    let change_set = |operations: usize, request: &dyn Fn(usize) -> (&'static str, Value)| {
        let mut body = String::from("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n");
        for at in 0..operations {
            let (url, json) = request(at);
            body += &format!(
                "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {at}\r\n\r\n\
                 POST {url} HTTP/1.1\r\nContent-Type: application/json\r\nPrefer: return=minimal\r\n\r\n{json}\r\n"
            );
        }
        body + "--c--\r\n--b--\r\n"
    };
    let send = async |operations: usize, body: String| {
        rig.strict.forget();
        let begun = Instant::now();
        let headers = ["content-type: multipart/mixed; boundary=b", "accept: multipart/mixed"];
        let answer = rig.send("POST", &format!("{FINANCE}/$batch"), &headers, body).await;
        println!("{operations} operations: {:?} in {:?}", rig.strict.counts(), begun.elapsed());
        assert!(!answer.text().contains("HTTP/1.1 4"), "{:.2000}", answer.text());
        assert_eq!(answer.text().matches("HTTP/1.1 20").count(), operations, "{:.2000}", answer.text());
    };
    let before = count(&rig, &format!("{FINANCE}/BatchJobs")).await;
    let id = |at: usize| 7_000_000 + at;
    send(5_000, change_set(5_000, &|at| ("BatchJobs", json!({ "BatchJobRecId": id(at), "Status": "Error" })))).await;
    // The sequence of the ids is read first, and is an item of the unit.
    assert_eq!(rig.calls().len(), 1 + calls_of(5_000 + 1));
    assert_eq!(count(&rig, &format!("{FINANCE}/BatchJobs")).await, before + 5_000);
    let action = "BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
    send(1_000, change_set(1_000, &|at| (action, json!({ "batchJobId": id(at) })))).await;
    // What is counted up in place has to be read first where it is staged.
    assert_eq!(rig.calls().len(), calls_of(1_000) + 10);
    let waiting = format!("{FINANCE}/BatchJobs/$count?$filter=Status eq 'Waiting' and RetryCount eq 1");
    assert_eq!(rig.get(&waiting).await.text().trim_start_matches('\u{feff}'), "1000");
    assert_eq!(left_behind(&rig), []);
}

/// Tasks that are bound to an account, changed and deleted ones among new ones: each touches three items, or one.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_mixed_operations_with_binds_are_one_unit() {
    let rig = Rig::seeded().await;
    let account = "/accounts(00000000-0000-0000-0000-000000000001)";
    let url = |at: usize| format!("tasks(00000000-0000-0000-0001-{at:012})");
    let task = |at: usize, subject: &str| {
        let id = format!("00000000-0000-0000-0001-{at:012}");
        json!({ "activityid": id, "subject": subject, "regardingobjectid_account_task@odata.bind": account })
    };
    let create = |at: usize| member(Some("g"), &format!("c{at}"), "POST", "tasks", task(at, "new"));
    let first: Vec<Value> = (0..700).map(create).collect();
    let answer = rig.batch(DATAVERSE, &first).await;
    assert_eq!(answer.statuses(), vec![204; 700], "{:.2000}", answer.text());
    let etag = rig.get(&format!("{DATAVERSE}/{}", url(0))).await.json()["@odata.etag"].as_str().unwrap().to_owned();
    let mixed = |last: Value| -> Vec<Value> {
        let changes =
            (0..350).map(|at| member(Some("g"), &format!("u{at}"), "PATCH", &url(at), json!({ "subject": "changed" })));
        let deletes = (350..700).map(|at| member(Some("g"), &format!("d{at}"), "DELETE", &url(at), Value::Null));
        changes.chain(deletes).chain((700..999).map(create)).chain([last]).collect()
    };
    let stored = async || {
        let accounts = count(&rig, &format!("{DATAVERSE}{account}/Account_Tasks")).await;
        let changed = rig.get(&format!("{DATAVERSE}/tasks/$count?$filter=subject eq 'changed'")).await.text();
        (accounts, changed)
    };
    let before = stored().await;
    let stale = if_match(member(Some("g"), "last", "PATCH", &url(0), json!({ "subject": "x" })), "W/\"stale.1\"");
    let missing = member(Some("g"), "last", "PATCH", &url(9_999), json!({ "subject": "x" }));
    let missing = if_match(missing, "*");
    let unbound = json!({ "subject": "x", "regardingobjectid_account_task@odata.bind": "/accounts(00000000-0000-0000-0000-00000000dead)" });
    let unbound = member(Some("g"), "last", "POST", "tasks", unbound);
    for (last, status) in [(stale, 412), (missing, 404), (unbound, 400)] {
        let answer = rig.batch(DATAVERSE, &mixed(last)).await;
        assert_eq!(answer.statuses().last(), Some(&status), "{:.2000}", answer.text());
        assert_eq!(stored().await, before);
        assert_eq!(left_behind(&rig), []);
    }
    rig.strict.forget();
    let begun = Instant::now();
    let last = if_match(member(Some("g"), "last", "PATCH", &url(1), json!({ "subject": "changed" })), "*");
    let answer = rig.batch(DATAVERSE, &mixed(last)).await;
    println!("1000 mixed operations: {:?} in {:?}", rig.strict.counts(), begun.elapsed());
    assert!(answer.statuses().iter().all(|status| *status == 204), "{:.2000}", answer.text());
    assert_ne!(etag, rig.get(&format!("{DATAVERSE}/{}", url(0))).await.json()["@odata.etag"].as_str().unwrap());
    let (tasks, changed) = stored().await;
    assert_eq!((tasks, changed.trim_start_matches('\u{feff}')), (before.0 - 350 + 299, "350"));
    assert_eq!(left_behind(&rig), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_of_more_than_four_megabytes_is_one_unit() {
    let rig = Rig::seeded().await;
    let airline = |at: usize, name: usize| {
        let body = json!({ "AirlineCode": format!("L{at}"), "Name": "x".repeat(name) });
        let mut one = member(Some("g"), &at.to_string(), "POST", "Airlines", body);
        one["headers"]["prefer"] = "return=minimal".into();
        one
    };
    let answer = rig.batch(TRIPPIN, &(0..15).map(|at| airline(at, 390_000)).collect::<Vec<_>>()).await;
    assert_eq!(answer.statuses(), vec![204; 15], "{:.2000}", answer.text());
    let name = rig.get(&format!("{TRIPPIN}/Airlines('L14')")).await;
    assert_eq!(name.json()["Name"].as_str().unwrap().len(), 390_000);
    assert_eq!(left_behind(&rig), []);
}

/// A failure that shows only in the last of many parts leaves nothing of the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_at_the_end_leaves_nothing() {
    let rig = Rig::seeded().await;
    let before = count(&rig, &format!("{TRIPPIN}/Airlines")).await;
    assert_eq!(rig.batch(TRIPPIN, &[airline(999)]).await.statuses(), [201]);
    let answer = rig.batch(TRIPPIN, &(0..1_000).map(airline).collect::<Vec<_>>()).await;
    let statuses = answer.statuses();
    assert_eq!((statuses.last(), statuses.iter().filter(|status| **status == 424).count()), (Some(&409), 999));
    assert_eq!(count(&rig, &format!("{TRIPPIN}/Airlines")).await, before + 1);
    assert_eq!(left_behind(&rig), []);
    // Each of the keys can be used again.
    let answer = rig.batch(TRIPPIN, &(0..999).map(airline).collect::<Vec<_>>()).await;
    assert_eq!(answer.statuses(), vec![201; 999]);
    let gone: Vec<Value> = (0..1_000)
        .map(|at| {
            member(Some("g"), &at.to_string(), Method::DELETE.as_str(), &format!("Airlines('A{at}')"), Value::Null)
        })
        .collect();
    assert_eq!(rig.batch(TRIPPIN, &gone).await.statuses(), vec![204; 1_000]);
    assert_eq!(count(&rig, &format!("{TRIPPIN}/Airlines")).await, before);
    assert_eq!(left_behind(&rig), []);
}
