//! Clients behind a network that loses every fifth answer: they repeat, and everything is done once. The full number of
//! batches: see `soak`.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{host::Host, lossy::Lossy};
use tokio::task::JoinSet;

use super::{DATAVERSE, lines};
use crate::{rig::member, soak::rounds};

const CLIENTS: usize = 8;
/// Percentage of answers that are lost.
const LOST: u32 = 20;

/// A request that is sent until it is answered, always with the same bytes.
struct Parcel {
    url: String,
    headers: [String; 2],
    body: String,
}

/// Two units, one of them a change set; every fifth is a single write instead.
fn parcel(root: &str, number: usize) -> Parcel {
    let subject = format!("b{number}");
    let task = json!({ "subject": subject });
    let (url, body) = if number.is_multiple_of(5) {
        (format!("{root}{DATAVERSE}/tasks"), task.to_string())
    } else {
        let bound = json!({ "subject": subject, "regardingobjectid_account_task@odata.bind": "$2" });
        let requests = [
            member(None, "1", "POST", "tasks", task),
            member(Some("g"), "2", "POST", "accounts", json!({ "name": subject })),
            member(Some("g"), "3", "POST", "tasks", bound),
        ];
        (format!("{root}{DATAVERSE}/$batch"), json!({ "requests": requests }).to_string())
    };
    Parcel { url, headers: lines(&subject), body }
}

/// Sends it once.
async fn send(client: &reqwest::Client, parcel: &Parcel) -> Option<(u16, String)> {
    let mut request = client.post(&parcel.url).header("accept", "application/json");
    for line in &parcel.headers {
        let (name, value) = line.split_once(": ")?;
        request = request.header(name, value);
    }
    let answer = request.header("content-type", "application/json").body(parcel.body.clone()).send().await.ok()?;
    let (status, location) = (answer.status().as_u16(), answer.headers().get("location").cloned());
    let text = answer.text().await.ok()?;
    Some((status, format!("{location:?} {text}")))
}

/// Sends it until it is answered; how often that was.
async fn deliver(client: &reqwest::Client, parcel: &Parcel) -> ((u16, String), usize) {
    for attempt in 1..1_000 {
        match send(client, parcel).await {
            Some((409, text)) if text.contains("RequestInProgress") => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Some(answer) => return (answer, attempt),
            None => {}
        }
    }
    panic!("never answered");
}

/// All entities of a set, by a property.
async fn tally(host: &str, set: &str, property: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let mut next = Some(format!("{host}{DATAVERSE}/{set}?$select={property}"));
    while let Some(url) = next {
        let page: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        for row in page["value"].as_array().unwrap() {
            *counts.entry(row[property].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_nothing_is_done_twice_where_answers_are_lost() {
    let wanted = rounds(200, 10_000);
    let host = Host::start(&["--memory"]).await;
    let proxy = Lossy::before(host.url(), LOST).await;
    let (next, begin) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (next, proxy, direct) = (Arc::clone(&next), proxy.url().to_owned(), host.url().to_owned());
        clients.spawn(async move {
            let (client, mut sent) = (reqwest::Client::new(), 0);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= wanted {
                    return sent;
                }
                let parcel = parcel(&proxy, number);
                let (answer, attempts) = deliver(&client, &parcel).await;
                assert!(matches!(answer.0, 200 | 204) && !answer.1.contains("\"status\":4"), "{answer:?}");
                sent += attempts;
                // Whoever got an answer gets the same again, lost ones between them or not.
                if number.is_multiple_of(3) {
                    let again = Parcel { url: parcel.url.replace(&proxy, &direct), ..parcel };
                    assert_eq!(deliver(&client, &again).await.0, answer, "{number}");
                }
            }
        });
    }
    let sent: usize = clients.join_all().await.iter().sum();
    let took = begin.elapsed();
    let tasks = tally(host.url(), "tasks", "subject").await;
    let accounts = tally(host.url(), "accounts", "name").await;
    for number in 0..wanted {
        let alone = number.is_multiple_of(5);
        let found = [&tasks, &accounts].map(|counts| counts.get(&format!("b{number}")).copied().unwrap_or_default());
        assert_eq!(found, if alone { [1, 0] } else { [2, 1] }, "{number}");
    }
    let [passed, lost] = proxy.counts();
    assert!(lost * 8 > sent, "{lost} of {sent}");
    eprintln!(
        "{wanted} batches in {took:?}: {sent} requests, {passed} answers passed on, {lost} lost; each applied once"
    );
}
