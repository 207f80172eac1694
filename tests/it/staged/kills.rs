//! `kill -9` in the middle of large change sets: each is there as a whole or not at all.

use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::{Value, json};
use tests::host::Host;

use crate::{rig::member, soak::rounds};

const NEW: usize = 150;
const OLD: usize = 50;

fn airline(id: usize, code: &str, name: &str) -> Value {
    member(Some("g"), &id.to_string(), "POST", "Airlines", json!({ "AirlineCode": code, "Name": name }))
}

/// New airlines, and changes of the old ones.
fn unit(round: usize) -> Vec<Value> {
    let change = |at: usize| {
        let url = format!("Airlines('OLD{at}')");
        member(Some("g"), &(NEW + at).to_string(), "PATCH", &url, json!({ "Name": round.to_string() }))
    };
    let new = (0..NEW).map(|at| airline(at, &format!("N{round}x{at}"), "n"));
    new.chain((0..OLD).map(change)).collect()
}

async fn post(host: &str, requests: &[Value]) -> Option<Value> {
    let sent = reqwest::Client::new().post(format!("{host}/trippin/$batch")).header("accept", "application/json");
    sent.json(&json!({ "requests": requests })).send().await.ok()?.json().await.ok()
}

async fn count(host: &str, filter: &str) -> usize {
    let url = format!("{host}/trippin/Airlines/$count?$filter={filter}");
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    text.trim_start_matches('\u{feff}').parse().unwrap()
}

/// Whether the unit of a round is there, of which both halves must tell the same.
async fn is_there(host: &str, round: usize) -> bool {
    let new = count(host, &format!("startswith(AirlineCode,'N{round}x')")).await;
    let changed = count(host, &format!("startswith(AirlineCode,'OLD')%20and%20Name%20eq%20'{round}'")).await;
    assert!((new, changed) == (NEW, OLD) || (new, changed) == (0, 0), "{new} of {NEW}, {changed} of {OLD}");
    new == NEW
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_kill_in_the_middle_of_large_units() {
    let kills = rounds(3, 60);
    let begin = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.db");
    let mut host = Host::over(&data).await;
    let old: Vec<Value> = (0..OLD).map(|at| airline(at, &format!("OLD{at}"), "-")).collect();
    assert!(post(host.url(), &old).await.is_some());
    let (mut answered, mut whole) = (0, 0);
    for round in 0..kills {
        let url = host.url().to_owned();
        let client = tokio::spawn(async move { post(&url, &unit(round)).await });
        let instant = rand::rng().random_range(20..500);
        tokio::time::sleep(Duration::from_millis(instant)).await;
        host.kill().await;
        let answer = client.await.unwrap();
        host = Host::over(&data).await;
        let there = is_there(host.url(), round).await;
        if let Some(answer) = &answer {
            let responses = answer["responses"].as_array().unwrap();
            assert!(there && responses.iter().all(|one| one["status"].as_u64().unwrap() < 300), "{answer:.300}");
        }
        // The next writer of the same items comes at once, and waits for what the last one left.
        let change = json!({ "Name": "-" }).to_string();
        let patch = reqwest::Client::new().patch(format!("{}/trippin/Airlines('OLD0')", host.url()));
        let patched = patch.header("content-type", "application/json").body(change).send().await.unwrap();
        assert!(patched.status().is_success(), "{patched:?}");
        let new = count(host.url(), &format!("startswith(AirlineCode,'N{round}x')")).await;
        assert_eq!(new, if there { NEW } else { 0 });
        answered += usize::from(answer.is_some());
        whole += usize::from(there);
    }
    eprintln!("{kills} kills in {:?}; {answered} units were answered, {whole} happened", begin.elapsed());
}
