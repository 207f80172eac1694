//! JSON batches: order, groups, dependencies, references, stop rules, refusals (JSON Format §19).

use serde_json::{Value, json};
use tests::{
    service::TestService,
    strict::{Fault, Plan},
};

pub(crate) fn get(id: &str, url: &str) -> Value {
    json!({ "id": id, "method": "get", "url": url })
}

pub(crate) fn post(id: &str, url: &str, body: Value) -> Value {
    json!({ "id": id, "method": "post", "url": url, "headers": { "content-type": "application/json" }, "body": body })
}

pub(crate) fn airline(id: &str, code: &str) -> Value {
    post(id, "Airlines", json!({ "AirlineCode": code, "Name": code }))
}

/// A request object with further members.
pub(crate) fn with(mut request: Value, members: Value) -> Value {
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
    assert_eq!(responses[3]["headers"]["content-type"], "application/json; odata.metadata=minimal");
    assert_eq!(answer.header("odata-version"), "4.0");
}

#[tokio::test]
async fn references_lead_to_entities_and_etags() {
    let service = TestService::dataverse().await;
    let bound = |id: &str, subject: &str, to: &str| {
        post(id, "tasks", json!({ "subject": subject, "regardingobjectid_account_task@odata.bind": to }))
    };
    let change = |id: &str, etag: &str| json!({ "id": id, "method": "patch", "url": "$1", "headers": { "if-match": etag }, "body": { "name": id } });
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
    let change =
        json!({ "id": "2", "method": "patch", "url": "$1", "headers": { "if-match": "$1" }, "body": { "name": "b" } });
    let requests = json!([
        group(post("1", "accounts", json!({ "name": "a" }))),
        group(change),
        group(get("3", "$1?$select=name")),
        with(get("4", "$1?$select=name"), json!({ "dependsOn": ["g"] })),
    ]);
    let answer = service.batch(&[], requests).await;
    assert_eq!(answer.statuses(), [204, 204, 200, 200]);
    assert_eq!(
        (&answer.responses()[2]["body"]["name"], &answer.responses()[3]["body"]["name"]),
        (&json!("b"), &json!("b"))
    );
}

#[tokio::test]
async fn an_etag_of_the_same_group_holds_when_the_group_is_run_again() {
    let service = TestService::dataverse().await;
    let group = |request| with(request, json!({ "atomicityGroup": "g" }));
    let change =
        json!({ "id": "2", "method": "patch", "url": "$1", "headers": { "if-match": "$1" }, "body": { "name": "b" } });
    service.strict().set_plan(Plan::at(0, Fault::Conflict));
    let link = post("3", "tasks", json!({ "regardingobjectid_account_task@odata.bind": "$1" }));
    let answer = service
        .batch(&[], json!([group(post("1", "accounts", json!({ "name": "a" }))), group(change), group(link)]))
        .await;
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
    let create =
        |id: &str, number: &str| with(post(id, "items", json!({ "number": number })), json!({ "atomicityGroup": "g" }));
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
        ("dataverse", "/api/data/v9.2", &[], &[404], 400),
        ("dataverse", "/api/data/v9.2", &[("Prefer", "continue-on-error=true")], &[404, 200], 200),
        ("dataverse", "/api/data/v8.2", &[("Prefer", "odata.continue-on-error")], &[404, 200], 200),
        ("dataverse", "/api/data/v9.2", &[("prefer", "return-x, odata.continue-on-error=false")], &[404], 400),
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
        ("id characters", json!([first, get("a b", "Airlines")])),
        ("id type", json!([first, { "id": 2, "method": "get", "url": "Airlines" }])),
        ("group in another case", json!([first, with(get("2", "Airlines"), json!({ "atomicitygroup": "g" }))])),
    ];
    for (name, requests) in bad {
        let answer = service.batch(&[], requests).await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert_eq!(service.count("Airlines").await, 3, "{name}");
    }
}

#[tokio::test]
async fn bodies_come_in_the_form_of_their_media_type() {
    let service = TestService::trippin().await;
    let typed = |id: &str, media_type: &str, body: Value| json!({ "id": id, "method": "POST", "url": "Airlines", "headers": { "Content-Type": media_type }, "body": body });
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
async fn a_wrong_type_is_told_by_property_and_value() {
    let service = TestService::dataverse().await;
    let answer = service.post("accounts", json!({ "name": 5 })).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("name") && answer.message().contains('5'), "{}", answer.message());
    let answer =
        service.send("POST", "accounts", &[("Content-Type", "application/json")], "{\"name\":\n \"x\",,}").await;
    assert!(answer.message().contains("line 2"), "{}", answer.message());
}

#[tokio::test]
async fn business_central_takes_a_snapshot_as_one_unit() {
    let service = TestService::business_central().await;
    let before = service.count("items").await;
    let item = |id: &str, number: &str| post(id, "items", json!({ "number": number }));
    for isolation in ["Isolation", "OData-Isolation"] {
        let requests = json!([
            item("1", "A"),
            get("2", "items?$filter=number eq 'A'"),
            item("3", "far too long a number"),
            item("4", "B")
        ]);
        let answer = service.batch(&[(isolation, "Snapshot")], requests).await;
        assert_eq!((answer.status, answer.statuses()), (200, vec![201, 200, 400]));
        assert_eq!(answer.responses()[1]["body"]["value"].as_array().unwrap().len(), 1, "a unit sees its own writes");
        assert_eq!(service.count("items").await, before);
    }
    let requests = json!([item("1", "A"), get("2", "$1?$select=number"), item("3", "B")]);
    assert_eq!(service.batch(&[("Isolation", "snapshot")], requests).await.statuses(), [201, 200, 201]);
    assert_eq!(service.count("items").await, before + 2);
}

/// Business Central's snapshot is one unit, which ends at its first failure; plain OData goes on.
#[tokio::test]
async fn one_unit_does_not_say_that_it_went_on() {
    let requests = json!([get("1", "nothing"), get("2", "$metadata")]);
    let isolated = ("Isolation", "snapshot");
    for (name, root, prefer, applied, statuses) in [
        ("business-central", "/api/v2.0", "continue-on-error", "", &[404][..]),
        ("business-central", "/api/v2.0", "odata.continue-on-error=false", "odata.continue-on-error=false", &[404]),
        ("trippin", "/trippin", "continue-on-error", "odata.continue-on-error", &[404, 200]),
        ("trippin", "/trippin", "continue-on-error=false", "odata.continue-on-error=false", &[404]),
    ] {
        let service = TestService::shipped(name, root).await;
        let answer = service.batch(&[isolated, ("Prefer", prefer)], requests.clone()).await;
        assert_eq!((answer.status, answer.statuses().as_slice()), (200, statuses), "{root} {prefer}");
        assert_eq!(answer.header("preference-applied"), applied, "{root} {prefer}");
    }
}

#[tokio::test]
async fn an_inner_answer_has_the_version_that_it_is_asked_for_or_the_batchs() {
    let service = TestService::trippin().await;
    let asking =
        |id: &str, name: &str, version: &str| with(get(id, "Airlines('NW')"), json!({ "headers": { name: version } }));
    for (of_batch, versions) in [
        (&[][..], ["4.0", "4.0", "4.01", "4.01"]),
        (&[("OData-Version", "4.0")], ["4.0", "4.0", "4.01", "4.01"]),
        (&[("OData-MaxVersion", "4.01")], ["4.01", "4.0", "4.01", "4.01"]),
        (&[("OData-Version", "4.01")], ["4.01", "4.0", "4.01", "4.01"]),
    ] {
        let requests = json!([
            get("1", "Airlines('NW')"),
            asking("2", "odata-maxversion", "4.0"),
            asking("3", "odata-maxversion", "4.01"),
            asking("4", "odata-version", "4.01"),
        ]);
        let answer = service.batch(of_batch, requests).await;
        assert_eq!(answer.header("odata-version"), versions[0], "{of_batch:?}");
        for (response, version) in answer.responses().iter().zip(versions) {
            let etag = if version == "4.01" { "@etag" } else { "@odata.etag" };
            assert_eq!(response["headers"]["odata-version"], version, "{of_batch:?}");
            assert!(response["body"].get(etag).is_some() && response["headers"].get("vary").is_none(), "{response}");
        }
    }
}

#[tokio::test]
async fn a_reference_is_percent_decoded_like_any_segment() {
    let service = TestService::dataverse().await;
    let task = |id: &str, bind: &str| {
        post(id, "tasks", json!({ "subject": "s", "regardingobjectid_account_task@odata.bind": bind }))
    };
    for group in [None, Some("g")] {
        let requests = [
            post("1", "accounts", json!({ "name": "x", "accountnumber": "ENC" })),
            json!({ "id": "2", "method": "patch", "url": "%241", "body": { "name": "y" } }),
            task("3", "%241"),
            task("4", "/%24%31"),
            json!({ "id": "5", "method": "post", "url": "%241/Account_Tasks/%24ref", "body": { "@odata.id": "%243" } }),
            get("6", "%241/%6Eame"),
        ];
        let in_group = |request| match group {
            Some(name) => with(request, json!({ "atomicityGroup": name })),
            None => request,
        };
        let answer = service.batch(&[], requests.into_iter().map(in_group).collect()).await;
        assert_eq!(answer.statuses(), [204, 204, 204, 204, 204, 200], "{}", answer.text());
        assert_eq!(answer.responses()[5]["body"]["value"], "y");
        assert_eq!(service.count("accounts(accountnumber='ENC')/Account_Tasks").await, 2);
        assert_eq!(service.delete("accounts(accountnumber='ENC')").await.status, 204);
    }
    let missing = service.batch(&[], json!([get("1", "%249")])).await;
    assert_eq!(missing.status, 400, "{}", missing.text());
}
