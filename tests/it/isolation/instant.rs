//! Somebody else writes between two calls of a batch.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use shared::store::{Deadline, ItemKey};
use std::time::Duration;
use tests::strict::{Call, Fault, Plan};

use super::*;

/// Before the calls that `strikes` picks, both airlines get the next number as their name, in one change set.
fn meanwhile(rig: &Rig, strikes: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Arc<AtomicUsize> {
    let (other, count) = (rig.again(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    rig.strict.set_interlude(move |call| {
        if !strikes(call) {
            return None;
        }
        let (other, name) = (other.clone(), (counter.fetch_add(1, Ordering::Relaxed) + 1).to_string());
        Some(Box::pin(async move {
            let both = ["A0", "A1"].map(|code| grouped("g", patch(code, code, &name)));
            assert_eq!(other.batch(ROOT, &both).await.statuses(), [204, 204]);
        }))
    });
    count
}

/// Without the isolation the two reads tell of two instants.
#[tokio::test]
async fn a_change_between_two_reads_is_not_seen_by_one_of_them() {
    let reads = [get("1", &airline("A0")), get("2", "Airlines?$filter=AirlineCode eq 'A1'")];
    let seen = |answer: &Answer| (body(answer, 0)["Name"].clone(), body(answer, 1)["value"][0]["Name"].clone());

    let rig = airlines(2).await;
    meanwhile(&rig, |call| call.operation == "Query");
    assert_eq!(seen(&rig.batch(ROOT, &reads).await), (json!("0"), json!("1")), "the layer does what it is for");

    let rig = airlines(2).await;
    let changes = meanwhile(&rig, |call| call.number == 1);
    let answer = isolated(&rig, &reads).await;
    let (one, other) = seen(&answer);
    assert_eq!((one, other, changes.load(Ordering::Relaxed)), (json!("1"), json!("1"), 1), "{:?}", rig.calls());
}

/// A change before any call of a batch, whichever it is: the answer is that of one instant.
#[tokio::test]
async fn a_change_before_any_call_is_seen_as_a_whole_or_not_at_all() {
    let collection = "Airlines?$filter=startswith(AirlineCode,'A')";
    let batches: [Vec<Value>; 4] = [
        vec![get("1", &airline("A0")), get("2", &airline("A1"))],
        vec![get("1", &airline("A0")), get("2", collection), get("3", &airline("A1"))],
        vec![get("1", &airline("A0")), patch("2", "A2", "w"), get("3", &airline("A1"))],
        vec![get("1", &airline("A0")), get("2", collection), patch("3", "A2", "w"), get("4", &airline("A1"))],
    ];
    for requests in batches {
        for at in 0..4 {
            let rig = airlines(3).await;
            let changes = meanwhile(&rig, move |call| call.number == at);
            let answer = isolated(&rig, &requests).await;
            let text = answer.text();
            assert!(answer.statuses().iter().all(|status| (200..300).contains(status)), "{text}");
            let first = body(&answer, 0)["Name"].clone();
            let last = body(&answer, requests.len() - 1)["Name"].clone();
            assert!(first == last && (first == json!("0") || first == json!("1")), "{at}: {text}");
            if requests.len() > 2 && requests[1]["url"] == collection {
                assert!(names(&body(&answer, 1))[..2].iter().all(|name| *name == first), "{at}: {text}");
            }
            assert!(changes.load(Ordering::Relaxed) == 1 || rig.calls().len() <= at);
        }
    }
}

/// What was read is what the change builds upon: nobody comes in between.
#[tokio::test]
async fn a_batch_that_reads_and_writes_is_evaluated_again_when_others_were_faster() {
    let rig = airlines(2).await;
    let changes = meanwhile(&rig, |call| call.number == 1);
    let answer = isolated(&rig, &[get("1", &airline("A0")), patch("2", "A1", "mine")]).await;
    assert_eq!((answer.statuses(), body(&answer, 0)["Name"].clone()), (vec![200, 204], json!("1")));
    assert_eq!(changes.load(Ordering::Relaxed), 1);
    assert_eq!(rig.get("/trippin/Airlines('A1')").await.json()["Name"], "mine");
}

/// The first commit wins also where what was read is a row of a collection.
#[tokio::test]
async fn an_entity_that_was_listed_is_not_overwritten() {
    let rig = airlines(2).await;
    let before = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&before);
    let commits = meanwhile(&rig, move |call| {
        call.operation != "Query" && call.operation != "GetItem" && seen.fetch_add(1, Ordering::Relaxed) == 0
    });
    let answer = isolated(&rig, &[get("1", "Airlines?$filter=AirlineCode eq 'A1'"), patch("2", "A1", "mine")]).await;
    assert_eq!(answer.statuses(), [200, 204], "{}", answer.text());
    assert_eq!((names(&body(&answer, 0)), commits.load(Ordering::Relaxed)), (vec!["1"], 1));
}

/// A collection that never stays the same, and an entity that others always change first.
#[tokio::test]
async fn what_cannot_be_kept_is_refused_with_the_reason() {
    let rig = airlines(2).await;
    meanwhile(&rig, |call| call.operation == "Query");
    let answer = isolated(&rig, &[post("1", "A9", "9"), get("2", "Airlines")]).await;
    assert_eq!(answer.status, 412);
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], "IsolationNotKept");
    assert!(error["message"].as_str().unwrap().contains("nothing was changed"), "{error}");
    assert_eq!(rig.again().get("/trippin/Airlines('A9')").await.status, 404);

    let rig = airlines(2).await.with(Duration::ZERO, Duration::from_secs(1));
    meanwhile(&rig, |call| call.operation == "TransactWriteItems" || call.operation == "UpdateItem");
    let answer = isolated(&rig, &[get("1", &airline("A0")), patch("2", "A1", "mine")]).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (412, &json!("IsolationNotKept")));
    assert_ne!(rig.again().get("/trippin/Airlines('A1')").await.json()["Name"], "mine");
}

/// Rows that come, go and change without being wanted are noticed: the count is of one instant too.
#[tokio::test]
async fn a_count_is_of_one_instant() {
    let rig = airlines(3).await;
    let other = rig.again();
    rig.strict.set_interlude(move |call| {
        let other = other.clone();
        (call.number == 1).then(|| -> tests::strict::Meanwhile {
            Box::pin(async move {
                let swap = [
                    grouped("g", post("1", "A7", "7")),
                    grouped("g", member(None, "2", "DELETE", &airline("A1"), Value::Null)),
                ];
                assert_eq!(other.batch(ROOT, &swap).await.statuses(), [201, 204]);
            })
        })
    });
    let answer = isolated(&rig, &[get("1", "Airlines/$count")]).await;
    assert_eq!(body(&answer, 0), json!("6"));
    assert_eq!(rig.calls(), ["Query"; 3], "the second reading counted as many, but others");
}

/// The trips of a person are not those of another one who is in the same place later.
#[tokio::test]
async fn a_parent_that_is_replaced_is_shown_with_its_own_children() {
    const STAYS: &str = r#""Budget":1,"StartsAt":"2026-01-01T00:00:00Z","EndsAt":"2026-01-02T00:00:00Z""#;
    let person = |trip: &str| {
        let trips = format!(r#"[{{"Name":"{trip}",{STAYS}}}]"#);
        format!(r#"{{"UserName":"p","FirstName":"{trip}","LastName":"l","Trips":{trips}}}"#)
    };
    let rig = Rig::seeded().await;
    assert_eq!(rig.send("POST", "/trippin/People", &[], person("old")).await.status, 201);
    for at in 1..6 {
        let rig = rig.again();
        let (other, new) = (rig.again(), format!("new{at}"));
        let replacement = person(&new);
        rig.strict.set_interlude(move |call| {
            let (other, replacement) = (other.clone(), replacement.clone());
            (call.number == at).then(|| -> tests::strict::Meanwhile {
                Box::pin(async move {
                    assert_eq!(other.send("DELETE", "/trippin/People('p')", &[], "").await.status, 204);
                    assert_eq!(other.send("POST", "/trippin/People", &[], replacement).await.status, 201);
                })
            })
        });
        let answer = isolated(&rig, &[get("1", "People('p')"), get("2", "People('p')/Trips")]).await;
        assert_eq!(answer.statuses(), [200, 200], "{}", answer.text());
        assert_eq!(names(&body(&answer, 1)), [body(&answer, 0)["FirstName"].as_str().unwrap()], "{at}");
    }
}

fn key(code: &str) -> ItemKey {
    ItemKey { partition: "E|trippin||Airlines".into(), sort: code.into() }
}

#[tokio::test]
async fn keys_are_read_at_once_or_not_at_all() {
    let rig = airlines(3).await;
    let deadline = Deadline::after(Duration::from_secs(10));
    let keys = ["A0", "A2", "none", "A0"].map(key);
    let found = rig.store().at_once(&keys, deadline).await.unwrap().unwrap();
    let mut found: Vec<_> = found.into_keys().collect();
    found.sort_unstable();
    assert_eq!((found, rig.calls()), (["A0", "A2"].map(key).to_vec(), vec!["TransactGetItems".to_owned()]));

    rig.strict.set_plan(Plan::from_fn(|call| (call.number < 2).then_some(Fault::Conflict)));
    assert!(rig.store().at_once(&keys, deadline).await.unwrap().is_some());
    assert_eq!((rig.calls().len(), rig.store().usage().conflicts), (3, 2));
    rig.strict.set_plan(Plan::from_fn(|_| Some(Fault::Conflict)));
    assert!(rig.store().at_once(&keys, deadline).await.unwrap().is_none());
    rig.strict.forget();
    rig.strict.set_plan(Plan::at(0, Fault::Throttle));
    assert!(rig.store().at_once(&keys, deadline).await.unwrap().is_some());
    assert_eq!((rig.calls().len(), rig.store().usage().throttles), (2, 1));
}

/// Where transactions are always under way, what was read is read again and compared.
#[tokio::test]
async fn reads_that_always_meet_a_transaction_are_validated_by_their_versions() {
    let rig = airlines(2).await;
    rig.strict.set_plan(Plan::from_fn(|call| (call.operation == "TransactGetItems").then_some(Fault::Conflict)));
    let answer = isolated(&rig, &[get("1", &airline("A0")), get("2", &airline("A1"))]).await;
    assert_eq!(answer.statuses(), [200, 200]);
    let calls = rig.calls();
    assert!(calls.ends_with(&["BatchGetItem".to_owned(), "BatchGetItem".to_owned()]), "{calls:?}");
}
