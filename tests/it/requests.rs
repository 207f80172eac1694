//! Reads, negotiation and refusals of requests that come alone (Protocol §11.2, §8, §9).

use serde_json::{Value, json};
use shared::service::Source;
use tests::service::TestService;

const MODEL: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Test" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Thing"><Key><PropertyRef Name="Code"/></Key>
<Property Name="Code" Type="Edm.String" Nullable="false"/>
<Property Name="Big" Type="Edm.Int64"/><Property Name="Exact" Type="Edm.Decimal" Scale="variable"/>
<Property Name="Cents" Type="Edm.Decimal" Precision="10" Scale="2"/>
<Property Name="At" Type="Edm.DateTimeOffset" Precision="7"/><Property Name="Note" Type="Edm.String"/>
<NavigationProperty Name="Parts" Type="Collection(Test.Part)" ContainsTarget="true"/></EntityType>
<EntityType Name="Part"><Key><PropertyRef Name="No"/></Key><Property Name="No" Type="Edm.Int32" Nullable="false"/>
<NavigationProperty Name="Screws" Type="Collection(Test.Screw)" ContainsTarget="true"/></EntityType>
<EntityType Name="Screw"><Key><PropertyRef Name="No"/></Key><Property Name="No" Type="Edm.Int32" Nullable="false"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Things" EntityType="Test.Thing"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"#;

/// A service of plain OData with this model and these rows.
pub(crate) async fn service_of(model: &'static str, seeds: &'static str) -> TestService {
    let service_toml = "roots = [\"/t\"]\n[profile]\nbase = \"odata\"\n".into();
    let (model_xml, seed_json) = (model.into(), Some(seeds.into()));
    TestService::of(Source { name: "model".into(), service_toml, model_xml, seed_json }, "/t").await
}

/// A service of things with pages of three.
pub(crate) async fn things() -> TestService {
    things_with("").await
}

/// The same with a line in its profile.
async fn things_with(line: &str) -> TestService {
    let service_toml = format!("roots = [\"/t\"]\npage_size = 3\n[profile]\nbase = \"odata\"\n{line}\n");
    TestService::of(Source { name: "things".into(), service_toml, model_xml: MODEL.into(), seed_json: None }, "/t")
        .await
}

/// Things `0`…`n-1`.
async fn some_things(count: u32) -> TestService {
    let service = things().await;
    for code in 0..count {
        assert_eq!(service.post("Things", json!({ "Code": code.to_string(), "Big": code })).await.status, 201);
    }
    service
}

#[tokio::test]
async fn pages_lead_to_the_end() {
    let service = some_things(8).await;
    for (query, sizes, prefer) in [
        ("", vec![3, 3, 2], ""),
        ("?$top=7&$select=Code", vec![3, 3, 1], ""),
        ("?$top=6", vec![3, 3], ""),
        ("?$top=2", vec![2], ""),
        ("?$skip=5", vec![3], ""),
        ("?$skip=1&$count=true&$filter=Big%20ge%201", vec![3, 3], ""),
        ("?$filter=Big%20ne%204", vec![2, 2, 2, 1], "maxpagesize=2"),
        ("?$top=0", vec![0], ""),
    ] {
        let mut url = format!("Things{query}");
        let (mut found, mut codes) = (vec![], vec![]);
        loop {
            let answer = service.send("GET", &url, &[("Prefer", prefer)], "").await;
            assert_eq!(answer.status, 200, "{url}: {}", answer.text());
            assert_eq!(answer.header("preference-applied").trim_start_matches("odata."), prefer);
            if query.contains("$count") {
                assert_eq!(answer.json()["@odata.count"], 7);
            }
            found.push(answer.rows().len());
            codes.extend(answer.rows().iter().map(|row| row["Code"].as_str().unwrap().to_owned()));
            let json = answer.json();
            let Some(next) = json.get("@odata.nextLink") else { break };
            url = next.as_str().unwrap().strip_prefix("http://host").unwrap().to_owned();
        }
        assert_eq!(found, sizes, "{query}");
        assert!(codes.is_sorted() && codes.windows(2).all(|pair| pair[0] != pair[1]), "{codes:?}");
    }
    assert_eq!(service.get("Things?$skiptoken=%21").await.status, 400);
}

#[tokio::test]
async fn reads_show_entities_properties_values_counts_and_links() {
    let service = TestService::dataverse().await;
    let account = "accounts(00000000-0000-0000-0000-000000000001)";
    let entity = service.get(&format!("{account}?$select=name,revenue")).await.json();
    assert_eq!(entity["@odata.context"], "http://host/api/data/v9.2/$metadata#accounts(name,revenue)/$entity");
    assert_eq!((&entity["name"], &entity["revenue"]), (&json!("Test Account"), &json!(5_000_000)));
    assert!(entity.get("telephone1").is_none() && entity["@odata.etag"].as_str().unwrap().starts_with("W/\""));
    let name = service.get(&format!("{account}/name")).await.json();
    assert_eq!(
        name,
        json!({ "@odata.context": format!("http://host/api/data/v9.2/$metadata#{account}/name"), "value": "Test Account" })
    );
    let value = service.get(&format!("{account}/name/$value")).await;
    assert_eq!((value.text(), value.header("content-type")), ("Test Account", "text/plain; charset=utf-8"));
    assert_eq!(service.get(&format!("{account}/description")).await.status, 204);
    assert_eq!(service.get("tasks/$count?$filter=contains(subject,'task')").await.text(), "4");
    assert_eq!(service.get(&format!("{account}/Account_Tasks/$count")).await.text(), "4");
    let tasks =
        service.get(&format!("{account}/Account_Tasks?$filter=subject eq 'Task 1' or endswith(subject,'3')")).await;
    assert_eq!(tasks.rows().len(), 2);
    let links = service.get(&format!("{account}/Account_Tasks/$ref")).await.rows();
    assert!(links[0]["@odata.id"].as_str().unwrap().starts_with("http://host/api/data/v9.2/tasks("));
    let task = "tasks(c40a7be1-2f58-4d96-b3ac-916e0d27f584)/regardingobjectid_account_task";
    assert_eq!(service.get(task).await.json()["accountnumber"], "TA-0001");
    assert_eq!(
        service.get(&format!("{task}/$ref")).await.json()["@odata.id"],
        format!("http://host/api/data/v9.2/{account}")
    );
    let related =
        "tasks?$filter=regardingobjectid_account_task/accountid eq 00000000-0000-0000-0000-000000000001&$top=1";
    assert_eq!(service.get(related).await.rows().len(), 1);
    assert_eq!(
        service.get("opportunities(9d73e5c6-04ba-4f12-86d9-a2f18b50e7c3)/customerid_account/name/$value").await.text(),
        "Test Account"
    );
    assert_eq!(service.get("accounts(accountnumber='TA-0001')/Account_Tasks/$count").await.text(), "4");
}

#[tokio::test]
async fn what_is_not_there_or_not_possible_has_its_status() {
    let service = TestService::trippin().await;
    let json = "application/json";
    let cases: [(&str, &str, &[(&str, &str)], &str, u16); 23] = [
        ("GET", "nothing", &[], "", 404),
        ("GET", "/elsewhere", &[], "", 404),
        ("GET", "Airlines('none')", &[], "", 404),
        ("GET", "Airlines('NW')/Nope", &[], "", 404),
        ("DELETE", "Airlines('none')", &[], "", 404),
        ("DELETE", "Airlines", &[], "", 405),
        ("POST", "Airlines('NW')", &[], "{}", 405),
        ("PATCH", "Airlines", &[], "{}", 405),
        ("POST", "$metadata", &[], "{}", 405),
        ("PUT", "Airlines/$count", &[], "1", 405),
        ("GET", "Airlines", &[("Accept", "application/xml")], "", 406),
        ("GET", "Airlines?$format=xml", &[], "", 406),
        ("GET", "Airlines", &[("Isolation", "serializable")], "", 412),
        ("POST", "Airlines", &[("Content-Type", "text/xml")], "<a/>", 415),
        ("POST", "Airlines", &[("Content-Type", json), ("Content-Encoding", "br")], "{}", 415),
        ("GET", "Airlines?$expand=x", &[], "", 501),
        ("GET", "Airlines?$orderby=Name", &[], "", 501),
        ("GET", "Airlines?$apply=aggregate(x)", &[], "", 501),
        ("GET", "Airlines?$search=x", &[], "", 501),
        ("GET", "Airlines?$filter=tolower(Name) eq 'x'", &[], "", 501),
        ("GET", "Airlines?$nonsense=1", &[], "", 400),
        ("GET", "Airlines?$filter=Name eq", &[], "", 400),
        ("POST", "Airlines", &[("Content-Type", json)], "", 400),
    ];
    for (method, url, headers, body, status) in cases {
        let answer = service.send(method, url, headers, body).await;
        assert_eq!(answer.status, status, "{method} {url}: {}", answer.text());
        let error = &answer.json()["error"];
        assert!(!error["code"].as_str().unwrap().is_empty() && !error["message"].as_str().unwrap().is_empty());
        assert_eq!(status == 405, !answer.header("allow").is_empty(), "{method} {url}");
    }
    let body = "x".repeat(7 << 20);
    assert_eq!(service.send("POST", "Airlines", &[("Content-Type", json)], body).await.status, 413);
    assert_eq!(service.get(&format!("Airlines?x={}", "y".repeat(70_000))).await.status, 414);
}

#[tokio::test]
async fn the_service_describes_itself() {
    for (name, root, context) in
        [("trippin", "/trippin", "@odata.context"), ("dataverse", "/api/data/v8.2", "@odata.context")]
    {
        let service = TestService::shipped(name, root).await;
        let document = service.get("").await;
        assert_eq!(document.json()[context], format!("http://host{root}/$metadata"));
        assert!(document.rows().len() >= 3);
        let metadata = service.get("$metadata").await;
        assert_eq!((metadata.status, metadata.header("content-type")), (200, "application/xml"));
        assert!(metadata.text().contains("<edmx:Edmx"));
    }
}

#[tokio::test]
async fn the_names_of_4_01_are_for_clients_that_ask_for_them() {
    let service = TestService::trippin().await;
    for (headers, version) in [
        (&[][..], "4.0"),
        (&[("OData-Version", "4.0")], "4.0"),
        (&[("OData-Version", "4.01")], "4.01"),
        (&[("OData-MaxVersion", "4.0")], "4.0"),
        (&[("OData-MaxVersion", "4.01")], "4.01"),
        (&[("OData-MaxVersion", "5.0")], "4.01"),
        (&[("OData-Version", "4.01"), ("OData-MaxVersion", "4.0")], "4.0"),
        (&[("OData-Version", "4.0"), ("OData-MaxVersion", "4.01")], "4.01"),
    ] {
        let (prefix, metadata) =
            if version == "4.01" { ("@", "metadata=minimal") } else { ("@odata.", "odata.metadata=minimal") };
        let entity = service.send("GET", "Airlines('NW')", headers, "").await;
        assert_eq!(entity.header("odata-version"), version, "{headers:?}");
        assert_eq!(entity.header("content-type"), format!("application/json; {metadata}"), "{headers:?}");
        assert!(entity.json().get(format!("{prefix}etag")).is_some(), "{headers:?}");
        let page = service.send("GET", "Airlines?$count=true&$top=1", headers, "").await.json();
        assert_eq!(page[format!("{prefix}count")], 3, "{headers:?}");
        let link = service.send("GET", "Airlines('NW')/$ref", headers, "").await.json();
        assert!(link.get(format!("{prefix}id")).is_some(), "{headers:?}");
        let plans = "People('adaokafor')/Trips(1)/PlanItems";
        let plans = service.send("GET", plans, headers, "").await.rows();
        let types: Vec<_> = plans.iter().filter_map(|plan| plan.get(format!("{prefix}type"))).collect();
        assert!(types.contains(&&json!("#TripPin.Flight")), "{headers:?}: {plans:?}");
        assert_eq!(service.send("GET", "nothing", headers, "").await.header("odata-version"), version);
    }
    for headers in [[("OData-MaxVersion", "3.0")], [("OData-Version", "2.0")], [("OData-MaxVersion", "x")]] {
        assert_eq!(service.send("GET", "Airlines", &headers, "").await.status, 400);
    }
    let bare = service.send("GET", "Airlines('NW')", &[("Accept", "application/json;metadata=none")], "").await;
    assert_eq!(bare.json(), json!({ "AirlineCode": "NW", "Name": "Northwind Air" }));
    let old = TestService::dataverse().await;
    assert_eq!(old.send("GET", "accounts", &[("OData-MaxVersion", "4.01")], "").await.header("odata-version"), "4.0");
    let new = things_with("default_version = \"4.01\"").await;
    assert_eq!(new.get("Things").await.header("odata-version"), "4.01");
    let asked = new.send("GET", "Things", &[("OData-MaxVersion", "4.0")], "").await;
    assert_eq!(asked.header("odata-version"), "4.0");
}

#[tokio::test]
async fn answers_to_reads_say_which_headers_they_depend_on() {
    let all = "Accept, OData-MaxVersion, OData-Version, Prefer";
    let service = TestService::trippin().await;
    let etag = service.get("Airlines('NW')").await.etag();
    for (url, headers, status) in [
        ("", &[][..], 200),
        ("$metadata", &[], 200),
        ("Airlines", &[], 200),
        ("Airlines('NW')", &[], 200),
        ("Airlines('NW')/Name", &[], 200),
        ("Airlines/$count", &[], 200),
        ("Airlines('NW')", &[("If-None-Match", etag.as_str())], 304),
        ("Airlines('none')", &[], 404),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = service.send(method, url, headers, "").await;
            assert_eq!((answer.status, answer.header("vary")), (status, all), "{method} {url}");
        }
    }
    let created = service.post("Airlines", json!({ "AirlineCode": "VV", "Name": "v" })).await;
    assert_eq!((created.status, created.header("vary")), (201, ""));
    let batch = service.batch(&[], json!([{ "id": "1", "method": "get", "url": "Airlines" }])).await;
    assert_eq!(batch.header("vary"), "");
    assert!(batch.responses()[0]["headers"].get("vary").is_none());
    assert_eq!(service.get("$batch").await.header("vary"), "");
    let companies = TestService::business_central().await.get("items").await;
    assert_eq!(companies.header("vary"), "Accept, Company, OData-MaxVersion, OData-Version, Prefer");
}

#[tokio::test]
async fn segments_are_decoded_once_after_they_are_split() {
    let service = TestService::trippin().await;
    let batch = json!({ "requests": [{ "id": "1", "method": "get", "url": "Airlines('NW')" }] });
    for url in ["$batch", "%24batch", "$batch/", "%24%62atch/"] {
        let answer = service.write("POST", url, &[], batch.clone()).await;
        assert_eq!(answer.statuses(), [200], "{url}: {}", answer.text());
    }
    for (url, status) in [
        ("%24metadata", 200),
        ("%41irlines/%24count", 200),
        ("Airlines('NW')/%24ref", 200),
        ("Airlines('NW')/Name/%24value", 200),
        ("Airlines%28%27NW%27%29", 200),
        ("%2524metadata", 404),
        ("Airlines%2F$count", 404),
    ] {
        assert_eq!(service.get(url).await.status, status, "{url}");
    }
}

#[tokio::test]
async fn options_that_mean_nothing_where_they_stand_are_refused() {
    let service = TestService::trippin().await;
    let person = "People('adaokafor')";
    let options = ["$select=Name", "$filter=true", "$top=1", "$skip=1", "$count=true", "$skiptoken=eA", "$id=x"];
    let refused = async |method: &str, url: &str, body: Value, kept: &[&str]| {
        for option in options.iter().filter(|option| !kept.iter().any(|kept| option.starts_with(kept))) {
            let url = format!("{url}?{option}");
            let answer = service.write(method, &url, &[], body.clone()).await;
            assert_eq!(answer.status, 400, "{method} {url}: {}", answer.text());
        }
    };
    let none = || json!({});
    let pages = &["$select", "$filter", "$top", "$skip", "$count"];
    for (url, kept) in [
        ("", &[][..]),
        ("$metadata", &[]),
        ("Airlines", pages),
        ("Airlines/$count", &["$filter", "$top", "$skip", "$count"]),
        ("Airlines/$ref", &["$filter", "$top", "$skip", "$count"]),
        ("Airlines('NW')", &["$select"]),
        ("Airlines('NW')/$ref", &[]),
        ("Airlines('NW')/Name", &[]),
        ("Airlines('NW')/Name/$value", &[]),
        (&format!("{person}/Friends/$count"), &["$filter", "$top", "$skip", "$count"]),
        (&format!("{person}/Friends/$ref"), &["$filter", "$top", "$skip", "$count"]),
        (&format!("{person}/Emails/$count"), &["$filter"]),
    ] {
        refused("GET", url, none(), kept).await;
        let format = service.get(&format!("{url}?$format=json")).await.status;
        let has_none = url.ends_with("Emails/$count");
        let expected = if has_none {
            400
        } else if url == "$metadata" || url.ends_with("$value") {
            406
        } else {
            200
        };
        assert_eq!(format, expected, "{url}");
    }
    refused("POST", "Airlines", json!({ "AirlineCode": "X", "Name": "x" }), &["$select"]).await;
    refused("PATCH", "Airlines('NW')", json!({ "Name": "x" }), &["$select"]).await;
    refused("PUT", "Airlines('NW')", json!({ "Name": "x" }), &["$select"]).await;
    refused("PUT", "Airlines('NW')/Name", json!({ "value": "x" }), &[]).await;
    refused("DELETE", "Airlines('NW')", none(), &[]).await;
    refused("POST", &format!("{person}/Friends/$ref"), json!({ "@odata.id": "People('dario')" }), &[]).await;
    refused("DELETE", &format!("{person}/Friends('dario')/$ref"), none(), &[]).await;
    refused("POST", "$batch", json!({ "requests": [] }), &[]).await;
    assert_eq!(service.get("Airlines('NW')/Name").await.json()["value"], "Northwind Air");
    assert_eq!(service.get("Airlines/$count?$top=1&$skip=1&$count=true&$format=json").await.text(), "3");
    assert_eq!(service.get("$metadata?$format=application/xml").await.status, 200);
    assert_eq!(service.get("Airlines('NW')/Name/$value?$format=text/plain").await.status, 200);
    let jobs = TestService::finance_operations().await;
    let action = "BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting?$select=Status";
    assert_eq!(jobs.post(action, json!({ "batchJobId": 5_637_144_576_i64 })).await.status, 400);
    assert_eq!(jobs.get("BusinessEventsCatalogs?$top=1").await.status, 400);
}

#[tokio::test]
async fn options_of_collections_of_values_are_named_as_not_supported() {
    let service = TestService::trippin().await;
    for url in ["Emails?$top=1", "Emails?$filter=true", "AddressInfo?$select=City", "AddressInfo?$count=true"] {
        let answer = service.get(&format!("People('adaokafor')/{url}")).await;
        assert_eq!(answer.status, 501, "{url}: {}", answer.text());
        assert!(answer.message().contains('$'), "{}", answer.message());
    }
}

#[tokio::test]
async fn a_complex_value_shows_what_is_selected_and_its_own_type() {
    let service = TestService::trippin().await;
    let airport = service.get("Airports?$top=1").await.rows().remove(0);
    let url = format!("Airports('{}')/Location", airport["IcaoCode"].as_str().unwrap());
    let whole = service.get(&url).await.json();
    let selected = service.get(&format!("{url}?$select=Address")).await.json();
    assert_eq!(selected["Address"], whole["Address"]);
    assert!(whole.get("City").is_some() && selected.get("City").is_none(), "{selected}");
    assert!(selected["@odata.context"].as_str().unwrap().ends_with("/Location(Address)"), "{selected}");
    assert_eq!(service.get(&format!("{url}/City?$select=Nothing")).await.status, 400);
}

#[tokio::test]
async fn comparisons_without_meaning_are_refused() {
    let service = TestService::trippin().await;
    for filter in ["Location gt null", "Location le null", "null lt Location"] {
        assert_eq!(service.get(&format!("Airports?$filter={filter}")).await.status, 400, "{filter}");
    }
    assert_eq!(service.get("Airports?$filter=Location ne null").await.status, 200);
    assert_eq!(service.get("People?$filter=Emails gt null").await.status, 400);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let service = TestService::trippin().await;
    let mut get = service.get("Airlines('NW')").await;
    let mut head = service.send("HEAD", "Airlines('NW')", &[], "").await;
    // Each is a request of its own.
    for answer in [&mut get, &mut head] {
        assert!(answer.headers.take("traceparent").is_some());
    }
    assert_eq!((head.status, head.body.len(), head.headers), (200, 0, get.headers));
    assert_eq!(service.send("HEAD", "Airlines('none')", &[], "").await.status, 404);
}

#[tokio::test]
async fn numbers_and_times_come_back_as_they_were_sent() {
    let service = things().await;
    let sent = r#"{"Code":"a","Big":9223372036854775807,"Exact":123456789012345678901234567890.12345678901,"Cents":-0.5,"At":"2026-02-03T04:05:06.1234567+02:00"}"#;
    let created = service.send("POST", "Things", &[("Content-Type", "application/json")], sent).await;
    for text in [created.text(), service.get("Things('a')").await.text(), service.get("Things").await.text()] {
        for value in [
            "\"Big\":9223372036854775807",
            "\"Exact\":123456789012345678901234567890.12345678901",
            "\"Cents\":-0.50",
            ":06.1234567",
        ] {
            assert!(text.contains(value), "{value} is not in {text}");
        }
    }
    let exact = service
        .get("Things?$filter=Big eq 9223372036854775807 and Exact gt 123456789012345678901234567890.12345678900")
        .await;
    assert_eq!(exact.rows().len(), 1);
    assert_eq!(service.get("Things?$filter=Big eq 9223372036854775806").await.rows().len(), 0);
    assert_eq!(service.get("Things?$filter=At eq 2026-02-03T02:05:06.1234567Z").await.rows().len(), 1);
    for wrong in [
        "\"Big\":9223372036854775808",
        "\"Cents\":0.123",
        "\"Cents\":123456789.12",
        "\"At\":\"2026-02-30T00:00:00Z\"",
        "\"Big\":1.5",
        "\"Nope\":1",
    ] {
        let body = format!("{{\"Code\":\"b\",{wrong}}}");
        let answer = service.send("POST", "Things", &[("Content-Type", "application/json")], body).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
        assert!(answer.message().contains(&wrong[1..3]), "{}", answer.message());
    }
}

#[tokio::test]
async fn companies_are_named_in_four_ways() {
    let service = TestService::business_central().await;
    let fjord = [("Company", "Fjord Outdoor AS")];
    let ours = "companies(9f161476-1d3d-eb11-bb72-000d3a2b9218)/items/$count";
    let theirs = "companies(5c1d9a42-7f3e-4b56-9d10-2f8e6ab0c713)/items/$count";
    for (url, headers, count) in [
        (ours, &[][..], "4"),
        (theirs, &[], "1"),
        (ours, &fjord, "4"),
        ("items/$count", &fjord, "1"),
        ("items/$count?company=Fjord%20Outdoor%20AS", &[], "1"),
        ("items/$count", &[], "4"),
        ("/api/contoso/sales/v1.0/items/$count", &fjord, "1"),
        ("companies/$count", &[], "2"),
    ] {
        assert_eq!(service.send("GET", url, headers, "").await.text(), count, "{url}");
    }
    for (url, headers) in [
        ("items", &[("Company", "Nobody")][..]),
        ("items?company=Nobody", &[]),
        ("companies(00000000-0000-0000-0000-000000000009)/items", &[]),
    ] {
        let answer = service.send("GET", url, headers, "").await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (404, &json!("Internal_CompanyNotFound")),
            "{url}"
        );
    }
    let created = service.at("/api/contoso/sales/v1.0").post("items", json!({ "number": "N" })).await;
    assert!(created.header("location").starts_with("http://host/api/contoso/sales/v1.0/"), "{created:?}");
    assert_eq!(service.write("POST", "companies", &[], json!({ "name": "x" })).await.status, 405);
}
