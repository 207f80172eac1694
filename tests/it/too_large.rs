//! Units of work that DynamoDB cannot take: refused before any write.

use std::time::Duration;

use serde_json::{Value, json};
use shared::store::{Deadline, ItemKey, Store, StoreError};

use crate::rig::{Answer, Rig, TABLE, member};

const TRIPPIN: &str = "/trippin";

fn assert_refused(rig: &Rig, answer: &Answer, status: u16, says: &str) {
    let text = answer.text();
    assert!(answer.status == status || answer.statuses().contains(&status), "{} {text}", answer.status);
    assert!(text.contains(says), "{text}");
    assert_eq!(rig.writes(), 0);
}

fn airline(code: String, name: &str) -> Value {
    member(Some("g"), &code.clone(), "POST", "Airlines", json!({ "AirlineCode": code, "Name": name }))
}

#[tokio::test]
async fn an_entity_over_400_kb() {
    let rig = Rig::seeded().await;
    let body = json!({ "AirlineCode": "L", "Name": "x".repeat(410_000) }).to_string();
    let answer = rig.send("POST", &format!("{TRIPPIN}/Airlines"), &[], body).await;
    assert_refused(&rig, &answer, 413, "at most 409600");
    let answer = rig.batch(TRIPPIN, &[airline("M".into(), "n"), airline("L".into(), &"x".repeat(410_000))]).await;
    assert_refused(&rig, &answer, 413, "at most 409600");
}

/// Only DynamoDB knows what is there already; it refuses, and nothing changes.
#[tokio::test]
async fn a_patch_that_makes_an_entity_too_large() {
    let rig = Rig::seeded().await;
    let person = json!({ "UserName": "p", "FirstName": "x".repeat(300_000), "LastName": "y" }).to_string();
    assert_eq!(rig.send("POST", &format!("{TRIPPIN}/People"), &[], person).await.status, 201);
    let body = json!({ "LastName": "y".repeat(200_000) }).to_string();
    let url = format!("{TRIPPIN}/People('p')");
    let answer = rig.send("PATCH", &url, &["prefer: return=minimal"], body.clone()).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    let patch = member(Some("g"), "1", "PATCH", "People('p')", serde_json::from_str(&body).unwrap());
    let answer = rig.batch(TRIPPIN, &[patch, airline("N".into(), "n")]).await;
    assert!(answer.statuses().contains(&413), "{}", answer.text());
    assert_eq!(rig.get(&url).await.json()["LastName"], "y");
    assert_eq!(rig.get(&format!("{TRIPPIN}/Airlines('N')")).await.status, 404);
}

#[tokio::test]
async fn a_key_over_the_limit() {
    let rig = Rig::seeded().await;
    let long = "k".repeat(1100);
    let body = json!({ "AirlineCode": long, "Name": "n" }).to_string();
    let answer = rig.send("POST", &format!("{TRIPPIN}/Airlines"), &[], body).await;
    assert_refused(&rig, &answer, 400, "maximum is 1024");
    let answer = rig.send("PATCH", &format!("{TRIPPIN}/Airlines('{long}')"), &[], r#"{"Name":"n"}"#).await;
    assert_refused(&rig, &answer, 400, "maximum is 1024");
}

/// What DynamoDB does not take stays so, unlike a table that does not answer or may not be used.
#[tokio::test]
async fn a_row_that_cannot_be_written_is_told_from_one_that_can_later() {
    let rig = Rig::seeded().await;
    let put = async |table: &str, sort: &str, bytes: usize| {
        let key = ItemKey { partition: "B|test".into(), sort: sort.into() };
        let store = Store::new(rig.client(), table);
        store.put_note(&key, &"x".repeat(bytes), 0, Deadline::after(Duration::from_secs(5))).await
    };
    let (large, invalid, elsewhere) =
        (put(TABLE, "k", 410_000).await, put(TABLE, "", 1).await, put("elsewhere", "k", 1).await);
    assert!(matches!(large, Err(StoreError::ItemTooLarge)), "{large:?}");
    assert!(matches!(invalid, Err(StoreError::Invalid(_))), "{invalid:?}");
    let passing = [large, invalid, elsewhere].map(|result| result.unwrap_err().is_passing());
    assert_eq!(passing, [false, false, true]);
}
