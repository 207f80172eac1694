//! Requests of one unit of work see what those before them wrote (JSON Format §19.1, Protocol §11.7.7.4).

use serde_json::{Value, json};
use tests::service::TestService;

use crate::requests::things;

/// Method, URL, body (null: none).
type Step<'s> = (&'s str, &'s str, Value);

/// Runs the steps as one group; their statuses.
async fn unit(service: &TestService, steps: &[Step<'_>]) -> Vec<u64> {
    let requests = steps.iter().enumerate().map(|(at, (method, url, body))| {
        json!({ "id": (at + 1).to_string(), "atomicityGroup": "g", "method": method, "url": url, "body": body })
    });
    service.batch(&[], requests.collect()).await.statuses()
}

#[tokio::test]
async fn an_entity_may_be_written_several_times() {
    let service = things().await;
    let thing = |code: &str, big: i32| json!({ "Code": code, "Big": big });
    let steps = [
        ("post", "Things", thing("a", 1)),
        ("patch", "Things('a')", json!({ "Big": 2 })),
        ("get", "Things('a')", Value::Null),
        ("delete", "Things('a')", Value::Null),
        ("get", "Things('a')", Value::Null),
    ];
    assert_eq!(unit(&service, &steps[..4]).await, [201, 204, 200, 204]);
    assert_eq!(service.count("Things").await, 0);
    assert_eq!(unit(&service, &steps).await, [424, 424, 424, 424, 404]);
    let again = [steps[0].clone(), steps[3].clone(), ("post", "Things", thing("a", 9)), steps[1].clone()];
    assert_eq!(unit(&service, &again).await, [201, 204, 201, 204]);
    assert_eq!(service.get("Things('a')").await.json()["Big"], 2);
    let replaced = [steps[3].clone(), ("post", "Things", thing("a", 5))];
    let etag = service.get("Things('a')").await.etag();
    assert_eq!(unit(&service, &replaced).await, [204, 201]);
    assert_ne!(service.get("Things('a')").await.etag(), etag);
    assert_eq!(
        unit(&service, &[("post", "Things", thing("b", 1)), ("post", "Things", thing("b", 2))]).await,
        [424, 409]
    );
    assert_eq!(
        unit(&service, &[("delete", "Things('a')", Value::Null), ("delete", "Things('a')", Value::Null)]).await,
        [424, 404]
    );
    assert_eq!(service.get("Things('a')").await.json()["Big"], 5);
}

#[tokio::test]
async fn children_go_with_their_parent() {
    let service = things().await;
    let created = [
        ("post", "Things", json!({ "Code": "a" })),
        ("post", "$1/Parts", json!({ "No": 1 })),
        ("post", "Things('a')/Parts(1)/Screws", json!({ "No": 1 })),
        ("get", "$2/Screws/$count", Value::Null),
    ];
    assert_eq!(unit(&service, &created).await, [201, 201, 201, 200]);
    assert_eq!(service.count("Things('a')/Parts(1)/Screws").await, 1);
    let orphan = [("delete", "Things('a')", Value::Null), ("post", "Things('a')/Parts", json!({ "No": 2 }))];
    assert_eq!(unit(&service, &orphan).await, [424, 404]);
    let reborn = [
        ("delete", "Things('a')", Value::Null),
        ("post", "Things", json!({ "Code": "a" })),
        ("get", "Things('a')/Parts(1)", Value::Null),
    ];
    assert_eq!(unit(&service, &reborn).await, [424, 424, 404]);
    assert_eq!(unit(&service, &reborn[..2]).await, [204, 201]);
    assert_eq!(service.count("Things('a')/Parts").await, 0);
}

#[tokio::test]
async fn lists_and_counts_show_the_units_own_writes() {
    let service = things().await;
    for code in ["b", "d"] {
        service.post("Things", json!({ "Code": code, "Big": 1 })).await;
    }
    let steps = [
        ("post", "Things", json!({ "Code": "c", "Big": 1 })),
        ("post", "Things", json!({ "Code": "a", "Big": 1 })),
        ("delete", "Things('d')", Value::Null),
        ("patch", "Things('b')", json!({ "Big": 2 })),
        ("get", "Things?$select=Code&$count=true&$filter=Big eq 1", Value::Null),
    ];
    let requests = steps.iter().enumerate().map(|(at, (method, url, body))| {
        json!({ "id": at.to_string(), "atomicityGroup": "g", "method": method, "url": url, "body": body })
    });
    let answer = service.batch(&[], requests.collect()).await;
    let list = &answer.responses()[4]["body"];
    let codes: Vec<_> = list["value"].as_array().unwrap().iter().map(|row| &row["Code"]).collect();
    assert_eq!((&list["@odata.count"], codes), (&json!(2), vec![&json!("a"), &json!("c")]));
}

#[tokio::test]
async fn alternate_keys_and_links_move_inside_a_unit() {
    let service = TestService::dataverse().await;
    let (one, two) =
        ("accounts(00000000-0000-0000-0000-000000000001)", "accounts(5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7)");
    let number = |number: &str| json!({ "accountnumber": number });
    assert_eq!(
        unit(&service, &[("patch", one, number("ASH-17")), ("patch", two, number("TA-0001"))]).await,
        [412, 424]
    );
    let swap = [
        ("patch", two, number("tmp")),
        ("patch", "accounts(accountnumber='TA-0001')", number("ASH-17")),
        ("patch", "accounts(accountnumber='tmp')", number("TA-0001")),
        ("get", "accounts(accountnumber='TA-0001')/name", Value::Null),
    ];
    assert_eq!(unit(&service, &swap).await, [204, 204, 204, 200]);
    assert_eq!(service.get("accounts(accountnumber='TA-0001')").await.json()["name"], "Alpine Ski House");
    assert_eq!(service.get("accounts(accountnumber='tmp')").await.status, 404);
    let bind = |to: &str| json!({ "regardingobjectid_account_task@odata.bind": to });
    let task = "tasks(c40a7be1-2f58-4d96-b3ac-916e0d27f584)";
    let moves = [
        ("patch", task, bind(two)),
        ("patch", task, bind(one)),
        ("patch", task, bind(two)),
        ("get", "accounts(accountnumber='TA-0001')/Account_Tasks/$count", Value::Null),
    ];
    assert_eq!(unit(&service, &moves).await, [204, 204, 204, 200]);
    assert_eq!(service.count(&format!("{two}/Account_Tasks")).await, 1);
    assert_eq!(service.count(&format!("{one}/Account_Tasks")).await, 3);
    assert_eq!(unit(&service, &[("delete", two, Value::Null), ("patch", task, bind(two))]).await, [424, 400]);
}

#[tokio::test]
async fn sequences_go_on_inside_a_unit() {
    let service = TestService::trippin().await;
    let trip = |id: Option<i32>| {
        let mut trip =
            json!({ "Name": "t", "Budget": 1, "StartsAt": "2026-01-01T00:00:00Z", "EndsAt": "2026-01-02T00:00:00Z" });
        trip.as_object_mut().unwrap().extend(id.map(|id| ("TripId".to_owned(), json!(id))));
        trip
    };
    let trips = "People('carolinez')/Trips";
    let steps = [
        ("post", trips, trip(None)),
        ("post", trips, trip(Some(7))),
        ("post", trips, trip(None)),
        ("post", trips, trip(Some(7))),
    ];
    assert_eq!(unit(&service, &steps).await, [424, 424, 424, 409]);
    assert_eq!(unit(&service, &steps[..3]).await, [201; 3]);
    assert_eq!(service.post(trips, trip(None)).await.json()["TripId"], 9);
    let ids: Vec<_> = service.get(trips).await.rows().iter().map(|trip| trip["TripId"].clone()).collect();
    assert_eq!(ids, [1, 7, 8, 9]);
}
