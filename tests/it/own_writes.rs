//! What a unit of work sees of itself, and which of its requests is the one that failed (JSON Format §19.1).

use serde_json::{Value, json};
use tests::service::TestService;

use crate::{
    requests::things,
    rig::{if_match, member},
};

const ONE: &str = "accounts(00000000-0000-0000-0000-000000000001)";
const TWO: &str = "accounts(5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7)";
const ABSENT: &str = "accounts(00000000-0000-0000-0000-0000000000ff)";
const CUSTOMER: &str = "customers(b7e1c045-2f96-4d83-a51b-8c07d3e9f621)";
const INVOICE: &str = "salesInvoices(52a9f1d4-c380-4e6b-b729-d08e15c6a7f3)";

/// Method, URL, body (null: none).
type Step<'s> = (&'s str, &'s str, Value);

fn group(steps: &[Step<'_>]) -> Value {
    let step = |(at, (method, url, body)): (usize, &Step<'_>)| {
        let request = member(Some("g"), &(at + 1).to_string(), method, url, body.clone());
        if *method == "PATCH" || *method == "DELETE" { if_match(request, "*") } else { request }
    };
    steps.iter().enumerate().map(step).collect()
}

/// The same steps one after the other, outside any group.
fn sequence(steps: &[Step<'_>]) -> Value {
    let mut requests = group(steps);
    for request in requests.as_array_mut().unwrap() {
        request.as_object_mut().unwrap().remove("atomicityGroup");
    }
    requests
}

fn rows(response: &Value) -> Vec<Value> {
    response["body"]["value"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_list_shows_what_was_changed_and_removed_before_it() {
    let number = json!({ "accountnumber": "NEW-1" });
    let steps = [
        ("PATCH", ONE, number.clone()),
        ("GET", "accounts?$select=accountnumber&$count=true", Value::Null),
        ("GET", "accounts?$filter=accountnumber eq 'NEW-1'&$select=name", Value::Null),
        ("GET", "accounts/$count", Value::Null),
    ];
    let service = TestService::dataverse().await;
    let answer = service.batch(&[], group(&steps)).await;
    assert_eq!(answer.statuses(), [204, 200, 200, 200], "{}", answer.text());
    let responses = answer.responses();
    let mut numbers: Vec<_> = rows(&responses[1]).iter().map(|row| row["accountnumber"].clone()).collect();
    numbers.sort_by_key(ToString::to_string);
    assert_eq!(numbers, ["ASH-17", "NEW-1"]);
    assert_eq!((&responses[1]["body"]["@odata.count"], &responses[3]["body"]), (&json!(2), &json!("2")));
    assert_eq!(rows(&responses[2]).len(), 1);

    let steps = [
        ("DELETE", TWO, Value::Null),
        ("GET", "accounts?$count=true", Value::Null),
        ("GET", "accounts/$count", Value::Null),
    ];
    let answer = service.batch(&[], group(&steps)).await;
    assert_eq!(answer.statuses(), [204, 200, 200], "{}", answer.text());
    let responses = answer.responses();
    assert_eq!((rows(&responses[1]).len(), &responses[1]["body"]["@odata.count"]), (1, &json!(1)));
    assert_eq!(responses[2]["body"], "1");
}

#[tokio::test]
async fn pages_are_cut_after_what_was_written() {
    let service = things().await;
    for code in ["b", "d", "f", "h", "j", "l", "n"] {
        service.post("Things", json!({ "Code": code, "Big": 1 })).await;
    }
    let thing = |code: &str| json!({ "Code": code, "Big": 2 });
    let steps = [
        ("DELETE", "Things('b')", Value::Null),
        ("DELETE", "Things('f')", Value::Null),
        ("POST", "Things", thing("a")),
        ("POST", "Things", thing("z")),
        ("PATCH", "Things('l')", json!({ "Big": 3 })),
        ("GET", "Things?$count=true", Value::Null),
        ("GET", "Things?$skip=2", Value::Null),
        ("GET", "Things?$top=1&$skip=6", Value::Null),
        ("GET", "Things?$filter=Big gt 1", Value::Null),
        ("GET", "Things/$count?$filter=Big gt 1", Value::Null),
    ];
    let answer = service.batch(&[], group(&steps)).await;
    assert!(answer.statuses().iter().all(|status| *status < 300), "{}", answer.text());
    let responses = answer.responses();
    let codes = |rows: Vec<Value>| rows.iter().map(|row| row["Code"].as_str().unwrap().to_owned()).collect::<String>();
    let pages: Vec<_> = responses[5..9].iter().map(|response| codes(rows(response))).collect();
    assert_eq!(pages, ["adh", "hjl", "z", "alz"]);
    assert_eq!((&responses[5]["body"]["@odata.count"], &responses[9]["body"]), (&json!(7), &json!("3")));
    let next =
        responses[5]["body"]["@odata.nextLink"].as_str().unwrap().strip_prefix("http://host").unwrap().to_owned();
    assert_eq!(codes(service.get(&next).await.rows()), "jln");
}

#[tokio::test]
async fn a_snapshot_shows_its_own_writes_in_lists_of_links() {
    let service = TestService::business_central().await;
    let invoices = format!("{CUSTOMER}/salesInvoices");
    let (none, found) =
        (format!("{invoices}?$filter=number eq 'S-INV-1001'"), format!("{invoices}?$filter=number eq 'N'"));
    let steps = [
        ("PATCH", INVOICE, json!({ "number": "N" })),
        ("GET", &invoices, Value::Null),
        ("GET", &none, Value::Null),
        ("GET", &found, Value::Null),
        ("DELETE", INVOICE, Value::Null),
        ("GET", &invoices, Value::Null),
        ("GET", "salesInvoices", Value::Null),
    ];
    let answer = service.batch(&[("Isolation", "snapshot")], sequence(&steps)).await;
    assert_eq!(answer.statuses(), [200, 200, 200, 200, 204, 200, 200], "{}", answer.text());
    let responses = answer.responses();
    assert_eq!(rows(&responses[1]).iter().map(|row| &row["number"]).collect::<Vec<_>>(), ["N"]);
    let sizes: Vec<_> = [2, 3, 5, 6].map(|at| rows(&responses[at]).len()).into();
    assert_eq!(sizes, [0, 1, 0, 0]);
}

#[tokio::test]
async fn the_first_request_that_fails_is_the_culprit() {
    let service = TestService::trippin().await;
    let steps =
        [("POST", "Airlines", json!({ "AirlineCode": "NW", "Name": "x" })), ("DELETE", "Airlines('NW')", Value::Null)];
    assert_eq!(service.batch(&[], group(&steps)).await.statuses(), [409, 424]);
    assert_eq!(service.get("Airlines('NW')").await.json()["Name"], "Northwind Air");
    let steps =
        [("DELETE", "Airlines('none')", Value::Null), ("POST", "Airlines", json!({ "AirlineCode": "X", "Name": 5 }))];
    assert_eq!(service.batch(&[], group(&steps)).await.statuses(), [404, 424]);

    let service = TestService::business_central().await;
    let missing = "items(00000000-0000-0000-0000-0000000000ff)";
    let steps =
        [("DELETE", missing, Value::Null), ("POST", "items", json!({ "number": "far too long a number for an item" }))];
    assert_eq!(service.batch(&[("Isolation", "snapshot")], sequence(&steps)).await.statuses(), [404]);

    let service = TestService::dataverse().await;
    let steps = [
        ("POST", "contacts", json!({ "lastname": "l", "parentcustomerid_account@odata.bind": ABSENT })),
        ("POST", "accounts", json!({ "accountid": "00000000-0000-0000-0000-0000000000ff", "name": "late" })),
    ];
    assert_eq!(service.batch(&[], group(&steps)).await.statuses(), [400, 424]);
    assert_eq!(service.get(ABSENT).await.status, 404);
    assert_eq!(service.count("contacts").await, 2);
}

#[tokio::test]
async fn a_reference_ahead_is_refused() {
    let service = TestService::dataverse().await;
    let steps = [
        ("PATCH", ONE, json!({ "accountnumber": "N" })),
        ("PATCH", "$3", json!({ "name": "x" })),
        ("POST", "accounts", json!({ "name": "new" })),
    ];
    assert_eq!(service.batch(&[], group(&steps)).await.status, 400);
    let steps = [
        ("PATCH", ONE, json!({ "accountnumber": "N" })),
        ("POST", "tasks", json!({ "regardingobjectid_account_task@odata.bind": "$3" })),
        ("POST", "accounts", json!({ "name": "new" })),
    ];
    let answer = service.batch(&[], group(&steps)).await;
    assert_eq!((answer.status, answer.statuses()), (400, vec![424, 400, 424]), "{}", answer.text());
    assert_eq!((service.count("accounts").await, service.count("tasks").await), (2, 4));
    assert_eq!(service.get(ONE).await.json()["accountnumber"], "TA-0001");
}

#[tokio::test]
async fn the_largest_number_does_not_use_up_a_sequence() {
    let service = TestService::trippin().await;
    let trip = |id: Option<i32>| {
        let mut trip =
            json!({ "Name": "t", "Budget": 1, "StartsAt": "2026-01-01T00:00:00Z", "EndsAt": "2026-01-02T00:00:00Z" });
        trip.as_object_mut().unwrap().extend(id.map(|id| ("TripId".to_owned(), json!(id))));
        trip
    };
    let trips = "People('adaokafor')/Trips";
    assert_eq!(service.post(trips, trip(Some(i32::MAX))).await.status, 201);
    let next = service.post(trips, trip(None)).await;
    assert_eq!((next.status, &next.json()["TripId"]), (201, &json!(2)), "{}", next.text());

    let service = TestService::finance_operations().await;
    let job = json!({ "BatchJobRecId": i64::MAX, "JobDescription": "last" });
    assert_eq!(service.post("BatchJobs", job).await.status, 201);
    let next = service.post("BatchJobs", json!({ "JobDescription": "next" })).await;
    assert_eq!((next.status, &next.json()["BatchJobRecId"]), (201, &json!(5_637_144_584_i64)), "{}", next.text());
}
