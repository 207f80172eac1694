//! A failed job comes back without a person: the host tells its own webhook, with real requests and real signatures, until
//! the limit of the rule.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::host::{Host, OWN_LOOP};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const JOB: i64 = 5_800_000_001;
/// For anything to happen that is to happen.
const PATIENCE: Duration = Duration::from_secs(30);

const POLICY: &str = r#"
[sources.own]
format = "finance-operations"
target = "own"
authentication = { signature = [{ env = "REBATCH_TEST_SECRET" }] }

[targets.own]

[[rules]]
name = "three times"
action = "requeue"
max_retries = 3
"#;

/// A host with the policy, and a client.
struct Loop {
    host: Host,
    client: reqwest::Client,
    folder: TempDir,
    token: Option<String>,
}

impl Loop {
    async fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy.toml");
        std::fs::File::create(&policy).unwrap().write_all(POLICY.as_bytes()).unwrap();
        let data = folder.path().join("data.db");
        let mut arguments = vec!["--data", data.to_str().unwrap(), "--policy", policy.to_str().unwrap()];
        arguments.extend(["--allow-private-targets"].iter().chain(more));
        let mut command = tests::host::command(&arguments);
        command.env("REBATCH_TEST_SECRET", SECRET);
        command.stderr(std::fs::File::create(folder.path().join("log")).unwrap());
        Self { host: Host::run(command).await, client: reqwest::Client::new(), folder, token: None }
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/data/{path}", self.host.url());
        let mut request = self.client.request(method.parse().unwrap(), url).header("accept", "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// The lines of the host's log.
    fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Has the host tell its own webhook, and not itself without a request.
    async fn subscribe(&self, secret: &str) {
        let own = OWN_LOOP.trim_start_matches("/data/");
        assert_eq!(self.send("PATCH", own, Some(json!({ "Active": false }))).await.0, 204);
        let endpoint = json!({
            "Name": "own", "Url": format!("{}/events/own", self.host.url()), "Secret": secret,
            "BusinessEventIds": ["BatchJobFailedBusinessEvent", "BatchJobFinishedBusinessEvent"],
        });
        assert_eq!(self.send("POST", "BusinessEventEndpoints", Some(endpoint)).await.0, 201);
    }

    async fn set(&self, status: &str) {
        let path = format!("BatchJobs({JOB})");
        let (answer, body) = self.send("PATCH", &path, Some(json!({ "Status": status }))).await;
        assert!(answer < 300, "{status}: {body}");
    }

    async fn fail(&self) {
        self.set("Executing").await;
        self.set("Error").await;
    }

    async fn job(&self) -> Value {
        self.send("GET", &format!("BatchJobs({JOB})"), None).await.1
    }

    async fn rows(&self, set: &str) -> Vec<Value> {
        let (_, body) = self.send("GET", &format!("{set}?$filter=BatchJobRecId eq {JOB}"), None).await;
        body["value"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until something is as it is to be.
    async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let start = Instant::now();
        while !holds().await {
            assert!(start.elapsed() < PATIENCE, "never {what}: {:#?}", self.rows("RequeueDecisions").await);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn until_decided(&self, decision: &str, count: usize) {
        let what = format!("{count} times {decision}");
        let decided = async || {
            let rows = self.rows("RequeueDecisions").await;
            rows.iter().filter(|row| row["Decision"] == decision && row["Status"] != "Pending").count() == count
        };
        self.until(&what, decided).await;
    }
}

#[tokio::test]
async fn a_failed_job_is_requeued_until_the_limit_and_anew_after_it_finished() {
    let the = Loop::start(&[]).await;
    the.subscribe(SECRET).await;
    let job = json!({ "BatchJobRecId": JOB, "JobDescription": "Import", "Status": "Waiting" });
    assert_eq!(the.send("POST", "BatchJobs", Some(job)).await.0, 201);
    for retry in 1..=3 {
        the.fail().await;
        the.until("waiting again", async || the.job().await["Status"] == "Waiting").await;
        assert_eq!(the.job().await["RetryCount"], retry);
    }
    the.fail().await;
    the.until_decided("Exhausted", 1).await;
    assert_eq!(the.job().await["Status"], "Error", "it is left to a person now");
    let retries: Vec<Value> = the.rows("RequeueAttempts").await.iter().map(|row| row["Outcome"].clone()).collect();
    assert_eq!(retries, ["Requeued", "Requeued", "Requeued"]);
    let history = the.rows("BatchJobHistory").await;
    let reasons: Vec<&str> =
        history.iter().filter(|row| row["Change"] == "Requeued").filter_map(|row| row["Reason"].as_str()).collect();
    assert_eq!(reasons.len(), 3);
    assert!(reasons.iter().all(|reason| reason.contains("three times")), "{reasons:?}");

    // A person has it done once more; the job ends well, and the counter starts again.
    let rows = the.rows("RequeueDecisions").await;
    let exhausted = rows.iter().find(|row| row["Decision"] == "Exhausted").unwrap();
    let id = exhausted["EventId"].as_str().unwrap();
    let path = format!(
        "RequeueDecisions(BatchJobRecId={JOB},Target='own',EventId={id})/Microsoft.Dynamics.DataEntities.Rerun"
    );
    assert_eq!(the.send("POST", &path, None).await.0, 204);
    the.until("waiting again", async || the.job().await["Status"] == "Waiting").await;
    the.set("Executing").await;
    the.set("Finished").await;
    the.until_decided("Reset", 1).await;
    the.set("Waiting").await;
    the.fail().await;
    the.until("waiting again", async || the.job().await["Status"] == "Waiting").await;
    the.until_decided("Requeue", 4).await;
}

#[tokio::test]
async fn nobody_requeues_who_has_not_the_secret() {
    let the = Loop::start(&[]).await;
    the.subscribe("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").await;
    let job = json!({ "BatchJobRecId": JOB, "JobDescription": "Import", "Status": "Waiting" });
    assert_eq!(the.send("POST", "BatchJobs", Some(job)).await.0, 201);
    the.fail().await;
    let refused = async || {
        let (_, body) = the.send("GET", "BusinessEventDeliveries", None).await;
        let rows = body["value"].as_array().cloned().unwrap_or_default();
        rows.iter().any(|row| row["Attempts"][0]["StatusCode"] == 401)
    };
    the.until("refused", refused).await;
    assert_eq!((the.job().await["Status"].clone(), the.rows("RequeueDecisions").await), ("Error".into(), vec![]));
}

#[tokio::test]
async fn the_host_calls_itself_with_a_token_where_it_asks_for_tokens() {
    let mut the = Loop::start(&["--auth", "jwt"]).await;
    assert_eq!(the.send("GET", "BatchJobs", None).await.0, 401);
    let token = tokio::process::Command::new(tests::binaries::binary("rebatch"))
        .args(["token", "--scope", "admin", "--data", the.folder.path().join("data.db").to_str().unwrap()])
        .output();
    the.token = Some(String::from_utf8(token.await.unwrap().stdout).unwrap().trim().to_owned());
    the.subscribe(SECRET).await;
    let job = json!({ "BatchJobRecId": JOB, "JobDescription": "Import", "Status": "Waiting" });
    assert_eq!(the.send("POST", "BatchJobs", Some(job)).await.0, 201);
    the.fail().await;
    the.until("waiting again", async || the.job().await["Status"] == "Waiting").await;
    assert_eq!(the.job().await["LastRequeuedBy"], "rebatch");
}

/// From the client whose change it was, over the event and the decision, to the call that puts the job back to waiting.
#[tokio::test]
async fn one_trace_leads_from_a_failure_to_the_requeue() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let the = Loop::start(&["--log", "json"]).await;
    the.subscribe(SECRET).await;
    let job = json!({ "BatchJobRecId": JOB, "JobDescription": "Import", "Status": "Waiting" });
    assert_eq!(the.send("POST", "BatchJobs", Some(job)).await.0, 201);
    the.set("Executing").await;
    let url = format!("{}/data/BatchJobs({JOB})", the.host.url());
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let failed = the.client.patch(url).header("traceparent", &parent).header("tracestate", "vendor=x");
    let failed = failed.header("content-type", "application/json").body(r#"{"Status":"Error"}"#).send().await.unwrap();
    assert!(failed.headers()["traceparent"].to_str().unwrap().starts_with(&format!("00-{TRACE}-")));
    the.until("waiting again", async || the.job().await["Status"] == "Waiting").await;
    let in_trace =
        |trace: &Value| trace.as_str().unwrap().contains(TRACE) && trace.as_str().unwrap().ends_with(" vendor=x");
    assert!(in_trace(&the.job().await["LastChangeTrace"]));
    for set in ["RequeueDecisions", "BusinessEventDeliveries"] {
        let rows = the.rows(set).await;
        assert!(rows.len() == 1 && rows.iter().all(|row| in_trace(&row["Trace"])), "{set}: {rows:#?}");
    }
    // Rows of history are written after the change that they tell of.
    let both = async || the.rows("BatchJobHistory").await.iter().filter(|row| in_trace(&row["Trace"])).count() == 2;
    the.until("in the history, as the failure and as the requeue", both).await;
    let log = the.log();
    let lines = log.iter().filter(|line| line["traceId"] == TRACE);
    let lines: Vec<_> =
        lines.map(|line| (line["target"].as_str().unwrap(), line["method"].as_str().unwrap())).collect();
    let expected = [("rebatch::request", "PATCH"), ("rebatch::events", "POST"), ("rebatch::request", "POST")];
    assert_eq!(lines, expected);
    let is_events = |line: &&Value| line["target"] == "rebatch::events" && line["traceId"] == TRACE;
    let events = log.iter().find(is_events).unwrap();
    let counts = ["events", "requeue", "dynamodbCalls", "status"].map(|name| events[name].as_u64().unwrap());
    assert_eq!((counts, &events["source"]), ([1, 1, 1, 200], &json!("own")));
    assert!(!format!("{log:?}").contains("whsec_"));
}
