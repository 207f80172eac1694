//! A whole service in this process.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem};
use bytes::Bytes;
use http::{Method, StatusCode};
use local::{embedded::Embedded, http::Limits};
use shared::{
    Engine, Settings,
    batch::Format,
    exchange::Incoming,
    service::Services,
    store::{self, Store},
    uri,
    wire::{self, Envelope},
};
use tests::binaries::workspace;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::requests::{change_set, creates, headers};

pub(super) const ROOT: &str = "/api/data/v9.2";
pub(super) const TABLE: &str = "bench";

pub(super) fn services() -> Arc<Services> {
    Arc::new(Services::load(&workspace().join("infra/services")).unwrap())
}

/// An engine over a database in memory, and the SDK's client to the same.
pub(super) struct Host {
    pub(super) runtime: Runtime,
    engine: Engine,
    pub(super) client: aws_sdk_dynamodb::Client,
}

impl Host {
    pub(super) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let client = store::through(Embedded::memory().unwrap());
        let store = Store::new(client.clone(), TABLE);
        let engine = Engine::new(services(), store.clone(), Settings::default());
        runtime.block_on(async {
            store.ensure_table().await.unwrap();
            engine.seed().await.unwrap();
        });
        Self { runtime, engine, client }
    }

    /// Serves the engine on a port of its own, and is its client.
    pub(super) fn listen(&self) -> Client {
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let engine = self.engine.clone();
        let handler = move |incoming| {
            let engine = engine.clone();
            async move { engine.handle(incoming).await }
        };
        self.runtime.spawn(local::http::serve(listener, handler, Limits::default(), std::future::pending()));
        Client { url: format!("http://{address}{ROOT}/$batch"), http: reqwest::Client::new() }
    }

    pub(super) async fn send(&self, content_type: &str, body: Bytes) -> Bytes {
        let incoming = Incoming {
            method: Method::POST,
            path: format!("{ROOT}/$batch"),
            path_encoding: uri::Encoding::Percent,
            query: None,
            headers: headers(&[("content-type", content_type), ("accept", "application/json"), ("host", "localhost")]),
            body,
            scheme: "http",
            id: String::new(),
            time_left: None,
        };
        let answer = self.engine.handle(incoming).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.body
    }

    /// The items of a batch of 100 contacts, as they are in the table.
    pub(super) fn contacts(&self) -> Vec<HashMap<String, AttributeValue>> {
        let envelope = Envelope::Json;
        let body = wire::write_request(&change_set(creates(100), Format::Json), &envelope);
        self.runtime.block_on(async {
            self.send("application/json", body).await;
            let query = self.client.query().table_name(TABLE).key_condition_expression("pk = :p");
            let partition = AttributeValue::S("E|dataverse||contacts".into());
            let answer = query.expression_attribute_values(":p", partition).limit(100).send().await.unwrap();
            answer.items.unwrap()
        })
    }
}

/// Sends batches over HTTP.
pub(super) struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    pub(super) async fn post(&self, content_type: &str, body: Bytes) -> Bytes {
        let request = self.http.post(&self.url).header("content-type", content_type).body(body);
        request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap()
    }
}

/// The keys of items.
pub(super) fn keys(items: &[HashMap<String, AttributeValue>]) -> KeysAndAttributes {
    let key = |item: &HashMap<String, AttributeValue>| {
        ["pk", "sk"].into_iter().map(|name| (name.to_owned(), item[name].clone())).collect()
    };
    let keys = items.iter().map(key).collect();
    KeysAndAttributes::builder().consistent_read(true).set_keys(Some(keys)).build().unwrap()
}

/// The same items with new keys, as a transaction of puts.
pub(super) fn transaction(items: &[HashMap<String, AttributeValue>]) -> Vec<TransactWriteItem> {
    let put = |item: &HashMap<String, AttributeValue>| {
        let mut item = item.clone();
        item.insert("sk".into(), AttributeValue::S(Uuid::new_v4().to_string()));
        let put = Put::builder().table_name(TABLE).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(pk)");
        TransactWriteItem::builder().put(put.build().unwrap()).build()
    };
    items.iter().map(put).collect()
}
