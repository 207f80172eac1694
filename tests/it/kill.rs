//! `kill -9` and SIGTERM at any instant: no change set is ever there by half, and nothing that was answered is lost. After a
//! SIGTERM the host ends well and soon. The full number of ends: see `soak`.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rand::Rng;
use serde_json::{Value, json};
use tests::host::Host;

use crate::{rig::member, soak::rounds};

const CONNECTIONS: usize = 4;

/// What one connection did since the host started.
#[derive(Debug, Default)]
struct Log {
    /// Change sets that create: number, and whether they were answered as done.
    created: Vec<(usize, bool)>,
    /// Change sets that update: the last one that was answered, the last one that was sent.
    answered: usize,
    sent: usize,
}

/// Of connection `at`, the `number`th change set.
fn account(at: usize, number: usize) -> String {
    format!("40000000-0000-0000-{at:04}-{number:012}")
}

fn task(at: usize, number: usize, which: usize) -> String {
    format!("4000000{which}-0000-0000-{at:04}-{number:012}")
}

fn creation(at: usize, number: usize) -> Vec<Value> {
    let mut requests =
        vec![member(Some("g"), "a", "POST", "accounts", json!({ "accountid": account(at, number), "name": "n" }))];
    for which in [1, 2] {
        let body = json!({ "activityid": task(at, number, which), "regardingobjectid_account_task@odata.bind": "$a" });
        requests.push(member(Some("g"), &which.to_string(), "POST", "tasks", body));
    }
    requests
}

fn change(at: usize, number: usize) -> Vec<Value> {
    let change = |which: usize| {
        let url = format!("accounts({})", fixed(at, which));
        member(Some("g"), &which.to_string(), "PATCH", &url, json!({ "numberofemployees": number }))
    };
    (0..3).map(change).collect()
}

/// The three accounts that a connection updates.
fn fixed(at: usize, which: usize) -> String {
    format!("50000000-0000-0000-{at:04}-{which:012}")
}

async fn post(client: &reqwest::Client, host: &str, requests: &[Value]) -> Option<Value> {
    let body = json!({ "requests": requests });
    let sent = client.post(format!("{host}/api/data/v9.2/$batch")).header("accept", "application/json");
    let answer = sent.json(&body).send().await.ok()?;
    answer.json().await.ok()
}

fn statuses(answer: &Value) -> Vec<u64> {
    let responses = answer["responses"].as_array().map(Vec::as_slice).unwrap_or_default();
    responses.iter().filter_map(|response| response["status"].as_u64()).collect()
}

/// Sends change sets until the host is gone.
async fn load(host: String, at: usize, first: usize, log: Arc<Mutex<Log>>) {
    let client = reqwest::Client::new();
    let mut number = first;
    loop {
        number += 1;
        let creates = number.is_multiple_of(2);
        let requests = if creates { creation(at, number) } else { change(at, number) };
        {
            let mut log = log.lock().unwrap();
            if creates { log.created.push((number, false)) } else { log.sent = number }
        }
        let Some(answer) = post(&client, &host, &requests).await else { return };
        assert_eq!(statuses(&answer), [204; 3], "{answer}");
        let mut log = log.lock().unwrap();
        if creates { log.created.last_mut().unwrap().1 = true } else { log.answered = number }
    }
}

/// Reads many URLs, in their order; `None` where there is nothing.
async fn read(host: &str, urls: Vec<String>) -> Vec<Option<Value>> {
    let client = reqwest::Client::new();
    let mut found = Vec::new();
    for urls in urls.chunks(300) {
        let gets = urls.iter().enumerate().map(|(id, url)| member(None, &id.to_string(), "GET", url, Value::Null));
        let requests: Vec<Value> = gets.collect();
        let body = json!({ "requests": requests });
        let sent = client.post(format!("{host}/api/data/v9.2/$batch")).header("prefer", "odata.continue-on-error");
        let answer: Value =
            sent.header("accept", "application/json").json(&body).send().await.unwrap().json().await.unwrap();
        let responses = answer["responses"].as_array().unwrap();
        assert_eq!(responses.len(), urls.len());
        for response in responses {
            match response["status"].as_u64() {
                Some(200) => found.push(Some(response["body"].clone())),
                Some(404) => found.push(None),
                _ => panic!("{response}"),
            }
        }
    }
    found
}

/// Checks what a connection did since the last start; `before` is what its updates had come to until then. Returns
/// what they have come to now.
async fn check(host: &str, at: usize, log: &Log, before: u64) -> u64 {
    let urls = log.created.iter().flat_map(|(number, _)| {
        let tasks = [1, 2].map(|which| format!("tasks({})", task(at, *number, which)));
        let account = format!("accounts({})", account(at, *number));
        [account.clone(), format!("{account}/Account_Tasks")].into_iter().chain(tasks)
    });
    let found = read(host, urls.collect()).await;
    for ((number, answered), found) in log.created.iter().zip(found.chunks(4)) {
        let linked = found[1].as_ref().and_then(|list| list["value"].as_array()).map(Vec::len);
        let there: Vec<bool> = found.iter().map(Option::is_some).collect();
        let whole = there == [true; 4] && linked == Some(2);
        let nothing = there == [false; 4];
        assert!(
            whole || nothing && !answered,
            "change set {number} of {at}, answered: {answered}: {there:?} {linked:?}"
        );
    }
    let urls = (0..3).map(|which| format!("accounts({})", fixed(at, which)));
    let found = read(host, urls.collect()).await;
    let values: Vec<u64> =
        found.iter().map(|entity| entity.as_ref().unwrap()["numberofemployees"].as_u64().unwrap()).collect();
    let value = values[0];
    assert!(values.iter().all(|other| *other == value), "half an update: {values:?}");
    let answered = if log.answered == 0 { before } else { log.answered as u64 };
    assert!(value == answered || value == log.sent as u64, "{value}, answered {answered}, {log:?}");
    value
}

/// How a host ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Kill,
    Terminate,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_kill_at_any_instant() {
    end_under_load(End::Kill, rounds(5, 200)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_terminate_at_any_instant() {
    end_under_load(End::Terminate, rounds(3, 50)).await;
}

/// Ends a host; how long that took.
async fn end_of(host: Host, end: End) -> Duration {
    let begun = Instant::now();
    match end {
        End::Kill => host.kill().await,
        End::Terminate => {
            let kill = tokio::process::Command::new("kill").args(["-TERM", &host.id().to_string()]).status();
            assert!(kill.await.unwrap().success());
            assert_eq!(host.exit_code().await, Some(0));
        }
    }
    begun.elapsed()
}

async fn end_under_load(end: End, ends: usize) {
    let begin = Instant::now();
    let mut longest = Duration::ZERO;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.db");
    let mut host = Host::over(&data).await;
    let client = reqwest::Client::new();
    for at in 0..CONNECTIONS {
        let create = |which: usize| {
            let body = json!({ "accountid": fixed(at, which), "numberofemployees": 0 });
            member(Some("g"), &which.to_string(), "POST", "accounts", body)
        };
        let answer = post(&client, host.url(), &(0..3).map(create).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(statuses(&answer), [204; 3], "{answer}");
    }
    let (mut first, mut answered, mut open) = (0, 0, 0);
    let mut values = [0; CONNECTIONS];
    for _ in 0..ends {
        let logs: Vec<Arc<Mutex<Log>>> = (0..CONNECTIONS).map(|_| Arc::default()).collect();
        let mut connections = tokio::task::JoinSet::new();
        for (at, log) in logs.iter().enumerate() {
            connections.spawn(load(host.url().to_owned(), at, first, Arc::clone(log)));
        }
        let instant = rand::rng().random_range(5..250);
        tokio::time::sleep(Duration::from_millis(instant)).await;
        longest = longest.max(end_of(host, end).await);
        while let Some(done) = connections.join_next().await {
            done.unwrap();
        }
        host = Host::over(&data).await;
        for (at, log) in logs.iter().enumerate() {
            let log = std::mem::take(&mut *log.lock().unwrap());
            values[at] = check(host.url(), at, &log, values[at]).await;
            first = first.max(log.sent).max(log.created.last().map_or(0, |(number, _)| *number));
            answered += log.created.iter().filter(|(_, answered)| *answered).count();
            open += log.created.iter().filter(|(_, answered)| !*answered).count();
        }
    }
    if end == End::Terminate {
        assert!(longest < Duration::from_secs(5), "{longest:?}");
    }
    eprintln!(
        "{end:?}: {ends} in {:?}, the longest took {longest:?}; {answered} creations answered, {open} cut off",
        begin.elapsed()
    );
}
