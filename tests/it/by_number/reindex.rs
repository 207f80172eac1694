//! Stores that are older than an alternate key of their model.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, ReturnValue},
};
use local::embedded::Embedded;
use serde_json::{Value, json};
use shared::{
    Engine, Settings,
    service::{Services, Source},
    store::{self, Store},
};
use tests::{
    binaries::{binary, workspace},
    host::Host,
    strict::Plan,
};
use tokio::process::Command;

use super::{JOURNAL, PAYROLL, SALARIES};
use crate::rig::{Rig, TABLE, call, services};

const ROOT: &str = "/api/v2.0";
const COMPANY: &str = "9f161476-1d3d-eb11-bb72-000d3a2b9218";

/// Removes the item of a number, as if its row were older than the alternate key.
async fn forget(rig: &Rig, set: &str, number: &str) {
    forget_in(&rig.client(), TABLE, set, number).await;
}

async fn forget_in(client: &Client, table: &str, set: &str, number: &str) {
    let partition = format!("A|business-central|{COMPANY}|{set}|0");
    let removed = client
        .delete_item()
        .table_name(table)
        .key("pk", AttributeValue::S(partition))
        .key("sk", AttributeValue::S(number.into()))
        .return_values(ReturnValue::AllOld)
        .send()
        .await
        .unwrap();
    assert!(removed.attributes.is_some(), "{set} {number}");
}

async fn line(rig: &Rig, number: &str) -> (u16, Value) {
    let url = format!("{ROOT}/{JOURNAL}/journalLines");
    let answer = rig.send("POST", &url, &[], json!({ "accountNumber": number }).to_string()).await;
    (answer.status, answer.json()["accountId"].clone())
}

#[tokio::test]
async fn rows_of_before_are_found_once_they_are_reindexed() {
    let rig = Rig::seeded().await;
    forget(&rig, "accounts", "60700").await;
    forget(&rig, "items", "1001").await;
    forget(&rig, "customers", "10000").await;
    assert_eq!(line(&rig, "60700").await.0, 400);
    let done = rig.engine.reindex().await.unwrap();
    assert_eq!((done.written, done.duplicates.len()), (3, 0));
    assert!(done.entities > 10, "{done:?}");
    assert_eq!(line(&rig, "60700").await, (201, json!(SALARIES)));
    rig.strict.forget();
    let again = rig.engine.reindex().await.unwrap();
    assert_eq!((again.written, again.duplicates.len(), again.entities), (0, 0, done.entities));
    assert_eq!(rig.writes(), 0);
    assert!(rig.strict.calls().iter().all(|call| call.operation != "Scan"));
}

#[tokio::test]
async fn entities_that_share_a_number_are_reported() {
    let rig = Rig::seeded().await;
    forget(&rig, "accounts", "60700").await;
    let other = rig.send("POST", &format!("{ROOT}/accounts"), &[], r#"{"number":"60700"}"#).await;
    assert_eq!(other.status, 201, "{}", other.text());
    let other = other.json()["id"].as_str().unwrap().to_owned();
    let done = rig.engine.reindex().await.unwrap();
    assert_eq!((done.written, done.duplicates.len()), (0, 1));
    let told = done.duplicates[0].to_string();
    for part in ["business-central", SALARIES, other.as_str(), "number='60700'", "accounts"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    // The key stays with the one that is found by it when the other one goes.
    let old = format!("{ROOT}/accounts({SALARIES})");
    assert_eq!(rig.send("DELETE", &old, &["if-match: *"], "").await.status, 204);
    assert_eq!(line(&rig, "60700").await, (201, json!(other)));
    assert_eq!(rig.engine.reindex().await.unwrap().duplicates.len(), 0);
}

#[tokio::test]
async fn a_writer_beside_it_is_never_overruled() {
    for (method, body, found) in [
        ("PATCH", json!({ "number": "N" }), Some("N")),
        ("PATCH", json!({ "displayName": "d" }), Some("60700")),
        ("DELETE", Value::Null, None),
    ] {
        let rig = Rig::seeded().await;
        forget(&rig, "accounts", "60700").await;
        let (writer, sent) = (rig.again(), AtomicBool::new(false));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        rig.strict.set_plan(Plan::from_fn(move |call| {
            if call.operation == "TransactWriteItems" && !sent.swap(true, Ordering::SeqCst) {
                let (writer, body) = (writer.clone(), body.clone());
                let thread = std::thread::spawn(move || {
                    let url = format!("{ROOT}/accounts({SALARIES})");
                    let sent = async { writer.send(method, &url, &["if-match: *"], body).await };
                    let answer = tokio::runtime::Runtime::new().unwrap().block_on(sent);
                    assert!(answer.status < 300, "{}", answer.text());
                });
                thread.join().unwrap();
            }
            None
        }));
        assert_eq!(rig.engine.reindex().await.unwrap().duplicates.len(), 0);
        for number in ["60700", "N"] {
            let expected = if found == Some(number) { (201, json!(SALARIES)) } else { (400, Value::Null) };
            assert_eq!(line(&rig, number).await, expected, "{method} {number}");
        }
        assert_eq!(line(&rig, "20700").await, (201, json!(PAYROLL)));
    }
}

const MODEL: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="S" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Shelf"><Key><PropertyRef Name="No"/></Key><Property Name="No" Type="Edm.Int32" Nullable="false"/>
  <NavigationProperty Name="Books" Type="Collection(S.Book)" ContainsTarget="true"/></EntityType>
<EntityType Name="Book"><Key><PropertyRef Name="No"/></Key><Property Name="No" Type="Edm.Int32" Nullable="false"/>
  <Property Name="Title" Type="Edm.String"/><Property Name="Year" Type="Edm.Int32"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Shelves" EntityType="S.Shelf"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"#;

/// The model with a key of two properties on what is contained.
fn keyed() -> String {
    let part = |name: &str| {
        format!(
            r#"<Record><PropertyValue Property="Name" PropertyPath="{name}"/><PropertyValue Property="Alias" String="{name}"/></Record>"#
        )
    };
    let key = format!(
        r#"<Annotation Term="Org.OData.Core.V1.AlternateKeys"><Collection><Record><PropertyValue Property="Key"><Collection>{}{}</Collection></PropertyValue></Record></Collection></Annotation>"#,
        part("Title"),
        part("Year")
    );
    let year = r#"<Property Name="Year" Type="Edm.Int32"/>"#;
    MODEL.replace(year, &format!("{year}{key}"))
}

#[tokio::test]
async fn what_is_contained_is_reindexed_with_its_parents() {
    let rig = Rig::seeded().await;
    let engine = |model: String| {
        let service_toml = "roots = [\"/s\"]\n[shards]\nShelves = 3\n".to_owned();
        let source = Source { name: "s".into(), service_toml, model_xml: model.into(), seed_json: None };
        let services = Arc::new(Services::from_sources(vec![source]).unwrap());
        Engine::new(services, Store::new(store::through(rig.strict.clone()), TABLE), Settings::default())
    };
    let (before, after) = (engine(MODEL.into()), engine(keyed()));
    for shelf in 1..=5 {
        let body = json!({ "No": shelf, "Books": [{ "No": 1, "Title": "a", "Year": 1 }, { "No": 2, "Title": "a", "Year": 2 }, { "No": 3 }] });
        let answer = call(&before, None, "POST", "/s/Shelves", &[], body.to_string().into()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let url = "/s/Shelves(4)/Books(Title='a',Year=2)";
    assert_eq!(call(&after, None, "GET", url, &[], "".into()).await.status, 404);
    let done = after.reindex().await.unwrap();
    assert_eq!((done.entities, done.written, done.duplicates.len()), (15, 10, 0));
    assert_eq!(call(&after, None, "GET", url, &[], "".into()).await.json()["No"], 2);
    let twice = json!({ "No": 4, "Title": "a", "Year": 1 }).to_string();
    assert_eq!(call(&before, None, "POST", "/s/Shelves(2)/Books", &[], twice.into()).await.status, 201);
    let done = after.reindex().await.unwrap();
    let told: Vec<String> = done.duplicates.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["s: Shelves(2)/Books(1) and Shelves(2)/Books(4) share the alternate key (Title='a',Year=1)"]);
}

async fn command(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut rebatch = Command::new(binary("rebatch"));
    let output = rebatch.current_dir(workspace()).args(arguments).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_command_reports_what_it_did_and_fails_where_numbers_are_shared() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.db");
    let file = data.to_str().unwrap();
    let (code, _, stderr) = command(&["reindex", "--data", file]).await;
    assert!(code == Some(1) && stderr.contains("no data file"), "{stderr}");
    let host = Host::over(&data).await;
    let (code, _, stderr) = command(&["reindex", "--data", file]).await;
    assert_eq!(code, Some(1), "a host uses it: {stderr}");
    host.kill().await;
    let (code, stdout, stderr) = command(&["reindex", "--data", file]).await;
    assert!(code == Some(0) && stdout.contains(" 0 keys written"), "{stdout}{stderr}");
    {
        let database = Embedded::open(&data).unwrap();
        let client = store::through(database);
        forget_in(&client, "rebatch", "accounts", "20700").await;
        forget_in(&client, "rebatch", "accounts", "60700").await;
        let engine = Engine::new(services(), Store::new(client, "rebatch"), Settings::default());
        let account = call(&engine, None, "POST", "/api/v2.0/accounts", &[], r#"{"number":"60700"}"#.into()).await;
        assert_eq!(account.status, 201, "{}", account.text());
    }
    let (code, stdout, stderr) = command(&["reindex", "--data", file]).await;
    assert_eq!(code, Some(1));
    assert!(stdout.contains(" 1 keys written") && stdout.contains(SALARIES) && stdout.contains("60700"), "{stdout}");
    assert!(stderr.contains("alternate keys are those of several entities"), "{stderr}");
}
