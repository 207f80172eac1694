//! Writes that come alone: creating, updating, upserting, linking, preconditions (Protocol §11.4).

use serde_json::{Value, json};
use tests::service::TestService;

use crate::requests::things;

const ACCOUNT: &str = "accounts(00000000-0000-0000-0000-000000000001)";
const TASK: &str = "tasks(c40a7be1-2f58-4d96-b3ac-916e0d27f584)";

#[tokio::test]
async fn preferences_decide_what_a_write_returns() {
    for (name, root, set, created, changed) in [
        ("trippin", "/trippin", "Airlines", 201, 204),
        ("dataverse", "/api/data/v9.2", "accounts", 204, 204),
        ("business-central", "/api/v2.0", "items", 201, 200),
        ("finance-operations", "/data", "BatchJobs", 201, 204),
    ] {
        let service = TestService::shipped(name, root).await;
        let entity = |n: u8| match set {
            "Airlines" => json!({ "AirlineCode": format!("A{n}"), "Name": "x" }),
            "accounts" => json!({ "name": "x" }),
            "items" => json!({ "displayName": "x" }),
            _ => json!({ "JobDescription": "x" }),
        };
        let prefers = ["", "return=minimal", "return=representation"];
        for (n, (prefer, status)) in (0..).zip(prefers.into_iter().zip([created, 204, 201])) {
            let answer = service.write("POST", set, &[("Prefer", prefer)], entity(n)).await;
            assert_eq!((answer.status, answer.header("preference-applied")), (status, prefer), "{root}");
            let location = answer.header("location").strip_prefix("http://host").unwrap().to_owned();
            assert_eq!(service.get(&location).await.status, 200);
            assert_eq!(answer.header("odata-entityid").is_empty(), status == 201, "{root} {prefer}");
            for (prefer, status) in prefers.into_iter().zip([changed, 204, 200]) {
                let mut change = entity(n);
                change.as_object_mut().unwrap().remove("AirlineCode");
                let answer = service.patch(&location, &[("Prefer", prefer), ("If-Match", "*")], change).await;
                assert_eq!(
                    (answer.status, answer.header("preference-applied")),
                    (status, prefer),
                    "{root} {}",
                    answer.text()
                );
                assert_eq!(answer.body.is_empty(), status == 204);
            }
        }
    }
}

#[tokio::test]
async fn properties_are_written_by_themselves() {
    let service = TestService::dataverse().await;
    let name = format!("{ACCOUNT}/name");
    assert_eq!(service.write("PUT", &name, &[], json!({ "value": "A" })).await.status, 204);
    assert_eq!(service.get(&format!("{name}/$value")).await.text(), "A");
    assert_eq!(service.patch(&name, &[], json!({ "value": "B" })).await.status, 204);
    assert_eq!(service.delete(&name).await.status, 204);
    assert_eq!(service.get(&name).await.status, 204);
    assert_eq!(service.delete(&format!("{ACCOUNT}/accountid")).await.status, 400);
    assert_eq!(service.write("PUT", &name, &[("If-Match", "W/\"old\"")], json!({ "value": "C" })).await.status, 412);
    assert_eq!(service.write("PUT", &name, &[], json!({ "value": 1 })).await.status, 400);
}

#[tokio::test]
async fn put_replaces_and_patch_merges() {
    let service = things().await;
    service.post("Things", json!({ "Code": "a", "Big": 1, "Note": "n" })).await;
    service.patch("Things('a')", &[], json!({ "Big": 2 })).await;
    let read = async || {
        service
            .send("GET", "Things('a')?$select=Big,Note", &[("Accept", "application/json;metadata=none")], "")
            .await
            .json()
    };
    assert_eq!(read().await, json!({ "Code": "a", "Big": 2, "Note": "n" }));
    service.write("PUT", "Things('a')", &[], json!({ "Big": 3 })).await;
    assert_eq!(read().await, json!({ "Code": "a", "Big": 3, "Note": null }));
    assert_eq!(service.patch("Things('a')", &[], json!({ "Code": "b" })).await.status, 400);
    assert_eq!(service.delete("Things('a')").await.status, 204);
    assert_eq!(service.delete("Things('a')").await.status, 404);
}

#[tokio::test]
async fn what_the_service_makes_stays_when_an_entity_is_replaced() {
    let service = TestService::business_central().await;
    let journal = "journals(f91409ba-1d3d-eb11-bb72-000d3a2b9218)/journalLines";
    let line = json!({ "accountId": "ae4110b4-1d3d-eb11-bb72-000d3a2b9218", "amount": 1, "comment": "c" });
    let line = service.post(journal, line).await.json();
    let url = format!("{journal}({})", line["id"].as_str().unwrap());
    for (method, prefer, comment) in [("PUT", "return=representation", ""), ("PATCH", "return=minimal", "")] {
        let id = "844110b4-1d3d-eb11-bb72-000d3a2b9218";
        for name in ["accountNumber", "journalDisplayName"] {
            let body = json!({ "accountId": id, name: "mine" });
            let answer = service.write(method, &url, &[("If-Match", "*"), ("Prefer", prefer)], body).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(answer.message().contains(name) && answer.message().contains("mine"), "{}", answer.text());
        }
        let body = json!({ "accountId": id, "accountNumber": "20700", "journalDisplayName": "DEFAULT" });
        let answer = service.write(method, &url, &[("If-Match", "*"), ("Prefer", prefer)], body).await;
        assert!(answer.status < 300, "{}", answer.text());
        let made = service.get(&url).await.json();
        for name in ["journalId", "journalDisplayName", "lineNumber", "taxCode"] {
            assert_eq!(made[name], line[name], "{method} {name}");
        }
        assert_eq!((&made["accountNumber"], &made["comment"]), (&json!("20700"), &json!(comment)));
        let body = json!({ "accountNumber": "mine" });
        let answer = service.write("PATCH", &url, &[("If-Match", "*"), ("Prefer", "return=minimal")], body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(service.get(&url).await.json()["accountNumber"], "20700");
    }
    let number = format!("{url}/accountNumber");
    assert_eq!(service.write("PUT", &number, &[("If-Match", "*")], json!({ "value": "mine" })).await.status, 400);
    let name = format!("{url}/journalDisplayName");
    assert_eq!(service.write("PUT", &name, &[("If-Match", "*")], json!({ "value": "mine" })).await.status, 501);
}

#[tokio::test]
async fn deep_inserts_create_all_or_nothing() {
    let service = things().await;
    let parts = |no: i32| json!([{ "No": 1, "Screws": [{ "No": 1 }, { "No": no }] }, { "No": 2, "Screws": [] }]);
    let created = service.post("Things", json!({ "Code": "a", "Parts": parts(2) })).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(service.count("Things('a')/Parts").await, 2);
    assert_eq!(service.count("Things('a')/Parts(1)/Screws").await, 2);
    assert_eq!(service.post("Things", json!({ "Code": "b", "Parts": parts(1) })).await.status, 409);
    assert_eq!(service.get("Things('b')").await.status, 404);
    assert_eq!(service.post("Things('a')/Parts(2)/Screws", json!({ "No": 7 })).await.status, 201);
    assert_eq!(service.get("Things('a')/Parts(2)/Screws(7)").await.status, 200);

    let service = TestService::dataverse().await;
    let account = json!({
        "name": "deep", "primarycontactid": { "lastname": "one" },
        "Account_Tasks": [{ "subject": "a" }, { "subject": "b" }],
        "opportunity_customer_accounts": [{ "name": "o" }],
    });
    let created = service.post("accounts", account).await;
    assert_eq!(created.status, 204, "{}", created.text());
    let location = created.header("location").strip_prefix("http://host").unwrap().to_owned();
    assert_eq!(service.count(&format!("{location}/Account_Tasks")).await, 2);
    assert_eq!(service.get(&format!("{location}/primarycontactid/lastname/$value")).await.text(), "one");
    assert_eq!(service.count(&format!("{location}/opportunity_customer_accounts")).await, 1);
}

#[tokio::test]
async fn binds_lead_to_entities_that_exist() {
    let service = TestService::dataverse().await;
    for target in [
        ACCOUNT.to_owned(),
        format!("/{ACCOUNT}"),
        format!("https://host/api/data/v9.2/{ACCOUNT}"),
        "accounts(accountnumber='TA-0001')".into(),
    ] {
        let task = json!({ "subject": "t", "regardingobjectid_account_task@odata.bind": target });
        let created = service.post("tasks", task).await;
        assert_eq!(created.status, 204, "{target}: {}", created.text());
    }
    assert_eq!(service.count(&format!("{ACCOUNT}/Account_Tasks")).await, 8);
    let count = service.count("tasks").await;
    for (target, status) in [
        ("accounts(00000000-0000-0000-0000-0000000000ff)", 400),
        ("tasks(c40a7be1-2f58-4d96-b3ac-916e0d27f584)", 400),
        ("https://elsewhere/api/data/v9.2/accounts(00000000-0000-0000-0000-000000000001)", 400),
        ("$1", 400),
    ] {
        let task = json!({ "subject": "t", "regardingobjectid_account_task@odata.bind": target });
        assert_eq!(service.post("tasks", task.clone()).await.status, status, "{target}");
        assert_eq!(service.patch(TASK, &[], task).await.status, status, "{target}");
    }
    assert_eq!(service.count("tasks").await, count);
    assert_eq!(service.get(&format!("{TASK}/subject/$value")).await.text(), "Task Created with Test Account");
    for null in [
        json!({ "regardingobjectid_account_task@odata.bind": null }),
        json!({ "regardingobjectid_account_task": null }),
    ] {
        assert_eq!(
            service.patch(TASK, &[], json!({ "regardingobjectid_account_task@odata.bind": ACCOUNT })).await.status,
            204
        );
        assert_eq!(service.get(&format!("{TASK}/regardingobjectid_account_task")).await.status, 200);
        let answer = service.patch(TASK, &[], null).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        assert!([204, 404].contains(&service.get(&format!("{TASK}/regardingobjectid_account_task")).await.status));
    }
}

#[tokio::test]
async fn alternate_keys_find_and_upsert() {
    let service = TestService::dataverse().await;
    let by_number = |number: &str| format!("accounts(accountnumber='{number}')");
    let created = service.patch(&by_number("N%201"), &[], json!({ "name": "new" })).await;
    assert_eq!(created.status, 204, "{}", created.text());
    assert_eq!(created.header("odata-entityid"), "http://host/api/data/v9.2/accounts(accountnumber='N%201')");
    assert_eq!(service.get(&by_number("N%201")).await.json()["accountnumber"], "N 1");
    let changed =
        service.patch(&by_number("N%201"), &[("Prefer", "return=representation")], json!({ "name": "newer" })).await;
    assert_eq!((changed.status, &changed.json()["name"]), (200, &json!("newer")));
    assert_eq!(service.count("accounts").await, 3);
    assert_eq!(service.post("accounts", json!({ "accountnumber": "N 1" })).await.status, 412, "taken");
    assert_eq!(service.patch(ACCOUNT, &[], json!({ "accountnumber": "N 1" })).await.status, 412, "taken");
    assert_eq!(service.patch(ACCOUNT, &[], json!({ "accountnumber": "N 2" })).await.status, 204);
    assert_eq!(service.get(&by_number("TA-0001")).await.status, 404, "moved on");
    assert_eq!(service.get(&by_number("N%202")).await.status, 200);
    assert_eq!(service.delete(&by_number("N%201")).await.status, 204);
    assert_eq!(service.post("accounts", json!({ "accountnumber": "N 1" })).await.status, 204, "free again");
    assert_eq!(service.patch(&by_number("none"), &[("If-Match", "*")], json!({ "name": "x" })).await.status, 404);
}

#[tokio::test]
async fn awkward_keys_are_keys() {
    let service = things().await;
    let dataverse = TestService::dataverse().await;
    for (key, url) in [
        ("A/1", "A%2F1"),
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("x#y", "x%23y"),
        ("O'Bryan", "O''Bryan"),
        ("?&=+;", "%3F%26%3D+;"),
        ("ü(1)", "%C3%BC(1)"),
    ] {
        let created = service.post("Things", json!({ "Code": key })).await;
        assert_eq!(created.status, 201, "{key}");
        let location = created.header("location").strip_prefix("http://host").unwrap().to_owned();
        for url in [location, format!("Things('{url}')")] {
            let answer = service.get(&url).await;
            assert_eq!((answer.status, &answer.json()["Code"]), (200, &json!(key)), "{url}");
        }
        assert_eq!(
            service.write("PUT", &format!("Things('{url}')/Note"), &[], json!({ "value": "n" })).await.status,
            204
        );
        let alternate = dataverse.patch(&format!("accounts(accountnumber='{url}')"), &[], json!({ "name": "x" })).await;
        assert_eq!(alternate.status, 204, "{key}");
        let id = alternate.header("odata-entityid").strip_prefix("http://host").unwrap().to_owned();
        assert_eq!(dataverse.get(&id).await.json()["accountnumber"], key);
    }
    assert_eq!(service.get("Things('A/1')").await.status, 200, "an unencoded slash inside quotes");
    assert_eq!(service.delete("Things('O''Bryan')").await.status, 204);
}

#[tokio::test]
async fn a_missing_entity_is_created_where_the_profile_upserts() {
    let id = "11111111-2222-3333-4444-555555555555";
    for (name, root, set, property, upserts) in [
        ("dataverse", "/api/data/v9.2", "accounts", "name", true),
        ("business-central", "/api/v2.0", "items", "displayName", false),
    ] {
        let service = TestService::shipped(name, root).await;
        let url = format!("{set}({id})");
        let body = json!({ property: "x" });
        assert_eq!(service.patch(&url, &[("If-Match", "*")], body.clone()).await.status, 404);
        if upserts {
            for (method, header, status) in [
                ("PATCH", ("If-None-Match", "*"), 204),
                ("PATCH", ("If-None-Match", "*"), 412),
                ("PUT", ("If-None-Match", "null"), 204),
                ("PATCH", ("If-Match", "null"), 204),
            ] {
                assert_eq!(
                    service.write(method, &url, &[header], body.clone()).await.status,
                    status,
                    "{method} {header:?}"
                );
            }
            let fresh = url.replace("11111111", "21111111");
            let answer = service.write("PUT", &fresh, &[("Prefer", "return=representation")], body).await;
            assert_eq!(answer.status, 201);
        } else {
            assert_eq!(service.patch(&url, &[], body.clone()).await.json()["error"]["code"], "BadRequest_InvalidToken");
            assert_eq!(service.write("PUT", &url, &[("If-Match", "*")], body).await.status, 404);
        }
    }
}

#[tokio::test]
async fn etags_guard_every_change() {
    for (name, root, url, body, stale) in [
        ("trippin", "/trippin", "Airlines('NW')", json!({ "Name": "x" }), 412),
        ("dataverse", "/api/data/v9.2", ACCOUNT, json!({ "name": "x" }), 412),
        (
            "business-central",
            "/api/v2.0",
            "items(7ce0af2e-0963-460f-9b1f-0014aea3e117)",
            json!({ "displayName": "x" }),
            409,
        ),
        ("finance-operations", "/data", "BatchJobs(5637144576)", json!({ "JobDescription": "x" }), 412),
    ] {
        let service = TestService::shipped(name, root).await;
        let first = service.get(url).await.etag();
        let matching = [("If-Match", first.as_str())];
        assert_eq!(service.send("GET", url, &[("If-None-Match", &first)], "").await.status, 304);
        assert!(service.patch(url, &matching, body.clone()).await.status < 300, "{root}");
        for method in ["PATCH", "PUT", "DELETE"] {
            let answer = if method == "DELETE" {
                service.send(method, url, &matching, "").await
            } else {
                service.write(method, url, &matching, body.clone()).await
            };
            assert_eq!(answer.status, stale, "{root} {method} {}", answer.text());
        }
        let list = format!("\"other\", {first}, {}", service.get(url).await.etag());
        assert!(service.patch(url, &[("If-Match", &list)], body.clone()).await.status < 300, "{root}");
        assert_eq!(service.send("GET", url, &[("If-None-Match", &first)], "").await.status, 200);
        assert_eq!(service.send("DELETE", url, &[("If-Match", "*")], "").await.status, 204);
    }
}

#[tokio::test]
async fn nothing_of_a_deleted_entity_comes_back_with_its_key() {
    let service = things().await;
    let thing = json!({ "Code": "a", "Parts": [{ "No": 1 }] });
    let etag = service.post("Things", thing.clone()).await.etag();
    assert_eq!(service.delete("Things('a')").await.status, 204);
    for gone in ["Things('a')/Parts", "Things('a')/Parts(1)", "Things('a')/Parts/$count"] {
        assert_eq!(service.get(gone).await.status, 404, "{gone}");
    }
    assert_eq!(service.post("Things('a')/Parts", json!({ "No": 2 })).await.status, 404);
    assert_eq!(service.post("Things", json!({ "Code": "a" })).await.status, 201);
    assert_eq!(service.patch("Things('a')", &[("If-Match", &etag)], json!({ "Big": 1 })).await.status, 412);
    assert_eq!(service.count("Things('a')/Parts").await, 0);
    assert_eq!(service.get("Things('a')/Parts(1)").await.status, 404);
    assert_eq!(service.post("Things('a')/Parts", json!({ "No": 1 })).await.status, 201);
}

#[tokio::test]
async fn references_link_and_unlink() {
    let service = TestService::dataverse().await;
    let other = "accounts(5e8d20a4-61fb-4c39-97e2-0bd4f8136ac7)";
    let (tasks, lookup) = (format!("{other}/Account_Tasks"), format!("{TASK}/regardingobjectid_account_task/$ref"));
    let link = |url: &str| json!({ "@odata.id": url });
    let counts = async || [service.count(&format!("{ACCOUNT}/Account_Tasks")).await, service.count(&tasks).await];
    assert_eq!(counts().await, [4, 0]);
    let steps: [(&str, String, Value, u16, [u64; 2]); 6] = [
        ("POST", format!("{tasks}/$ref"), link(&format!("http://host/api/data/v9.2/{TASK}")), 204, [3, 1]),
        ("DELETE", format!("{tasks}/$ref?$id={TASK}"), Value::Null, 204, [3, 0]),
        ("PUT", lookup.clone(), link(other), 204, [3, 1]),
        ("DELETE", lookup.clone(), Value::Null, 204, [3, 0]),
        ("PUT", lookup, link("accounts(00000000-0000-0000-0000-0000000000ff)"), 400, [3, 0]),
        ("POST", format!("{tasks}/$ref"), link("contacts(3b1f6c08-92d7-4ea5-8f43-d06c7a51be29)"), 400, [3, 0]),
    ];
    for (method, url, body, status, expected) in steps {
        let answer = if body.is_null() {
            service.send(method, &url, &[], "").await
        } else {
            service.write(method, &url, &[], body).await
        };
        assert_eq!(answer.status, status, "{method} {url}: {}", answer.text());
        assert_eq!(counts().await, expected, "{method} {url}");
    }
}
