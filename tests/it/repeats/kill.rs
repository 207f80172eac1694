//! `kill -9` in the middle of batches: after a new start, their repeats carry out what is left. The full number of kills:
//! see `soak`.

use std::{path::Path, time::Duration};

use local::embedded::Embedded;
use rand::Rng;
use serde_json::{Value, json};
use shared::store;
use tests::host::Host;
use tokio::task::JoinSet;

use super::{DATAVERSE, RUNNING, lines, place, set};
use crate::{rig::member, soak::rounds};

const CLIENTS: usize = 4;
/// The table of a host.
const HOST_TABLE: &str = "rebatch";
/// Units of a batch.
const UNITS: usize = 12;

fn requests(id: &str) -> Value {
    let task = |at: usize| member(None, &at.to_string(), "POST", "tasks", json!({ "subject": format!("{id}-{at}") }));
    json!({ "requests": (0..UNITS).map(task).collect::<Vec<_>>() })
}

async fn post(client: &reqwest::Client, host: &str, id: &str) -> Option<(u16, Value)> {
    let mut request = client.post(format!("{host}{DATAVERSE}/$batch")).header("accept", "application/json");
    for line in lines(id) {
        let (name, value) = line.split_once(": ")?;
        request = request.header(name, value);
    }
    let answer = request.json(&requests(id)).send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

/// Sends batches until the host is gone; what was answered, and the one that was not.
async fn load(host: String, client_id: usize, round: usize) -> (Vec<(String, Value)>, String) {
    let (client, mut answered) = (reqwest::Client::new(), Vec::new());
    for number in 0.. {
        let id = format!("k{round}-{client_id}-{number}");
        match post(&client, &host, &id).await {
            Some((200, answer)) => answered.push((id, answer)),
            Some(other) => panic!("{other:?}"),
            None => return (answered, id),
        }
    }
    unreachable!("it ends with the host")
}

/// How many tasks a filter finds.
async fn count(client: &reqwest::Client, host: &str, filter: &str) -> usize {
    let url = format!("{host}{DATAVERSE}/tasks/$count?$filter={filter}");
    client.get(url).send().await.unwrap().text().await.unwrap().parse().unwrap()
}

async fn check(client: &reqwest::Client, host: &str, id: &str) {
    for at in 0..UNITS {
        assert_eq!(count(client, host, &format!("subject eq '{id}-{at}'")).await, 1, "{id}-{at}");
    }
}

/// The time of the killed process passes.
async fn pass(data: &Path, ids: &[String]) {
    let client = store::through(Embedded::open(data).unwrap());
    for id in ids {
        set(&client, HOST_TABLE, place("dataverse", id), RUNNING, 0).await;
    }
}

#[tokio::test]
async fn soak_batches_go_on_after_a_kill() {
    let kills = rounds(4, 40);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.db");
    let mut host = Host::over(&data).await;
    let (mut done, mut in_part) = (0, 0);
    for round in 0..kills {
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(load(host.url().to_owned(), client, round));
        }
        let reader = reqwest::Client::new();
        while count(&reader, host.url(), &format!("startswith(subject,'k{round}-')")).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(0..200))).await;
        host.kill().await;
        let ends = clients.join_all().await;
        let open: Vec<String> = ends.iter().map(|(_, open)| open.clone()).collect();
        pass(&data, &open).await;
        host = Host::over(&data).await;
        let client = reqwest::Client::new();
        for id in &open {
            let before = count(&client, host.url(), &format!("startswith(subject,'{id}-')")).await;
            in_part += usize::from((1..UNITS).contains(&before));
            let (status, answer) = post(&client, host.url(), id).await.unwrap();
            assert_eq!(status, 200, "{answer}");
            assert!(answer["responses"].as_array().unwrap().iter().all(|one| one["status"] == 204), "{answer}");
            assert_eq!(post(&client, host.url(), id).await.unwrap().1, answer);
            check(&client, host.url(), id).await;
        }
        for (id, answer) in ends.iter().filter_map(|(answered, _)| answered.last()) {
            assert_eq!(post(&client, host.url(), id).await.unwrap().1, *answer);
            check(&client, host.url(), id).await;
        }
        done += ends.iter().map(|(answered, _)| answered.len()).sum::<usize>();
    }
    eprintln!("{kills} kills; {done} batches answered before, {in_part} were done in part and went on");
}
