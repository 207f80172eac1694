//! Copies that lead to what they are copied from: an account, an item, a customer by its number.

mod plain;
mod reindex;

use serde_json::{Value, json};
use tests::service::{Answer, TestService};

pub(crate) const JOURNAL: &str = "journals(f91409ba-1d3d-eb11-bb72-000d3a2b9218)";
const SALARIES: &str = "ae4110b4-1d3d-eb11-bb72-000d3a2b9218";
const PAYROLL: &str = "844110b4-1d3d-eb11-bb72-000d3a2b9218";
const BICYCLE: &str = "7ce0af2e-0963-460f-9b1f-0014aea3e117";
const HILLSIDE: &str = "b7e1c045-2f96-4d83-a51b-8c07d3e9f621";
const LUND: &str = "e93d70b8-6a15-4cf2-9e84-17f5b2a0c3d6";
const NONE: &str = "00000000-0000-0000-0000-000000000000";
const ANY: [(&str, &str); 1] = [("If-Match", "*")];

fn lines() -> String {
    format!("{JOURNAL}/journalLines")
}

/// The values of these members, as one text.
fn shown(entity: &Value, names: &[&str]) -> String {
    names.iter().map(|name| entity[*name].as_str().unwrap_or("?")).collect::<Vec<_>>().join(" ")
}

async fn created(service: &TestService, url: &str, body: Value) -> Value {
    let answer = service.post(url, body.clone()).await;
    assert_eq!(answer.status, 201, "{body}: {}", answer.text());
    answer.json()
}

async fn patched(service: &TestService, url: &str, body: Value) -> Value {
    let answer = service.patch(url, &ANY, body.clone()).await;
    assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    answer.json()
}

fn refused(answer: &Answer, parts: &[&str]) {
    assert_eq!(answer.status, 400, "{}", answer.text());
    for part in parts {
        assert!(answer.message().contains(part), "{part} is not in {}", answer.text());
    }
}

#[tokio::test]
async fn a_number_alone_finds_the_entity() {
    let service = TestService::business_central().await;
    let line = json!({ "accountNumber": "60700", "balancingAccountNumber": "20700", "postingDate": "2026-01-31", "amount": -10 });
    let line = created(&service, &lines(), line).await;
    let accounts = ["accountNumber", "accountId", "balancingAccountNumber", "balancingAccountId"];
    assert_eq!(shown(&line, &accounts), format!("60700 {SALARIES} 20700 {PAYROLL}"));
    let stored = service.get(&format!("{}({})", lines(), line["id"].as_str().unwrap())).await.json();
    assert_eq!(shown(&stored, &accounts), format!("60700 {SALARIES} 20700 {PAYROLL}"));
    let journal = created(&service, "journals", json!({ "code": "J", "balancingAccountNumber": "20700" })).await;
    assert_eq!(journal["balancingAccountId"], PAYROLL);
    let invoice = created(&service, "salesInvoices", json!({ "number": "I-1", "customerNumber": "20000" })).await;
    assert_eq!(shown(&invoice, &["customerId", "customerNumber", "customerName"]), format!("{LUND} 20000 Maria Lund"));
    let linked = service.get(&format!("customers({LUND})/salesInvoices")).await.rows();
    assert_eq!(shown(&linked[0], &["number"]), "I-1");
}

#[tokio::test]
async fn a_number_of_no_entity_is_refused_by_name() {
    let service = TestService::business_central().await;
    let answer = service.post("salesInvoices", json!({ "customerNumber": "nope" })).await;
    refused(&answer, &["customerNumber", "'nope'", "customers"]);
    assert_eq!(service.count("salesInvoices").await, 1);
    refused(&service.post(&lines(), json!({ "accountNumber": "1001" })).await, &["accountNumber", "'1001'"]);
    // Another company has that account.
    refused(&service.post(&lines(), json!({ "accountNumber": "5000" })).await, &["'5000'"]);
    let fjord = "companies(5c1d9a42-7f3e-4b56-9d10-2f8e6ab0c713)";
    let own = format!("{fjord}/journals(8fc06a91-3e72-4d5b-a9c8-02e4b7d1f365)/journalLines");
    let line = created(&service, &own, json!({ "accountNumber": "5000" })).await;
    assert_eq!(line["accountId"], "2d5be8f0-7c93-4a16-b04d-f19e63a8c257");
    refused(&service.post(&own, json!({ "accountNumber": "60700" })).await, &["'60700'"]);
}

#[tokio::test]
async fn a_number_and_an_id_have_to_agree() {
    let service = TestService::business_central().await;
    for (id, number, status) in [
        (SALARIES, json!("60700"), 201),
        (SALARIES, json!("20700"), 400),
        (SALARIES, json!("nope"), 400),
        (SALARIES, json!(""), 400),
        (SALARIES, Value::Null, 201),
        (NONE, json!("60700"), 201),
        (NONE, json!(""), 201),
    ] {
        let answer = service.post(&lines(), json!({ "accountId": id, "accountNumber": number })).await;
        assert_eq!(answer.status, status, "{id} {number}: {}", answer.text());
        if status == 400 {
            refused(&answer, &["accountNumber", "account/number"]);
        } else if id == SALARIES || number == "60700" {
            assert_eq!(shown(&answer.json(), &["accountNumber", "accountId"]), format!("60700 {SALARIES}"));
        }
    }
    let customer = format!("customers({HILLSIDE})");
    let bound = |number: &str| json!({ "customer@odata.bind": customer, "customerNumber": number });
    assert_eq!(created(&service, "salesInvoices", bound("10000")).await["customerId"], HILLSIDE);
    refused(&service.post("salesInvoices", bound("20000")).await, &["customerNumber", "20000"]);
    let from_there = format!("{customer}/salesInvoices");
    refused(&service.post(&from_there, json!({ "customerNumber": "20000" })).await, &["customerNumber"]);
    assert_eq!(created(&service, &from_there, json!({ "customerNumber": "10000" })).await["customerId"], HILLSIDE);
}

#[tokio::test]
async fn a_number_that_another_entity_has_by_now_leads_there() {
    let service = TestService::business_central().await;
    let account = created(&service, "accounts", json!({ "number": "S1", "displayName": "former" })).await;
    let line = created(&service, &lines(), json!({ "accountNumber": "S1" })).await;
    let (account, line) = (account["id"].as_str().unwrap(), line["id"].as_str().unwrap());
    let url = format!("{}({line})", lines());
    patched(&service, &format!("accounts({account})"), json!({ "number": "S2" })).await;
    refused(&service.patch(&url, &ANY, json!({ "accountNumber": "S1" })).await, &["'S1'"]);
    let whole = service.get(&url).await.json();
    let same = json!({ "accountNumber": whole["accountNumber"], "accountId": whole["accountId"], "comment": "x" });
    assert_eq!(patched(&service, &url, same).await["accountId"], account);
    let other = created(&service, "accounts", json!({ "number": "S1", "displayName": "latter" })).await;
    let moved = patched(&service, &url, json!({ "accountNumber": "S1" })).await;
    assert_eq!((&moved["accountId"], &moved["accountNumber"]), (&other["id"], &json!("S1")));
}

#[tokio::test]
async fn what_a_request_says_of_a_lookup_has_to_agree() {
    let service = TestService::business_central().await;
    let bind = |customer: &str| json!(format!("customers({customer})"));
    refused(
        &service.post("salesInvoices", json!({ "customerId": LUND, "customer@odata.bind": bind(HILLSIDE) })).await,
        &["customerId", LUND, "'customer'"],
    );
    let inline = json!({ "customerId": LUND, "customer": { "number": "30000" } });
    refused(&service.post("salesInvoices", inline).await, &["customerId"]);
    let there = service.post(&format!("customers({HILLSIDE})/salesInvoices"), json!({ "customerId": LUND })).await;
    refused(&there, &["customerId"]);
    let invoice = json!({ "customerId": LUND, "customer@odata.bind": bind(LUND) });
    let invoice = created(&service, "salesInvoices", invoice).await;
    let url = format!("salesInvoices({})", invoice["id"].as_str().unwrap());
    for (target, said) in [(bind(HILLSIDE), "customer"), (Value::Null, "customer")] {
        let change = json!({ "customerId": LUND, "customer@odata.bind": target });
        refused(&service.patch(&url, &ANY, change).await, &["customerId", said]);
    }
    assert_eq!(service.get(&url).await.json()["customerId"], LUND);
    // Two navigation properties of a journal follow one property.
    let account = |number: &str| json!(format!("accounts(number='{number}')"));
    let journal = json!({ "code": "TWO", "account@odata.bind": account("60700"),
        "balancingAccount@odata.bind": account("20700") });
    refused(&service.post("journals", journal).await, &["balancingAccount"]);
    let journal = json!({ "code": "ONE", "account@odata.bind": account("60700") });
    let journal = created(&service, "journals", journal).await;
    let url = format!("journals({})", journal["id"].as_str().unwrap());
    for other in
        [json!({ "balancingAccount@odata.bind": account("60700") }), json!({ "balancingAccountNumber": "60700" })]
    {
        let mut change = other;
        change["account@odata.bind"] = account("20700");
        refused(&service.patch(&url, &ANY, change).await, &["balancingAccount"]);
    }
    assert_eq!(service.get(&url).await.json()["balancingAccountNumber"], "60700");
}

#[tokio::test]
async fn a_change_of_the_number_moves_the_lookup() {
    let service = TestService::business_central().await;
    let names = ["customerId", "customerNumber", "customerName"];
    let invoice = created(&service, "salesInvoices", json!({ "number": "I", "customerNumber": "10000" })).await;
    let url = format!("salesInvoices({})", invoice["id"].as_str().unwrap());
    let has = |customer: &str| {
        let rows = format!("customers({customer})/salesInvoices?$filter=number eq 'I'");
        let service = service.clone();
        async move { service.get(&rows).await.rows().len() }
    };
    let moved = patched(&service, &url, json!({ "customerNumber": "20000" })).await;
    assert_eq!(shown(&moved, &names), format!("{LUND} 20000 Maria Lund"));
    assert_eq!((has(HILLSIDE).await, has(LUND).await), (0, 1));
    for wrong in [
        json!({ "customerNumber": "nope" }),
        json!({ "customerNumber": "10000", "customerId": LUND }),
        json!({ "customerNumber": "", "customerId": LUND }),
        json!({ "customerNumber": "20000", "customerId": HILLSIDE }),
        json!({ "customerNumber": "10000", "customer@odata.bind": null }),
        json!({ "customerName": "Another" }),
        json!({ "customerNumber": "10000", "customerName": "Maria Lund" }),
    ] {
        refused(&service.patch(&url, &ANY, wrong).await, &["customerN"]);
    }
    let whole = service.get(&url).await.json();
    let same = json!({ "customerNumber": "20000", "customerId": LUND, "customerName": "Maria Lund", "number": "I" });
    assert_eq!(shown(&patched(&service, &url, same).await, &names), shown(&whole, &names));
    for (body, expected) in [
        (json!({ "customerNumber": "" }), format!("{NONE}  ")),
        (json!({ "customerNumber": "10000", "customerId": NONE }), format!("{HILLSIDE} 10000 Hillside Cycles")),
        (json!({ "customerNumber": null }), format!("{NONE}  ")),
        (json!({ "customerId": LUND }), format!("{LUND} 20000 Maria Lund")),
    ] {
        assert_eq!(shown(&patched(&service, &url, body.clone()).await, &names), expected, "{body}");
    }
    let replaced = service.write("PUT", &url, &ANY, json!({ "number": "I", "customerNumber": "10000" })).await;
    assert_eq!(shown(&replaced.json(), &names), format!("{HILLSIDE} 10000 Hillside Cycles"), "{}", replaced.text());
    let number = format!("{url}/customerNumber");
    for (method, body, expected) in [
        ("PUT", json!({ "value": "20000" }), LUND),
        ("PATCH", json!({ "value": "10000" }), HILLSIDE),
        ("DELETE", Value::Null, NONE),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [&ANY[..], &[("Content-Type", "application/json")]].concat();
        let answer = service.send(method, &number, &headers, body).await;
        assert!(answer.status < 300, "{method}: {}", answer.text());
        assert_eq!(service.get(&url).await.json()["customerId"], expected, "{method}");
    }
    assert_eq!((has(HILLSIDE).await, has(LUND).await), (0, 0));
}

#[tokio::test]
async fn the_type_of_a_line_says_where_its_number_is_looked_up() {
    let service = TestService::business_central().await;
    let line = |kind: &str, number: &str| json!({ "lineType": kind, "lineObjectNumber": number });
    let names = ["lineObjectNumber", "itemId", "accountId"];
    let item = json!({ "lineObjectNumber": "1001" });
    let typed = line("Item", "1100");
    let account = line("Account", "60700");
    let comment = line("Comment", "any");
    let invoice = json!({ "customerNumber": "10000", "salesInvoiceLines": [item, typed, account, comment] });
    let invoice = created(&service, "salesInvoices", invoice).await;
    let rows: Vec<String> =
        invoice["salesInvoiceLines"].as_array().unwrap().iter().map(|line| shown(line, &names)).collect();
    let wheel = "a4d85f19-0c6b-4e73-8b92-5fd3071ec6aa";
    let expected = [
        format!("1001 {BICYCLE} {NONE}"),
        format!("1100 {wheel} {NONE}"),
        format!("60700 {NONE} {SALARIES}"),
        format!("any {NONE} {NONE}"),
    ];
    assert_eq!(rows, expected);
    let lines = format!("salesInvoices({})/salesInvoiceLines", invoice["id"].as_str().unwrap());
    refused(&service.post(&lines, line("Item", "60700")).await, &["lineObjectNumber", "items", "60700"]);
    refused(&service.post(&lines, line("Account", "1001")).await, &["lineObjectNumber", "accounts", "1001"]);
    let url = format!("{lines}({})", invoice["salesInvoiceLines"][0]["id"].as_str().unwrap());
    for (body, expected) in [
        (line("Account", "60700"), format!("60700 {NONE} {SALARIES}")),
        (json!({ "lineType": "Item" }), format!(" {NONE} {NONE}")),
        (json!({ "lineObjectNumber": "1001" }), format!("1001 {BICYCLE} {NONE}")),
        (line("Comment", "note"), format!("note {NONE} {NONE}")),
        (json!({ "lineObjectNumber": "another" }), format!("another {NONE} {NONE}")),
        (json!({ "lineType": "Account", "accountId": SALARIES }), format!("60700 {NONE} {SALARIES}")),
    ] {
        assert_eq!(shown(&patched(&service, &url, body.clone()).await, &names), expected, "{body}");
    }
    let vendor = created(&service, &self::lines(), json!({ "accountType": "Vendor", "accountNumber": "V-1" })).await;
    let names = ["accountNumber", "accountId"];
    assert_eq!(shown(&vendor, &names), format!("V-1 {NONE}"));
    let url = format!("{}({})", self::lines(), vendor["id"].as_str().unwrap());
    for (body, expected) in [
        (json!({ "accountType": "Vendor", "accountNumber": "V-1" }), format!("V-1 {NONE}")),
        (json!({ "accountType": "Vendor" }), format!(" {NONE}")),
        (json!({ "accountNumber": "60700" }), format!("60700 {SALARIES}")),
        (json!({ "accountType": "Customer", "accountNumber": "10000" }), format!("10000 {NONE}")),
    ] {
        let replaced = service.write("PUT", &url, &ANY, body.clone()).await;
        assert_eq!(shown(&replaced.json(), &names), expected, "{body}: {}", replaced.text());
    }
}

#[tokio::test]
async fn numbers_are_found_in_batches_of_both_formats() {
    let service = TestService::business_central().await;
    let account = json!({ "id": "00000000-0000-0000-0000-0000000000aa", "number": "777", "displayName": "New" });
    let write = |id: &str, url: &str, body: &Value| json!({ "id": id, "method": "POST", "url": url, "headers": { "Content-Type": "application/json" }, "body": body });
    let line = json!({ "accountNumber": "777" });
    let alone = [write("1", "accounts", &account), write("2", &lines(), &line)];
    let grouped: Vec<Value> = alone
        .iter()
        .cloned()
        .map(|mut request| {
            request["atomicityGroup"] = "g".into();
            request
        })
        .collect();
    for (headers, requests) in
        [(&[][..], alone.to_vec()), (&[("Isolation", "snapshot")], alone.to_vec()), (&[], grouped)]
    {
        let service = TestService::business_central().await;
        let answer = service.batch(headers, requests.into()).await;
        assert_eq!(answer.statuses(), [201, 201], "{}", answer.text());
        assert_eq!(answer.responses()[1]["body"]["accountId"], account["id"]);
    }
    let part = |id: u8, url: &str, body: &Value| {
        format!(
            "--c\nContent-Type: application/http\nContent-Transfer-Encoding: binary\nContent-ID: {id}\n\n\
             POST {url} HTTP/1.1\nContent-Type: application/json\n\n{body}\n"
        )
    };
    let set = |parts: &str| format!("--b\nContent-Type: multipart/mixed; boundary=c\n\n{parts}--c--\n--b--\n");
    let renumbered = [
        part(1, "accounts", &account),
        part(2, &lines(), &line),
        part(3, &lines(), &json!({ "accountNumber": "60700" })),
    ];
    let answer = service.multipart(&[], &set(&renumbered.concat())).await;
    assert_eq!(answer.statuses(), [201, 201, 201], "{}", answer.text());
    assert!(answer.text().contains(r#""accountId":"00000000-0000-0000-0000-0000000000aa","accountNumber":"777""#));
    let unknown =
        [part(1, "accounts", &json!({ "number": "888" })), part(2, &lines(), &json!({ "accountNumber": "999" }))];
    let answer = service.multipart(&[], &set(&unknown.concat())).await;
    assert!(answer.text().contains("999") && answer.statuses().contains(&400), "{}", answer.text());
    assert_eq!(service.get("accounts?$filter=number eq '888'").await.rows().len(), 0);
}

#[tokio::test]
async fn a_number_is_that_of_one_entity_and_many_have_none() {
    let service = TestService::business_central().await;
    for (set, number) in [("accounts", "60700"), ("items", "1001"), ("customers", "10000")] {
        let twice = service.post(set, json!({ "number": number })).await;
        assert_eq!(twice.status, 409, "{set}: {}", twice.text());
        let other = created(&service, set, json!({ "number": "N" })).await;
        let url = format!("{set}({})", other["id"].as_str().unwrap());
        assert_eq!(service.patch(&url, &ANY, json!({ "number": number })).await.status, 409, "{set}");
    }
    for set in ["items", "customers"] {
        for _ in 0..2 {
            created(&service, set, json!({})).await;
            created(&service, set, json!({ "number": "" })).await;
        }
        assert_eq!(service.get(&format!("{set}(number='')")).await.status, 404);
        assert_eq!(service.get(&format!("{set}(number='N')")).await.status, 200);
    }
    let dataverse = TestService::dataverse().await;
    for _ in 0..2 {
        assert_eq!(dataverse.post("accounts", json!({ "accountnumber": "" })).await.status, 204);
    }
    assert_eq!(dataverse.patch("accounts(accountnumber='')", &[], json!({ "name": "n" })).await.status, 501);
}

#[tokio::test]
async fn what_the_service_makes_is_not_overwritten_in_silence() {
    let service = TestService::business_central().await;
    for (name, wrong, right) in
        [("journalDisplayName", "mine", "DEFAULT"), ("journalId", LUND, "f91409ba-1d3d-eb11-bb72-000d3a2b9218")]
    {
        refused(&service.post(&lines(), json!({ name: wrong })).await, &[name, wrong]);
        let line = created(&service, &lines(), json!({ name: right })).await;
        let url = format!("{}({})", lines(), line["id"].as_str().unwrap());
        refused(&service.patch(&url, &ANY, json!({ name: wrong })).await, &[name, wrong]);
        patched(&service, &url, json!({ name: right })).await;
    }
    // A client's value of a computed property is ignored, as the protocol says.
    created(&service, "items", json!({ "lastModifiedDateTime": "2020-01-01T00:00:00Z" })).await;
}
