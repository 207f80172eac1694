//! What clients send that is less than strict, and what is refused all the same.

use serde_json::{Value, json};
use tests::service::{Answer, TestService};

use crate::{batch_json::get, requests::things, rig::member};

/// A filter's words with `+` between them.
fn plus(filter: &str) -> String {
    filter.replace(' ', "+")
}

#[tokio::test]
async fn an_etag_in_the_body_counts_in_4_01() {
    let service = TestService::trippin().await;
    let body = |name: &str| json!({ "@etag": "W/\"old\"", "Name": name });
    let new = [("OData-Version", "4.01")];
    assert_eq!(service.patch("Airlines('NW')", &new, body("x")).await.status, 412);
    let etag = service.get("Airlines('NW')").await.etag();
    assert_eq!(service.patch("Airlines('NW')", &new, json!({ "@etag": etag, "Name": "y" })).await.status, 204);
    let old = json!({ "@odata.etag": "W/\"old\"", "Name": "z" });
    assert_eq!(service.patch("Airlines('NW')", &[("OData-Version", "4.0")], old).await.status, 204);
    assert_eq!(service.get("Airlines('NW')").await.json()["Name"], "z");
}

#[tokio::test]
async fn a_plus_is_a_space_but_in_a_number() {
    let service = things().await;
    let thing = json!({ "Code": "a", "Note": "one two", "At": "2026-01-01T10:00:00Z" });
    assert_eq!(service.post("Things", thing).await.status, 201);
    for (filter, found) in [
        (plus("Note eq 'one two'"), 1),
        (plus("Note eq 'one%2Btwo'"), 0),
        ("At+eq+2026-01-01T12:00:00+02:00".into(), 1),
        ("At%20eq%202026-01-01T12:00:00%2B02:00".into(), 1),
        ("At+lt+2026-01-01T12:00:00+02:00+and+Code+eq+'a'".into(), 0),
    ] {
        let answer = service.get(&format!("Things?$filter={filter}")).await;
        assert_eq!(answer.status, 200, "{filter}: {}", answer.text());
        assert_eq!(answer.rows().len(), found, "{filter}");
    }
}

fn part(id: u8, line: &str, body: &str) -> String {
    format!(
        "--c\nContent-Type: application/http\nContent-Transfer-Encoding: binary\nContent-ID: {id}\n\n\
         {line} HTTP/1.1\nContent-Type: application/json\n\n{body}\n"
    )
}

fn change_sets(sets: &[Vec<String>]) -> String {
    let sets = sets
        .iter()
        .map(|parts| format!("--b\nContent-Type: multipart/mixed; boundary=c\n\n{}--c--\n\n", parts.concat()));
    format!("{}--b--\n", sets.collect::<String>())
}

#[tokio::test]
async fn an_id_is_of_its_change_set_in_dataverse() {
    let service = TestService::dataverse().await;
    let set = |name: &str| {
        let task = format!(r#"{{"subject":"of {name}","regardingobjectid_account_task@odata.bind":"$1"}}"#);
        vec![
            part(1, "POST accounts", &format!(r#"{{"name":"{name}","accountnumber":"{name}"}}"#)),
            part(2, "POST tasks", &task),
        ]
    };
    let answer = service.multipart(&[], &change_sets(&[set("a"), set("b")])).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![204; 4]), "{}", answer.text());
    for name in ["a", "b"] {
        let tasks = service.get(&format!("accounts(accountnumber='{name}')/Account_Tasks")).await.rows();
        assert_eq!(tasks.iter().map(|task| task["subject"].clone()).collect::<Vec<_>>(), [format!("of {name}")]);
    }
    let twice = vec![part(1, "POST accounts", r#"{"name":"c"}"#), part(1, "POST accounts", r#"{"name":"d"}"#)];
    assert_eq!(service.multipart(&[], &change_sets(&[twice])).await.status, 400);
    assert_eq!(service.count("accounts").await, 4);

    let service = TestService::trippin().await;
    let airline = |code: &str| vec![part(1, "POST Airlines", &format!(r#"{{"AirlineCode":"{code}","Name":"n"}}"#))];
    let answer = service.multipart(&[], &change_sets(&[airline("A"), airline("B")])).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![201, 400]), "elsewhere the later one repeats an id");
    assert_eq!(service.count("Airlines").await, 4);
}

#[tokio::test]
async fn the_company_of_a_batch_is_that_of_its_requests() {
    let service = TestService::business_central().await;
    let batch = async |query: &str, requests: Value| -> Answer {
        let url = format!("$batch{query}");
        let accept = [("Accept", "application/json")];
        service.write("POST", &url, &accept, json!({ "requests": requests })).await
    };
    let mut other = get("2", "items/$count");
    other["headers"] = json!({ "company": "CRONUS International Ltd." });
    let counts = |answer: &Answer| answer.responses().iter().map(|r| r["body"].clone()).collect::<Vec<_>>();
    let answer = batch("?company=Fjord%20Outdoor%20AS", json!([get("1", "items/$count"), other])).await;
    assert_eq!(counts(&answer), ["1", "4"], "{}", answer.text());
    let answer = batch("", json!([get("1", "items/$count"), get("2", "items/$count?company=Fjord Outdoor AS")])).await;
    assert_eq!(counts(&answer), ["4", "1"], "{}", answer.text());
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_told_with_those_that_are() {
    let service = TestService::trippin().await;
    for (method, url) in [
        ("POST", "People('adaokafor')"),
        ("PUT", "People"),
        ("OPTIONS", "People"),
        ("POST", "$metadata"),
        ("DELETE", "People"),
        ("PATCH", "People/$count"),
    ] {
        let answer = service.send(method, url, &[], "").await;
        assert_eq!(answer.status, 405, "{method} {url}: {}", answer.text());
        assert!(answer.header("allow").starts_with("GET"), "{method} {url}");
    }
}

#[tokio::test]
async fn a_request_for_another_host_is_refused() {
    let service = TestService::trippin().await;
    let mut elsewhere = get("1", "/trippin/Airlines");
    elsewhere["headers"] = json!({ "host": "elsewhere.example" });
    assert_eq!(service.batch(&[], json!([elsewhere])).await.statuses(), [400]);
    let mut here = get("1", "/trippin/Airlines");
    here["headers"] = json!({ "host": "host" });
    assert_eq!(service.batch(&[], json!([here])).await.statuses(), [200]);
}

#[tokio::test]
async fn business_central_takes_captions_and_isolation() {
    let service = TestService::business_central().await;
    let answer = service.send("GET", "items", &[("Isolation", "snapshot")], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let item = json!({ "number": "N", "type": "Non-Inventory" });
    let answer = service.write("POST", "items", &[("Isolation", "snapshot")], item).await;
    assert_eq!((answer.status, &answer.json()["type"]), (201, &json!("Non_x002D_Inventory")), "{}", answer.text());
}

#[tokio::test]
async fn stars_in_a_filter_are_a_pattern() {
    let service = TestService::finance_operations().await;
    for (filter, found) in [
        ("JobDescription eq '*bank*'", 1),
        ("JobDescription eq 'Import*'", 1),
        ("JobDescription eq '*ing'", 1),
        ("JobDescription eq 'bank'", 0),
        ("JobDescription ne '*bank*'", 7),
    ] {
        let rows = service.get(&format!("BatchJobs?$filter={filter}")).await;
        assert_eq!(rows.rows().len(), found, "{filter} {}", rows.text());
    }
    let service = TestService::trippin().await;
    assert_eq!(service.get("Airlines?$filter=Name eq '*Air*'").await.rows().len(), 0);
}

#[tokio::test]
async fn options_have_their_place_and_bounds() {
    let service = TestService::trippin().await;
    let change = json!({ "Name": "x" });
    for option in ["$filter=Name eq 'x'", "$top=1", "$skip=1", "$count=true"] {
        let answer = service.patch(&format!("Airlines('NW')?{option}"), &[], change.clone()).await;
        assert_eq!(answer.status, 400, "{option}: {}", answer.text());
        let created = json!({ "AirlineCode": "X", "Name": "x" });
        assert_eq!(service.post(&format!("Airlines?{option}"), created).await.status, 400, "{option}");
        assert_eq!(service.delete(&format!("Airlines('NW')?{option}")).await.status, 400, "{option}");
    }
    assert_eq!(service.get("Airlines?$skip=50000").await.status, 200);
    let answer = service.get("Airlines?$skip=50001").await;
    assert!(answer.status == 400 && answer.message().contains("50000"), "{}", answer.text());
    for length in [1_400, 4_000, 20_000] {
        let answer = service.get(&format!("Airlines?$skiptoken={}", "QUJD".repeat(length / 4))).await;
        assert_eq!(answer.status, 400, "{length}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_kept_is_refused() {
    let service = TestService::trippin().await;
    for name in [String::new(), "n".repeat(300)] {
        let mut person = json!({ "UserName": "p", "FirstName": "f", "LastName": "l" });
        person[&name] = json!("v");
        let answer = service.post("People", person).await;
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.text());
        let change: Value = [(name.clone(), json!(1))].into_iter().collect();
        assert_eq!(service.patch("People('dario')", &[], change.clone()).await.status, 400, "{name:?}");
        let address =
            json!({ "AddressInfo": [{ "Address": "a", "City": { "CountryRegion": "c", "Name": "n" }, &name: 1 }] });
        let answer = service.patch("People('dario')", &[], address).await;
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.text());
        let answer = service.batch(&[], json!([member(Some("g"), "1", "PATCH", "People('dario')", change)])).await;
        assert_eq!(answer.statuses(), [400]);
    }
}

#[tokio::test]
async fn options_of_a_dialect_are_carried_out_or_named_as_not_supported() {
    let dataverse = TestService::dataverse().await;
    let account = "accounts(00000000-0000-0000-0000-000000000001)";
    for option in ["fetchXml=%3Cfetch/%3E", "FetchXML=x", "savedQuery=x", "userQuery=x", "sql=select", "partitionId=x"]
    {
        for url in ["", "accounts", account, "accounts/$count", "$metadata"] {
            let answer = dataverse.get(&format!("{url}?{option}")).await;
            assert_eq!(answer.status, 501, "{url}?{option}: {}", answer.text());
            let name = option.split('=').next().unwrap();
            assert!(answer.message().contains(name), "{}", answer.message());
        }
        let url = |path: &str| format!("{path}?{option}");
        assert_eq!(dataverse.post(&url("accounts"), json!({ "name": "x" })).await.status, 501);
        assert_eq!(dataverse.patch(&url(account), &[], json!({ "name": "x" })).await.status, 501);
        assert_eq!(dataverse.delete(&url(account)).await.status, 501);
        let inner = get("1", &url("accounts"));
        let answer = dataverse.batch(&[("Prefer", "continue-on-error")], json!([inner, get("2", account)])).await;
        assert_eq!(answer.statuses(), [501, 200]);
        let batch = json!({ "requests": [get("1", account)] });
        assert_eq!(dataverse.write("POST", &url("$batch"), &[], batch).await.status, 501);
    }
    assert_eq!(dataverse.get("accounts?tag=x&other=1").await.status, 200);
    let link =
        json!({ "subject": "s", "regardingobjectid_account_task@odata.bind": format!("{account}?$select=name") });
    assert_eq!(dataverse.post("tasks", link).await.status, 400);
    let central = TestService::business_central().await;
    for (query, status) in [("tenant=other", 501), ("Company=Fjord%20Outdoor%20AS", 200), ("aid=FIN", 200)] {
        assert_eq!(central.get(&format!("items?{query}")).await.status, status, "{query}");
    }
    assert_eq!(TestService::finance_operations().await.get("BatchJobs?cross-company=true").await.status, 200);
    assert_eq!(TestService::trippin().await.get("Airlines?fetchXml=x&sql=y&tenant=z").await.status, 200);
}
