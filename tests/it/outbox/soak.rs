//! The real host over a file, killed and started again at random, and a receiver that fails, hangs, resets and recovers:
//! every change of state arrives, in the order of each job, and what comes twice has the same id. The full numbers: see
//! `soak`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::Rng;
use serde_json::{Value, json};
use tests::{
    host::{Host, OWN_LOOP},
    receiver::{Receiver, Reply, Seen},
};

use crate::soak::rounds;

/// The life of a job, again and again: all four events, and a requeue by hand.
const LIFE: [&str; 8] = ["Executing", "Error", "Waiting", "Executing", "Finished", "Waiting", "Cancelling", "Canceled"];
const EVENTS: [&str; 4] = ["Executing", "Error", "Finished", "Canceled"];
/// For all to arrive once nothing changes any more.
const PATIENCE: Duration = Duration::from_mins(10);

/// Where the host listens now.
type Address = Arc<Mutex<String>>;

/// Fails some events when they come for the first time, and all of them for a while now and then.
fn moody(down: Arc<AtomicBool>) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let known = Mutex::new(HashSet::new());
    move |seen| {
        if down.load(Ordering::Relaxed) {
            return Reply::Status(503);
        }
        let first = known.lock().unwrap().insert(seen.header("webhook-id").to_owned());
        match rand::rng().random_range(0..if first { rounds(100, 500) } else { 1_000_000 }) {
            0..2 => Reply::Status(500),
            2..3 => Reply::Hang,
            3..5 => Reply::Reset,
            5..6 => Reply::With(429, "retry-after: 2"),
            _ => Reply::Status(200),
        }
    }
}

async fn start(data: &std::path::Path, address: &Address) -> Host {
    let host = Host::start(&["--data", data.to_str().unwrap(), "--allow-private-targets"]).await;
    host.url().clone_into(&mut address.lock().unwrap());
    host
}

/// Sends a request until it is answered; `None` when the host was killed under it.
async fn send(
    client: &reqwest::Client,
    address: &Address,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Option<Value> {
    let url = format!("{}/data/{path}", address.lock().unwrap());
    let mut request = client.request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.ok()?;
    assert!(status < 300, "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
    Some(serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn insist(client: &reqwest::Client, address: &Address, path: &str) -> Value {
    loop {
        if let Some(answer) = send(client, address, "GET", path, None).await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Leads a job through its life; its events.
async fn live(address: Address, id: i64, lives: usize) -> Vec<String> {
    let client = reqwest::Client::new();
    let job = format!("BatchJobs({id})");
    let mut generation = 1;
    for state in LIFE.iter().cycle().take(LIFE.len() * lives) {
        // After the last state of a life, the job has to wait again.
        let states: &[&str] = if *state == "Executing" && generation > 1 { &["Waiting", state] } else { &[state] };
        for state in states {
            if *state == "Waiting" && insist(&client, &address, &job).await["Status"] == "Waiting" {
                continue;
            }
            loop {
                let patched = send(&client, &address, "PATCH", &job, Some(&json!({ "Status": state }))).await;
                if patched.is_some() || insist(&client, &address, &job).await["Generation"] == generation + 1 {
                    break;
                }
            }
            generation += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let count = LIFE.len() * lives;
    LIFE.iter().cycle().take(count).filter(|s| EVENTS.contains(s)).map(|s| (*s).to_owned()).collect()
}

/// All entities of a set.
async fn all(client: &reqwest::Client, address: &Address, set: &str) -> Vec<Value> {
    insist(client, address, set).await["value"].as_array().unwrap().clone()
}

/// What a receiver saw: the first arrivals of each job's events in their order; how many came again.
fn arrivals(receiver: &Receiver) -> (BTreeMap<i64, Vec<String>>, usize) {
    let (mut first, mut bodies, mut again) = (BTreeMap::<i64, Vec<String>>::new(), HashMap::new(), 0);
    for seen in receiver.seen() {
        let json = seen.json();
        assert_eq!(json["EventId"], seen.header("webhook-id"));
        let Some(job) = json["JobId"].as_i64() else { continue };
        match bodies.insert(seen.header("webhook-id").to_owned(), seen.body.clone()) {
            Some(body) => {
                assert_eq!(body, seen.body, "the same event is the same");
                again += 1;
            }
            None => first.entry(job).or_default().push(json["JobStatus"].as_str().unwrap().to_owned()),
        }
    }
    (first, again)
}

/// Waits until each receiver has seen so many events, and each row says so.
async fn await_deliveries(client: &reqwest::Client, address: &Address, receivers: &[Receiver], events: usize) {
    let deadline = Instant::now() + PATIENCE;
    let seen = |receiver: &Receiver| {
        let ids = receiver.seen().into_iter().map(|seen| seen.header("webhook-id").to_owned());
        ids.collect::<HashSet<String>>().len()
    };
    loop {
        let counts: Vec<usize> = receivers.iter().map(seen).collect();
        if counts.iter().all(|count| *count == events) {
            let mut rows = all(client, address, "BusinessEventDeliveries").await;
            // The test event of the endpoint in the seeds.
            rows.retain(|row| !OWN_LOOP.contains(row["EndpointId"].as_str().unwrap()));
            assert_eq!(rows.len(), receivers.len() * events);
            if rows.iter().all(|row| row["Status"] == "Delivered") {
                return;
            }
        }
        assert!(Instant::now() < deadline, "{counts:?} of {events} arrived");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Every change of these jobs has its row.
async fn check_history(client: &reqwest::Client, address: &Address, jobs: impl Iterator<Item = &i64>) {
    let history = all(client, address, "BatchJobHistory").await;
    for id in jobs {
        let rows = history.iter().filter(|row| row["BatchJobRecId"] == *id);
        let mut generations: Vec<i64> = rows.map(|row| row["Generation"].as_i64().unwrap()).collect();
        generations.sort_unstable();
        let last = insist(client, address, &format!("BatchJobs({id})")).await["Generation"].as_i64().unwrap();
        assert_eq!(generations, (1..=last).collect::<Vec<_>>(), "job {id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_every_change_of_state_arrives_in_order() {
    let (jobs, lives, kills) = (rounds(3, 12), rounds(2, 20), rounds(2, 40));
    let begin = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let (data, address) = (folder.path().join("data.db"), Address::default());
    let down = Arc::new(AtomicBool::new(false));
    let receivers = [Receiver::start(moody(Arc::clone(&down))).await, Receiver::start(|_| Reply::Status(200)).await];
    let mut host = start(&data, &address).await;
    let client = reqwest::Client::new();
    // Jobs are requeued by hand here.
    let own = OWN_LOOP.trim_start_matches("/data/");
    send(&client, &address, "DELETE", own, None).await.unwrap();
    for receiver in &receivers {
        let body = json!({ "Url": receiver.url(), "BusinessEventIds": [], "Secret": super::SECRET });
        send(&client, &address, "POST", "BusinessEventEndpoints", Some(&body)).await.unwrap();
    }
    let mut running = tokio::task::JoinSet::new();
    for id in (1..).take(jobs) {
        let body = json!({ "BatchJobRecId": id, "Status": "Waiting" });
        send(&client, &address, "POST", "BatchJobs", Some(&body)).await.unwrap();
        let life = live(Arc::clone(&address), id, lives);
        running.spawn(async move { (id, life.await) });
    }
    for _ in 0..kills {
        let instant = rand::rng().random_range(200..2_000);
        tokio::time::sleep(Duration::from_millis(instant)).await;
        down.store(rand::rng().random_ratio(1, 4), Ordering::Relaxed);
        host.kill().await;
        host = start(&data, &address).await;
    }
    down.store(false, Ordering::Relaxed);
    let expected: BTreeMap<i64, Vec<String>> = running.join_all().await.into_iter().collect();
    let changed = begin.elapsed();
    let events: usize = expected.values().map(Vec::len).sum();
    await_deliveries(&client, &address, &receivers, events + 1).await;
    let mut again = Vec::new();
    for receiver in &receivers {
        let (first, twice) = arrivals(receiver);
        assert_eq!(first, expected);
        again.push((receiver.seen().len(), twice));
    }
    check_history(&client, &address, expected.keys()).await;
    eprintln!(
        "{kills} kills, {events} changes of state to each of two endpoints, all arrived in order; requests and repeats: \
         the moody one {:?}, the other {:?}; {changed:?} of changes, {:?} in all",
        again[0],
        again[1],
        begin.elapsed()
    );
}
