//! All functions as they are deployed, each with an event of its kind.

use std::{fs, sync::Arc};

use jiff::Timestamp;
use local::embedded::Embedded;
use serde_json::{Value, json};
use shared::{
    Engine, Settings,
    events::{Secret, sign},
    service::Services,
    store::{self, Store},
};
use tempfile::TempDir;

use crate::{
    binaries::{binary, workspace},
    dynamodb_server::DynamoDbServer,
    runtime_api::Function,
};

/// Their names.
pub const FUNCTIONS: [&str; 4] = ["batch", "job-state", "event-webhook", "outbox"];

const TABLE: &str = "items";
const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const POLICY: &str = r#"
[targets.fo]
url = "https://contoso.operations.dynamics.com/data"
authentication.bearer = "t0ken"
[sources.signed]
target = "fo"
authentication.signature = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
[[rules]]
name = "all"
action = "requeue"
"#;

/// A seeded table, services and a policy: what functions are given.
#[derive(Debug)]
pub struct Surroundings {
    server: DynamoDbServer,
    folder: TempDir,
}

impl Surroundings {
    /// Of the shipped services.
    pub async fn start() -> Self {
        let database = Embedded::memory().expect("a database");
        let table = Store::new(store::through(database.clone()), TABLE);
        table.ensure_table().await.expect("a table");
        let services = Arc::new(Services::load(&workspace().join("infra/services")).expect("services"));
        Engine::new(services, table, Settings::default()).seed().await.expect("seeds");
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("policy.toml"), POLICY).expect("a file");
        Self { server: DynamoDbServer::start(database, None).await, folder }
    }

    /// Starts one of the functions.
    pub async fn function(&self, name: &str) -> Function {
        let (services, policy) = (workspace().join("infra/services"), self.folder.path().join("policy.toml"));
        let url = self.server.url();
        let variables = [
            ("TABLE_NAME", TABLE),
            ("AUTH_MODE", "none"),
            ("SERVICES_DIR", services.to_str().expect("UTF-8")),
            ("POLICY_FILE", policy.to_str().expect("UTF-8")),
            ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
            ("RUST_LOG", "error,rebatch=error"),
        ];
        Function::start(&binary(name), &variables).await
    }
}

/// An event of the kind that a function is for.
pub fn event(function: &str) -> Value {
    match function {
        "batch" => http("GET", "/data/BatchJobs", "", &json!({})),
        "job-state" => {
            let path = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
            http("POST", path, r#"{"batchJobId":5637144576}"#, &json!({ "content-type": "application/json" }))
        }
        "event-webhook" => signed(),
        _ => json!({}),
    }
}

/// A request as an HTTP API hands it on.
pub fn http(method: &str, path: &str, body: &str, headers: &Value) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": {
            "domainName": "a1b2c3.execute-api.eu-west-1.amazonaws.com", "requestId": "r", "stage": "$default",
            "http": { "method": method, "path": path },
        },
        "body": body, "isBase64Encoded": false,
    })
}

fn signed() -> Value {
    let now = Timestamp::now();
    let body = json!({
        "BusinessEventId": "BatchJobFailedBusinessEvent", "ControlNumber": 1, "JobId": 5_637_144_576_i64,
        "JobStatus": "Error", "EventId": "A5631837-C1C8-5342-839A-000000000001", "EventTimeIso8601": now.to_string(),
    })
    .to_string();
    let secret = Secret::parse(SIGNING).expect("a secret");
    let signature = sign(&secret, "1", now.as_second(), body.as_bytes());
    let headers = json!({
        "content-type": "application/json", "webhook-id": "1", "webhook-timestamp": now.as_second().to_string(),
        "webhook-signature": signature,
    });
    http("POST", "/events/signed", &body, &headers)
}
