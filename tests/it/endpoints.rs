//! Who is told of business events: what an endpoint may be, and that its secret never comes back.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::rig::{Rig, TABLE, member};

const ENDPOINTS: &str = "/data/BusinessEventEndpoints";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn create(rig: &Rig, body: Value) -> Value {
    let answer = rig.send("POST", ENDPOINTS, &[], body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn an_endpoint_has_what_it_does_not_say() {
    let rig = Rig::seeded().await;
    let endpoint = create(&rig, json!({ "Url": "https://example.com/hook", "Secret": SECRET })).await;
    let shown =
        ["BusinessEventIds", "LegalEntity", "Format", "Active", "DisabledReason"].map(|name| endpoint[name].clone());
    assert_eq!(json!(shown), json!([[], "", "FinanceOperations", true, null]));
    assert!(endpoint["EndpointId"].as_str().unwrap().len() == 36);
}

#[tokio::test]
async fn a_secret_never_comes_back() {
    let rig = Rig::seeded().await;
    let created = create(&rig, json!({ "Url": "https://example.com/hook", "Secret": SECRET })).await;
    let id = created["EndpointId"].as_str().unwrap().to_owned();
    let one = format!("{ENDPOINTS}({id})");
    let patched =
        rig.send("PATCH", &one, &["prefer: return=representation"], json!({ "Secret": SECRET }).to_string()).await;
    assert_eq!((patched.status, patched.text().contains("whsec")), (200, false));
    for url in [
        &one,
        ENDPOINTS,
        &format!("{one}?$select=Secret,Url"),
        &format!("{ENDPOINTS}?$select=Secret"),
        &format!("{one}/Secret"),
        &format!("{one}/Secret/$value"),
    ] {
        let answer = rig.get(url).await;
        assert!(!answer.text().contains("whsec") && !answer.text().contains("\"Secret\""), "{url}: {}", answer.text());
    }
    assert_eq!(rig.get(&format!("{one}/Secret")).await.status, 403);
    let put = rig.send("PUT", &one, &[], json!({ "Url": "https://example.com/other" }).to_string()).await;
    assert_eq!(put.status, 204);
    let stored = rig.client().query().table_name(TABLE).key_condition_expression("pk = :p");
    let partition = AttributeValue::S("E|finance-operations||BusinessEventEndpoints".into());
    let stored = stored.expression_attribute_values(":p", partition).send().await.unwrap();
    assert!(format!("{:?}", stored.items()).contains(SECRET), "a PUT cannot repeat what it cannot read");
    for filter in ["startswith(Secret,'whsec_M')", "Secret eq null", "Secret ne 'x'", "contains(Secret,'a') or true"] {
        let answer = rig.get(&format!("{ENDPOINTS}?$filter={filter}")).await;
        assert_eq!((answer.status, answer.text().contains("write-only")), (400, true), "{filter}: {}", answer.text());
    }
    for body in [format!("\"{SECRET}\""), format!("[\"{SECRET}\"]")] {
        let answer = rig.send("PATCH", &one, &[], body).await;
        assert_eq!((answer.status, answer.text().contains("whsec")), (400, false), "{}", answer.text());
    }
    for body in [json!({ "Secret": [SECRET] }), json!({ "Secret": { "a": SECRET } }), json!({ "Secret": 1 })] {
        let answer = rig.send("PATCH", &one, &[], body.to_string()).await;
        assert_eq!((answer.status, answer.text().contains("whsec")), (400, false), "{}", answer.text());
        let value = json!({ "value": body["Secret"] }).to_string();
        let answer = rig.send("PUT", &format!("{one}/Secret"), &[], value).await;
        assert_eq!((answer.status, answer.text().contains("whsec")), (400, false), "{}", answer.text());
    }
    for (secret, part) in [("whsec_short", "Secret"), ("plain-text-secret-of-some-length", "Secret")] {
        let answer = rig.send("PATCH", &one, &[], json!({ "Secret": secret }).to_string()).await;
        assert_eq!((answer.status, answer.text().contains(part), answer.text().contains(secret)), (400, true, false));
    }
}

#[tokio::test]
async fn what_an_endpoint_cannot_be_is_refused_by_name() {
    let rig = Rig::seeded().await;
    let id =
        create(&rig, json!({ "Url": "https://example.com/hook" })).await["EndpointId"].as_str().unwrap().to_owned();
    for (body, part) in [
        (json!({ "Url": "ftp://example.com" }), "Url"),
        (json!({ "Url": "/hook" }), "Url"),
        (json!({ "Url": "https://me:secret@example.com" }), "user name"),
        (json!({ "Url": "https://example.com", "BusinessEventIds": ["Nothing"] }), "BusinessEventIds[0]"),
        (json!({ "Url": "https://example.com", "LegalEntity": "a b" }), "LegalEntity"),
        (json!({ "Url": "https://example.com", "Format": "Carrier pigeon" }), "existing options"),
    ] {
        for (method, url) in [("POST", ENDPOINTS.to_owned()), ("PATCH", format!("{ENDPOINTS}({id})"))] {
            let answer = rig.send(method, &url, &[], body.to_string()).await;
            assert_eq!(
                (answer.status, answer.text().contains(part)),
                (400, true),
                "{method} {body}: {}",
                answer.text()
            );
        }
    }
    assert_eq!(rig.send("POST", ENDPOINTS, &[], "{}").await.status, 400, "Url is required");
}

/// The endpoint that is the service itself comes with the seeds. No client makes another one of it, and none makes it anew.
#[tokio::test]
async fn no_client_writes_the_url_of_the_service_itself() {
    const OWN: &str = "rebatch:events";
    let rig = Rig::seeded().await;
    let listed = rig.get(ENDPOINTS).await.json();
    let seeded = listed["value"][0].clone();
    assert_eq!((&seeded["Url"], &seeded["Active"], &listed["value"][1]), (&json!(OWN), &json!(true), &Value::Null));
    let one = format!("{ENDPOINTS}({})", seeded["EndpointId"].as_str().unwrap());
    let other = create(&rig, json!({ "Url": "https://example.com/hook" })).await;
    let id = other["EndpointId"].as_str().unwrap();
    let (another, body) = (format!("{ENDPOINTS}({id})"), json!({ "Url": OWN }));
    let whole = json!({ "Url": OWN, "Active": true });
    for (method, url, body) in [
        ("POST", ENDPOINTS, &body),
        ("PATCH", &another, &body),
        ("PUT", &another, &whole),
        ("PUT", &format!("{another}/Url"), &json!({ "value": OWN })),
        ("PATCH", &one, &body),
        ("PUT", &one, &whole),
        ("POST", ENDPOINTS, &json!({ "Url": "REBATCH:events" })),
        ("POST", ENDPOINTS, &json!({ "Url": " rebatch:events" })),
        ("POST", ENDPOINTS, &json!({ "Url": "rebatch://events" })),
    ] {
        let answer = rig.send(method, url, &[], body.to_string()).await;
        assert_eq!((answer.status, answer.text().contains("Url")), (400, true), "{method} {url}: {}", answer.text());
    }
    let (set, path) = ("BusinessEventEndpoints", format!("BusinessEventEndpoints({id})"));
    for requests in [
        vec![member(None, "1", "POST", set, body.clone())],
        vec![member(Some("g"), "1", "PATCH", &path, body.clone())],
        vec![
            member(Some("g"), "1", "POST", set, json!({ "Url": "https://example.com/a" })),
            member(Some("g"), "2", "POST", set, body.clone()),
        ],
    ] {
        let answer = rig.batch("/data", &requests).await;
        assert!(answer.statuses().contains(&400) && !answer.statuses().iter().any(|s| *s < 300), "{}", answer.text());
    }
    let multipart = format!(
        "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nPOST {ENDPOINTS} HTTP/1.1\r\n\
         Content-Type: application/json\r\n\r\n{body}\r\n--b--\r\n"
    );
    let answer = rig.send("POST", "/data/$batch", &["content-type: multipart/mixed; boundary=b"], multipart).await;
    assert!(answer.text().contains("HTTP/1.1 400"), "{}", answer.text());
    let rows = rig.get(ENDPOINTS).await.json()["value"].as_array().unwrap().clone();
    assert_eq!(rows.iter().filter(|row| row["Url"] == OWN).count(), 1);

    // All else is as it is for any other endpoint.
    for change in [json!({ "Active": false }), json!({ "Active": true, "Name": "loop", "LegalEntity": "usmf" })] {
        assert_eq!(rig.send("PATCH", &one, &[], change.to_string()).await.status, 204, "{change}");
    }
    assert_eq!(rig.get(&one).await.json()["Name"], "loop");
    assert_eq!(rig.send("DELETE", &one, &[], "").await.status, 204);
    assert_eq!(rig.again().engine.seed().await.unwrap(), 0, "what was deleted stays deleted");
    assert_eq!(rig.get(&one).await.status, 404);
}

#[tokio::test]
async fn the_catalogue_leads_to_the_schema_of_each_event() {
    let rig = Rig::seeded().await;
    let catalogue = rig.get("/data/BusinessEventsCatalogs").await;
    let events = catalogue.json();
    assert_eq!(events.as_array().unwrap().len(), 4);
    for event in events.as_array().unwrap() {
        let url = event["SchemaUrl"].as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned();
        let schema = rig.get(&url).await;
        assert_eq!((schema.status, schema.headers.get("content-type")), (200, Some("application/schema+json")));
        assert_eq!(schema.json()["properties"]["JobId"]["type"], "integer");
    }
    assert_eq!(rig.get("/data/BusinessEventsCatalogs/Nothing").await.status, 404);
    assert_eq!(rig.send("POST", "/data/BusinessEventsCatalogs", &[], "{}").await.status, 405);
    assert_eq!(rig.get("/data/BusinessEventsCatalogsX").await.status, 404);
    assert_eq!(rig.calls().len(), 0);
}
