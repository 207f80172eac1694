//! The functions through the Runtime API, over a DynamoDB behind a socket.

mod batch;
mod closed;
mod event_webhook;
mod events;
mod gateway;
mod job_state;
mod limits;
mod outbox;
mod secrets;

use std::{fs::File, sync::Arc};

use bytes::Bytes;
use gateway::{Gateway, Sent};
use http::Method;
use local::embedded::Embedded;
use serde_json::Value;
use shared::{
    Engine, Settings,
    batch::Headers,
    exchange::Incoming,
    service::Services,
    store::{self, Store},
    uri::Encoding,
};
use tests::{
    binaries::{binary, workspace},
    dynamodb_server::DynamoDbServer,
    runtime_api::Function,
};

const TABLE: &str = "items";

/// A function over a seeded table.
struct Running {
    function: Function,
    database: Embedded,
    engine: Engine,
    _server: DynamoDbServer,
}

impl Running {
    /// Starts the function of this name with these further variables.
    async fn start(name: &'static str, variables: &[(&str, &str)]) -> Self {
        let quiet: Vec<_> =
            [("RUST_LOG", "error,rebatch=error")].into_iter().chain(variables.iter().copied()).collect();
        Self::run(name, &quiet, async |all| Function::start(&binary(name), all).await).await
    }

    /// The same, with what it says written to a file.
    async fn start_logged(name: &'static str, variables: &[(&str, &str)], log: &File) -> Self {
        Self::run(name, variables, async |all| Function::start_logged(&binary(name), all, log).await).await
    }

    async fn run(
        name: &'static str,
        variables: &[(&str, &str)],
        start: impl AsyncFnOnce(&[(&str, &str)]) -> Function,
    ) -> Self {
        let database = Embedded::memory().unwrap();
        let folder = workspace().join("infra/services");
        let table = Store::new(store::through(database.clone()), TABLE);
        table.ensure_table().await.unwrap();
        let services = Arc::new(Services::load(&folder).unwrap());
        let engine = Engine::new(services, table, Settings::default());
        engine.seed().await.unwrap();
        let server = DynamoDbServer::start(database.clone(), Some(name)).await;
        let url = server.url();
        let mut all = vec![
            ("TABLE_NAME", TABLE),
            ("AUTH_MODE", "none"),
            ("SERVICES_DIR", folder.to_str().unwrap()),
            ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
        ];
        all.extend_from_slice(variables);
        Self { function: start(&all).await, database, engine, _server: server }
    }

    /// A request to the same table, past the function, with a body unless it is null; its status.
    async fn odata(&self, method: &str, path: &str, body: Value) -> u16 {
        let mut headers = Headers::new();
        headers.try_append("content-type", "application/json").unwrap();
        let incoming = Incoming {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: format!("/data/{path}"),
            path_encoding: Encoding::Percent,
            query: None,
            headers,
            body: if body.is_null() { Bytes::new() } else { body.to_string().into() },
            scheme: "https",
            id: String::new(),
            time_left: None,
        };
        self.engine.handle(incoming).await.status.as_u16()
    }

    async fn send(&self, gateway: Gateway, sent: &Sent, base64: bool) -> Value {
        let answer = self.function.invoke(gateway.event(sent, base64)).await.unwrap();
        assert_eq!(answer["isBase64Encoded"], false, "{answer}");
        answer
    }
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}
