//! Multipart batches: change sets, references, stop rules, noise on the wire, refusals (Protocol §11.7.7).

use serde_json::json;
use tests::service::{Answer, Part, TestService, flat};

/// A part that is one request; `id` is its Content-ID, if any.
pub(crate) fn part(id: &str, line: &str, headers: &str, body: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!("Content-ID: {id}\n") };
    let headers =
        if body.is_empty() { headers.to_owned() } else { format!("Content-Type: application/json\n{headers}") };
    format!(
        "Content-Type: application/http\nContent-Transfer-Encoding: binary\n{id}\n{line} HTTP/1.1\n{headers}\n{body}"
    )
}

pub(crate) fn get(url: &str) -> String {
    part("", &format!("GET {url}"), "", "")
}

pub(crate) fn airline(id: &str, code: &str) -> String {
    part(id, "POST Airlines", "", &format!("{{\"AirlineCode\":\"{code}\",\"Name\":\"{code}\"}}"))
}

pub(crate) fn account(id: &str, name: &str) -> String {
    part(id, "POST accounts", "", &format!("{{\"name\":\"{name}\"}}"))
}

pub(crate) fn change_set(parts: &[String]) -> String {
    format!("Content-Type: multipart/mixed; boundary=c\n\n{}", batch_of("c", parts))
}

pub(crate) fn batch_of(boundary: &str, parts: &[String]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\n{part}\n")).collect();
    format!("{parts}--{boundary}--\n")
}

pub(crate) fn batch(parts: &[String]) -> String {
    batch_of("b", parts)
}

fn ids(answer: &Answer) -> Vec<Option<String>> {
    flat(&answer.parts()).into_iter().map(|(id, _)| id).collect()
}

#[tokio::test]
async fn change_sets_nest_and_ids_are_echoed() {
    let service = TestService::trippin().await;
    let change = part("up~2.x", "PATCH Airlines('NW')", "", "{\"Name\":\"New\"}");
    let body = batch(&[
        get("Airlines('NW')"),
        change_set(&[change, airline("3", "ZZ")]),
        airline("4", "YY"),
        get("Airlines('ZZ')"),
    ]);
    let answer = service.multipart(&[], &body).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![200, 204, 201, 201, 200]));
    assert_eq!(ids(&answer), [None, Some("up~2.x".into()), Some("3".into()), Some("4".into()), None]);
    let parts = answer.parts();
    assert!(
        matches!(parts.as_slice(), [Part::Single { .. }, Part::Group(set), Part::Single { .. }, Part::Single { .. }] if set.len() == 2)
    );
    assert!(answer.header("content-type").starts_with("multipart/mixed; boundary=batchresponse_"));
    for name in ["etag", "location", "odata-entityid"] {
        assert_eq!(answer.header(name), "", "only inner answers have it");
    }
}

#[tokio::test]
async fn references_reach_over_change_sets() {
    let service = TestService::dataverse().await;
    let set = change_set(&[
        account("1", "a"),
        part("2", "POST tasks", "", r#"{"subject":"s","regardingobjectid_account_task@odata.bind":"$1"}"#),
        part("3", "PUT $1/name", "", r#"{"value":"$1"}"#),
        part("4", "PATCH $2", "If-Match: $2\n", r#"{"category":"c"}"#),
        part("5", "POST tasks", "", r#"{"subject":"gone"}"#),
        part("6", "DELETE $5", "", ""),
    ]);
    let later = change_set(&[
        part("7", "PUT $2/regardingobjectid_account_task/$ref", "", r#"{"@odata.id":"$1"}"#),
        part("8", "PATCH $1", "If-Match: $1\n", r#"{"name":"stale"}"#),
    ]);
    let body =
        batch(&[set, get("$1?$select=name"), get("$1/Account_Tasks?$select=subject,category"), later, get("$1")]);
    let answer = service.multipart(&[("Prefer", "odata.continue-on-error")], &body).await;
    assert_eq!(answer.statuses(), [204, 204, 204, 204, 204, 204, 200, 200, 412, 200]);
    let answers = flat(&answer.parts());
    assert_eq!(answers[6].1.json()["name"], "$1", "a text is no reference");
    assert_eq!(answers[7].1.rows().iter().map(|row| &row["category"]).collect::<Vec<_>>(), [&json!("c")]);
    assert_eq!(answers[8].0.as_deref(), Some("8"));
    assert!(!answer.text().contains("/$1"));
}

#[tokio::test]
async fn a_failed_change_set_has_the_shape_of_the_profile() {
    let service = TestService::trippin().await;
    let set = change_set(&[airline("1", "AA"), airline("2", "NW"), airline("3", "BB")]);
    let answer = service.multipart(&[("Prefer", "continue-on-error")], &batch(&[set.clone(), get("Airlines")])).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![409, 200]));
    assert!(matches!(answer.parts()[0], Part::Single { .. }));
    assert_eq!(service.count("Airlines").await, 3);
    assert_eq!(service.multipart(&[], &batch(&[set, get("Airlines")])).await.statuses(), [409]);

    let service = TestService::dataverse().await;
    let long = "x".repeat(201);
    let task = |id: &str, subject: &str| part(id, "POST tasks", "", &format!("{{\"subject\":\"{subject}\"}}"));
    let body = batch(&[change_set(&[task("1", "a"), task("2", &long)]), task("3", "after")]);
    let answer = service.multipart(&[], &body).await;
    assert_eq!((answer.status, answer.statuses(), ids(&answer)), (400, vec![400], vec![Some("2".into())]));
    let Part::Group(parts) = &answer.parts()[0] else { panic!("{answer:?}") };
    assert_eq!(parts.len(), 1);
    let expected = "A validation error occurred.  The length of the 'subject' attribute of the 'task' entity exceeded \
                    the maximum allowed length of '200'.";
    assert_eq!(flat(parts)[0].1.message(), expected);
    assert_eq!(service.count("tasks").await, 4);
}

#[tokio::test]
async fn a_batch_stops_at_the_first_error_unless_told_otherwise() {
    let body = batch(&[get("nothing"), get("$metadata")]);
    for (name, root, outer) in
        [("trippin", "/trippin", 200), ("business-central", "/api/v2.0", 200), ("dataverse", "/api/data/v9.2", 400)]
    {
        let service = TestService::shipped(name, root).await;
        for (prefer, statuses, outer) in [
            ("x", &[404][..], outer),
            ("continue-on-error", &[404, 200], 200),
            ("odata.continue-on-error=true", &[404, 200], 200),
            ("continue-on-error=false", &[404], outer),
        ] {
            let answer = service.multipart(&[("Prefer", prefer)], &body).await;
            assert_eq!((answer.status, answer.statuses().as_slice()), (outer, statuses), "{root} {prefer}");
        }
    }
}

#[tokio::test]
async fn a_write_outside_a_change_set_stands_by_itself() {
    let service = TestService::trippin().await;
    let answer = service.multipart(&[], &batch(&[airline("1", "AA"), airline("2", "NW"), airline("3", "BB")])).await;
    assert_eq!(answer.statuses(), [201, 409]);
    assert_eq!(service.count("Airlines").await, 4);
}

#[tokio::test]
async fn reads_batches_and_nesting_have_no_place_in_a_change_set() {
    let service = TestService::trippin().await;
    let continues = [("Prefer", "continue-on-error")];
    let read = change_set(&[airline("1", "AA"), part("2", "GET Airlines", "", "")]);
    let nested = part("3", "POST $batch", "", "{}");
    let answer = service.multipart(&continues, &batch(&[read, nested, get("Airlines/$count")])).await;
    assert_eq!(answer.statuses(), [400, 400, 200]);
    assert_eq!(flat(&answer.parts())[2].1.text(), "3");
    let nested =
        format!("Content-Type: multipart/mixed; boundary=d\n\n{}", batch_of("d", &[change_set(&[airline("1", "AA")])]));
    let answer = service.multipart(&continues, &batch(&[nested])).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![400]));
    assert_eq!(service.count("Airlines").await, 3);
}

#[tokio::test]
async fn the_wire_may_be_noisy() {
    let service = TestService::trippin().await;
    let create = |code: &str| format!("{{\"AirlineCode\":\"{code}\",\"Name\":\"N\"}}");
    let bodies = [
        // Text before and after, LF, names of any case, no space after the colon, no version, a wrong length.
        ("b", format!("before\n--b\ncontent-type:application/http\nCONTENT-ID:1\n\npost Airlines\ncontent-type:application/json\ncontent-length:3\n\n{}\n--b--\nafter", create("A1")), 201),
        // Content-ID among the inner headers; spaces after the boundary.
        ("b", format!("\r\n--b  \r\nContent-Type: application/http\r\n\r\nPOST Airlines HTTP/1.1\r\nContent-ID: 1\r\nContent-Type: application/json\r\n\r\n{}\r\n\r\n--b--", create("A2")), 201),
        // A GET that ends with its request line.
        ("b", "--b\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nGET Airlines('NW') HTTP/1.1\r\n--b--".into(), 200),
        // A URL with blanks, a byte order mark, an absolute path with its own Host.
        ("b", "\u{feff}--b\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nGET /trippin/Airlines?$filter=Name eq 'N' HTTP/1.1\r\nHost: host\r\n\r\n\r\n--b--\r\n".into(), 200),
        // Every character of a quoted boundary.
        ("\"a'()+_,-./:=? b\"", format!("--a'()+_,-./:=? b\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nPOST Airlines HTTP/1.1\r\n\r\n{}\r\n--a'()+_,-./:=? b--", create("A3")), 201),
    ];
    for (boundary, body, status) in bodies {
        let content_type = format!("Multipart/Mixed; Boundary={boundary}");
        let answer = service.send("POST", "$batch", &[("content-type", &content_type)], body.clone()).await;
        assert_eq!(answer.status, 200, "{body} {answer:?}");
        assert_eq!((answer.statuses(), ids(&answer)), (vec![status], vec![Some("1".into())]), "{body}");
    }
}

#[tokio::test]
async fn what_is_malformed_is_told_by_part_and_byte_and_changes_nothing() {
    let service = TestService::trippin().await;
    let whole = batch(&[airline("1", "AA"), airline("2", "BB")]);
    let bad = [
        ("no closing delimiter", whole.replace("--b--", "")),
        ("no parts", "--b--\n".into()),
        ("another boundary", whole.replace("--b", "--x")),
        ("unclosed change set", batch(&[airline("1", "AA"), change_set(&[airline("2", "BB")]).replace("--c--", "")])),
        ("empty", String::new()),
    ];
    for (name, body) in bad {
        let answer = service.multipart(&[], &body).await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert_eq!(service.count("Airlines").await, 3, "{name}");
    }
    let message = service.multipart(&[], &whole.replace("--b--", "")).await.message();
    assert!(message.contains("part 2") && message.contains("byte"), "{message}");
    let central = TestService::business_central().await;
    assert_eq!(central.multipart(&[], "--b--\n").await.status, 500);
}

#[tokio::test]
async fn too_many_operations_are_refused_before_any_work() {
    let service = TestService::dataverse().await;
    let set: Vec<_> = (0..1000).map(|at| account(&at.to_string(), "x")).collect();
    let before = service.count("accounts").await;
    let answer = service.multipart(&[], &batch(&[change_set(&set), get("accounts")])).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(service.count("accounts").await, before);
}

#[tokio::test]
async fn the_answer_is_json_only_for_clients_that_speak_401() {
    let body = batch(&[
        get("$metadata"),
        change_set(&[part("1", "DELETE Airlines('NW')", "", "")]),
        change_set(&[airline("2", "AA")]),
    ]);
    let accept = ("Accept", "application/json");
    let service = TestService::trippin().await;
    assert_eq!(
        service
            .multipart(&[accept], &body.replace("DELETE", "PATCH").replace("('NW')", "('NW')/Nope"))
            .await
            .header("content-type")[..15],
        *"multipart/mixed"
    );
    let answer = service.multipart(&[accept, ("OData-MaxVersion", "4.01")], &body).await;
    assert_eq!((answer.header("content-type"), answer.statuses()), ("application/json", vec![200, 204, 201]));
    let responses = answer.responses();
    assert_eq!((&responses[1]["id"], &responses[2]["id"]), (&json!("1"), &json!("2")));
    let groups: Vec<_> = responses.iter().map(|r| r["atomicityGroup"].as_str()).collect();
    assert!(groups[0].is_none() && groups[1].is_some() && groups[2].is_some() && groups[1] != groups[2], "{groups:?}");
    for (name, root) in
        [("dataverse", "/api/data/v9.2"), ("business-central", "/api/v2.0"), ("finance-operations", "/data")]
    {
        let service = TestService::shipped(name, root).await;
        let answer = service.multipart(&[accept, ("OData-MaxVersion", "4.01")], &batch(&[get("$metadata")])).await;
        assert_eq!(answer.statuses(), [200], "{root}");
        assert!(answer.header("content-type").starts_with("multipart/mixed"), "{root}");
    }
}

#[tokio::test]
async fn urls_and_headers_of_a_part_give_it_no_further_rights() {
    let service = TestService::dataverse().await;
    let line = |url: &str| {
        part("", &format!("GET {url}"), "Authorization: Bearer forged\nCookie: a=b\nRange: bytes=0-1\n", "")
    };
    let urls = [
        "accounts/$count",
        "https://host/api/data/v9.2/accounts/$count",
        "/api/data/v9.2/accounts/$count",
        "http://10.0.0.1/x",
        "http://host/elsewhere",
    ];
    let body = batch(&urls.map(line));
    let answer = service.multipart(&[("Prefer", "continue-on-error")], &body).await;
    assert_eq!(answer.statuses(), [200, 200, 200, 400, 400]);
}

#[tokio::test]
async fn parts_take_over_headers_of_the_batch() {
    let service = TestService::business_central().await;
    let own = part("", "GET items/$count", "Company: CRONUS International Ltd.\n", "");
    let answer = service.multipart(&[("Company", "Fjord Outdoor AS")], &batch(&[get("items/$count"), own])).await;
    let counts: Vec<_> = flat(&answer.parts()).iter().map(|(_, answer)| answer.text().to_owned()).collect();
    assert_eq!(counts, ["1", "4"]);
}

#[tokio::test]
async fn a_unit_snapshot_rolls_change_sets_back_together() {
    let service = TestService::business_central().await;
    let item = |id: &str, number: &str| part(id, "POST items", "", &format!("{{\"number\":\"{number}\"}}"));
    let body = batch(&[change_set(&[item("1", "A"), item("2", "B")]), item("3", "far too long a number")]);
    let answer = service.multipart(&[("Isolation", "snapshot")], &body).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![201, 201, 400]));
    assert_eq!(service.count("items").await, 4);
}

#[tokio::test]
async fn an_encoded_reference_in_a_change_set_is_the_reference() {
    let service = TestService::trippin().await;
    let part = |id: u8, line: &str, name: &str| {
        format!(
            "--c\nContent-Type: application/http\nContent-ID: {id}\n\n{line} HTTP/1.1\nContent-Type: application/json\n\n\
             {{\"Name\":\"{name}\"{}}}\n",
            if id == 1 { ",\"AirlineCode\":\"PC\"" } else { "" }
        )
    };
    let set = [part(1, "POST Airlines", "x"), part(2, "PATCH %241", "y")].concat();
    let body = format!("--b\nContent-Type: multipart/mixed; boundary=c\n\n{set}--c--\n--b--\n");
    let answer = service.multipart(&[], &body).await;
    assert_eq!((answer.status, answer.statuses()), (200, vec![201, 204]), "{}", answer.text());
    assert_eq!(service.get("Airlines('PC')").await.json()["Name"], "y");
}
