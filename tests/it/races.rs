//! Many callers, one failed job: each failure is requeued once, and never beyond the limit.

use std::time::Instant;

use serde_json::{Value, json};
use tests::{
    host::{Host, OWN_LOOP},
    strict::{Plan, WRITE_FAULTS},
};
use tokio::task::JoinSet;

use crate::{rig::Rig, soak::rounds};

const ACTION: &str = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
/// The seeded job that has failed.
const JOB: i64 = 5_637_144_576;
const LIMIT: i64 = 5;

async fn requeue(client: &reqwest::Client, url: &str, id: Option<String>) -> (u16, Value) {
    let mut request = client.post(format!("{url}{ACTION}")).json(&json!({ "batchJobId": JOB }));
    if let Some(id) = id {
        request = request.header("Repeatability-Request-ID", id);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn patch(client: &reqwest::Client, url: &str, body: Value) -> u16 {
    client.patch(format!("{url}/data/BatchJobs({JOB})")).json(&body).send().await.unwrap().status().as_u16()
}

async fn job(client: &reqwest::Client, url: &str) -> Value {
    client.get(format!("{url}/data/BatchJobs({JOB})")).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_callers_at_once_one_requeues_the_job() {
    let host = Host::start(&["--memory"]).await;
    let client = reqwest::Client::new();
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let (client, url) = (client.clone(), host.url().to_owned());
        callers.spawn(async move { requeue(&client, &url, None).await });
    }
    let answers = callers.join_all().await;
    let won = answers.iter().filter(|(status, _)| *status == 200).count();
    for (status, body) in &answers {
        assert_eq!(
            (body["ResponseStatusCode"].as_u64(), body["IsSuccess"].clone()),
            (Some((*status).into()), json!(*status == 200))
        );
    }
    let lost = answers.iter().filter(|(status, _)| *status == 409).count();
    println!("1,000 concurrent requeues of one failed job: {won} succeeded, {lost} refused, {:?}", started.elapsed());
    assert_eq!((won, lost), (1, 999));
    assert_eq!(job(&client, host.url()).await["RetryCount"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_counter_never_passes_its_limit_whoever_races() {
    let host = Host::start(&["--memory"]).await;
    let client = reqwest::Client::new();
    let url = host.url().to_owned();
    assert_eq!(client.delete(format!("{url}{OWN_LOOP}")).send().await.unwrap().status(), 204, "nobody else requeues");
    assert_eq!(patch(&client, &url, json!({ "RetryLimit": LIMIT })).await, 204);
    let (mut successes, mut at_limit) = (0, 0);
    let all = rounds(60, 2_000);
    for round in 0..all {
        let before = job(&client, &url).await["RetryCount"].as_i64().unwrap();
        let mut callers = JoinSet::new();
        for caller in 0..8 {
            let (client, url) = (client.clone(), url.clone());
            // Half of them repeat the request of another.
            let id = (caller % 2 == 0).then(|| format!("{round}-{}", caller % 4));
            callers.spawn(async move { (id.clone(), requeue(&client, &url, id).await) });
        }
        let answers = callers.join_all().await;
        let won: Vec<_> = answers.iter().filter(|(_, (status, _))| *status == 200).map(|(id, _)| id.clone()).collect();
        let after = job(&client, &url).await;
        let count = after["RetryCount"].as_i64().unwrap();
        assert!(count <= LIMIT, "round {round}: {count}");
        if before == LIMIT {
            assert!(won.is_empty(), "round {round}: {won:?}");
            assert!(
                answers.iter().all(|(_, (_, body))| body["ExceptionDetails"].as_str().unwrap().contains("limit is 5"))
            );
            at_limit += 1;
            assert_eq!(patch(&client, &url, json!({ "RetryCount": 0 })).await, 204);
            continue;
        }
        // All that were told of success are one request, however often it was sent.
        assert!(
            !won.is_empty() && won.iter().all(|id| *id == won[0]) && (won.len() == 1 || won[0].is_some()),
            "round {round}: {won:?}"
        );
        assert_eq!(count, before + 1, "round {round}");
        successes += 1;
        assert_eq!(after["Status"], "Waiting");
        for status in ["Executing", "Error"] {
            assert_eq!(patch(&client, &url, json!({ "Status": status })).await, 204);
        }
    }
    println!(
        "{all} rounds of 8 racing requeues, limit {LIMIT}: {successes} requeued once, {at_limit} refused for the limit"
    );
    history_tells(&client, &url, successes).await;
}

/// Every requeue has its row, soon.
async fn history_tells(client: &reqwest::Client, url: &str, successes: usize) {
    let query = format!("{url}/data/BatchJobHistory/$count?$filter=BatchJobRecId eq {JOB} and Change eq 'Requeued'");
    for _ in 0..200 {
        let found = client.get(&query).send().await.unwrap().text().await.unwrap();
        if found.trim_start_matches('\u{feff}') == successes.to_string() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{successes} requeues, but {}", client.get(&query).send().await.unwrap().text().await.unwrap());
}

/// Callers race over a table that loses answers: what they are told adds up to what is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_callers_are_told_adds_up_when_answers_are_lost() {
    let rig = Rig::seeded().await;
    let patch = |body: Value| {
        let rig = rig.again();
        async move { rig.send("PATCH", &format!("/data/BatchJobs({JOB})"), &[], body.to_string()).await.status }
    };
    let mut requeues = 0;
    let all = rounds(40, 2_000);
    for round in 0..all {
        let callers: Vec<_> = (0..8_u64)
            .map(|caller| {
                let faulty = rig.again();
                faulty.strict.set_plan(Plan::random(round as u64 * 8 + caller, 30, &WRITE_FAULTS));
                tokio::spawn(async move {
                    faulty.send("POST", ACTION, &[], json!({ "batchJobId": JOB }).to_string()).await.status
                })
            })
            .collect();
        let mut won = 0;
        for caller in callers {
            match caller.await.unwrap() {
                200 => won += 1,
                409 => {}
                status => panic!("round {round}: {status}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
        requeues += 1;
        for status in ["Executing", "Error"] {
            assert_eq!(patch(json!({ "Status": status })).await, 204);
        }
    }
    let job = rig.get(&format!("/data/BatchJobs({JOB})")).await.json();
    println!(
        "{all} rounds of 8 racing requeues with 30 % faults: {requeues} told of success, RetryCount {}",
        job["RetryCount"]
    );
    assert_eq!(job["RetryCount"], requeues);
}
