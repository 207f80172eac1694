//! Batches with an id.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CENTRAL, DATAVERSE, TRIPPIN, batch, let_pass, place, result, seen, send, settled, tasks};
use crate::rig::{Answer, Rig, member};

/// Requests of each kind: single ones, a change set, one that refers to it, a read, failures, one that depends on one.
pub(super) fn mixed(n: usize) -> Vec<Value> {
    let task = |id: &str| member(None, id, "POST", "tasks", json!({ "subject": format!("{n}-{id}") }));
    let gone = format!("tasks(00000000-0000-0000-0000-{n:012})");
    let bound = json!({ "subject": format!("{n}-3"), "regardingobjectid_account_task@odata.bind": "$2" });
    let again = json!({ "activityid": format!("00000000-0000-0000-0000-{n:012}"), "subject": format!("{n}-6") });
    let mut read = member(None, "4", "GET", "$2/Account_Tasks?$select=subject", Value::Null);
    read["dependsOn"] = json!(["g"]);
    let mut depends = task("7");
    depends["dependsOn"] = json!(["5"]);
    vec![
        task("1"),
        member(Some("g"), "2", "POST", "accounts", json!({ "name": format!("{n}") })),
        member(Some("g"), "3", "POST", "tasks", bound),
        read,
        member(None, "5", "DELETE", &gone, Value::Null),
        member(None, "6", "POST", "tasks", again),
        depends,
        task("8"),
    ]
}

/// The statuses of [`mixed`].
pub(super) const STATUSES: [u16; 8] = [204, 204, 204, 200, 404, 204, 424, 204];

/// What the requests of [`mixed`] have left, each once.
pub(super) async fn check(rig: &Rig, n: usize, answer: &Answer) {
    assert_eq!(answer.statuses(), STATUSES, "{n}: {}", answer.text());
    let url = format!("{DATAVERSE}/tasks?$select=subject&$filter=startswith(subject,'{n}-')");
    let rows = rig.get(&url).await.json()["value"].as_array().unwrap().clone();
    let mut subjects: Vec<&str> = rows.iter().map(|row| row["subject"].as_str().unwrap()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["1", "3", "6", "8"].map(|id| format!("{n}-{id}")));
    let accounts = rig.get(&format!("{DATAVERSE}/accounts/$count?$filter=name eq '{n}'")).await;
    assert_eq!(accounts.text(), "1", "{n}");
    let rows = &answer.json()["responses"][3]["body"]["value"];
    assert_eq!((rows.as_array().unwrap().len(), rows[0]["subject"].clone()), (1, json!(format!("{n}-3"))));
}

#[tokio::test]
async fn a_batch_is_carried_out_once_and_its_repeat_is_one_call() {
    let rig = Rig::seeded().await;
    let plain = rig.batch(DATAVERSE, &mixed(1)[..3]).await;
    assert_eq!((plain.statuses(), rig.calls().len()), (vec![204; 3], 2));
    let first = batch(&rig, DATAVERSE, "b", &mixed(2)[..3]).await;
    assert_eq!((first.statuses(), result(&first)), (vec![204; 3], Some("accepted")));
    assert_eq!(rig.calls(), ["PutItem", "TransactWriteItems", "TransactWriteItems", "PutItem"]);
    let repeat = batch(&rig, DATAVERSE, "b", &mixed(2)[..3]).await;
    assert_eq!((seen(&repeat), rig.calls()), (seen(&first), vec!["PutItem".to_owned()]));

    let first = batch(&rig, DATAVERSE, "m", &mixed(3)).await;
    check(&rig, 3, &first).await;
    assert_eq!(seen(&batch(&rig, DATAVERSE, "m", &mixed(3)).await), seen(&first));
    check(&rig, 3, &first).await;
}

#[tokio::test]
async fn a_multipart_answer_is_the_same_with_its_boundaries() {
    let rig = Rig::seeded().await;
    let task = "POST /api/data/v9.2/tasks HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"subject\":\"part\"}\r\n";
    let part =
        format!("Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n{task}");
    let body = format!("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n{part}--c--\r\n--b--\r\n");
    let more = ["content-type: multipart/mixed; boundary=b"];
    let url = format!("{DATAVERSE}/$batch");
    let first = send(&rig, "POST", &url, "parts", &more, &body).await;
    assert!(first.status == 200 && first.text().contains("204 No Content"), "{}", first.text());
    assert_eq!(seen(&send(&rig, "POST", &url, "parts", &more, &body).await), seen(&first));
    assert_eq!(tasks(&rig, "part").await, 1);
}

#[tokio::test]
async fn one_unit_of_the_whole_is_known_as_one() {
    let rig = Rig::seeded().await;
    let journal = |id: &str| member(None, id, "POST", "journals", json!({ "code": format!("J{id}") }));
    let body = json!({ "requests": [journal("1"), journal("2")] }).to_string();
    let more = ["accept: application/json", "isolation: snapshot"];
    let url = format!("{CENTRAL}/$batch");
    let first = send(&rig, "POST", &url, "unit", &more, &body).await;
    assert_eq!((first.statuses(), rig.calls().len()), (vec![201; 2], 3), "{}", first.text());
    assert_eq!(seen(&send(&rig, "POST", &url, "unit", &more, &body).await), seen(&first));
    let count = rig.get(&format!("{CENTRAL}/journals/$count?$filter=code eq 'J1'")).await;
    assert_eq!(count.text(), "1");
}

#[tokio::test]
async fn a_large_answer_is_read_with_one_more_call() {
    let rig = Rig::seeded().await;
    let airline = |at: usize| {
        let body = json!({ "AirlineCode": format!("L{at}"), "Name": "x".repeat(200_000) });
        member((at > 0).then_some("g"), &at.to_string(), "POST", "Airlines", body)
    };
    let requests: Vec<Value> = (0..4).map(airline).collect();
    let first = batch(&rig, TRIPPIN, "large", &requests).await;
    assert_eq!((first.statuses(), first.body.len() > 800_000), (vec![201; 4], true));
    rig.strict.forget();
    let repeat = batch(&rig, TRIPPIN, "large", &requests).await;
    assert_eq!((seen(&repeat), rig.calls()), (seen(&first), vec!["PutItem".to_owned(), "BatchGetItem".to_owned()]));
}

#[tokio::test]
async fn while_a_batch_runs_its_repeats_are_told_when_to_come_again() {
    let rig = Rig::seeded().await;
    let slow = rig.with(Duration::from_millis(50), Duration::from_secs(20));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let slow = slow.clone();
        all.spawn(async move { batch(&slow, DATAVERSE, "race", &mixed(1)).await });
    }
    let answers = all.join_all().await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!done.is_empty() && done.iter().all(|answer| answer.body == done[0].body));
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let wait: u64 = answer.headers.get("retry-after").unwrap().parse().unwrap();
        assert_eq!((answer.status, result(answer), (1..=26).contains(&wait)), (409, None, true), "{}", answer.text());
        assert!(answer.text().contains("is being carried out"), "{}", answer.text());
    }
    check(&rig, 1, done[0]).await;
    assert_eq!(seen(&batch(&rig, DATAVERSE, "race", &mixed(1)).await), seen(done[0]));
}

/// An executor that was believed dead comes back: neither does anything that the other one did.
#[tokio::test]
async fn two_executors_do_nothing_twice() {
    for at in 1..9 {
        let rig = Rig::seeded().await;
        let slow = rig.with(Duration::from_millis(25), Duration::from_secs(20));
        let (watch, other, requests) = (slow.strict.clone(), rig.again(), mixed(at));
        let second = async {
            while watch.calls().len() < at {
                tokio::task::yield_now().await;
            }
            let_pass(&rig.client(), place("dataverse", "two")).await;
            settled(&other, "dataverse", "two", || batch(&other, DATAVERSE, "two", &requests)).await
        };
        let (first, second) = tokio::join!(batch(&slow, DATAVERSE, "two", &requests), second);
        check(&rig, at, &second).await;
        assert!(matches!(first.status, 200 | 409), "{}", first.text());
        assert!(first.status == 409 || seen(&first) == seen(&second), "{}\n{}", first.text(), second.text());
    }
}

/// A batch that is longer than its time is answered as far as it came, and each repeat goes on from there.
#[tokio::test]
async fn a_batch_goes_on_where_its_time_was_over() {
    let rig = Rig::seeded().await;
    let slow = rig.with(Duration::from_millis(40), Duration::from_millis(600));
    let requests: Vec<Value> =
        (0..30).map(|at| member(None, &at.to_string(), "POST", "tasks", json!({ "subject": "long" }))).collect();
    let (mut done, mut rounds) = (Vec::new(), 0);
    let last = loop {
        rounds += 1;
        let answer = batch(&slow, DATAVERSE, "long", &requests).await;
        if answer.status == 409 {
            // There was no time left to leave its place.
            let_pass(&rig.client(), place("dataverse", "long")).await;
            continue;
        }
        assert_eq!((answer.status, answer.statuses().len()), (200, 30), "{}", answer.text());
        let so_far = answer.statuses().iter().take_while(|status| **status == 204).count();
        let responses = answer.json()["responses"].as_array().unwrap()[..so_far].to_vec();
        assert_eq!(responses[..done.len()], done, "what was answered stays so");
        assert!(answer.statuses()[so_far..].iter().all(|status| *status == 503));
        assert_eq!(tasks(&rig, "long").await, so_far);
        if so_far == 30 {
            break answer;
        }
        assert!(result(&answer).is_none() && so_far >= done.len(), "round {rounds}: {so_far}");
        done = responses;
    };
    assert!(rounds > 1 && result(&last) == Some("accepted"));
    assert_eq!(seen(&batch(&rig, DATAVERSE, "long", &requests).await), seen(&last));
}
