//! The budget of calls to DynamoDB, counted where the SDK sends them.

use serde_json::{Value, json};

use crate::{
    repeats::{self, with_id},
    rig::{Rig, if_match, member},
};

const DATAVERSE: &str = "/api/data/v9.2";
const CENTRAL: &str = "/api/v2.0";
const TRIPPIN: &str = "/trippin";
const JOURNAL: &str = "f91409ba-1d3d-eb11-bb72-000d3a2b9218";
const SALARIES: &str = "ae4110b4-1d3d-eb11-bb72-000d3a2b9218";

fn group(count: usize, request: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..count).map(request).collect()
}

fn airline(at: usize) -> Value {
    let body = json!({ "AirlineCode": format!("A{at}"), "Name": "n" });
    member(Some("g"), &at.to_string(), "POST", "Airlines", body)
}

fn all_good(statuses: &[u16], count: usize) {
    assert_eq!(statuses.len(), count);
    assert!(statuses.iter().all(|status| (200..300).contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn creates_without_derived_values_are_one_call() {
    for count in [1, 2, 100] {
        let rig = Rig::seeded().await;
        let answer = rig.batch(TRIPPIN, &group(count, airline)).await;
        all_good(&answer.statuses(), count);
        assert_eq!(rig.calls().len(), 1, "{count}");
    }
}

#[tokio::test]
async fn creates_bound_to_one_entity_are_one_call() {
    let rig = Rig::seeded().await;
    let answer = rig
        .batch(
            DATAVERSE,
            &group(20, |at| {
                let account = "/accounts(00000000-0000-0000-0000-000000000001)";
                let body = json!({ "subject": "s", "regardingobjectid_account_task@odata.bind": account });
                member(Some("g"), &at.to_string(), "POST", "tasks", body)
            }),
        )
        .await;
    all_good(&answer.statuses(), 20);
    assert_eq!(rig.calls(), ["TransactWriteItems"]);
}

#[tokio::test]
async fn creates_with_copied_and_sequenced_values_are_two_calls() {
    let rig = Rig::seeded().await;
    let line = |at: usize| {
        let body = json!({ "accountId": SALARIES, "amount": at, "description": "d" });
        member(Some("g"), &at.to_string(), "POST", &format!("journals({JOURNAL})/journalLines"), body)
    };
    for count in [1, 3, 50] {
        rig.strict.forget();
        let answer = rig.batch(CENTRAL, &group(count, line)).await;
        all_good(&answer.statuses(), count);
        assert_eq!(rig.calls(), ["BatchGetItem", "TransactWriteItems"], "{count}");
    }
}

/// A lookup by number is one read more: that of the key, beside what else has to be read first.
#[tokio::test]
async fn what_is_looked_up_by_its_number_is_one_read_more() {
    let rig = Rig::seeded().await;
    let url = format!("journals({JOURNAL})/journalLines");
    let line = |at: usize| {
        let number = ["60700", "20700"][at % 2];
        let body = json!({ "accountNumber": number, "balancingAccountNumber": "40100" });
        member(Some("g"), &at.to_string(), "POST", &url, body)
    };
    for count in [1, 3, 50] {
        rig.strict.forget();
        all_good(&rig.batch(CENTRAL, &group(count, line)).await.statuses(), count);
        assert_eq!(rig.calls(), ["BatchGetItem", "BatchGetItem", "TransactWriteItems"], "{count}");
    }
    let invoice = |customer: (&str, &str), items: [(&str, &str); 2]| {
        let lines = items.map(|(name, value)| json!({ name: value }));
        json!({ customer.0: customer.1, "salesInvoiceLines": lines }).to_string()
    };
    let (hillside, bicycle) = ("b7e1c045-2f96-4d83-a51b-8c07d3e9f621", "7ce0af2e-0963-460f-9b1f-0014aea3e117");
    let wheel = "a4d85f19-0c6b-4e73-8b92-5fd3071ec6aa";
    for (body, reads) in [
        (invoice(("customerId", hillside), [("itemId", bicycle), ("itemId", wheel)]), 2),
        (invoice(("customerNumber", "10000"), [("lineObjectNumber", "1001"), ("lineObjectNumber", "1100")]), 3),
    ] {
        let created = rig.send("POST", &format!("{CENTRAL}/salesInvoices"), &[], body).await;
        assert_eq!(created.status, 201, "{}", created.text());
        let calls = rig.calls();
        assert_eq!((calls.len(), calls.last().unwrap().as_str()), (reads + 1, "TransactWriteItems"), "{calls:?}");
    }
    let created =
        rig.send("POST", &format!("{CENTRAL}/{url}"), &[], json!({ "accountId": SALARIES }).to_string()).await;
    let patched = format!("{CENTRAL}/{url}({})", created.json()["id"].as_str().unwrap());
    for (body, calls) in [
        (json!({ "accountId": "844110b4-1d3d-eb11-bb72-000d3a2b9218" }), 4),
        (json!({ "accountNumber": "60700" }), 4),
        (json!({ "accountNumber": "60700", "accountId": SALARIES, "description": "the same" }), 3),
        (json!({ "description": "another" }), 3),
    ] {
        rig.strict.forget();
        let answer = rig.send("PATCH", &patched, &["if-match: *"], body.to_string()).await;
        assert_eq!((answer.status, rig.calls().len()), (200, calls), "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn updates_and_deletes_are_one_call_where_no_old_value_is_needed() {
    let rig = Rig::seeded().await;
    rig.batch(TRIPPIN, &group(50, airline)).await;
    rig.strict.forget();
    let patch = |at: usize| {
        let url = format!("Airlines('A{at}')");
        match at % 2 {
            0 => member(Some("g"), &at.to_string(), "PATCH", &url, json!({ "Name": "m" })),
            _ => member(Some("g"), &at.to_string(), "DELETE", &url, Value::Null),
        }
    };
    all_good(&rig.batch(TRIPPIN, &group(50, patch)).await.statuses(), 50);
    assert_eq!(rig.calls(), ["TransactWriteItems"]);
}

#[tokio::test]
async fn updates_and_deletes_are_two_calls_where_old_values_are_needed() {
    let rig = Rig::seeded().await;
    let create = |at: usize| {
        let body = json!({ "accountid": id(at), "accountnumber": format!("N{at}") });
        member(Some("g"), &at.to_string(), "POST", "accounts", body)
    };
    all_good(&rig.batch(DATAVERSE, &group(20, create)).await.statuses(), 20);
    rig.strict.forget();
    let change = |at: usize| {
        let url = format!("accounts({})", id(at));
        let body = json!({ "accountnumber": format!("M{at}") });
        match at % 2 {
            0 => member(Some("g"), &at.to_string(), "PATCH", &url, body),
            _ => member(Some("g"), &at.to_string(), "DELETE", &url, Value::Null),
        }
    };
    all_good(&rig.batch(DATAVERSE, &group(20, change)).await.statuses(), 20);
    assert_eq!(rig.calls(), ["BatchGetItem", "TransactWriteItems"]);
}

fn id(at: usize) -> String {
    format!("10000000-0000-0000-0000-{at:012}")
}

#[tokio::test]
async fn reads_by_key_in_a_row_are_batched() {
    let rig = Rig::seeded().await;
    for start in [0, 100, 200] {
        rig.batch(TRIPPIN, &group(100, |at| airline(start + at))).await;
    }
    for (reads, distinct, calls) in [(1, 1, 1), (100, 100, 1), (101, 101, 2), (250, 250, 3), (250, 100, 1), (40, 1, 1)]
    {
        rig.strict.forget();
        let read =
            |at: usize| member(None, &at.to_string(), "GET", &format!("Airlines('A{}')", at % distinct), Value::Null);
        all_good(&rig.batch(TRIPPIN, &group(reads, read)).await.statuses(), reads);
        let made = rig.calls();
        assert_eq!(made.len(), calls, "{reads} of {distinct}");
        assert!(made.iter().all(|call| call == "BatchGetItem" || distinct % 100 == 1 && call == "GetItem"), "{made:?}");
    }
}

/// A JSON batch whose reads are of one instant.
async fn isolated(rig: &Rig, requests: &[Value]) -> Vec<u16> {
    let body = json!({ "requests": requests }).to_string();
    let headers = ["accept: application/json", "isolation: snapshot"];
    rig.send("POST", &format!("{TRIPPIN}/$batch"), &headers, body).await.statuses()
}

#[tokio::test]
async fn reads_of_one_instant_are_one_call_up_to_a_hundred_keys() {
    let rig = Rig::seeded().await;
    for start in [0, 100] {
        rig.batch(TRIPPIN, &group(100, |at| airline(start + at))).await;
    }
    let read = |at: usize| member(None, &at.to_string(), "GET", &format!("Airlines('A{at}')"), Value::Null);
    for (reads, calls) in
        [(1, &["GetItem"][..]), (2, &["TransactGetItems"]), (100, &["TransactGetItems"]), (150, &["BatchGetItem"; 4])]
    {
        rig.strict.forget();
        all_good(&isolated(&rig, &group(reads, read)).await, reads);
        assert_eq!(rig.calls(), calls, "{reads}");
    }
    let list = member(None, "l", "GET", "Airlines?$top=10", Value::Null);
    all_good(&isolated(&rig, std::slice::from_ref(&list)).await, 1);
    assert_eq!(rig.calls(), ["Query", "Query"]);
    all_good(&isolated(&rig, &[list, read(0), read(1)]).await, 3);
    let mut calls = rig.calls();
    calls.sort_unstable();
    assert_eq!(calls, ["BatchGetItem", "BatchGetItem", "Query", "Query"]);
}

/// The commit checks what was read: nothing is read twice.
#[tokio::test]
async fn reads_and_writes_of_one_instant_are_as_many_calls_as_without_it() {
    let rig = Rig::seeded().await;
    rig.batch(TRIPPIN, &group(90, airline)).await;
    rig.strict.forget();
    let read = |at: usize| member(None, &format!("r{at}"), "GET", &format!("Airlines('A{at}')"), Value::Null);
    let patch =
        |at: usize| member(None, &format!("p{at}"), "PATCH", &format!("Airlines('A{at}')"), json!({ "Name": "m" }));
    all_good(&isolated(&rig, &group(50, patch)).await, 50);
    assert_eq!(rig.calls(), ["TransactWriteItems"]);
    let mixed: Vec<Value> = (0..40).map(read).chain((40..90).map(patch)).collect();
    all_good(&isolated(&rig, &mixed).await, 90);
    assert_eq!(rig.calls(), ["BatchGetItem", "TransactWriteItems"]);
    // What was changed has to be known before it can be listed.
    let mut listed: Vec<Value> = (0..90).map(patch).collect();
    listed.push(member(None, "l", "GET", "Airlines", Value::Null));
    all_good(&isolated(&rig, &listed).await, 91);
    let mut calls = rig.calls();
    calls.sort_unstable();
    assert_eq!(calls, ["BatchGetItem", "BatchGetItem", "Query", "Query", "TransactWriteItems"]);
}

#[tokio::test]
async fn reads_are_never_grouped_across_a_write() {
    let rig = Rig::seeded().await;
    rig.batch(TRIPPIN, &group(2, airline)).await;
    rig.strict.forget();
    let requests = [
        member(None, "1", "GET", "Airlines('A0')", Value::Null),
        member(None, "2", "PATCH", "Airlines('A0')", json!({ "Name": "later" })),
        member(None, "3", "GET", "Airlines('A0')", Value::Null),
        member(None, "4", "GET", "Airlines('A1')", Value::Null),
    ];
    let answer = rig.batch(TRIPPIN, &requests).await;
    assert_eq!(rig.calls(), ["GetItem", "UpdateItem", "BatchGetItem"]);
    let name = |at: usize| answer.json()["responses"][at]["body"]["Name"].clone();
    assert_eq!((name(0), name(2)), (json!("n"), json!("later")));
}

/// The owner is read with its targets: it counts as one of the keys.
#[tokio::test]
async fn navigation_is_one_query_and_its_targets_in_batches() {
    let rig = Rig::seeded().await;
    let owner = "20000000-0000-0000-0000-000000000000";
    let body = json!({ "accountid": owner }).to_string();
    assert_eq!(rig.send("POST", &format!("{DATAVERSE}/accounts"), &[], body).await.status, 204);
    let mut present = 0;
    for (results, batches) in [(0, 1), (4, 1), (99, 1), (100, 2), (199, 2)] {
        for from in (present..results).step_by(40) {
            let task = |at: usize| {
                let bind = format!("/accounts({owner})");
                let body = json!({ "activityid": id(from + at), "regardingobjectid_account_task@odata.bind": bind });
                member(Some("g"), &at.to_string(), "POST", "tasks", body)
            };
            let count = (results - from).min(40);
            all_good(&rig.batch(DATAVERSE, &group(count, task)).await.statuses(), count);
        }
        present = results;
        rig.strict.forget();
        let answer = rig.get(&format!("{DATAVERSE}/accounts({owner})/Account_Tasks")).await;
        assert_eq!(answer.json()["value"].as_array().unwrap().len(), results);
        let calls = rig.calls();
        assert_eq!((calls.len(), calls[0].as_str()), (1 + batches, "Query"), "{results}: {calls:?}");
    }
}

#[tokio::test]
async fn one_create_one_blind_patch_one_delete_are_one_call_each() {
    let rig = Rig::seeded().await;
    let created = rig.send("POST", &format!("{TRIPPIN}/Airlines"), &[], r#"{"AirlineCode":"X","Name":"n"}"#).await;
    assert_eq!((created.status, rig.calls()), (201, vec!["PutItem".to_owned()]));
    let etag = created.headers.get("etag").unwrap().to_owned();
    let url = format!("{TRIPPIN}/Airlines('X')");
    let minimal = "prefer: return=minimal";
    let patched = rig.send("PATCH", &url, &[minimal, &format!("if-match: {etag}")], r#"{"Name":"m"}"#).await;
    assert_eq!((patched.status, rig.calls()), (204, vec!["UpdateItem".to_owned()]));
    let patched = rig.send("PATCH", &url, &[minimal], r#"{"Name":"o"}"#).await;
    assert_eq!((patched.status, rig.calls()), (204, vec!["UpdateItem".to_owned()]));
    let deleted = rig.send("DELETE", &url, &[], "").await;
    assert_eq!((deleted.status, rig.calls()), (204, vec!["TransactWriteItems".to_owned()]));
}

#[tokio::test]
async fn a_page_is_one_query_a_mebibyte() {
    let rig = Rig::seeded().await;
    rig.get(&format!("{TRIPPIN}/Airlines")).await;
    assert_eq!(rig.calls(), ["Query"]);
    let long = "x".repeat(300_000);
    for at in 0..7 {
        let body = json!({ "AirlineCode": format!("L{at}"), "Name": long }).to_string();
        assert_eq!(rig.send("POST", &format!("{TRIPPIN}/Airlines"), &[], body).await.status, 201);
    }
    rig.strict.forget();
    let answer = rig.get(&format!("{TRIPPIN}/Airlines")).await;
    assert_eq!(answer.json()["value"].as_array().unwrap().len(), 10);
    // 2.1 MB; DynamoDB ends an answer with the item that passes the limit or the one before.
    let calls = rig.calls();
    assert!((2..=3).contains(&calls.len()) && calls.iter().all(|call| call == "Query"), "{calls:?}");
}

/// What an id for repeats adds: nothing to a write, two calls to a batch; and what a repeat takes.
#[tokio::test]
async fn ids_for_repeats_cost_what_they_are_said_to() {
    let rig = Rig::seeded().await;
    let single = |id: &str| airline_of(id, None);
    let known = |requests: &[Value]| requests.iter().map(|one| with_id(one.clone(), &one["id"].to_string())).collect();
    let set: Vec<Value> = (0..49).map(|at| airline_of(&format!("S{at}"), Some("g"))).collect();
    let set: Vec<Value> = known(&set);
    let singles: Vec<Value> = ["X", "Y", "Z"].map(single).to_vec();
    let transaction = || vec!["TransactWriteItems".to_owned()];
    for (name, first, repeat) in [
        ("a write of a batch, alone", transaction(), transaction()),
        ("a change set", transaction(), transaction()),
        (
            "a batch of three",
            [vec!["PutItem".into()], transaction(), transaction(), transaction(), vec!["PutItem".into()]].concat(),
            vec!["PutItem".to_owned()],
        ),
    ] {
        for expected in [first, repeat] {
            rig.strict.forget();
            let (statuses, count) = match name {
                "a change set" => (rig.batch(TRIPPIN, &set).await.statuses(), 49),
                "a batch of three" => (repeats::batch(&rig, TRIPPIN, "whole", &singles).await.statuses(), 3),
                _ => (rig.batch(TRIPPIN, &[with_id(single("W"), "W")]).await.statuses(), 1),
            };
            all_good(&statuses, count);
            assert_eq!(rig.calls(), expected, "{name}");
        }
    }
}

fn airline_of(code: &str, group: Option<&str>) -> Value {
    member(group, code, "POST", "Airlines", json!({ "AirlineCode": code, "Name": "n" }))
}

#[tokio::test]
async fn a_conflict_that_the_client_caused_is_told_at_once() {
    let rig = Rig::seeded().await;
    rig.batch(TRIPPIN, &group(2, airline)).await;
    rig.strict.forget();
    let stale = "W/\"AAAA.BBBB.0\"";
    let url = format!("{TRIPPIN}/Airlines('A0')");
    let answer = rig.send("PATCH", &url, &[&format!("if-match: {stale}")], r#"{"Name":"m"}"#).await;
    assert_eq!((answer.status, rig.calls().len()), (412, 1));
    let answer = rig.send("DELETE", &url, &[&format!("if-match: {stale}")], "").await;
    assert_eq!((answer.status, rig.calls().len()), (412, 1));
    let answer = rig.send("POST", &format!("{TRIPPIN}/Airlines"), &[], r#"{"AirlineCode":"A1","Name":"n"}"#).await;
    assert_eq!((answer.status, rig.calls().len()), (409, 1));
    let requests = [
        member(Some("g"), "1", "POST", "Airlines", json!({ "AirlineCode": "NEW", "Name": "n" })),
        if_match(member(Some("g"), "2", "PATCH", "Airlines('A0')", json!({ "Name": "m" })), stale),
    ];
    let answer = rig.batch(TRIPPIN, &requests).await;
    assert_eq!((answer.statuses(), rig.calls().len()), (vec![424, 412], 1));
    let requests = [airline(7), airline(1)];
    let answer = rig.batch(TRIPPIN, &requests).await;
    assert_eq!((answer.statuses(), rig.calls().len()), (vec![424, 409], 1));
    assert_eq!(rig.get(&format!("{TRIPPIN}/Airlines('NEW')")).await.status, 404);
}

#[tokio::test]
async fn a_picture_costs_no_more_than_another_contained_entity_once_it_is_written() {
    const ITEM: &str = "a4d85f19-0c6b-4e73-8b92-5fd3071ec6aa";
    let rig = Rig::seeded().await;
    let url = format!("items({ITEM})/picture/contentValue");
    let write = [if_match(member(None, "1", "PATCH", &url, json!({ "value": "x" })), "*")];
    for calls in [
        // The first write meets nothing, looks, and creates it.
        vec!["GetItem", "UpdateItem", "GetItem", "TransactWriteItems"],
        vec!["GetItem", "UpdateItem"],
    ] {
        rig.strict.forget();
        all_good(&rig.batch(CENTRAL, &write).await.statuses(), 1);
        assert_eq!(rig.calls(), calls);
    }
}
