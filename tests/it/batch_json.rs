//! JSON batches: order, groups, dependencies, references, stop rules, refusals (JSON Format §19).

use serde_json::{Value, json};
use tests::{
    service::TestService,
    strict::{Fault, Plan},
};

fn get(id: &str, url: &str) -> Value {
    json!({ "id": id, "method": "get", "url": url })
}

fn post(id: &str, url: &str, body: Value) -> Value {
    json!({ "id": id, "method": "post", "url": url, "headers": { "content-type": "application/json" }, "body": body })
}

fn airline(id: &str, code: &str) -> Value {
    post(id, "Airlines", json!({ "AirlineCode": code, "Name": code }))
}

/// A request object with further members.
fn with(mut request: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!() };
    request.as_object_mut().unwrap().extend(members);
    request
}

#[tokio::test]
async fn groups_dependencies_and_ids_are_echoed() {
    let service = TestService::trippin().await;
    let group = |request| with(request, json!({ "atomicityGroup": "g1" }));
    let change = json!({ "id": "2", "method": "PATCH", "url": "Airlines('NW')", "body": { "Name": "New" } });
    let answer = service
        .batch(
            &[],
            json!([
                get("1", "Airlines('NW')"),
                group(change),
                group(airline("3", "ZZ")),
                with(get("4", "Airlines('ZZ')"), json!({ "dependsOn": ["1", "g1"] })),
            ]),
        )
        .await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![200, 204, 201, 200]));
    let responses = answer.responses();
    let ids: Vec<_> = responses.iter().map(|r| (&r["id"], r.get("atomicityGroup"))).collect();
    let g1 = Some(&json!("g1"));
    assert_eq!(ids, [(&json!("1"), None), (&json!("2"), g1), (&json!("3"), g1), (&json!("4"), None)]);
    assert!(responses[1].get("body").is_none() && responses[1]["headers"].get("content-type").is_none());
    assert_eq!(responses[3]["headers"]["content-type"], "application/json; metadata=minimal");
    assert_eq!(answer.header("odata-version"), "4.01");
}

#[tokio::test]
async fn references_lead_to_entities_and_etags() {
    let service = TestService::dataverse().await;
    let bound = |id: &str, subject: &str, to: &str| {
        post(id, "tasks", json!({ "subject": subject, "regardingobjectid_account_task@odata.bind": to }))
    };
    let change = |id: &str, etag: &str| {
        json!({ "id": id, "method": "patch", "url": "$1", "headers": { "if-match": etag }, "body": { "name": id } })
    };
    let link = json!({ "id": "6", "method": "post", "url": "$1/Account_Tasks/$ref", "body": { "@odata.id": "$5" } });
    let answer = service
        .batch(
            &[("Prefer", "continue-on-error")],
            json!([
                post("1", "accounts", json!({ "name": "first" })),
                bound("2", "by reference", "$1"),
                get("3", "$1/Account_Tasks?$select=subject"),
                get("g", "$1"),
                change("4", "$g"),
                change("4b", "$g"),
                post("5", "tasks", json!({ "subject": "by link" })),
                link,
                get("7", "/$1/Account_Tasks/$count"),
            ]),
        )
        .await;
    assert_eq!(answer.statuses(), [204, 204, 200, 200, 204, 412, 204, 204, 200]);
    assert_eq!(answer.responses()[2]["body"]["value"][0]["subject"], "by reference");
    assert_eq!(answer.responses()[8]["body"], "2");
    assert!(!answer.text().contains("$1") && !answer.text().contains("$5"), "no reference in an answer");
}

#[tokio::test]
async fn references_work_inside_a_group_and_after_it() {
    let service = TestService::dataverse().await;
    let group = |request| with(request, json!({ "atomicityGroup": "g" }));
    let change = json!({ "id": "2", "method": "patch", "url": "$1", "headers": { "if-match": "$1" }, "body": { "name": "b" } });
    let requests = json!([
        group(post("1", "accounts", json!({ "name": "a" }))),
        group(change),
        group(get("3", "$1?$select=name")),
        with(get("4", "$1?$select=name"), json!({ "dependsOn": ["g"] })),
    ]);
    let answer = service.batch(&[], requests).await;
    assert_eq!(answer.statuses(), [204, 204, 200, 200]);
    assert_eq!((&answer.responses()[2]["body"]["name"], &answer.responses()[3]["body"]["name"]), (&json!("b"), &json!("b")));
}

#[tokio::test]
async fn an_etag_of_the_same_group_holds_when_the_group_is_run_again() {
    let service = TestService::dataverse().await;
    let group = |request| with(request, json!({ "atomicityGroup": "g" }));
    let change = json!({ "id": "2", "method": "patch", "url": "$1", "headers": { "if-match": "$1" }, "body": { "name": "b" } });
    service.strict().set_plan(Plan::at(0, Fault::Conflict));
    let link = post("3", "tasks", json!({ "regardingobjectid_account_task@odata.bind": "$1" }));
    let answer = service.batch(&[], json!([group(post("1", "accounts", json!({ "name": "a" }))), group(change), group(link)])).await;
    assert_eq!(answer.statuses(), [204, 204, 204], "{}", answer.text());
    assert!(service.strict().calls().len() > 1, "it was run again");
}

#[tokio::test]
async fn a_failed_group_leaves_nothing_and_answers_every_member() {
    let service = TestService::trippin().await;
    let group = |request| with(request, json!({ "atomicityGroup": "g" }));
    let requests = json!([
        group(airline("1", "AA")),
        group(airline("2", "NW")),
        group(airline("3", "BB")),
        with(airline("4", "CC"), json!({ "dependsOn": ["g"] })),
        with(airline("5", "DD"), json!({ "dependsOn": ["4"] })),
        airline("6", "EE"),
    ]);
    let answer = service.batch(&[], requests).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![424, 409, 424, 424, 424, 201]));
    assert!(answer.responses()[..3].iter().all(|r| r["atomicityGroup"] == "g"));
    assert_eq!(service.count("Airlines").await, 4);
}

#[tokio::test]
async fn business_central_keeps_the_statuses_of_a_failed_group() {
    let service = TestService::business_central().await;
    let create = |id: &str, number: &str| with(post(id, "items", json!({ "number": number })), json!({ "atomicityGroup": "g" }));
    let requests = json!([create("1", "A"), create("2", "far too long a number for an item"), create("3", "B")]);
    let before = service.count("items").await;
    let answer = service.batch(&[], requests).await;
    assert_eq!(answer.statuses(), [201, 400, 424]);
    assert_eq!(service.count("items").await, before);
}

#[tokio::test]
async fn an_error_stops_as_the_profile_and_the_client_say() {
    let cases: [(&str, &str, &[(&str, &str)], &[u64], u16); 10] = [
        ("trippin", "/trippin", &[], &[404, 200], 200),
        ("trippin", "/trippin", &[("Prefer", "continue-on-error=false")], &[404], 200),
        ("trippin", "/trippin", &[("Prefer", "odata.continue-on-error=FALSE")], &[404], 200),
        ("finance-operations", "/data", &[], &[404], 200),
        ("business-central", "/api/v2.0", &[], &[404], 200),
        ("business-central", "/api/v2.0", &[("Prefer", "odata.continue-on-error")], &[404, 200], 200),
        ("dataverse", "/api/data/v9.2", &[], &[404], 404),
        ("dataverse", "/api/data/v9.2", &[("Prefer", "continue-on-error=true")], &[404, 200], 200),
        ("dataverse", "/api/data/v8.2", &[("Prefer", "odata.continue-on-error")], &[404, 200], 200),
        ("dataverse", "/api/data/v9.2", &[("prefer", "return-x, odata.continue-on-error=false")], &[404], 404),
    ];
    for (name, root, headers, statuses, outer) in cases {
        let service = TestService::shipped(name, root).await;
        let answer = service.batch(headers, json!([get("1", "nothing"), get("2", "$metadata")])).await;
        assert_eq!((answer.status, answer.statuses().as_slice()), (outer, statuses), "{root} {headers:?}");
        let applied = match headers.first() {
            None => "",
            Some((_, value)) if value.to_ascii_lowercase().ends_with("false") => "odata.continue-on-error=false",
            Some(_) => "odata.continue-on-error",
        };
        assert_eq!(answer.header("preference-applied"), applied, "{root} {headers:?}");
    }
}

#[tokio::test]
async fn conditions_are_not_supported_and_fail_their_group() {
    let service = TestService::trippin().await;
    let group = |request| with(request, json!({ "atomicityGroup": "g" }));
    let requests = json!([
        with(airline("1", "AA"), json!({ "if": "$0/$succeeded" })),
        group(airline("2", "BB")),
        group(with(airline("3", "CC"), json!({ "if": "true" }))),
    ]);
    assert_eq!(service.batch(&[], requests).await.statuses(), [424, 424, 424]);
    assert_eq!(service.count("Airlines").await, 3);
}

#[tokio::test]
async fn a_batch_that_is_wrong_as_a_whole_changes_nothing() {
    let service = TestService::trippin().await;
    let first = airline("1", "AA");
    let depending = |id: &str, on: &str| with(airline(id, "BB"), json!({ "dependsOn": [on] }));
    let grouped = |id: &str, group: &str| with(airline(id, id), json!({ "atomicityGroup": group }));
    let bad = [
        ("forward", json!([first, depending("2", "3"), get("3", "Airlines")])),
        ("self", json!([first, depending("2", "2")])),
        ("unknown", json!([first, depending("2", "9")])),
        ("duplicate id", json!([first, airline("1", "BB")])),
        ("id = group", json!([first, grouped("2", "1")])),
        ("split group", json!([grouped("1", "g"), airline("2", "BB"), grouped("3", "g")])),
        ("unknown reference", json!([first, get("2", "$9")])),
        ("forward reference", json!([first, get("2", "$3"), get("3", "Airlines")])),
        ("method", json!([first, json!({ "id": "2", "method": "brew", "url": "Airlines" })])),
        ("no url", json!([first, json!({ "id": "2", "method": "get" })])),
        ("id characters", json!([first, get("a b", "Airlines")])),
        ("body on GET", json!([first, with(get("2", "Airlines"), json!({ "body": { "x": 1 } }))])),
    ];
    for (name, requests) in bad {
        let answer = service.batch(&[], requests).await;
        assert!(answer.status == 400 || name == "body on GET" && answer.statuses() == [201, 400], "{name}: {answer:?}");
        assert!(name == "body on GET" || service.count("Airlines").await == 3, "{name}");
    }
}

#[tokio::test]
async fn too_many_operations_are_refused_before_any_work() {
    let service = TestService::business_central().await;
    let before = service.count("items").await;
    let items = |count: usize| {
        let items = (0..count).map(|at| post(&at.to_string(), "items", json!({ "number": at.to_string() })));
        Value::Array(items.collect())
    };
    assert_eq!(service.batch(&[], items(101)).await.status, 413);
    assert_eq!(service.count("items").await, before);
    assert_eq!(service.batch(&[], items(100)).await.statuses(), [201; 100]);
    let service = TestService::trippin().await;
    let mut requests = vec![airline("a", "AA")];
    requests.extend((0..1000).map(|at| get(&at.to_string(), "Airlines")));
    assert_eq!(service.batch(&[], requests.into()).await.status, 413);
    assert_eq!(service.count("Airlines").await, 3);
}

#[tokio::test]
async fn the_answer_has_the_format_that_is_asked_for() {
    let requests = json!({ "requests": [get("r1", "$metadata")] }).to_string();
    let cases: [(&str, &str, &str, &str); 6] = [
        ("business-central", "/api/v2.0", "", "multipart/mixed"),
        ("business-central", "/api/v2.0", "application/json", "application/json"),
        ("dataverse", "/api/data/v9.2", "", "application/json"),
        ("trippin", "/trippin", "", "application/json"),
        ("trippin", "/trippin", "multipart/mixed", "multipart/mixed"),
        ("trippin", "/trippin", "*/*", "application/json"),
    ];
    for (name, root, accept, format) in cases {
        let service = TestService::shipped(name, root).await;
        let mut headers = vec![("Content-Type", "application/json; charset=utf-8")];
        headers.extend((!accept.is_empty()).then_some(("Accept", accept)));
        let answer = service.send("POST", "$batch", &headers, requests.clone()).await;
        assert_eq!((answer.status, answer.statuses()), (200, vec![200]), "{root} {accept}");
        assert!(answer.header("content-type").starts_with(format), "{root} {accept}");
        if format.starts_with("multipart") {
            assert_eq!(tests::service::flat(&answer.parts())[0].0.as_deref(), Some("r1"));
        }
    }
}

#[tokio::test]
async fn header_names_are_written_as_the_profile_spells_them() {
    for (name, root, set, content_type) in [
        ("dataverse", "/api/data/v9.2", "accounts", "Content-Type"),
        ("business-central", "/api/v2.0", "items", "content-type"),
        ("finance-operations", "/data", "BatchJobs", "content-type"),
    ] {
        let service = TestService::shipped(name, root).await;
        let answer = service.batch(&[], json!([get("1", set)])).await;
        assert_eq!(answer.responses()[0]["headers"][content_type], "application/json; odata.metadata=minimal", "{root}");
    }
}

#[tokio::test]
async fn bodies_come_in_the_form_of_their_media_type() {
    let service = TestService::trippin().await;
    let typed = |id: &str, media_type: &str, body: Value| {
        json!({ "id": id, "method": "POST", "url": "Airlines", "headers": { "Content-Type": media_type }, "body": body })
    };
    let plain = json!({ "AirlineCode": "AA", "Name": "A" });
    let requests = json!([
        typed("1", "application/json;charset=utf-8", plain),
        typed("2", "application/vnd.x+json", json!({ "AirlineCode": "BB", "Name": "B" })),
        typed("3", "text/plain", json!("text")),
        typed("4", "image/png", json!("AAEC")),
        json!({ "id": "5", "method": "GET", "url": "Airlines('AA')/Name/$value", "body": null }),
        json!({ "id": "6", "method": "POST", "url": "Airlines", "body": { "AirlineCode": "CC", "Name": "C" } }),
    ]);
    let answer = service.batch(&[], requests).await;
    assert_eq!(answer.statuses(), [201, 201, 415, 415, 200, 201]);
    assert_eq!(answer.responses()[4]["body"], "A");
}

#[tokio::test]
async fn urls_lead_to_this_service_alone() {
    let service = TestService::dataverse().await;
    let urls = [
        ("accounts/$count", 200),
        ("/api/data/v9.2/accounts/$count", 200),
        ("/accounts/$count", 200),
        ("https://host/api/data/v9.2/accounts/$count", 200),
        ("HTTP://HOST:80/api/data/v9.1/accounts/$count", 200),
        ("https://elsewhere/api/data/v9.2/accounts/$count", 400),
        ("https://host:8443/api/data/v9.2/accounts/$count", 400),
        ("//elsewhere/api/data/v9.2/accounts", 400),
        ("/elsewhere/x", 400),
        ("accounts(accountnumber=%27TA-0001%27)", 200),
        ("$batch", 400),
        ("tasks?$filter=scheduledend%20eq%202026-05-04T15%3A00%3A00Z", 200),
    ];
    let requests = urls.iter().enumerate().map(|(at, (url, _))| get(&at.to_string(), url)).collect();
    let answer = service.batch(&[("Prefer", "continue-on-error")], Value::Array(requests)).await;
    let expected: Vec<u64> = urls.iter().map(|(_, status)| *status).collect();
    assert_eq!(answer.statuses(), expected);
}

#[tokio::test]
async fn urls_repeat_the_address_the_client_used() {
    let service = TestService::dataverse().await;
    let forwarded = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "api.example.com, inner"), ("X-Forwarded-Prefix", "/stage")];
    let requests = json!([
        post("1", "https://api.example.com/stage/api/data/v9.2/accounts", json!({ "name": "a" })),
        get("2", "$1"),
        get("3", "/stage/api/data/v9.2/accounts/$count"),
        get("4", "https://host/api/data/v9.2/accounts"),
    ]);
    let answer = service.batch(&forwarded, requests).await;
    assert_eq!(answer.statuses(), [204, 200, 200, 400]);
    let location = answer.responses()[0]["headers"]["Location"].as_str().unwrap().to_owned();
    assert!(location.starts_with("https://api.example.com/stage/api/data/v9.2/accounts("), "{location}");
}

#[tokio::test]
async fn headers_of_a_batch_are_checked_before_its_body() {
    let service = TestService::trippin().await;
    let body = json!({ "requests": [airline("1", "AA")] }).to_string();
    let json_type = ("Content-Type", "application/json");
    let cases: [(&str, &[(&str, &str)], u16); 12] = [
        ("POST", &[], 415),
        ("POST", &[("Content-Type", "text/plain")], 415),
        ("POST", &[("Content-Type", "multipart/mixed")], 400),
        ("POST", &[json_type, ("If-Match", "*")], 400),
        ("POST", &[json_type, ("If-None-Match", "W/\"1\"")], 400),
        ("POST", &[json_type, ("Prefer", "return=minimal")], 400),
        ("POST", &[json_type, ("OData-Version", "3.0")], 400),
        ("POST", &[json_type, ("Accept", "application/xml")], 406),
        ("POST", &[json_type, ("Isolation", "snapshot")], 412),
        ("POST", &[json_type, ("OData-Isolation", "SNAPSHOT")], 412),
        ("POST", &[json_type, ("Content-Encoding", "gzip")], 415),
        ("PUT", &[json_type], 405),
    ];
    for (method, headers, status) in cases {
        let answer = service.send(method, "$batch", headers, body.clone()).await;
        assert_eq!(answer.status, status, "{method} {headers:?}");
        assert_eq!(answer.header("odata-version"), "4.01");
        assert!(status != 405 || answer.header("allow") == "POST");
    }
    assert_eq!(service.send("POST", "$batch?$top=1", &[json_type], body.clone()).await.status, 400);
    assert_eq!(service.send("GET", "$batch", &[], "").await.status, 405);
    assert_eq!(service.count("Airlines").await, 3);
    let fine = [json_type, ("If-None-Match", "null")];
    assert_eq!(service.send("POST", "$batch?$format=json&x=1", &fine, body).await.statuses(), [201]);
}

#[tokio::test]
async fn malformed_json_is_told_by_line_and_column() {
    for (name, root, status) in [("trippin", "/trippin", 400), ("business-central", "/api/v2.0", 500)] {
        let service = TestService::shipped(name, root).await;
        let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
        let answer = service.send("POST", "$batch", &headers, "{\"requests\":[\n  {\"id\":\"1\",}]}").await;
        assert_eq!(answer.status, status);
        let message = answer.message();
        assert!(message.contains("line 2") && message.contains("column 12"), "{message}");
        for wrong in ["[]", "{}", "{\"requests\":{}}", "", "{\"requests\":[]"] {
            assert_eq!(service.send("POST", "$batch", &headers, wrong).await.status, status, "{wrong}");
        }
        assert_eq!(service.batch(&[], json!([])).await.text(), "{\"responses\":[]}");
    }
}

#[tokio::test]
async fn a_wrong_type_is_told_by_property_and_value() {
    let service = TestService::dataverse().await;
    let answer = service.post("accounts", json!({ "name": 5 })).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("name") && answer.message().contains('5'), "{}", answer.message());
    let answer = service.send("POST", "accounts", &[("Content-Type", "application/json")], "{\"name\":\n \"x\",,}").await;
    assert!(answer.message().contains("line 2"), "{}", answer.message());
}

#[tokio::test]
async fn business_central_takes_a_snapshot_as_one_unit() {
    let service = TestService::business_central().await;
    let before = service.count("items").await;
    let item = |id: &str, number: &str| post(id, "items", json!({ "number": number }));
    for isolation in ["Isolation", "OData-Isolation"] {
        let requests = json!([item("1", "A"), get("2", "items?$filter=number eq 'A'"), item("3", "far too long a number"), item("4", "B")]);
        let answer = service.batch(&[(isolation, "Snapshot")], requests).await;
        assert_eq!((answer.status, answer.statuses()), (200, vec![201, 200, 400]));
        assert_eq!(answer.responses()[1]["body"]["value"].as_array().unwrap().len(), 1, "a unit sees its own writes");
        assert_eq!(service.count("items").await, before);
    }
    let requests = json!([item("1", "A"), get("2", "$1?$select=number"), item("3", "B")]);
    assert_eq!(service.batch(&[("Isolation", "snapshot")], requests).await.statuses(), [201, 200, 201]);
    assert_eq!(service.count("items").await, before + 2);
}

#[tokio::test]
async fn an_old_version_inside_a_batch_changes_its_own_answer_alone() {
    let service = TestService::trippin().await;
    let old = json!({ "id": "1", "method": "get", "url": "Airlines('NW')", "headers": { "odata-maxversion": "4.0" } });
    let answer = service.batch(&[], json!([old, get("2", "Airlines('NW')")])).await;
    let responses = answer.responses();
    assert!(responses[0]["body"].get("@odata.etag").is_some() && responses[1]["body"].get("@etag").is_some());
    assert_eq!((&responses[0]["headers"]["odata-version"], &responses[1]["headers"]["odata-version"]), (&json!("4.0"), &json!("4.01")));
}
