//! Ids of the requests of a change set, and of requests that stand in a batch by themselves.

use serde_json::{Value, json};

use super::{DATAVERSE, TRIPPIN, batch, tasks, with_id};
use crate::rig::{Answer, Rig, member};

fn airline(group: Option<&str>, code: &str) -> Value {
    member(group, code, "POST", "Airlines", json!({ "AirlineCode": code, "Name": "n" }))
}

fn known(group: Option<&str>, code: &str) -> Value {
    with_id(airline(group, code), code)
}

#[tokio::test]
async fn a_change_set_with_ids_is_one_call_and_so_is_its_repeat() {
    let rig = Rig::seeded().await;
    let requests: Vec<Value> = (0..10).map(|at| known(Some("g"), &format!("C{at}"))).collect();
    let first = rig.batch(TRIPPIN, &requests).await;
    assert_eq!((first.statuses(), rig.calls()), (vec![201; 10], vec!["TransactWriteItems".to_owned()]));
    let repeat = rig.batch(TRIPPIN, &requests).await;
    assert_eq!((repeat.json(), rig.calls()), (first.json(), vec!["TransactWriteItems".to_owned()]));
    for response in first.json()["responses"].as_array().unwrap() {
        assert_eq!(response["headers"]["repeatability-result"], "accepted");
    }
}

/// One that takes more than a transaction finds with one read that it was carried out.
#[tokio::test]
async fn a_large_change_set_is_known_before_anything_is_taken() {
    let rig = Rig::seeded().await;
    let task = |id: &str| {
        let request = member(Some("g"), id, "POST", "tasks", json!({ "subject": "large" }));
        if id.len() > 1 { request } else { with_id(request, id) }
    };
    let requests: Vec<Value> = (0..150).map(|at| task(&at.to_string())).collect();
    for known in [false, true] {
        let first =
            if known { batch(&rig, DATAVERSE, "l", &requests).await } else { rig.batch(DATAVERSE, &requests).await };
        assert_eq!(first.statuses(), vec![204; 150], "{}", first.text());
        rig.strict.forget();
        let repeat = if known { batch(&rig, DATAVERSE, "l", &requests).await } else { first.clone() };
        assert_eq!(repeat.body, first.body);
        assert_eq!(rig.calls().len(), usize::from(known));
    }
    // The ten that were known are not done again, and all others are.
    assert_eq!(tasks(&rig, "large").await, 150 + 140);
    let all: Vec<Value> = (0..150).map(|at| with_id(task(&at.to_string()), &format!("all {at}"))).collect();
    let first = rig.batch(DATAVERSE, &all).await;
    rig.strict.forget();
    let repeat = rig.batch(DATAVERSE, &all).await;
    assert_eq!((repeat.json(), rig.writes()), (first.json(), 0));
    assert_eq!(tasks(&rig, "large").await, 150 + 140 + 150);
}

#[tokio::test]
async fn of_a_change_set_that_is_known_in_part_the_rest_is_carried_out() {
    let rig = Rig::seeded().await;
    let account = with_id(member(Some("g"), "a", "POST", "accounts", json!({ "name": "n" })), "account");
    let task = |id: &str| {
        let body = json!({ "subject": id, "regardingobjectid_account_task@odata.bind": "$a" });
        with_id(member(Some("g"), id, "POST", "tasks", body), id)
    };
    let first = rig.batch(DATAVERSE, &[account.clone(), task("one")]).await;
    assert_eq!(first.statuses(), [204; 2], "{}", first.text());
    let more = rig.batch(DATAVERSE, &[account.clone(), task("one"), task("two")]).await;
    assert_eq!(more.statuses(), [204; 3], "{}", more.text());
    let answers = |answer: &Answer| answer.json()["responses"].as_array().unwrap()[..2].to_vec();
    assert_eq!(answers(&more), answers(&first));
    assert_eq!((tasks(&rig, "one").await, tasks(&rig, "two").await), (1, 1));
    let path = first.json()["responses"][0]["headers"]["Location"].as_str().unwrap().to_owned();
    let path = path.strip_prefix("http://localhost").unwrap();
    assert_eq!(rig.get(&format!("{path}/Account_Tasks")).await.json()["value"].as_array().unwrap().len(), 2);
}

/// What is known was done before; what is new is not done with a change set that fails.
#[tokio::test]
async fn a_change_set_that_fails_does_nothing_of_what_is_new() {
    let rig = Rig::seeded().await;
    assert_eq!(rig.batch(TRIPPIN, &[known(Some("g"), "A"), airline(None, "X")]).await.statuses(), [201; 2]);
    let requests = [known(Some("g"), "A"), known(Some("g"), "B"), known(Some("g"), "X")];
    for _ in 0..2 {
        assert_eq!(rig.batch(TRIPPIN, &requests).await.statuses(), [424, 424, 409]);
        assert_eq!(rig.get("/trippin/Airlines('B')").await.status, 404);
        // The refusal is kept, though its cause is gone by the second time.
        rig.send("DELETE", "/trippin/Airlines('X')", &[], "").await;
    }
    assert_eq!(rig.get("/trippin/Airlines('A')").await.status, 200);
    assert_eq!(rig.batch(TRIPPIN, &requests[..2]).await.statuses(), [201; 2]);
}

#[tokio::test]
async fn an_id_that_comes_twice_in_a_batch_is_one_request() {
    let rig = Rig::seeded().await;
    for group in [None, Some("g")] {
        let subject = format!("twice {group:?}").replace('"', "");
        let task = |at: &str| {
            with_id(
                member(group, at, "POST", "tasks", json!({ "subject": subject })),
                &format!("id {}", group.is_some()),
            )
        };
        let answer = rig.batch(DATAVERSE, &[task("1"), task("2")]).await;
        assert_eq!(answer.statuses(), [204; 2], "{}", answer.text());
        let json = answer.json();
        assert_eq!(json["responses"][0]["headers"]["Location"], json["responses"][1]["headers"]["Location"]);
        assert_eq!(tasks(&rig, &subject).await, 1);
    }
}

#[tokio::test]
async fn a_request_of_a_batch_is_known_by_itself() {
    let rig = Rig::seeded().await;
    let requests = [known(None, "P"), airline(None, "Q")];
    let first = rig.batch(TRIPPIN, &requests).await;
    assert_eq!((first.statuses(), rig.calls().len()), (vec![201; 2], 2));
    let repeat = rig.batch(TRIPPIN, &requests).await;
    assert_eq!((repeat.statuses(), rig.calls().len()), (vec![201, 409], 2), "the other has no id");
    assert_eq!(repeat.json()["responses"][0], first.json()["responses"][0]);
}
