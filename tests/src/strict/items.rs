//! Which items a request names.

use std::{collections::BTreeMap, sync::Mutex};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use aws_smithy_types::body::SdkBody;
use local::embedded::TARGET_HEADER;
use serde_json::{Value, json};

use super::{TARGET_PREFIX, lock};

/// The names of the key attributes of each table, asked for once.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<BTreeMap<String, Vec<String>>>);

impl Schemas {
    /// The items that a request names, in its order: table and key as one text.
    pub(super) async fn items(&self, inner: &SharedHttpConnector, operation: &str, body: &Value) -> Vec<String> {
        let mut items = Vec::new();
        for (table, item) in named(operation, body) {
            let key = self.key_names(inner, table).await;
            let key: Vec<&Value> = key.iter().map(|name| item.get(name).unwrap_or(&Value::Null)).collect();
            items.push(json!([table, key]).to_string());
        }
        items
    }

    async fn key_names(&self, inner: &SharedHttpConnector, table: &str) -> Vec<String> {
        if let Some(names) = lock(&self.0).get(table) {
            return names.clone();
        }
        let names = describe(inner, table).await;
        if !names.is_empty() {
            lock(&self.0).insert(table.to_owned(), names.clone());
        }
        names
    }
}

async fn describe(inner: &SharedHttpConnector, table: &str) -> Vec<String> {
    let mut request = HttpRequest::new(SdkBody::from(json!({ "TableName": table }).to_string()));
    request.headers_mut().insert(TARGET_HEADER, format!("{TARGET_PREFIX}DescribeTable"));
    let Ok(response) = inner.call(request).await else { return Vec::new() };
    let body: Value = serde_json::from_slice(response.body().bytes().unwrap_or_default()).unwrap_or_default();
    let schema = body.pointer("/Table/KeySchema").and_then(Value::as_array);
    schema
        .into_iter()
        .flatten()
        .filter_map(|part| part.get("AttributeName").and_then(Value::as_str).map(str::to_owned))
        .collect()
}

/// Table and key (or whole item) of everything named.
fn named<'a>(operation: &str, body: &'a Value) -> Vec<(&'a str, &'a Value)> {
    match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" | "GetItem" => one(body).into_iter().collect(),
        "TransactWriteItems" | "TransactGetItems" => {
            array(body.get("TransactItems")).filter_map(|action| one(action.as_object()?.values().next()?)).collect()
        }
        "BatchGetItem" => {
            by_table(body).flat_map(|(table, part)| array(part.get("Keys")).map(move |key| (table, key))).collect()
        }
        "BatchWriteItem" => by_table(body)
            .flat_map(|(table, part)| {
                array(Some(part)).filter_map(move |write| {
                    let write = write.as_object()?.values().next()?;
                    Some((table, write.get("Item").or_else(|| write.get("Key"))?))
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn one(request: &Value) -> Option<(&str, &Value)> {
    let item = request.get("Item").or_else(|| request.get("Key"))?;
    Some((request.get("TableName")?.as_str()?, item))
}

fn by_table(body: &Value) -> impl Iterator<Item = (&str, &Value)> {
    body.get("RequestItems")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(table, part)| (table.as_str(), part))
}

fn array(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
