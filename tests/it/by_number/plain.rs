//! The settings of a rule in a plain OData service: navigation without referential constraints, upserts, blind updates.

use serde_json::{Value, json};
use shared::service::Source;
use tests::service::TestService;

const MODEL: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="S" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Item"><Key><PropertyRef Name="Code"/></Key><Property Name="Code" Type="Edm.String" Nullable="false"/>
  <Property Name="Number" Type="Edm.String"/><Property Name="Name" Type="Edm.String"/>
  <Annotation Term="Org.OData.Core.V1.AlternateKeys"><Collection><Record><PropertyValue Property="Key"><Collection>
    <Record><PropertyValue Property="Name" PropertyPath="Number"/><PropertyValue Property="Alias" String="Number"/></Record>
  </Collection></PropertyValue></Record></Collection></Annotation></EntityType>
<EntityType Name="Line"><Key><PropertyRef Name="No"/></Key><Property Name="No" Type="Edm.Int32" Nullable="false"/>
  <Property Name="ItemNumber" Type="Edm.String"/><Property Name="ItemName" Type="Edm.String"/>
  <Property Name="Code" Type="Edm.String"/><Property Name="Note" Type="Edm.String"/>
  <Property Name="Made" Type="Edm.DateTimeOffset" Precision="0"/><Property Name="Changed" Type="Edm.DateTimeOffset" Precision="0"/>
  <NavigationProperty Name="Item" Type="S.Item"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.Item"/><EntitySet Name="Lines" EntityType="S.Line"/>
</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"#;

const RULES: &str = r#"roots = ["/s"]
[derived.Line]
ItemNumber = { copy = "Item/Number", client = "lookup" }
ItemName = { copy = "Item/Name", client = "keep" }
Code = { copy = "Item/Code" }
Made = { now = "create", client = "keep" }
Changed = { now = "change" }
"#;

async fn service() -> TestService {
    let seed = r#"{"Items":[{"Code":"a","Number":"1","Name":"A"},{"Code":"b","Number":"2","Name":"B"}],
        "Lines":[{"No":1,"ItemNumber":"1","Note":"n","Made":"2020-01-01T00:00:00Z"}]}"#;
    let source =
        Source { name: "s".into(), service_toml: RULES.into(), model_xml: MODEL.into(), seed_json: Some(seed.into()) };
    TestService::of(source, "/s").await
}

async fn line(service: &TestService, no: u8) -> String {
    let line = service.get(&format!("Lines({no})")).await.json();
    let item = service.get(&format!("Lines({no})/Item")).await;
    let item = if item.status == 200 { item.json()["Code"].clone() } else { Value::Null };
    [&line["ItemNumber"], &line["ItemName"], &line["Code"], &item].map(ToString::to_string).join(" ")
}

#[tokio::test]
async fn rows_of_a_seed_and_upserts_are_found_by_number() {
    let service = service().await;
    assert_eq!(line(&service, 1).await, r#""1" "A" "a" "a""#);
    assert_eq!(service.get("Lines(1)").await.json()["Made"], "2020-01-01T00:00:00Z");
    for (no, method) in [(2, "PATCH"), (3, "PUT")] {
        let url = format!("Lines({no})");
        let unknown = service.write(method, &url, &[], json!({ "ItemNumber": "9" })).await;
        assert_eq!(unknown.status, 400, "{}", unknown.text());
        assert_eq!(unknown.json()["error"]["target"], "ItemNumber");
        let created = service.write(method, &url, &[], json!({ "ItemNumber": "2", "ItemName": "own" })).await;
        assert_eq!(created.status, 201, "{}", created.text());
        assert_eq!(line(&service, no).await, r#""2" "own" "b" "b""#);
    }
    let batch = [
        json!({ "id": "1", "method": "post", "url": "Items", "body": { "Code": "c", "Number": "3" } }),
        json!({ "id": "2", "method": "post", "url": "Lines", "body": { "No": 4, "ItemNumber": "9" } }),
        json!({ "id": "3", "method": "post", "url": "Lines", "body": { "No": 4, "ItemNumber": "3" } }),
    ];
    let answer = service.batch(&[("Isolation", "snapshot")], json!(batch)).await;
    assert_eq!(answer.statuses(), [201, 400, 201], "{}", answer.text());
    assert_eq!(line(&service, 4).await, r#""3" null "c" "c""#);
}

#[tokio::test]
async fn a_rule_says_what_becomes_of_a_clients_value() {
    let service = service().await;
    for (body, status, expected) in [
        (json!({ "ItemNumber": "2" }), 204, r#""2" "B" "b" "b""#),
        (json!({ "ItemName": "own" }), 204, r#""2" "own" "b" "b""#),
        (json!({ "ItemNumber": "2", "Code": "b" }), 204, r#""2" "own" "b" "b""#),
        (json!({ "Code": "a" }), 400, r#""2" "own" "b" "b""#),
        (json!({ "Changed": "2020-01-01T00:00:00Z" }), 400, r#""2" "own" "b" "b""#),
        (json!({ "Made": "2021-01-01T00:00:00Z" }), 204, r#""2" "own" "b" "b""#),
        (json!({ "ItemNumber": "1", "ItemName": "mine" }), 204, r#""1" "mine" "a" "a""#),
        (json!({ "ItemNumber": "2", "Item@odata.bind": "Items('a')" }), 400, r#""1" "mine" "a" "a""#),
        (json!({ "Item@odata.bind": "Items('b')", "ItemNumber": "2" }), 204, r#""2" "B" "b" "b""#),
        // To plain OData the empty string is a key like others.
        (json!({ "ItemNumber": "" }), 400, r#""2" "B" "b" "b""#),
        (json!({ "ItemNumber": null }), 204, r#""" "" "" null"#),
    ] {
        let answer = service.patch("Lines(1)", &[], body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!(line(&service, 1).await, expected, "{body}");
    }
    let line = service.get("Lines(1)").await.json();
    assert_eq!(line["Made"], "2021-01-01T00:00:00Z");
    // An entity may be sent back as it was read.
    let mut same = line.clone();
    same.as_object_mut().unwrap().retain(|name, _| !name.starts_with('@'));
    let answer = service.patch("Lines(1)", &[], same).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(service.post("Items", json!({ "Code": "e", "Number": "" })).await.status, 201);
    assert_eq!(service.post("Items", json!({ "Code": "f", "Number": "" })).await.status, 409);
    assert_eq!(service.post("Lines", json!({ "No": 9, "ItemNumber": "" })).await.status, 201);
    assert_eq!(service.get("Lines(9)/Item").await.json()["Code"], "e");
}

#[tokio::test]
async fn an_update_without_a_copy_stays_blind() {
    let service = service().await;
    service.strict().forget();
    assert_eq!(service.patch("Lines(1)", &[], json!({ "Note": "m" })).await.status, 204);
    let calls: Vec<String> = service.strict().calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(calls, ["UpdateItem"]);
}
