//! The service keeps the rules that a model states: required navigation properties, capabilities, immutable properties, stated types.

use serde_json::{Value, json};
use tests::service::{Answer, TestService};

use crate::requests::service_of;

const MODEL: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="T" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EnumType Name="Color"><Member Name="Red"/><Member Name="Blue"/></EnumType>
<ComplexType Name="Box"><Property Name="Side" Type="Edm.Int64"/><Property Name="Made" Type="Edm.Date">
  <Annotation Term="Org.OData.Core.V1.Immutable"/></Property></ComplexType>
<EntityType Name="Customer"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int32" Nullable="false"/>
  <Property Name="Name" Type="Edm.String"/><NavigationProperty Name="Orders" Type="Collection(T.Order)" Partner="Customer"/>
  <NavigationProperty Name="Friends" Type="Collection(T.Customer)"><Annotation Term="Org.OData.Core.V1.Permissions"
    EnumMember="Org.OData.Core.V1.Permission/Read"/></NavigationProperty></EntityType>
<EntityType Name="Order"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int32" Nullable="false"/>
  <Property Name="Note" Type="Edm.String"/>
  <NavigationProperty Name="Customer" Type="T.Customer" Nullable="false" Partner="Orders"/></EntityType>
<EntityType Name="Ticket"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int32" Nullable="false"/>
  <Property Name="Note" Type="Edm.String"/><NavigationProperty Name="For" Type="T.Customer" Nullable="false"/></EntityType>
<EntityType Name="Invoice"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int32" Nullable="false"/>
  <Property Name="BuyerId" Type="Edm.Int32"/><NavigationProperty Name="Buyer" Type="T.Customer" Nullable="false">
  <ReferentialConstraint Property="BuyerId" ReferencedProperty="Id"/></NavigationProperty></EntityType>
<EntityType Name="Row"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int32" Nullable="false"/>
  <Property Name="Code" Type="Edm.String"><Annotation Term="Org.OData.Core.V1.Immutable"/></Property>
  <Property Name="Note" Type="Edm.String"/><Property Name="Box" Type="T.Box"/>
  <NavigationProperty Name="Parts" Type="Collection(T.Part)" ContainsTarget="true"/></EntityType>
<EntityType Name="Part"><Key><PropertyRef Name="No"/></Key><Property Name="No" Type="Edm.Int32" Nullable="false"/>
  <Property Name="Note" Type="Edm.String"/></EntityType>
<EntityType Name="Bag" OpenType="true"><Key><PropertyRef Name="Id"/></Key>
  <Property Name="Id" Type="Edm.Int32" Nullable="false"/></EntityType>
<EntityContainer Name="C">
<EntitySet Name="Customers" EntityType="T.Customer"/><EntitySet Name="Orders" EntityType="T.Order"/>
<EntitySet Name="Tickets" EntityType="T.Ticket"/><EntitySet Name="Invoices" EntityType="T.Invoice"/>
<EntitySet Name="Bags" EntityType="T.Bag"/><EntitySet Name="Rows" EntityType="T.Row"/>
<EntitySet Name="Logs" EntityType="T.Row">
  <Annotation Term="Org.OData.Capabilities.V1.UpdateRestrictions"><Record>
    <PropertyValue Property="Updatable" Bool="false"/></Record></Annotation>
  <Annotation Term="Org.OData.Capabilities.V1.DeleteRestrictions"><Record>
    <PropertyValue Property="Deletable"><Bool>false</Bool></PropertyValue></Record></Annotation></EntitySet>
<EntitySet Name="Codes" EntityType="T.Row"/>
<EntitySet Name="Drops" EntityType="T.Row"><Annotation Term="Org.OData.Capabilities.V1.ReadRestrictions"><Record>
  <PropertyValue Property="Readable" Bool="false"/><PropertyValue Property="ReadByKeyRestrictions"><Record>
    <PropertyValue Property="Readable" Bool="true"/></Record></PropertyValue></Record></Annotation></EntitySet>
<EntitySet Name="Facts" EntityType="T.Row"><Annotation Term="Org.OData.Core.V1.Permissions"
  EnumMember="Org.OData.Core.V1.Permission/Read"/></EntitySet>
<EntitySet Name="Folders" EntityType="T.Row"><Annotation Term="Org.OData.Capabilities.V1.NavigationRestrictions"><Record>
  <PropertyValue Property="RestrictedProperties"><Collection><Record>
    <PropertyValue Property="NavigationProperty" NavigationPropertyPath="Parts"/>
    <PropertyValue Property="InsertRestrictions"><Record><PropertyValue Property="Insertable" Bool="false"/></Record></PropertyValue>
    <PropertyValue Property="DeleteRestrictions"><Record><PropertyValue Property="Deletable" Bool="false"/></Record></PropertyValue>
  </Record></Collection></PropertyValue></Record></Annotation></EntitySet>
</EntityContainer>
<Annotations Target="T.C/Codes"><Annotation Term="Org.OData.Capabilities.V1.InsertRestrictions"><Record>
  <PropertyValue Property="Insertable" Bool="false"/></Record></Annotation></Annotations>
</Schema></edmx:DataServices></edmx:Edmx>"#;

const V40: [(&str, &str); 1] = [("OData-MaxVersion", "4.0")];
const V401: [(&str, &str); 1] = [("OData-MaxVersion", "4.01")];

async fn service() -> TestService {
    let seeds = r#"{"Codes":[{"Id":1,"Code":"c"}],"Facts":[{"Id":1}],"Customers":[{"Id":1},{"Id":2}]}"#;
    service_of(MODEL, seeds).await
}

/// Sends a request; without a body where that is null.
async fn send(service: &TestService, method: &str, url: &str, body: &Value) -> Answer {
    match body {
        Value::Null => service.send(method, url, &[], "").await,
        body => service.write(method, url, &[], body.clone()).await,
    }
}

/// A request of a JSON batch, without a body where that is null.
fn inner(id: &str, group: Option<&str>, method: &str, url: &str, body: &Value) -> Value {
    let mut request = json!({ "id": id, "method": method, "url": url });
    if let Some(group) = group {
        request["atomicityGroup"] = group.into();
    }
    if !body.is_null() {
        request["body"] = body.clone();
    }
    request
}

fn is_required(answer: &Answer, navigation: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.message().contains(&format!("'{navigation}'")), "{}", answer.text());
    assert_eq!(answer.json()["error"]["target"], navigation);
}

#[tokio::test]
async fn a_required_navigation_property_has_a_target() {
    let service = service().await;
    for (set, navigation) in [("Orders", "Customer"), ("Tickets", "For"), ("Invoices", "Buyer")] {
        is_required(&service.post(set, json!({ "Id": 1 })).await, navigation);
        is_required(&service.patch(&format!("{set}(1)"), &[], json!({})).await, navigation);
        let bind = format!("{navigation}@odata.bind");
        assert_eq!(service.post(set, json!({ "Id": 1, bind: "Customers(1)" })).await.status, 201);
        for null in [format!("{navigation}@odata.bind"), navigation.to_owned()] {
            let answer = service.patch(&format!("{set}(1)"), &[], json!({ null: null })).await;
            assert!(answer.status == 400 && answer.message().contains(navigation), "{}", answer.text());
        }
        is_required(&service.delete(&format!("{set}(1)/{navigation}/$ref")).await, navigation);
        assert_eq!(service.get(&format!("{set}(1)/{navigation}")).await.json()["Id"], 1);
        assert_eq!(service.patch(&format!("{set}(1)"), &[], json!({})).await.status, 204);
        assert_eq!(
            service.write("PUT", &format!("{set}(1)"), &[], json!({ "BuyerId": 1 })).await.status,
            if set == "Invoices" { 204 } else { 400 }
        );
    }
    is_required(&service.patch("Invoices(1)", &[], json!({ "BuyerId": null })).await, "Buyer");
    is_required(&service.write("PUT", "Invoices(1)", &[], json!({})).await, "Buyer");
    is_required(&service.delete("Invoices(1)/BuyerId").await, "Buyer");
    assert_eq!(service.post("Invoices", json!({ "Id": 2, "BuyerId": 2 })).await.status, 201);
    is_required(&service.delete("Customers(1)/Orders(1)/$ref").await, "Customer");
    is_required(&service.delete("Customers(1)/Orders/$ref?$id=Orders(1)").await, "Customer");
    assert_eq!(service.count("Customers(1)/Orders").await, 1);
}

#[tokio::test]
async fn the_place_of_an_inline_entity_is_its_target() {
    let service = service().await;
    let customer = json!({ "Id": 3, "Orders": [{ "Id": 1 }, { "Id": 2 }] });
    assert_eq!(service.post("Customers", customer).await.status, 201);
    assert_eq!(service.post("Customers(3)/Orders", json!({ "Id": 3 })).await.status, 201);
    assert_eq!(service.count("Customers(3)/Orders").await, 3);
    assert_eq!(service.post("Orders", json!({ "Id": 4, "Customer": { "Id": 4 } })).await.status, 201);
}

#[tokio::test]
async fn a_later_request_of_the_set_may_give_the_target() {
    let service = service().await;
    let set = |id: &str, method: &str, url: &str, body: Value| inner(id, Some("g"), method, url, &body);
    let given = json!([
        set("1", "POST", "Orders", json!({ "Id": 1 })),
        set("2", "POST", "Tickets", json!({ "Id": 1 })),
        set("3", "PATCH", "Orders(1)", json!({ "Note": "n" })),
        set("4", "POST", "Customers(1)/Orders/$ref", json!({ "@odata.id": "Orders(1)" })),
        set("5", "PUT", "Tickets(1)/For/$ref", json!({ "@odata.id": "Customers(2)" })),
    ]);
    assert_eq!(service.batch(&[], given).await.statuses(), [201, 201, 204, 204, 204]);
    let moved = json!([
        set("1", "DELETE", "Orders(1)/Customer/$ref", Value::Null),
        set("2", "PATCH", "Orders(1)", json!({ "Customer@odata.bind": "Customers(2)" })),
        set("3", "POST", "Orders", json!({ "Id": 2 })),
        set("4", "DELETE", "Orders(2)", Value::Null),
    ]);
    assert_eq!(service.batch(&[], moved).await.statuses(), [204, 204, 201, 204]);
    assert_eq!(service.count("Customers(2)/Orders").await, 1);
}

#[tokio::test]
async fn the_request_that_leaves_no_target_fails_its_set() {
    let service = service().await;
    let requests = json!([
        { "id": "1", "atomicityGroup": "g", "method": "POST", "url": "Customers", "body": { "Id": 9 } },
        { "id": "2", "atomicityGroup": "g", "method": "POST", "url": "Tickets", "body": { "Id": 9 } },
        { "id": "3", "atomicityGroup": "g", "method": "PATCH", "url": "Tickets(9)", "body": { "Note": "n" } },
    ]);
    let answer = service.batch(&[], requests).await;
    assert_eq!(answer.statuses(), [424, 400, 424], "{}", answer.text());
    assert_eq!(answer.responses()[1]["body"]["error"]["target"], "For");
    assert_eq!(service.get("Customers(9)").await.status, 404);
    let body = "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n\
        Content-ID: 1\n\n\
        POST Tickets HTTP/1.1\nContent-Type: application/json\n\n{\"Id\":9}\n--c--\n--b--\n";
    assert_eq!(service.multipart(&[], body).await.statuses(), [400]);
    let alone = json!([{ "id": "1", "method": "POST", "url": "Tickets", "body": { "Id": 9 } },
        { "id": "2", "method": "GET", "url": "Tickets/$count" }]);
    for headers in [&[][..], &[("Isolation", "snapshot")]] {
        assert_eq!(service.batch(headers, alone.clone()).await.statuses(), [400, 200], "{headers:?}");
    }
}

#[tokio::test]
async fn capabilities_are_kept() {
    let service = service().await;
    for set in ["Rows", "Logs", "Drops", "Folders"] {
        assert_eq!(service.post(set, json!({ "Id": 1 })).await.status, 201, "{set}");
    }
    let none = Value::Null;
    for (method, url, body, allow) in [
        ("PATCH", "Logs(1)", json!({ "Note": "n" }), "GET"),
        ("PUT", "Logs(1)", json!({ "Note": "n" }), "GET"),
        ("DELETE", "Logs(1)", none.clone(), "GET"),
        ("PATCH", "Logs(2)", json!({ "Note": "n" }), "GET"),
        ("PUT", "Logs(1)/Note", json!({ "value": "n" }), "GET"),
        ("DELETE", "Logs(1)/Note", none.clone(), "GET"),
        ("DELETE", "Logs", none.clone(), "GET, POST"),
        ("POST", "Codes", json!({ "Id": 2 }), "GET"),
        ("POST", "Facts", json!({ "Id": 2 }), "GET"),
        ("PATCH", "Facts(1)", json!({ "Note": "n" }), "GET"),
        ("DELETE", "Facts(1)", none.clone(), "GET"),
        ("GET", "Drops", none.clone(), "POST"),
        ("GET", "Drops/$count", none.clone(), ""),
        ("POST", "Folders(1)/Parts", json!({ "No": 1 }), "GET"),
        ("DELETE", "Folders(1)/Parts(1)", none.clone(), "GET, PUT, PATCH"),
        ("PUT", "Rows(1)/Code", json!({ "value": "c" }), "GET"),
        ("PUT", "Rows(1)/Box/Made", json!({ "value": "2026-01-01" }), "GET"),
        ("POST", "Customers(1)/Friends/$ref", json!({ "@odata.id": "Customers(2)" }), "GET"),
        ("POST", "Customers(1)/Friends", json!({ "Id": 5 }), "GET"),
    ] {
        let answer = send(&service, method, url, &body).await;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {url}: {}", answer.text());
        let answer = service.batch(&[], json!([inner("1", None, method, url, &body)])).await;
        assert_eq!(
            (answer.statuses(), &answer.responses()[0]["headers"]["allow"]),
            (vec![405], &json!(allow)),
            "{url}"
        );
    }
    for (method, url, body, status) in [
        ("GET", "Drops(1)", none.clone(), 200),
        ("PATCH", "Codes(1)", json!({ "Note": "n" }), 204),
        ("PATCH", "Codes(2)", json!({ "Note": "n" }), 404),
        ("DELETE", "Codes(1)", none.clone(), 204),
        ("POST", "Rows(1)/Parts", json!({ "No": 1 }), 201),
        ("POST", "Folders", json!({ "Id": 2, "Parts": [{ "No": 1 }] }), 405),
        ("PATCH", "Folders(1)/Parts(1)", json!({ "Note": "n" }), 404),
        ("POST", "Customers", json!({ "Id": 5, "Friends@odata.bind": ["Customers(1)"] }), 400),
        ("POST", "Customers", json!({ "Id": 5, "Friends": [{ "Id": 6 }] }), 400),
    ] {
        let answer = send(&service, method, url, &body).await;
        assert_eq!(answer.status, status, "{method} {url}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_immutable_property_keeps_its_value() {
    let service = service().await;
    let row = json!({ "Id": 1, "Code": "a", "Box": { "Side": 1, "Made": "2026-01-02" } });
    assert_eq!(service.post("Rows", row.clone()).await.status, 201);
    for (method, body, status) in [
        ("PATCH", json!({ "Code": "b", "Note": "n" }), 400),
        ("PATCH", json!({ "Code": null }), 400),
        ("PUT", json!({ "Code": "b" }), 400),
        ("PATCH", json!({ "Box": { "Made": "2026-01-03" } }), 400),
        ("PATCH", json!({ "Code": "a", "Note": "n" }), 204),
        ("PATCH", json!({ "Box": { "Side": 2, "Made": "2026-01-02" } }), 204),
        ("PUT", row, 204),
        ("PUT", json!({ "Note": "kept", "Box": { "Made": "2026-01-02" } }), 204),
    ] {
        let answer = service.write(method, "Rows(1)", &[], body.clone()).await;
        assert_eq!(answer.status, status, "{method} {body}: {}", answer.text());
        assert!(status == 204 || answer.message().contains("'Code'") || answer.message().contains("'Box/Made'"));
    }
    let row = service.get("Rows(1)").await.json();
    assert_eq!((&row["Code"], &row["Note"], &row["Box"]["Made"]), (&json!("a"), &json!("kept"), &json!("2026-01-02")));
    let twice = json!([
        { "id": "1", "atomicityGroup": "g", "method": "POST", "url": "Rows", "body": { "Id": 2, "Code": "x" } },
        { "id": "2", "atomicityGroup": "g", "method": "PATCH", "url": "Rows(2)", "body": { "Code": "y" } },
    ]);
    assert_eq!(service.batch(&[], twice).await.statuses(), [424, 400]);
}

/// The members that a client sends, and those that it reads in 4.0 and in 4.01.
const TYPED: [(&str, &str, &str); 12] = [
    (
        r##""D@odata.type":"#Date","D":"2026-01-02""##,
        r##""D@odata.type":"#Date","D":"2026-01-02""##,
        r#""D@type":"Date","D":"2026-01-02""#,
    ),
    (
        r#""D":"PT90M","D@type":"Duration""#,
        r##""D@odata.type":"#Duration","D":"PT1H30M""##,
        r#""D@type":"Duration","D":"PT1H30M""#,
    ),
    (
        r##""D@type":"#Edm.Int64","D":9223372036854775807"##,
        r##""D@odata.type":"#Int64","D":9223372036854775807"##,
        r#""D@type":"Int64","D":9223372036854775807"#,
    ),
    (r##""D@type":"#Decimal","D":1.10"##, r##""D@odata.type":"#Decimal","D":1.10"##, r#""D@type":"Decimal","D":1.10"#),
    (
        r#""D@type":"Guid","D":"5E8D20A4-61fb-4c39-97e2-0bd4f8136ac7""#,
        r##""D@odata.type":"#Guid","D":"5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7""##,
        r#""D@type":"Guid","D":"5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7""#,
    ),
    (
        r#""D@type":"DateTimeOffset","D":"2026-01-02T03:04:05.60Z""#,
        r##""D@odata.type":"#DateTimeOffset","D":"2026-01-02T03:04:05.60Z""##,
        r#""D@type":"DateTimeOffset","D":"2026-01-02T03:04:05.60Z""#,
    ),
    (r#""D@type":"Binary","D":"AAE=""#, r##""D@odata.type":"#Binary","D":"AAE=""##, r#""D@type":"Binary","D":"AAE=""#),
    (
        r#""D@odata.type":"http://host/t/$metadata#T.Color","D":"Blue""#,
        r##""D@odata.type":"#T.Color","D":"Blue""##,
        r##""D@type":"#T.Color","D":"Blue""##,
    ),
    (
        r##""D":{"@odata.type":"#T.Box","Side":7}"##,
        r##""D":{"@odata.type":"#T.Box","Side":7,"Made":null}"##,
        r##""D":{"@type":"#T.Box","Side":7,"Made":null}"##,
    ),
    (
        r##""D@odata.type":"#Collection(Date)","D":["2026-01-02"]"##,
        r##""D@odata.type":"#Collection(Date)","D":["2026-01-02"]"##,
        r#""D@type":"Collection(Date)","D":["2026-01-02"]"#,
    ),
    (
        r##""D@odata.type":"#Collection(T.Box)","D":[{"Side":7}]"##,
        r##""D@odata.type":"#Collection(T.Box)","D":[{"Side":7,"Made":null}]"##,
        r##""D@type":"#Collection(T.Box)","D":[{"Side":7,"Made":null}]"##,
    ),
    (r##""D@odata.type":"#String","D":"text""##, r#""D":"text"}"#, r#""D":"text"}"#),
];

#[tokio::test]
async fn dynamic_properties_keep_their_type() {
    let service = service().await;
    let send = async |method: &str, url: &str, body: String| {
        service.send(method, url, &[("Content-Type", "application/json")], body).await
    };
    for (at, (sent, v40, v401)) in TYPED.into_iter().enumerate() {
        let (bag, patched) = (format!("Bags({at})"), format!("Bags({})", at + 100));
        let created = send("POST", "Bags", format!("{{\"Id\":{at},{sent}}}")).await;
        assert_eq!(created.status, 201, "{sent}: {}", created.text());
        assert_eq!(service.post("Bags", json!({ "Id": at + 100, "D": 1 })).await.status, 201);
        assert_eq!(send("PATCH", &patched, format!("{{{sent}}}")).await.status, 204);
        for url in
            [bag.clone(), patched, format!("{bag}?$select=D"), "Bags?$filter=Id%20eq%20".to_owned() + &at.to_string()]
        {
            let answer = service.send("GET", &url, &V40, "").await;
            assert!(answer.text().contains(v40), "{url} {v40}: {}", answer.text());
            let answer = service.send("GET", &url, &V401, "").await;
            assert!(answer.text().contains(v401), "{url} {v401}: {}", answer.text());
        }
        let bare = service.send("GET", &bag, &[("Accept", "application/json;odata.metadata=none")], "").await;
        assert!(!bare.text().contains("type"), "{}", bare.text());
        assert_eq!(service.patch(&bag, &[], json!({ "D": "plain" })).await.status, 204);
        let answer = service.send("GET", &bag, &V40, "").await;
        assert!(answer.text().contains(r#""D":"plain""#) && !answer.text().contains("D@"), "{}", answer.text());
        assert_eq!(service.write("PUT", &bag, &[], json!({})).await.status, 204);
        assert!(service.get(&bag).await.json().get("D").is_none());
    }
}

#[tokio::test]
async fn large_dynamic_numbers_are_texts_where_the_client_wants_them() {
    let service = service().await;
    let headers = [
        ("Content-Type", "application/json;IEEE754Compatible=true"),
        ("Accept", "application/json;IEEE754Compatible=true"),
        V40[0],
    ];
    let sent = r##"{"Id":1,"A@odata.type":"#Int64","A":"9223372036854775807","B@odata.type":"#Decimal","B":"0.10"}"##;
    let texts = r##""A@odata.type":"#Int64","A":"9223372036854775807","B@odata.type":"#Decimal","B":"0.10""##;
    let created = service.send("POST", "Bags", &headers, sent).await;
    assert!(created.status == 201 && created.text().contains(texts), "{}", created.text());
    let plain = service.send("GET", "Bags(1)", &V40, "").await;
    let numbers = r##""A@odata.type":"#Int64","A":9223372036854775807,"B@odata.type":"#Decimal","B":0.10"##;
    assert!(plain.text().contains(numbers), "{}", plain.text());
    let request = json!([{ "id": "1", "method": "POST", "url": "Bags", "headers": { "OData-MaxVersion": "4.0" },
        "body": { "Id": 2, "D@odata.type": "#Date", "D": "2026-01-02" } }]);
    let answer = service.batch(&[], request).await;
    assert_eq!(answer.responses()[0]["body"]["D@odata.type"], "#Date", "{}", answer.text());
}

#[tokio::test]
async fn a_dynamic_value_fits_its_type() {
    let service = service().await;
    for (body, part) in [
        (json!({ "Id": 1, "D@odata.type": "#Date", "D": "soon" }), "'D'"),
        (json!({ "Id": 1, "D@odata.type": "#Int64", "D": 1.5 }), "'D'"),
        (json!({ "Id": 1, "D@type": "Collection(Date)", "D": "2026-01-02" }), "'D'"),
        (json!({ "Id": 1, "D@odata.type": "#T.Color", "D": "Pink" }), "Pink"),
        (json!({ "Id": 1, "D@odata.type": "#T.Nope", "D": 1 }), "#T.Nope"),
        (json!({ "Id": 1, "D@odata.type": 1, "D": 1 }), "'D'"),
        (json!({ "Id": 1, "D": { "@odata.type": "#T.Nope" } }), "#T.Nope"),
        (json!({ "Id": 1, "D@odata.type": "#T.Box", "D": { "Nope": 1 } }), "'D/Nope'"),
        (json!({ "Id": 1, "Id@odata.type": "#String" }), "#String"),
    ] {
        let answer = service.post("Bags", body.clone()).await;
        assert!(answer.status == 400 && answer.message().contains(part), "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn control_information_that_carries_data_is_not_dropped() {
    let trippin = TestService::trippin().await;
    let person = |extra: &str, value: Value| {
        let mut body = json!({ "UserName": "new", "FirstName": "a", "LastName": "b" });
        body[extra] = value;
        body
    };
    let removed = json!({ "@removed": { "reason": "changed" }, "@id": "People('adaokafor')" });
    let deleted = json!({ "@odata.context": "#People/$deletedEntity", "id": "People('x')", "reason": "deleted" });
    for (name, value, status) in [
        ("Friends@odata.delta", json!([]), 501),
        ("Friends@delta", json!([{ "@id": "People('adaokafor')" }]), 501),
        ("@odata.delta", json!([]), 501),
        ("Nope@delta", json!([]), 400),
        ("Friends", json!([removed]), 501),
        ("Friends", json!([deleted]), 501),
        ("@removed", json!({ "reason": "deleted" }), 501),
        ("@odata.removed", json!({}), 501),
        ("Emails@odata.nextLink", json!("x"), 501),
        ("Friends@nextLink", json!("x"), 501),
        ("Friends", json!([{ "@id": "People('adaokafor')", "FirstName": "c" }]), 501),
        ("AddressInfo", json!([{ "Address": "a", "City": { "Name": "n", "CountryRegion": "c" }, "x@delta": [] }]), 400),
        (
            "AddressInfo",
            json!([{ "Address": "a", "City": { "Name": "n", "CountryRegion": "c" }, "@removed": {} }]),
            501,
        ),
    ] {
        let answer = trippin.post("People", person(name, value.clone())).await;
        assert_eq!(answer.status, status, "POST {name} {value}: {}", answer.text());
        for method in ["PATCH", "PUT"] {
            let answer = trippin.write(method, "People('adaokafor')", &[], person(name, value.clone())).await;
            assert!([400, 501].contains(&answer.status), "{method} {name} {value}: {}", answer.text());
        }
        assert_eq!(trippin.get("People('new')").await.status, 404);
    }
    for (url, body, status) in [
        ("People('adaokafor')/Friends/$ref", json!({ "@odata.id": "People('x')", "@removed": {} }), 501),
        ("People('adaokafor')/Friends/$ref", json!({ "@odata.id": "People('x')", "FirstName": "a" }), 400),
    ] {
        assert_eq!(trippin.post(url, body.clone()).await.status, status, "{body}");
    }
    let emails = "People('adaokafor')/Emails";
    for (body, status) in [
        (json!({ "value": ["a"], "@odata.nextLink": "x" }), 501),
        (json!({ "value": ["a"], "other": 1 }), 400),
        (json!({ "value": ["a"], "@odata.type": "#Collection(Int32)" }), 400),
        (json!({ "value": ["a"], "@odata.type": "#Collection(String)", "@odata.context": "x" }), 204),
    ] {
        assert_eq!(trippin.write("PUT", emails, &[], body.clone()).await.status, status, "{body}");
    }
    let answer = trippin.post("People", person("Friends", json!([{ "@id": "People('adaokafor')" }]))).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(trippin.count("People('new')/Friends").await, 1);
    let information = json!({ "@odata.context": "x", "@odata.metadataEtag": "x", "@odata.editLink": "x", "@odata.readLink": "x",
        "Friends@odata.navigationLink": "x", "Friends@odata.associationLink": "x", "Friends@odata.count": 1,
        "@odata.deltaLink": "x", "Emails@odata.type": "#Collection(String)", "@odata.mediaReadLink": "x",
        "Emails@odata.collectionAnnotations": [], "#Ns.Act": {}, "@Ns.Term": 1, "FirstName@Ns.Term": 1, "FirstName": "z" });
    assert_eq!(trippin.patch("People('new')", &[], information).await.status, 204);
    assert_eq!(trippin.get("People('new')").await.json()["FirstName"], "z");
}

#[tokio::test]
async fn dataverse_refuses_the_value_of_a_lookup() {
    let service = TestService::dataverse().await;
    let contact = "contacts(3b1f6c08-92d7-4ea5-8f43-d06c7a51be29)";
    let body = json!({ "_parentcustomerid_value": "5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7" });
    let missing = "contacts(3b1f6c08-92d7-4ea5-8f43-d06c7a51be00)";
    for (method, url) in [("PATCH", contact), ("PUT", contact), ("POST", "contacts"), ("PATCH", missing)] {
        for body in [body.clone(), json!({ "_parentcustomerid_value": null })] {
            let answer = service.write(method, url, &[], body.clone()).await;
            assert_eq!(answer.status, 400, "{method} {url}");
            assert!(answer.message().contains("'parentcustomerid_account'"), "{}", answer.text());
            let request = json!([{ "id": "1", "method": method, "url": url, "body": body }]);
            assert_eq!(service.batch(&[("Prefer", "continue-on-error")], request).await.statuses(), [400]);
        }
    }
    let property = format!("{contact}/_parentcustomerid_value");
    for (method, body) in [("PUT", json!({ "value": null })), ("DELETE", Value::Null)] {
        let answer = send(&service, method, &property, &body).await;
        assert!(answer.status == 400 && answer.message().contains("'parentcustomerid_account'"), "{}", answer.text());
    }
    assert_eq!(service.get(missing).await.status, 404);
}
