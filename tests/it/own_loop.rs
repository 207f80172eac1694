//! A host as `cargo run` starts it, over a fresh store: a job that fails waits again, and nobody did anything for it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    binaries::binary,
    host::{self, Host, OWN_LOOP},
};

/// A seeded job that runs.
const JOB: i64 = 5_637_144_579;
/// Seeded jobs that have failed.
const FAILED: [i64; 4] = [5_637_144_576, 5_637_144_581, 5_637_144_582, 5_637_144_583];
const TOKEN: &str = "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVy";
/// The rule waits for 5 seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A host over a data file, and who calls it.
struct Own {
    host: Host,
    folder: TempDir,
    token: Option<String>,
}

impl Own {
    async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = host::command(&[&["--data", data(&folder).as_str()], options].concat());
        command.env("REBATCH_TOKEN", TOKEN);
        Self { host: Host::run(command).await, folder, token: None }
    }

    async fn killed_and_started_again(self) -> Self {
        let Self { host, folder, token } = self;
        host.kill().await;
        let host = Host::over(Path::new(&data(&folder))).await;
        Self { host, folder, token }
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.host.url());
        let mut request = reqwest::Client::new().request(method.parse().unwrap(), url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", &format!("/data/{path}"), None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn fail(&self) {
        let failed = self.send("PATCH", &format!("/data/BatchJobs({JOB})"), Some(json!({ "Status": "Error" }))).await;
        assert_eq!(failed.0, 204, "{}", failed.1);
    }

    async fn rows(&self, set: &str) -> Vec<Value> {
        self.get(&format!("{set}?$filter=BatchJobRecId eq {JOB}")).await["value"].as_array().unwrap().clone()
    }

    async fn until_it_waits(&self) {
        let start = Instant::now();
        while self.get(&format!("BatchJobs({JOB})")).await["Status"] != "Waiting" {
            assert!(start.elapsed() < PATIENCE, "it never waits: {:?}", self.rows("RequeueDecisions").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Once the job waits again: by the decision about the one failure, by one attempt.
    async fn check_requeued_once(&self) {
        let (decisions, attempts) = (self.rows("RequeueDecisions").await, self.rows("RequeueAttempts").await);
        assert_eq!((decisions.len(), attempts.len()), (1, 1), "{decisions:#?} {attempts:#?}");
        let shown = ["Source", "Decision", "Status", "Rule"].map(|name| decisions[0][name].clone());
        assert_eq!(json!(shown), json!(["self", "Requeue", "Requeued", "failed jobs"]));
        assert_eq!(attempts[0]["Outcome"], "Requeued");
        let job = self.get(&format!("BatchJobs({JOB})")).await;
        assert_eq!((&job["RetryCount"], &job["LastRequeuedBy"]), (&json!(1), &json!("rebatch")));
    }
}

fn data(folder: &TempDir) -> String {
    folder.path().join("data.db").to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_that_fails_waits_again_within_seconds() {
    let own = Own::start(&[]).await;
    let begun = Instant::now();
    own.fail().await;
    own.until_it_waits().await;
    assert!(begun.elapsed() > Duration::from_secs(4), "a person sees the failure before it is gone");
    own.check_requeued_once().await;
    for job in FAILED {
        assert_eq!(own.get(&format!("BatchJobs({job})")).await["Status"], "Error", "it failed before");
    }
    let event = json!({ "BusinessEventId": "BatchJobFailedBusinessEvent", "EventId": JOB, "JobId": JOB });
    assert_eq!(own.send("POST", "/events/self", Some(event.clone())).await.0, 404);
    assert_eq!(own.send("OPTIONS", "/events/self", None).await.0, 404);
}

#[tokio::test]
async fn it_does_so_where_callers_need_tokens() {
    let (mut with_token, mut with_jwt) = tokio::join!(Own::start(&["--auth", "token"]), Own::start(&["--auth", "jwt"]));
    let mut token = tokio::process::Command::new(binary("rebatch"));
    token.args(["token", "--scope", "admin", "--data", &data(&with_jwt.folder)]);
    let token = String::from_utf8(token.output().await.unwrap().stdout).unwrap();
    (with_token.token, with_jwt.token) = (Some(TOKEN.to_owned()), Some(token.trim().to_owned()));
    let both = [&with_token, &with_jwt];
    futures_util::future::join_all(both.map(async |own| {
        own.fail().await;
        own.until_it_waits().await;
        own.check_requeued_once().await;
    }))
    .await;
}

#[tokio::test]
async fn it_does_nothing_once_its_endpoint_is_switched_off() {
    let own = Own::start(&[]).await;
    assert_eq!(own.send("PATCH", OWN_LOOP, Some(json!({ "Active": false }))).await.0, 204);
    own.fail().await;
    let start = Instant::now();
    while own.rows("BatchJobHistory").await.iter().all(|row| row["ToStatus"] != "Error") {
        assert!(start.elapsed() < PATIENCE, "the change is never written down");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    // History and deliveries of a change are written at once.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((own.rows("BusinessEventDeliveries").await, own.rows("RequeueDecisions").await), (vec![], vec![]));
}

#[tokio::test]
async fn a_host_that_is_killed_before_the_requeue_makes_it_once_when_it_is_back() {
    let own = Own::start(&[]).await;
    own.fail().await;
    let start = Instant::now();
    while own.rows("RequeueDecisions").await.is_empty() {
        assert!(start.elapsed() < PATIENCE, "nothing is decided");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let own = own.killed_and_started_again().await;
    assert_eq!(own.get(&format!("BatchJobs({JOB})")).await["Status"], "Error", "it was killed in time");
    own.until_it_waits().await;
    own.check_requeued_once().await;
}
