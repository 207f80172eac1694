//! How long it takes from an event to the job that waits again: `event_latency [EVENTS [A_SECOND]]`, each event about
//! another failed job, over real HTTP with real signatures, on a host of its own.
#![expect(clippy::print_stdout, clippy::expect_used, clippy::indexing_slicing, reason = "a tool for the command line")]

use std::{env, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::events::{Secret, sign};
use tests::host::{Host, command};
use tokio::time::{Instant, interval, sleep};
use uuid::Uuid;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const POLICY: &str = r#"
[sources.bench]
target = "own"
authentication = { signature = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }
[targets.own]
[[rules]]
name = "all"
action = "requeue"
"#;
const FIRST: i64 = 5_900_000_001;
const IN_A_CHANGE_SET: i64 = 50;

/// When an event was sent, and how long the sender waited for its 2xx.
type Sent = (Timestamp, Duration);

#[tokio::main]
async fn main() {
    let number = |at: usize, default: i64| env::args().nth(at).map_or(default, |text| text.parse().expect("a number"));
    let (events, rate) = (number(1, 2_000), number(2, 100));
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, POLICY).expect("a file");
    let data = folder.path().join("data.db");
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let host = Host::run(command(&["--data", &text(&data), "--policy", &text(&policy)])).await;
    let client = reqwest::Client::new();
    create(&client, host.url(), events).await;
    sleep(Duration::from_secs(2)).await;
    let secret = Secret::parse(SECRET).expect("a secret");
    let mut pace = interval(Duration::from_secs(1) / u32::try_from(rate).expect("a rate"));
    let mut under_way = Vec::new();
    for job in FIRST..FIRST + events {
        pace.tick().await;
        let (client, url, secret) = (client.clone(), format!("{}/events/bench", host.url()), secret.clone());
        under_way.push(tokio::spawn(async move { post(&client, &url, &secret, job).await }));
    }
    let mut sent = Vec::new();
    for post in under_way {
        sent.push(post.await.expect("sent"));
    }
    let requeued = requeued(&client, host.url(), events).await;
    let mut answers: Vec<Duration> = sent.iter().map(|(_, answer)| *answer).collect();
    let until = sent.iter().zip(&requeued).map(|((at, _), requeued)| requeued.duration_since(*at));
    let mut until: Vec<Duration> = until.map(|time| Duration::try_from(time).unwrap_or_default()).collect();
    println!("{events} events, {rate} a second     p50         p99         max");
    for (name, times) in [("event to 2xx", &mut answers), ("event to requeued", &mut until)] {
        times.sort();
        let at = |percent: usize| times.get((times.len() - 1) * percent / 100).copied().unwrap_or_default();
        println!("{name:<26} {:>9.1?} {:>11.1?} {:>11.1?}", at(50), at(99), at(100));
    }
    host.kill().await;
}

/// Makes the jobs, all of them failed.
async fn create(client: &reqwest::Client, host: &str, count: i64) {
    let mut first = FIRST;
    while first < FIRST + count {
        let jobs = first..(first + IN_A_CHANGE_SET).min(FIRST + count);
        let requests: Vec<Value> = jobs
            .map(|job| {
                let body = json!({ "BatchJobRecId": job, "JobDescription": "bench", "Status": "Error" });
                let headers = json!({ "content-type": "application/json" });
                json!({ "id": job.to_string(), "atomicityGroup": "g", "method": "POST", "url": "BatchJobs", "headers": headers, "body": body })
            })
            .collect();
        let sent = client.post(format!("{host}/data/$batch")).json(&json!({ "requests": requests })).send().await;
        assert!(sent.expect("an answer").status().is_success());
        first += IN_A_CHANGE_SET;
    }
}

async fn post(client: &reqwest::Client, url: &str, secret: &Secret, job: i64) -> Sent {
    let (id, now) = (Uuid::new_v4(), Timestamp::now());
    let body = json!({
        "BusinessEventId": "BatchJobFailedBusinessEvent", "BusinessEventLegalEntity": "usmf", "ControlNumber": job,
        "EventId": id.to_string(), "EventTimeIso8601": now.to_string(), "JobDescription": "bench", "JobId": job,
        "JobStatus": "Error",
    });
    let (body, id) = (body.to_string(), id.to_string());
    let signature = sign(secret, &id, now.as_second(), body.as_bytes());
    let start = Instant::now();
    let request = client.post(url).header("content-type", "application/json").header("webhook-id", &id);
    let request = request.header("webhook-timestamp", now.as_second()).header("webhook-signature", signature);
    let answer = request.body(body).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    (now, start.elapsed())
}

/// When each job was requeued, once all are.
async fn requeued(client: &reqwest::Client, host: &str, count: i64) -> Vec<Timestamp> {
    let filter = format!("BatchJobRecId ge {FIRST} and Status eq Microsoft.Dynamics.DataEntities.BatchStatus'Waiting'");
    let url = format!("{host}/data/BatchJobs?$filter={filter}&$select=BatchJobRecId,LastRequeuedDateTime");
    loop {
        let answer: Value = client.get(&url).send().await.expect("an answer").json().await.expect("JSON");
        let rows = answer["value"].as_array().cloned().unwrap_or_default();
        if i64::try_from(rows.len()).is_ok_and(|found| found == count) {
            let mut rows: Vec<(i64, Timestamp)> = rows
                .iter()
                .filter_map(|row| {
                    Some((row["BatchJobRecId"].as_i64()?, row["LastRequeuedDateTime"].as_str()?.parse().ok()?))
                })
                .collect();
            rows.sort_unstable();
            return rows.into_iter().map(|(_, at)| at).collect();
        }
        sleep(Duration::from_millis(500)).await;
    }
}
