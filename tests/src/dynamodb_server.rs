//! The embedded DynamoDB behind a socket, for programs that reach theirs by a URL.

use std::{future::pending, net::SocketAddr};

use bytes::Bytes;
use local::{
    embedded::{Embedded, TARGET_HEADER},
    http::{Limits, serve},
};
use shared::{
    batch::Headers,
    exchange::{Incoming, Outgoing},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::actions;

/// A DynamoDB endpoint on this machine; it ends when it is dropped.
#[derive(Debug)]
pub struct DynamoDbServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl DynamoDbServer {
    /// Serves `database` on a free port to the function of this name.
    pub async fn start(database: Embedded, function: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let handler = move |incoming: Incoming| {
            let database = database.clone();
            async move {
                let target = incoming.headers.get(TARGET_HEADER).unwrap_or_default();
                let operation = target.rsplit('.').next().unwrap_or_default();
                let body = serde_json::from_slice(&incoming.body).unwrap_or_default();
                actions::record(function, operation, &body);
                let answer = database.execute(target, &incoming.body);
                let mut headers = Headers::new();
                headers.try_append("content-type", "application/x-amz-json-1.0").expect("a constant");
                Outgoing { status: answer.status, headers, body: Bytes::from(answer.body) }
            }
        };
        let task = tokio::spawn(serve(listener, handler, Limits::default(), pending()));
        Self { address, task }
    }

    /// For `AWS_ENDPOINT_URL_DYNAMODB` or `--endpoint`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for DynamoDbServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
