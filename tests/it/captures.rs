//! Requests that client libraries really send, replayed one after another: what they store and what they are told.

use serde_json::{Value, json};
use shared::service::Source;
use tests::{
    fixtures,
    service::{Answer, Part, TestService},
};

const SERVICE: &str = "roots = [\"/api/data/v9.*\"]\n[profile]\nbase = \"dataverse\"\n";

async fn service() -> TestService {
    let model_xml = fixtures::read("captures/model.xml").into();
    let source = Source { name: "captures".into(), service_toml: SERVICE.into(), model_xml, seed_json: None };
    TestService::of(source, "/api/data/v9.2").await
}

/// Sends a recorded request as it is, with the recorded `Host`.
async fn replay(service: &TestService, name: &str) -> Answer {
    let text = fixtures::read(&format!("captures/{name}.http"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let mut line = lines.next().unwrap().split(' ');
    let (method, path) = (line.next().unwrap(), line.next().unwrap());
    let headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    service.send(method, path, &headers, body.to_owned()).await
}

fn account(id: &str) -> String {
    format!("accounts({id})")
}

/// A property of an account; null when there is no such account.
async fn property(service: &TestService, id: &str, name: &str) -> Value {
    service.get(&account(id)).await.json().get(name).cloned().unwrap_or_default()
}

async fn subjects(service: &TestService, id: &str) -> Vec<Value> {
    let rows = service.get(&format!("{}/tasks", account(id))).await.rows();
    rows.into_iter().map(|row| row["subject"].clone()).collect()
}

/// The only part of a failed change set: its Content-ID and status.
fn culprit(answer: &Answer) -> (Option<String>, u16) {
    match answer.parts().as_slice() {
        [Part::Group(parts)] => match parts.as_slice() {
            [Part::Single { id, answer }] => (id.clone(), answer.status),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dynamics_web_api_writes_in_change_sets() {
    let service = service().await;
    let host = service.called("127.0.0.1:40235");
    let created = "6e04db24-3242-4161-b747-96216f5306b2";
    let answer = replay(&host, "dynamics-web-api.1").await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![204, 204, 204, 200]));
    let Some(Part::Single { answer: list, .. }) = answer.parts().pop() else { panic!() };
    assert_eq!(list.json()["@odata.count"], 1);
    assert_eq!((&list.rows()[0]["name"], &list.rows()[0]["accountnumber"]), (&json!("dwa 6e04db24"), &json!("A1")));
    assert_eq!(subjects(&service, created).await, ["dwa 6e04db24"]);

    assert_eq!(replay(&host, "dynamics-web-api.2").await.statuses(), [204, 204]);
    assert_eq!(property(&service, "d16c19c2-2fe0-40c4-a6dc-953b10072836", "accountnumber").await, "VIAREF");

    let failed = replay(&host, "dynamics-web-api.3").await;
    assert_eq!((failed.status, culprit(&failed)), (400, (Some("100002".into()), 400)));
    assert_eq!(service.get(&account("7b708f1c-0dcc-40a4-a230-29b02ff5e647")).await.status, 404);

    let continued = replay(&host, "dynamics-web-api.4").await;
    assert_eq!((continued.status, continued.statuses()), (200, vec![404, 204]));
    assert_eq!(continued.header("preference-applied"), "odata.continue-on-error");
    assert_eq!(property(&service, "038e6563-7750-419b-a28f-3e67fda001fb", "name").await, "after error");
}

#[tokio::test]
async fn dynamics_web_api_upserts_and_associates() {
    let service = service().await;
    let upserted = "672c9664-ff2c-4bcf-9e77-c23526e89c84";
    for (number, status, name) in [(5, 204, "ups"), (6, 204, "ups2"), (5, 412, "ups2")] {
        let answer = replay(&service, &format!("dynamics-web-api.{number}")).await;
        assert_eq!(answer.statuses(), [status], "{number}");
        assert_eq!(property(&service, upserted, "name").await, name);
    }
    let missing = replay(&service, "dynamics-web-api.7").await;
    assert_eq!((missing.status, culprit(&missing)), (400, (Some("100001".into()), 404)));
    assert_eq!(service.count("accounts").await, 1);

    let owner = "7093484f-d421-469d-815d-e1df9483b0a5";
    assert_eq!(replay(&service, "dynamics-web-api.8").await.statuses(), [204, 204]);
    assert_eq!(subjects(&service, owner).await, Vec::<Value>::new());
    for (number, tasks) in [(9, vec!["s"]), (10, vec![]), (11, vec!["s"])] {
        assert_eq!(replay(&service, &format!("dynamics-web-api.{number}")).await.statuses(), [204], "{number}");
        assert_eq!(subjects(&service, owner).await, tasks, "{number}");
    }
    let regarding = service.get("tasks(0c5edc90-9171-488a-8e69-3c90a7d74c48)/regardingobjectid").await;
    assert_eq!(regarding.json()["accountid"], owner);
}

#[tokio::test]
async fn dynamics_web_api_creates_reads_and_deletes_five() {
    let service = service().await;
    assert_eq!(replay(&service, "dynamics-web-api.12").await.statuses(), [204; 5]);
    assert_eq!(service.count("accounts").await, 5);
    let read = replay(&service, "dynamics-web-api.13").await;
    let names: Vec<_> = tests::service::flat(&read.parts()).iter().map(|(_, a)| a.json()["name"].clone()).collect();
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4"]);
    assert_eq!(replay(&service, "dynamics-web-api.14").await.statuses(), [204; 5]);
    assert_eq!(service.count("accounts").await, 0);
}

#[tokio::test]
async fn dataverse_python_creates_refers_fails_and_stops() {
    let service = service().await;
    let answer = replay(&service, "dataverse-python.1").await;
    assert_eq!(answer.statuses(), [204, 204, 204, 200]);
    let created = "bc5104a5-e1c8-437c-9e9e-b26a983415ef";
    assert_eq!(property(&service, created, "accountnumber").await, "DV1");
    assert_eq!(subjects(&service, created).await, ["dv"]);
    let ids: Vec<_> = tests::service::flat(&answer.parts()).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [Some("1".into()), Some("2".into()), Some("3".into()), None]);

    assert_eq!(replay(&service, "dataverse-python.2").await.statuses(), [204; 4]);
    assert_eq!(property(&service, "0a357d74-5e21-4b45-b998-41fb3fab7d4b", "accountnumber").await, "X");
    assert_eq!(service.get(&account("b84e7f74-a5ef-4214-b6fa-64f8c9989e2a")).await.status, 404);

    let failed = replay(&service, "dataverse-python.3").await;
    assert_eq!((failed.status, culprit(&failed)), (400, (Some("2".into()), 400)));
    assert_eq!(service.get(&account("a491f1ed-fe85-4973-b25f-597875cb487d")).await.status, 404);

    let continued = replay(&service, "dataverse-python.4").await;
    assert_eq!((continued.status, continued.statuses()), (200, vec![404, 204, 200]));
    let (_, found) = tests::service::flat(&continued.parts()).pop().unwrap();
    assert_eq!(found.rows()[0]["accountid"], "71421031-fa8c-47bd-956d-4cdf176c0d8b");

    let stopped = replay(&service, "dataverse-python.5").await;
    assert_eq!((stopped.status, stopped.statuses()), (400, vec![404]));
    assert_eq!(service.get(&account("0f3019b4-8ac7-4470-8a6c-445e27d7e0c4")).await.status, 404);
}
