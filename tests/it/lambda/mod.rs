//! The functions through the Runtime API, over a DynamoDB behind a socket.

mod batch;
mod events;
mod gateway;
mod job_state;

use std::sync::Arc;

use gateway::{Gateway, Sent};
use local::embedded::Embedded;
use serde_json::Value;
use shared::{
    Engine, Settings,
    service::Services,
    store::{self, Store},
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
    _database: DynamoDbServer,
}

impl Running {
    /// Starts the function of this name with these further variables.
    async fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let database = Embedded::memory().unwrap();
        let folder = workspace().join("infra/services");
        let table = Store::new(store::through(database.clone()), TABLE);
        table.ensure_table().await.unwrap();
        let services = Arc::new(Services::load(&folder).unwrap());
        Engine::new(services, table, Settings::default()).seed().await.unwrap();
        let server = DynamoDbServer::start(database).await;
        let url = server.url();
        let mut all = vec![
            ("TABLE_NAME", TABLE),
            ("SERVICES_DIR", folder.to_str().unwrap()),
            ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
        ];
        all.extend_from_slice(variables);
        Self { function: Function::start(&binary(name), &all).await, _database: server }
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
