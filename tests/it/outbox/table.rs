//! A data file of an earlier version gets what the outbox needs.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use local::embedded::Embedded;
use shared::store::{self, Deadline, Store};

use super::LONG;

#[tokio::test]
async fn a_table_of_an_earlier_version_is_completed() {
    let database = Embedded::memory().unwrap();
    let client = store::through(database.clone());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let attribute = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let create = client.create_table().table_name("items").billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(attribute("pk")).attribute_definitions(attribute("sk"));
    create.key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range)).send().await.unwrap();
    let put = |sort: &str| {
        let put = client.put_item().table_name("items").item("pk", text("p")).item("sk", text(sort));
        put.item("dp", text("queue")).item("dt", text("2026")).send()
    };
    put("before").await.unwrap();
    let store = Store::new(client.clone(), "items");
    assert!(!store.ensure_table().await.unwrap());
    assert!(!store.ensure_table().await.unwrap(), "once is enough");
    put("after").await.unwrap();
    let due = store.due("queue", None, Deadline::after(LONG)).await.unwrap();
    let mut rows: Vec<String> = due.rows.into_iter().map(|(key, _)| key.sort).collect();
    rows.sort_unstable();
    assert_eq!(rows, ["after", "before"]);
    let records = database.records("items", None).unwrap();
    assert_eq!((records.len(), &records[0]["dynamodb"]["Keys"]["sk"]["S"]), (1, &"after".into()));
}
