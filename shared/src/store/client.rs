//! The SDK client: how long a call may take, and that the SDK never repeats one by itself.
//!
//! A put or an update that is repeated after a lost answer fails its own condition. Whether and how a call is
//! repeated is therefore decided by the store, which can tell its own write from somebody else's.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::{
    Client, Config,
    config::{Credentials, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_smithy_runtime_api::client::http::HttpClient;

/// To open a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For one attempt, from sending to the last byte of the answer.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// For one call of the SDK, signing and endpoint resolution included.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Where an emulator pretends to be.
const LOCAL_REGION: Region = Region::from_static("local-1");
/// A connector that takes the requests itself needs a well-formed URL, not a reachable one.
const LOCAL_ENDPOINT: &str = "http://dynamodb.invalid";

/// A client for the DynamoDB that the environment names: `AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB` and the default
/// chain of credentials. `endpoint` overrides the URL.
pub async fn from_environment(endpoint: Option<&str>) -> Client {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts());
    if let Some(url) = endpoint {
        loader = loader.endpoint_url(url);
    }
    Client::new(&loader.load().await)
}

/// A client whose requests go to `http`, without a network: an embedded database, or a test's layer around one.
pub fn through(http: impl HttpClient + 'static) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .endpoint_url(LOCAL_ENDPOINT)
        .region(LOCAL_REGION)
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .build();
    Client::from_conf(config)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}
