//! What comes between a lost answer and the repeat: other writers, the same transaction still under way, a rerun.

use std::time::Duration;

use serde_json::{Value, json};
use tests::strict::{Fault, Plan};

use crate::{
    faults::{AIRLINE, JOB, REQUEUE, Step, fill, send},
    rig::{Rig, if_match, member},
};

const TRIPPIN: &str = "/trippin";

/// Runs `work` on a layer that loses the answer of its first write; `meanwhile` comes before the repeat.
async fn interrupted(rig: &Rig, fault: Fault, work: Step, meanwhile: &[Step]) -> Vec<u16> {
    let faulty = rig.again();
    faulty.strict.set_plan(Plan::from_fn(move |call| {
        let write = matches!(call.operation.as_str(), "PutItem" | "UpdateItem" | "TransactWriteItems");
        (write && call.number < 2).then_some(fault)
    }));
    let watch = faulty.strict.clone();
    let other = rig.again();
    let lost = async {
        while !watch.calls().iter().any(|call| call.fault.is_some()) {
            tokio::task::yield_now().await;
        }
        for step in meanwhile {
            let statuses = send(&other, step, 0).await;
            assert!(statuses.iter().all(|status| *status < 300), "{statuses:?}");
        }
    };
    tokio::join!(send(&faulty, work, 0), lost).0
}

const PATCH_NAME: Step = &[("PATCH minimal", "/trippin/Airlines('{n}')", r#"{"Name":"mine"}"#)];
const PATCH_READING: Step = &[("PATCH representation", "/trippin/Airlines('{n}')", r#"{"Name":"mine"}"#)];
const OTHER: Step = &[("PATCH minimal", "/trippin/Airlines('{n}')", r#"{"Name":"other"}"#)];

async fn name(rig: &Rig) -> Value {
    rig.get(&fill("/trippin/Airlines('{n}')", 0)).await.json()["Name"].clone()
}

#[tokio::test]
async fn a_lost_answer_does_not_overwrite_a_later_writer() {
    for work in [PATCH_NAME, PATCH_READING] {
        let rig = Rig::seeded().await;
        send(&rig, AIRLINE, 0).await;
        assert!(interrupted(&rig, Fault::DropAfterCommit, work, &[OTHER]).await[0] < 300);
        assert_eq!(name(&rig).await, "other");
        assert!(interrupted(&rig, Fault::DropBefore, work, &[OTHER]).await[0] < 300);
        assert_eq!(name(&rig).await, "mine");
    }
}

#[tokio::test]
async fn a_created_entity_is_known_by_its_incarnation_however_often_it_was_changed() {
    let rig = Rig::seeded().await;
    let statuses = interrupted(&rig, Fault::TimeoutAfterCommit, AIRLINE, &[OTHER, OTHER, OTHER]).await;
    assert_eq!((statuses, name(&rig).await), (vec![201], json!("other")));
}

/// Whether its own write came before those of the others can no longer be told, so nothing is claimed.
#[tokio::test]
async fn a_write_that_others_have_covered_is_unknown() {
    let rig = Rig::seeded().await;
    send(&rig, AIRLINE, 0).await;
    send(&rig, OTHER, 0).await;
    let statuses = interrupted(&rig, Fault::DropAfterCommit, PATCH_READING, &[OTHER, OTHER]).await;
    assert_eq!((statuses, name(&rig).await), (vec![503], json!("other")));
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_is_done_once() {
    let rig = Rig::seeded().await;
    let created = rig.send("POST", "/trippin/Airlines", &[], fill(AIRLINE[0].2, 0)).await;
    let etag = format!("if-match: {}", created.headers.get("etag").unwrap());
    let faulty = rig.again();
    faulty.strict.set_plan(Plan::at(0, Fault::TimeoutAfterCommit));
    let answer = faulty.send("DELETE", &fill("/trippin/Airlines('{n}')", 0), &[&etag], "").await;
    assert_eq!((answer.status, faulty.writes()), (204, 2));
    // Created again by somebody else before the repeat: the second one stays.
    send(&rig, AIRLINE, 0).await;
    let statuses =
        interrupted(&rig, Fault::DropAfterCommit, &[("DELETE", "/trippin/Airlines('{n}')", "")], &[AIRLINE]).await;
    assert_eq!((statuses, name(&rig).await), (vec![204], json!("old")));
}

#[tokio::test]
async fn a_transaction_under_way_is_waited_for() {
    let rig = Rig::seeded().await;
    let slow = rig.with(Duration::from_millis(40), Duration::from_secs(30));
    // The first request gets no answer and is still at work while the second arrives.
    let requests = [
        member(Some("g"), "1", "POST", "Airlines", json!({ "AirlineCode": "P", "Name": "n" })),
        member(Some("g"), "2", "POST", "Airlines", json!({ "AirlineCode": "Q", "Name": "n" })),
    ];
    let (one, two) = tokio::join!(slow.batch(TRIPPIN, &requests), slow.batch(TRIPPIN, &requests));
    let mut statuses = [one.statuses(), two.statuses()];
    statuses.sort();
    assert_eq!(statuses, [vec![201, 201], vec![409, 424]]);
}

/// A unit that runs again gives its own etags new values; references to them follow.
#[tokio::test]
async fn references_to_etags_survive_a_rerun() {
    let rig = Rig::seeded().await;
    send(&rig, AIRLINE, 0).await;
    let url = fill("Airlines('{n}')", 0);
    let mut first = member(Some("g"), "a", "PATCH", &url, json!({ "Name": "b" }));
    first["headers"]["prefer"] = "return=representation".into();
    let requests = [first, if_match(member(Some("g"), "b", "PATCH", "$a", json!({ "Name": "c" })), "$a")];
    rig.strict.forget();
    rig.strict.set_plan(Plan::from_fn(|call| (call.number == 1).then_some(Fault::Conflict)));
    let answer = rig.batch(TRIPPIN, &requests).await;
    assert_eq!(answer.statuses(), [200, 204], "{}", answer.text());
    assert_eq!((name(&rig).await, rig.writes()), (json!("c"), 2));
}

#[tokio::test]
async fn an_etag_is_compared_with_what_the_unit_itself_wrote() {
    let rig = Rig::seeded().await;
    let created = rig.send("POST", "/trippin/Airlines", &[], fill(AIRLINE[0].2, 0)).await;
    let etag = created.headers.get("etag").unwrap();
    let url = fill("Airlines('{n}')", 0);
    for method in ["PATCH", "DELETE"] {
        for given in [etag, "W/\"AAAA.BBBB.0\""] {
            let body = if method == "PATCH" { json!({ "Name": "c" }) } else { Value::Null };
            let requests = [
                if_match(member(Some("g"), "a", "PATCH", &url, json!({ "Name": "b" })), etag),
                if_match(member(Some("g"), "b", method, &url, body), given),
            ];
            let answer = rig.batch(TRIPPIN, &requests).await;
            assert_eq!((answer.statuses(), name(&rig).await), (vec![424, 412], json!("old")), "{method} {given}");
        }
    }
}

const EXECUTING: Step = &[("PATCH", "/data/BatchJobs(9{n})", r#"{"Status":"Executing"}"#)];
const ERROR: Step = &[("PATCH", "/data/BatchJobs(9{n})", r#"{"Status":"Error"}"#)];

async fn status_and_count(rig: &Rig) -> Value {
    let job = rig.get(&fill("/data/BatchJobs(9{n})", 0)).await.json();
    json!([job["Status"], job["RetryCount"]])
}

#[tokio::test]
async fn a_requeue_whose_answer_is_lost_never_requeues_the_next_failure() {
    for rounds in 0..4 {
        let rig = Rig::seeded().await;
        send(&rig, JOB, 0).await;
        let meanwhile: Vec<Step> = [EXECUTING, ERROR].into_iter().cycle().take(2 * rounds).collect();
        let meanwhile: Vec<Step> = meanwhile.into_iter().enumerate().fold(Vec::new(), |mut all, (at, step)| {
            // Between two failures somebody else puts it back.
            if at > 0 && at % 2 == 0 {
                all.push(REQUEUE);
            }
            all.push(step);
            all
        });
        let statuses = interrupted(&rig, Fault::DropAfterCommit, REQUEUE, &meanwhile).await;
        let expected = if rounds == 0 { json!(["Waiting", 1]) } else { json!(["Error", rounds]) };
        assert_eq!((statuses, status_and_count(&rig).await), (vec![200], expected), "{rounds}");
    }
}

#[tokio::test]
async fn a_state_whose_answer_is_lost_is_not_written_again_over_later_ones() {
    let rig = Rig::seeded().await;
    send(&rig, JOB, 0).await;
    send(&rig, REQUEUE, 0).await;
    let statuses = interrupted(&rig, Fault::DropAfterCommit, EXECUTING, &[ERROR, REQUEUE]).await;
    assert_eq!((statuses, status_and_count(&rig).await), (vec![204], json!(["Waiting", 2])));
}
