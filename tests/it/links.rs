//! Links, and what leads to an entity: bound, inline, by another key, through another entity (Protocol §11.4).

use serde_json::{Value, json};
use shared::service::Source;
use tests::service::TestService;

use crate::{requests::things, rig::Rig};

const ONE: &str = "accounts(00000000-0000-0000-0000-000000000001)";
const TWO: &str = "accounts(5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7)";
const TASK: &str = "tasks(c40a7be1-2f58-4d96-b3ac-916e0d27f584)";
const TASK_KEY: &str = "(c40a7be1-2f58-4d96-b3ac-916e0d27f584)";
const STALE: [(&str, &str); 1] = [("If-Match", "W/\"1\"")];

#[tokio::test]
async fn a_link_is_removed_only_from_where_it_is() {
    let service = TestService::dataverse().await;
    for wrong in [format!("{TWO}/Account_Tasks{TASK_KEY}/$ref"), format!("{TWO}/Account_Tasks/$ref?$id={TASK}")] {
        assert_eq!(service.delete(&wrong).await.status, 404, "{wrong}");
    }
    assert_eq!(service.count(&format!("{ONE}/Account_Tasks")).await, 4);
    let tasks = format!("{ONE}/Account_Tasks");
    assert_eq!(service.delete(&format!("{tasks}{TASK_KEY}/$ref")).await.status, 204);
    assert_eq!(service.delete(&format!("{tasks}{TASK_KEY}/$ref")).await.status, 404);
    assert_eq!(service.count(&tasks).await, 3);
}

#[tokio::test]
async fn a_stale_etag_guards_links_of_a_collection() {
    let service = TestService::dataverse().await;
    let (links, link) = (format!("{TWO}/Account_Tasks/$ref"), json!({ "@odata.id": TASK }));
    assert_eq!(service.write("POST", &links, &STALE, link.clone()).await.status, 412);
    assert_eq!(service.count(&format!("{TWO}/Account_Tasks")).await, 0);
    let etag = service.get(TWO).await.etag();
    assert_eq!(service.write("POST", &links, &[("If-Match", &etag)], link).await.status, 204);
    assert_eq!(service.count(&format!("{TWO}/Account_Tasks")).await, 1);
}

#[tokio::test]
async fn a_lookup_that_does_not_change_needs_no_target() {
    let service = TestService::business_central().await;
    let line = "journals(0d6a1f83-4b7e-4c21-9f58-e31ab2c7d064)/journalLines(3e9b02d7-6c14-4f8a-a0d5-7b5c81e2f690)";
    let any = [("If-Match", "*")];
    let account = "accounts(ae4110b4-1d3d-eb11-bb72-000d3a2b9218)";
    assert_eq!(service.send("DELETE", account, &any, "").await.status, 204);
    let answer = service.patch(line, &any, json!({ "description": "kept" })).await;
    assert_eq!((answer.status, &answer.json()["description"]), (200, &json!("kept")), "{}", answer.text());
    let answer = service.patch(line, &any, json!({ "accountId": "1b0f7c64-52d1-4a0e-8a37-6d2c9f10e4b5" })).await;
    assert_eq!((answer.status, &answer.json()["accountNumber"]), (200, &json!("40100")), "{}", answer.text());
    let answer = service.patch(line, &any, json!({ "accountId": "ae4110b4-1d3d-eb11-bb72-000d3a2b9218" })).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[tokio::test]
async fn an_upsert_by_another_key_says_where_the_entity_is() {
    let service = TestService::dataverse().await;
    let body = json!({ "accountnumber": "OTHER", "name": "upserted" });
    let answer = service.patch("accounts(accountnumber='NEW')", &[], body).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let url = answer.header("odata-entityid").strip_prefix("http://host").unwrap().to_owned();
    let entity = service.get(&url).await;
    assert_eq!((entity.status, &entity.json()["name"]), (200, &json!("upserted")), "{url}");
}

#[tokio::test]
async fn an_inline_entity_is_in_the_answer() {
    let service = TestService::dataverse().await;
    let account = json!({ "name": "deep", "primarycontactid": { "lastname": "one" } });
    let answer = service.write("POST", "accounts", &[("Prefer", "return=representation")], account).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["primarycontactid"]["lastname"], "one", "{}", answer.text());
    let service = TestService::business_central().await;
    let invoice = json!({ "number": "I", "customer": { "number": "C", "displayName": "inline" } });
    let answer = service.post("salesInvoices", invoice).await;
    assert_eq!(
        (answer.status, &answer.json()["customer"]["displayName"]),
        (201, &json!("inline")),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn companies_are_not_written() {
    let service = TestService::business_central().await;
    let company = "companies(9f161476-1d3d-eb11-bb72-000d3a2b9218)";
    let any = [("If-Match", "*")];
    let body = json!({ "id": "9f161476-1d3d-eb11-bb72-0000000000ff", "name": "Mine" });
    for (method, url, body) in [
        ("POST", "companies".to_owned(), body.clone()),
        ("PATCH", company.to_owned(), json!({ "name": "Mine" })),
        ("PUT", company.to_owned(), json!({ "name": "Mine" })),
        ("DELETE", company.to_owned(), Value::Null),
        ("PUT", format!("{company}/displayName"), json!({ "value": "Mine" })),
        ("PATCH", format!("{company}/displayName"), json!({ "value": "Mine" })),
        ("DELETE", format!("{company}/displayName"), Value::Null),
        ("PATCH", "companies(9f161476-1d3d-eb11-bb72-0000000000ff)".into(), json!({ "name": "Mine" })),
        (
            "POST",
            format!("{company}/items/$ref"),
            json!({ "@odata.id": "items(7ce0af2e-0963-460f-9b1f-0014aea3e117)" }),
        ),
    ] {
        let answer = service.write(method, &url, &any, body).await;
        assert!([400, 404, 405, 501].contains(&answer.status), "{method} {url}: {} {}", answer.status, answer.text());
    }
    let companies = service.get("companies").await.rows();
    assert_eq!(companies.len(), 2);
    assert!(companies.iter().all(|company| company["name"] != "Mine" && company["displayName"] != "Mine"));
    assert_eq!(service.post(&format!("{company}/items"), json!({ "number": "in" })).await.status, 201);
}

/// A thousand entities in one request are one unit of work.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_inline_entities_are_one_unit() {
    let service = things().await;
    let parts: Vec<_> = (0..1000).map(|no| json!({ "No": no })).collect();
    let answer = service.post("Things", json!({ "Code": "a", "Parts": parts })).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(service.count("Things('a')/Parts").await, 1000);
    let twice: Vec<_> = (0..1000).map(|no| json!({ "No": no % 999 })).collect();
    let answer = service.post("Things", json!({ "Code": "b", "Parts": twice })).await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(service.get("Things('b')").await.status, 404);
}

/// More than a unit of work can have are refused without a write.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_inline_entities_are_refused() {
    let rig = Rig::seeded().await;
    let tasks: Vec<_> = (0..26_000).map(|no| json!({ "subject": no.to_string() })).collect();
    let body = json!({ "name": "many", "Account_Tasks": tasks }).to_string();
    let answer = rig.send("POST", "/api/data/v9.2/accounts", &[], body).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(rig.writes(), 0);
}

const SHOP: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Shop" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Category"><Key><PropertyRef Name="ID"/></Key><Property Name="ID" Type="Edm.Int64" Nullable="false"/>
<Property Name="Name" Type="Edm.String"/></EntityType>
<EntityType Name="Shelf"><Key><PropertyRef Name="Row"/><PropertyRef Name="No"/></Key>
<Property Name="Row" Type="Edm.String" Nullable="false"/><Property Name="No" Type="Edm.Int32" Nullable="false"/></EntityType>
<EntityType Name="Product"><Key><PropertyRef Name="Code"/></Key><Property Name="Code" Type="Edm.String" Nullable="false"/>
<Property Name="CategoryID" Type="Edm.Int64"/><Property Name="CategoryName" Type="Edm.String"/>
<NavigationProperty Name="Category" Type="Shop.Category"><ReferentialConstraint Property="CategoryID" ReferencedProperty="ID"/></NavigationProperty>
<NavigationProperty Name="Shelf" Type="Shop.Shelf"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Categories" EntityType="Shop.Category"/>
<EntitySet Name="Shelves" EntityType="Shop.Shelf"/><EntitySet Name="Products" EntityType="Shop.Product"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"#;

#[tokio::test]
async fn a_missing_target_is_called_by_its_key_as_in_urls() {
    let service_toml =
        |derived: &str| format!("roots = [\"/s\"]\npage_size = 9\n[profile]\nbase = \"odata\"\n{derived}");
    let copies = "[derived.Product]\nCategoryName = { copy = \"Category/Name\" }\n";
    for derived in ["", copies] {
        let source = Source {
            name: "shop".into(),
            service_toml: service_toml(derived),
            model_xml: SHOP.into(),
            seed_json: None,
        };
        let service = TestService::of(source, "/s").await;
        let shelf = "Shelves(Row='a%20b',No=-7)";
        for (body, target) in [
            (json!({ "Code": "p", "CategoryID": 77 }), "Categories(77)"),
            (json!({ "Code": "p", "CategoryID": -5 }), "Categories(-5)"),
            (
                json!({ "Code": "p", "Category@odata.bind": "Categories(9007199254740993)" }),
                "Categories(9007199254740993)",
            ),
            (json!({ "Code": "p", "Shelf@odata.bind": shelf }), shelf),
        ] {
            let alone = service.post("Products", body.clone()).await;
            assert_eq!(alone.status, 400, "{}", alone.text());
            assert!(alone.message().contains(&format!("'{target}'")), "{}", alone.message());
            let batch =
                json!([{ "id": "1", "atomicityGroup": "g", "method": "post", "url": "Products", "body": body }]);
            let text = service.batch(&[], batch).await.text().to_owned();
            assert!(text.contains(&format!("'{target}'")), "{text}");
        }
        assert_eq!(service.post("Products", json!({ "Code": "p" })).await.status, 201);
        for body in [json!({ "CategoryID": 77 }), json!({ "Category@odata.bind": "Categories(77)" })] {
            let answer = service.patch("Products('p')", &[], body).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(answer.message().contains("'Categories(77)'"), "{}", answer.message());
        }
    }
}
