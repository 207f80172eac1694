//! The demonstration as a client of the host: everything goes over HTTP, as anybody would do it.

use std::time::Duration;

use reqwest::{Client, Method, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::board::{Board, Decision, Job};

/// Decisions that are shown at most.
const SHOWN: usize = 200;

/// A client of the host at a URL.
#[derive(Clone, Debug)]
pub(super) struct OData {
    client: Client,
    root: String,
}

/// A request that did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the host does not answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("{what}: the host answers {status}: {body}")]
    Status { what: String, status: u16, body: String },
    #[error("the host's answer cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct List<T> {
    value: Vec<T>,
}

impl OData {
    /// `host` is the URL of the host, without a final slash.
    pub(super) fn new(host: &str) -> Result<Self, ClientError> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { client, root: format!("{host}/data") })
    }

    /// What there is to see.
    pub(super) async fn board(&self, first: i64) -> Result<Board, ClientError> {
        let columns = "BatchJobRecId,JobDescription,Status,RetryCount";
        let jobs = format!("BatchJobs?$filter=BatchJobRecId ge {first}&$select={columns}");
        let columns = "BatchJobRecId,EventId,Event,Decision,Reason,Status,Retry,MaxRetries,ReceivedDateTime";
        let mut board = Board {
            jobs: self.list::<Job>(&jobs).await?,
            decisions: self.list::<Decision>(&format!("RequeueDecisions?$select={columns}")).await?,
        };
        board.jobs.sort_by_key(|job| job.id);
        board.decisions.sort_by(|one, other| other.received.cmp(&one.received));
        board.decisions.truncate(SHOWN);
        Ok(board)
    }

    /// Creates an entity.
    pub(super) async fn create(&self, set: &str, entity: &Value) -> Result<(), ClientError> {
        self.send(Method::POST, set, Some(entity)).await.map(drop)
    }

    /// Writes the state of a job, as whoever runs it does. False when somebody else was faster.
    pub(super) async fn set_status(&self, job: i64, status: &str) -> Result<bool, ClientError> {
        match self.send(Method::PATCH, &format!("BatchJobs({job})"), Some(&json!({ "Status": status }))).await {
            Ok(_) => Ok(true),
            Err(ClientError::Status { status: 409, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets a job wait anew as its schedule wants it: that is no retry, and does not count.
    pub(super) async fn schedule(&self, job: i64) -> Result<(), ClientError> {
        self.set_status(job, "Waiting").await?;
        self.send(Method::PATCH, &format!("BatchJobs({job})"), Some(&json!({ "RetryCount": 0 }))).await.map(drop)
    }

    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let body = self.send(Method::GET, path, None).await?;
        Ok(serde_json::from_slice::<List<T>>(&body)?.value)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, ClientError> {
        let what = format!("{method} {path}");
        let url = format!("{}/{path}", self.root);
        let mut request = self.client.request(method, url).header(header::ACCEPT, "application/json");
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        if status.is_success() {
            return Ok(body.into());
        }
        Err(ClientError::Status { what, status: status.as_u16(), body: String::from_utf8_lossy(&body).into_owned() })
    }
}
