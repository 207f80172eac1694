//! The host tells of itself while it works: its log about what leaves the service, and its metrics.

use std::{process::Stdio, time::Duration};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tests::host::{self, Host};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::ChildStderr,
    time::{sleep, timeout},
};

const SOON: Duration = Duration::from_secs(20);
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const JOB: &str = "BatchJobs(5637144579)";

/// A host with what it writes to standard error.
struct Talking {
    host: Host,
    lines: Lines<BufReader<ChildStderr>>,
    client: Client,
}

impl Talking {
    async fn start(arguments: &[&str]) -> Self {
        Self::over(&[arguments, &["--memory"]].concat()).await
    }

    async fn over(arguments: &[&str]) -> Self {
        let mut command = host::command(arguments);
        command.stderr(Stdio::piped()).env_remove("RUST_LOG");
        let (host, stderr) = Host::run_piped(command).await;
        Self { host, lines: BufReader::new(stderr).lines(), client: Client::new() }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, String) {
        let request = self.client.request(method, format!("{}{path}", self.host.url())).bearer_auth(TOKEN);
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn done(&self, method: Method, path: &str, body: Value) {
        let (status, text) = self.send(method, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {status} {text}");
    }

    /// The next line that holds all of these texts.
    async fn line(&mut self, texts: &[&str]) -> String {
        let mut seen = Vec::new();
        let found = timeout(SOON, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if texts.iter().all(|text| line.contains(text)) {
                    return line;
                }
                seen.push(line);
            }
            panic!("the log ended")
        });
        found.await.unwrap_or_else(|_| panic!("no line with {texts:?} among {seen:#?}"))
    }

    async fn metrics(&self) -> String {
        let (status, text) = self.send(Method::GET, "/metrics", None).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        text
    }

    /// Waits until a metric has a value.
    async fn measured(&self, line: &str) {
        let waited = timeout(SOON, async {
            while !self.metrics().await.lines().any(|seen| seen == line) {
                sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(waited.await.is_ok(), "no {line} in {}", self.metrics().await);
    }
}

/// An endpoint at which nobody listens.
fn deaf_endpoint() -> Value {
    json!({ "Name": "deaf", "Url": "http://127.0.0.1:9/", "BusinessEventIds": ["BatchJobFailedBusinessEvent"] })
}

#[tokio::test]
async fn a_person_at_the_terminal_sees_attempts_that_failed_without_asking() {
    let mut host = Talking::start(&["--allow-private-targets"]).await;
    host.done(Method::POST, "/data/BusinessEventEndpoints", deaf_endpoint()).await;
    host.done(Method::PATCH, &format!("/data/{JOB}"), json!({ "Status": "Error" })).await;
    let line = host.line(&["WARN", "an attempt failed", "no connection"]).await;
    assert!(line.contains("attempt=1") && !line.contains("127.0.0.1:9"), "{line}");
    assert!(!line.contains('\u{1b}'), "colours where no terminal is: {line}");
}

#[tokio::test]
async fn a_sweep_and_the_records_before_it_are_a_line_each() {
    let mut host = Talking::start(&["--allow-private-targets", "--log", "json"]).await;
    host.done(Method::POST, "/data/BusinessEventEndpoints", deaf_endpoint()).await;
    host.done(Method::PATCH, &format!("/data/{JOB}"), json!({ "Status": "Error" })).await;
    let records: Value = serde_json::from_str(&host.line(&["rebatch::outbox", "\"stream\""]).await).unwrap();
    assert!(records["records"].as_u64() > Some(0) && records["dynamodbCalls"].as_u64() > Some(0), "{records}");
    let failed: Value = serde_json::from_str(&host.line(&["rebatch::attempt"]).await).unwrap();
    assert_eq!(
        (&failed["level"], &failed["attempt"], &failed["service"]),
        (&json!("WARN"), &json!(1), &json!("finance-operations"))
    );
    assert!(failed["next"].is_string() && failed["reason"].is_string() && failed["eventId"].is_string(), "{failed}");
    let sweep: Value = serde_json::from_str(&host.line(&["rebatch::outbox", "\"sweep\""]).await).unwrap();
    assert_eq!(sweep["level"], "INFO");
    assert!(sweep["sent"].as_u64() > sweep["delivered"].as_u64() && sweep["durationMs"].is_number(), "{sweep}");
}

#[tokio::test]
async fn metrics_count_requests_calls_and_what_waits() {
    let host = Talking::start(&["--allow-private-targets"]).await;
    let fresh = host.metrics().await;
    assert!(fresh.contains("# TYPE rebatch_exhausted_total counter") && fresh.contains("\nrebatch_exhausted_total 0"));
    host.done(Method::POST, "/trippin/Airlines", json!({ "AirlineCode": "XX", "Name": "n" })).await;
    let (status, _) = host.send(Method::GET, "/trippin/Airlines('ZZ')", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let text = host.metrics().await;
    for line in [
        "rebatch_requests_total{service=\"trippin\",status=\"201\"} 1",
        "rebatch_requests_total{service=\"trippin\",status=\"404\"} 1",
        "rebatch_operations_total{service=\"trippin\"} 2",
        "rebatch_operations_failed_total{service=\"trippin\"} 1",
        "rebatch_request_duration_seconds_count{service=\"trippin\"} 2",
        "# TYPE rebatch_table_call_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line} is not in {text}");
    }
    assert!(text.contains("rebatch_table_call_duration_seconds_count{operation=\"PutItem\"}"), "{text}");

    host.done(Method::POST, "/data/BusinessEventEndpoints", deaf_endpoint()).await;
    host.done(Method::PATCH, &format!("/data/{JOB}"), json!({ "Status": "Error" })).await;
    let (_, endpoints) = host.send(Method::GET, "/data/BusinessEventEndpoints?$filter=Name%20eq%20'deaf'", None).await;
    let endpoints: Value = serde_json::from_str(&endpoints).unwrap();
    let id = endpoints["value"][0]["EndpointId"].as_str().unwrap();
    let depth = format!("rebatch_queue_depth{{service=\"finance-operations\",queue=\"endpoint\",name=\"{id}\"}}");
    // The test event of a new endpoint, and the failure.
    host.measured(&format!("{depth} 2")).await;
    // The service tells itself of the failure too.
    host.measured("rebatch_events_total{decision=\"requeue\"} 1").await;
    let (status, _) = host.send(Method::DELETE, &format!("/data/BusinessEventEndpoints({id})"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    host.measured(&format!("{depth} 0")).await;
    let elsewhere = host.client.get(format!("{}/data", host.host.url())).header("host", "evil.example");
    assert_eq!(elsewhere.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    host.measured("rebatch_refused_total{status=\"421\"} 1").await;
}

#[tokio::test]
async fn a_job_that_has_met_its_own_limit_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "[targets.own]\n[[rules]]\nname = \"at once\"\naction = \"requeue\"\n").unwrap();
    let mut host = Talking::start(&["--policy", policy.to_str().unwrap()]).await;
    host.done(Method::PATCH, &format!("/data/{JOB}"), json!({ "RetryLimit": 1, "Status": "Error" })).await;
    host.measured("rebatch_requeued_total 1").await;
    host.done(Method::PATCH, &format!("/data/{JOB}"), json!({ "Status": "Executing" })).await;
    host.done(Method::PATCH, &format!("/data/{JOB}"), json!({ "Status": "Error" })).await;
    let line = host.line(&["WARN", "a requeue was refused", "status=409"]).await;
    assert!(line.contains("job=5637144579"), "{line}");
}

#[tokio::test]
async fn a_store_without_its_loop_gets_it_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.db");
    let data = data.to_str().unwrap();
    let host = Talking::over(&["--data", data]).await;
    assert_eq!(host.send(Method::DELETE, host::OWN_LOOP, None).await.0, StatusCode::NO_CONTENT);
    host.host.kill().await;
    for (options, status) in [(&[][..], StatusCode::NOT_FOUND), (&["--own-loop"], StatusCode::OK)] {
        let host = Talking::over(&[&["--data", data], options].concat()).await;
        assert_eq!(host.send(Method::GET, host::OWN_LOOP, None).await.0, status, "{options:?}");
        host.host.kill().await;
    }
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "[targets.elsewhere]\nurl = \"http://127.0.0.1:9/data\"\n").unwrap();
    let mut host = Talking::over(&["--data", data, "--policy", policy.to_str().unwrap()]).await;
    host.line(&["WARN", "rebatch:events is told of no job"]).await;
}

#[tokio::test]
async fn metrics_are_for_callers_who_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let host = Talking::start(&["--auth", "token", "--token-file", file.to_str().unwrap()]).await;
    let url = format!("{}/metrics", host.host.url());
    let answer = host.client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().contains_key("www-authenticate"));
    assert!(answer.text().await.unwrap().contains("\"error\""));
    assert!(host.metrics().await.contains("rebatch_exhausted_total 0"));
    let (status, body) = host.send(Method::HEAD, "/metrics", None).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    assert_eq!(host.send(Method::POST, "/metrics", Some(json!({}))).await.0, StatusCode::METHOD_NOT_ALLOWED);
}
