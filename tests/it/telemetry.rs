//! What the log says about requests, and what it never says; where a trace leads; whether the host is well.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use shared::telemetry::{Format, Levels, subscriber};
use tests::strict::{Fault, Plan};
use tracing::{level_filters::LevelFilter, subscriber::DefaultGuard};

use crate::rig::{Rig, member};

const TRIPPIN: &str = "/trippin";
const DATA: &str = "/data";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The log of this thread, for as long as the guard lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start(format: Format<'_>, directives: &str) -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let levels = Levels { directives: Some(directives), default: LevelFilter::INFO };
        let guard = tracing::subscriber::set_default(subscriber(format, levels, move || writer.clone()));
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines about `target` since the last time. Every line is a JSON object.
    fn take(&self, target: &str) -> Vec<Value> {
        let text = self.text();
        self.0.lock().unwrap().clear();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
        lines.filter(|line| line["target"] == target).collect()
    }

    /// The line of the only request since the last time.
    fn request(&self) -> Value {
        let lines = self.take("rebatch::request");
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.into_iter().next().unwrap()
    }
}

fn airline(group: Option<&str>, code: &str) -> Value {
    member(group, code, "POST", "Airlines", json!({ "AirlineCode": code, "Name": "n" }))
}

#[tokio::test]
async fn the_line_of_a_request_counts_its_calls_and_what_they_consume() {
    let rig = Rig::seeded().await;
    let (log, _guard) = Log::start(Format::Json, "");
    let group: Vec<Value> = (0..3).map(|at| airline(Some("g"), &format!("A{at}"))).collect();
    rig.batch(TRIPPIN, &group).await;
    let line = log.request();
    assert_eq!(line["dynamodbCalls"], rig.calls().len());
    // A transaction costs two units for each item of up to a KB.
    assert_eq!((&line["writeCapacity"], &line["readCapacity"]), (&json!(6.0), &json!(0.0)));
    let counts = ["operations", "failed", "changeSets", "notRun", "conflicts", "reruns", "throttles", "status"];
    assert_eq!(counts.map(|name| line[name].as_u64().unwrap()), [3, 0, 1, 0, 0, 0, 0, 200]);
    assert_eq!(
        (&line["service"], &line["caller"], &line["method"]),
        (&json!("trippin"), &json!("anonymous"), &json!("POST"))
    );
    assert_eq!((&line["path"], &line["level"]), (&json!("/trippin/$batch"), &json!("INFO")));
    assert!(line["durationMs"].as_f64().unwrap() > 0.0);

    let reads: Vec<Value> = ["A0", "A1"]
        .iter()
        .map(|code| member(None, code, "GET", &format!("Airlines('{code}')"), Value::Null))
        .collect();
    rig.batch(TRIPPIN, &reads).await;
    let line = log.request();
    assert_eq!(
        (&line["dynamodbCalls"], &line["readCapacity"], &line["writeCapacity"]),
        (&json!(1), &json!(2.0), &json!(0.0))
    );
    rig.calls();

    rig.get(&format!("{TRIPPIN}/Airlines?$top=2&code=secret")).await;
    let line = log.request();
    assert_eq!((&line["operations"], &line["path"]), (&json!(1), &json!("/trippin/Airlines")));
    assert_eq!(line["dynamodbCalls"], rig.calls().len());
}

#[tokio::test]
async fn repeats_are_counted_where_the_table_has_too_much_to_do_or_others_were_faster() {
    let rig = Rig::seeded().await;
    let (log, _guard) = Log::start(Format::Json, "");
    rig.strict.set_plan(Plan::from_fn(|call| match call.number {
        0 => Some(Fault::Throttle),
        1 => Some(Fault::Conflict),
        2 => Some(Fault::DropBefore),
        _ => None,
    }));
    let answer = rig.batch(TRIPPIN, &[airline(Some("g"), "A0"), airline(Some("g"), "A1")]).await;
    assert_eq!(answer.statuses(), [201, 201]);
    let line = log.request();
    assert_eq!(line["dynamodbCalls"], rig.calls().len());
    let counts = ["throttles", "conflicts", "reruns"];
    assert_eq!(counts.map(|name| line[name].as_u64().unwrap()), [1, 1, 1]);
}

#[tokio::test]
async fn each_request_of_a_batch_that_fails_has_a_line() {
    let rig = Rig::seeded().await;
    let (log, _guard) = Log::start(Format::Json, "");
    let group = |code| airline(Some("g"), code);
    let requests = [
        member(None, "first", "POST", "Airlines", json!({ "AirlineCode": "A0", "Name": "n" })),
        member(None, "absent", "GET", "Airlines('NO')?$select=Name", Value::Null),
        group("A1"),
        group("A0"),
        group("A2"),
    ];
    let url = format!("{TRIPPIN}/$batch");
    let headers = ["accept: application/json", "prefer: continue-on-error"];
    rig.send("POST", &url, &headers, json!({ "requests": requests }).to_string()).await;
    let text = log.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown = |line: &Value| {
        ["index", "operation", "method", "path", "undone", "status", "error"].map(|name| line[name].clone())
    };
    let failures: Vec<_> = lines.iter().filter(|line| line["target"] == "rebatch::failure").collect();
    assert_eq!(
        shown(failures[0]),
        [json!(1), "absent".into(), "GET".into(), "Airlines('NO')".into(), json!(0), json!(404), "NotFound".into()]
    );
    assert_eq!(
        shown(failures[1]),
        [json!(3), "A0".into(), "POST".into(), "Airlines".into(), json!(2), json!(409), "DuplicateKey".into()]
    );
    assert_eq!(failures.len(), 2);
    let line = lines.iter().find(|line| line["target"] == "rebatch::request").unwrap();
    assert_eq!(["operations", "failed", "changeSets", "notRun"].map(|name| line[name].as_u64().unwrap()), [5, 4, 1, 0]);
    assert!(failures.iter().all(|failure| failure["correlation"] == line["correlation"]));
}

#[tokio::test]
async fn what_is_not_run_after_a_failure_is_counted() {
    let rig = Rig::seeded().await;
    let (log, _guard) = Log::start(Format::Json, "");
    let absent = |id: &str| member(None, id, "GET", "Airlines('NO')", Value::Null);
    let headers = ["accept: application/json", "prefer: continue-on-error=false"];
    let send = async |requests: &[Value]| {
        let body = json!({ "requests": requests }).to_string();
        rig.send("POST", &format!("{TRIPPIN}/$batch"), &headers, body).await;
        let line = log.request();
        ["operations", "failed", "notRun"].map(|name| line[name].as_u64().unwrap())
    };
    assert_eq!(send(&[absent("1"), absent("2"), airline(None, "A0"), airline(None, "A1")]).await, [4, 1, 3]);
    let again = member(None, "again", "POST", "Airlines", json!({ "AirlineCode": "A2", "Name": "n" }));
    assert_eq!(send(&[airline(None, "A2"), again, absent("3")]).await, [3, 1, 1]);
}

#[tokio::test]
async fn a_batch_of_nothing_but_failures_has_a_hundred_lines_and_one() {
    let rig = Rig::seeded().await;
    let (log, _guard) = Log::start(Format::Json, "");
    let requests: Vec<Value> =
        (0..103).map(|at| member(None, &at.to_string(), "GET", &format!("Airlines('N{at}')"), Value::Null)).collect();
    let headers = ["accept: application/json", "prefer: continue-on-error"];
    rig.send("POST", &format!("{TRIPPIN}/$batch"), &headers, json!({ "requests": requests }).to_string()).await;
    let lines = log.take("rebatch::failure");
    assert_eq!((lines.len(), &lines[100]["more"]), (101, &json!(3)));
}

/// However often it was evaluated until its reads were of one instant.
#[tokio::test]
async fn a_request_that_fails_in_a_snapshot_has_one_line() {
    let rig = Rig::seeded().await;
    let other = rig.again();
    rig.strict.set_interlude(move |call| {
        let other = other.clone();
        (call.number == 3).then(|| -> tests::strict::Meanwhile {
            Box::pin(async move {
                assert_eq!(other.batch(TRIPPIN, &[airline(None, "X")]).await.statuses(), [201]);
            })
        })
    });
    let (log, _guard) = Log::start(Format::Json, "");
    let requests = json!({ "requests": [
        airline(None, "NW"),
        member(None, "list", "GET", "Airlines", Value::Null),
        member(None, "none", "GET", "Airlines('none')", Value::Null),
    ] });
    let headers = ["accept: application/json", "isolation: snapshot"];
    let answer = rig.send("POST", &format!("{TRIPPIN}/$batch"), &headers, requests.to_string()).await;
    assert_eq!(answer.statuses(), [409, 200, 404]);
    let text = log.text();
    let errors: Vec<_> = log.take("rebatch::failure").iter().map(|line| line["error"].clone()).collect();
    assert_eq!(errors, ["DuplicateKey", "NotFound"]);
    let reruns = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["reruns"].as_u64());
    assert!(reruns.sum::<u64>() > 0, "{text}");
}

#[tokio::test]
async fn a_function_s_lines_are_metrics_of_cloudwatch() {
    let rig = Rig::seeded().await;
    let (log, _guard) = Log::start(Format::Function("rebatch-batch"), "");
    rig.get(&format!("{TRIPPIN}/Airlines")).await;
    rig.get("/nowhere").await;
    for line in log.take("rebatch::request") {
        assert!(line["_aws"]["Timestamp"].as_i64().unwrap() > 1_600_000_000_000);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Rebatch");
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!(metrics.len() > 10);
        for metric in metrics {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric} in {line}");
        }
        let dimensions = directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap());
        assert_eq!(dimensions.clone().count(), 1);
        assert!(dimensions.map(|name| &line[name.as_str().unwrap()]).all(Value::is_string), "{line}");
        assert_eq!(line["function"], "rebatch-batch");
    }
}

#[tokio::test]
async fn what_is_asked_of_one_module_does_not_silence_the_others() {
    let rig = Rig::seeded().await;
    let (log, _guard) = Log::start(Format::Json, "shared=debug");
    rig.get("/trippin/Airlines").await;
    assert_eq!(log.take("rebatch::request").len(), 1);
}

#[tokio::test]
async fn nothing_that_a_client_sends_in_confidence_is_logged_at_any_level() {
    const SECRET: &str = "S3CR3T";
    let rig = Rig::seeded().await;
    for format in [Format::Json, Format::Pretty, Format::Function("f")] {
        let (log, _guard) = Log::start(format, "trace,aws_smithy_runtime::client=trace,aws_sdk_dynamodb=trace");
        let authorization = format!("authorization: Bearer {SECRET}");
        let custom = format!("x-key: {SECRET}");
        let state = format!("tracestate: k={SECRET}");
        let headers =
            [authorization.as_str(), &custom, &state, &format!("traceparent: {PARENT}"), "accept: application/json"];
        let endpoint = json!({ "Name": SECRET, "Url": format!("https://example.com/hook?code={SECRET}"), "Secret": "whsec_UzNDUjNUUzNDUjNUUzNDUjNUUzNDUjNU", "BusinessEventIds": ["BatchJobFailedBusinessEvent"] });
        let create = member(None, "1", "POST", "BusinessEventEndpoints", endpoint);
        let wrong = member(None, "2", "POST", "BatchJobs", json!({ "Status": SECRET, SECRET: 1 }));
        let url = format!("https://u:{SECRET}@elsewhere/data/BatchJobs?$filter=JobDescription eq '{SECRET}'");
        let requests = json!({ "requests": [create, wrong, member(None, "3", "GET", &url, Value::Null)] });
        let send = async |url: &str, headers: &[&str], body: String| rig.send("POST", url, headers, body).await;
        send(&format!("{DATA}/$batch?code={SECRET}"), &headers, requests.to_string()).await;
        // A batch that cannot be read: what is wrong is quoted to the client alone.
        let multipart = ["content-type: multipart/mixed; boundary=b", authorization.as_str()];
        let body = format!("--b\r\nAuthorization {SECRET}\r\n\r\n--b--");
        for root in [DATA, TRIPPIN, "/api/v2.0"] {
            send(&format!("{root}/$batch"), &multipart, body.clone()).await;
        }
        send("/nowhere%3Fcode=S3CR3T", &headers, SECRET.to_owned()).await;
        rig.strict.set_plan(Plan::from_fn(|call| (call.number % 2 == 0).then_some(Fault::FailAfterCommit)));
        send(
            &format!("{DATA}/BusinessEventEndpoints"),
            &headers,
            json!({ "Secret": SECRET, "Name": SECRET }).to_string(),
        )
        .await;
        rig.strict.set_plan(Plan::none());
        let text = log.text();
        assert!(text.contains("request"), "there is a log");
        assert!(!text.contains(SECRET) && !text.contains("whsec_"), "{text}");
    }
}

#[tokio::test]
async fn an_answer_tells_its_trace_and_so_does_the_log() {
    let rig = Rig::seeded().await;
    let (log, _guard) = Log::start(Format::Json, "");
    let parent = format!("traceparent: {PARENT}");
    let batch = json!({ "requests": [member(None, "1", "GET", "Airlines", Value::Null)] }).to_string();
    let answer = rig.send("POST", &format!("{TRIPPIN}/$batch"), &[&parent, "accept: application/json"], batch).await;
    let told = answer.headers.get("traceparent").unwrap();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-01") && told != PARENT, "{told}");
    assert!(!answer.text().contains("traceparent"), "the trace is that of the whole");
    assert_eq!(log.request()["traceId"], TRACE);
    // Whoever sends none, or a wrong one, is told of a new one.
    let wrong = format!("traceparent: {}", PARENT.to_uppercase());
    for headers in [&[][..], &[wrong.as_str()]] {
        let answer = rig.send("GET", &format!("{TRIPPIN}/Airlines"), headers, "").await;
        let told = answer.headers.get("traceparent").unwrap().to_owned();
        assert_eq!((told.len(), told.contains(TRACE)), (55, false));
        assert_eq!(log.request()["traceId"], told[3..35]);
    }
}

#[tokio::test]
async fn a_job_remembers_the_trace_of_its_last_change_and_so_does_its_history() {
    let rig = Rig::seeded().await;
    let headers = |parent: &'static str| [parent, "tracestate: vendor=x", "content-type: application/json"];
    let traced = headers("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let job = json!({ "BatchJobRecId": 7, "JobDescription": "j", "Status": "Waiting", "LastChangeTrace": "mine" });
    assert_eq!(rig.send("POST", &format!("{DATA}/BatchJobs"), &traced, job.to_string()).await.status, 201);
    let trace = async || rig.get(&format!("{DATA}/BatchJobs(7)")).await.json()["LastChangeTrace"].clone();
    let text = trace().await.as_str().unwrap().to_owned();
    assert!(text.starts_with(&format!("00-{TRACE}-")) && text.ends_with("-01 vendor=x"), "{text}");
    let body = json!({ "Status": "Executing" }).to_string();
    assert_eq!(rig.send("PATCH", &format!("{DATA}/BatchJobs(7)"), &[], body).await.status, 204);
    assert!(!trace().await.as_str().unwrap().contains(TRACE));
}

#[tokio::test]
async fn the_host_says_whether_it_lives_and_whether_its_table_does() {
    let rig = Rig::seeded().await;
    for path in ["/health", "/ready"] {
        rig.strict.forget();
        let answer = rig.send("GET", path, &[], "").await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "status": "ok" })), "{path}");
        assert_eq!(answer.headers.get("cache-control"), Some("no-store"));
        assert_eq!(rig.calls(), if path == "/health" { vec![] } else { vec!["GetItem"] });
        let head = rig.send("HEAD", path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        let refused = rig.send("POST", path, &[], "").await;
        assert_eq!((refused.status, refused.headers.get("allow")), (405, Some("GET, HEAD")));
    }
    for (fault, reason) in [
        (Fault::Throttle, "the table has too much to do"),
        (Fault::FailBefore, "the table does not answer"),
        (Fault::Timeout, "the table does not answer"),
    ] {
        rig.strict.set_plan(Plan::from_fn(move |_| Some(fault)));
        let begun = std::time::Instant::now();
        let answer = rig.get("/ready").await;
        assert_eq!((answer.status, answer.headers.get("retry-after")), (503, Some("1")), "{fault:?}");
        assert_eq!(answer.json(), json!({ "status": "unavailable", "reason": reason }));
        assert!(begun.elapsed().as_millis() < 2_500);
        assert_eq!(rig.get("/health").await.status, 200, "it lives all the same");
    }
    // One accident on the way is none.
    rig.strict.forget();
    rig.strict.set_plan(Plan::at(0, Fault::DropBefore));
    assert_eq!(rig.get("/ready").await.status, 200);
}

#[tokio::test]
async fn a_table_that_refuses_the_service_is_not_ready() {
    let rig = Rig::without_table();
    let answer = rig.get("/ready").await;
    assert_eq!((answer.status, answer.json()["reason"].clone()), (503, json!("the table refuses the service")));
    assert_eq!(rig.get("/health").await.status, 200);
}
