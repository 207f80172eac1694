//! Clients that move amounts between accounts in change sets, all at once: nothing is lost, nothing made, and no
//! reader of one instant ever sees a transfer half done. The full number of rounds: see `soak`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::{AttributeValue, Get, TransactGetItem};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tests::strict::{Plan, WRITE_FAULTS};

use crate::{
    rig::{Answer, Rig, TABLE, if_match, member},
    soak::rounds,
};

const ROOT: &str = "/api/data/v9.2";
const ACCOUNTS: usize = 10;
const CLIENTS: usize = 8;
const START: i64 = 1000;
/// How long a write holds its items.
const HOLD: Duration = Duration::from_millis(1);
/// Percentage of calls that meet an accident.
const ACCIDENTS: u32 = 2;

fn url(account: usize) -> String {
    format!("accounts(30000000-0000-0000-0000-{account:012})")
}

async fn open(rig: &Rig) {
    let open = |at: usize| {
        let body =
            json!({ "accountid": format!("30000000-0000-0000-0000-{at:012}"), "name": "bank", "creditlimit": START });
        member(Some("g"), &at.to_string(), "POST", "accounts", body)
    };
    let statuses = rig.batch(ROOT, &(0..ACCOUNTS).map(open).collect::<Vec<_>>()).await.statuses();
    assert_eq!(statuses, [204; ACCOUNTS]);
}

#[derive(Debug, Default)]
struct Tally {
    committed: AtomicUsize,
    stale: AtomicUsize,
    busy: AtomicUsize,
    snapshots: AtomicUsize,
}

#[tokio::test]
async fn soak_transfers_keep_the_sum() {
    let wanted = rounds(300, 10_000);
    let rig = Rig::seeded().await;
    open(&rig).await;
    let busy = rig.with(HOLD, Duration::from_secs(25));
    busy.strict.set_plan(Plan::random(7, ACCIDENTS, &WRITE_FAULTS));
    let tally = Arc::new(Tally::default());
    let begin = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (rig, tally) = (busy.clone(), Arc::clone(&tally));
        clients.spawn(async move {
            let mut random = StdRng::seed_from_u64(client as u64);
            while tally.committed.load(Ordering::Relaxed) < wanted {
                transfer(&rig, &mut random, &tally).await;
            }
        });
    }
    let reader = tokio::spawn(watch(rig.clone(), Arc::clone(&tally)));
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    reader.abort();
    assert_eq!(sum(&rig).await, START * 10);
    let seconds = begin.elapsed().as_secs_f64();
    let committed = tally.committed.load(Ordering::Relaxed);
    assert!(committed >= wanted && tally.snapshots.load(Ordering::Relaxed) > 0);
    let calls = busy.strict.calls();
    let writes = calls.iter().filter(|call| call.operation == "TransactWriteItems").count();
    eprintln!(
        "{committed} transfers in {seconds:.1} s ({:.0}/s); {tally:?}; {writes} TransactWriteItems, {} calls",
        committed as f64 / seconds,
        calls.len(),
    );
}

/// Reads two accounts, moves an amount from one to the other, unless somebody else was faster.
async fn transfer(rig: &Rig, random: &mut StdRng, tally: &Tally) {
    let from = random.random_range(0..ACCOUNTS);
    let to = (from + random.random_range(1..ACCOUNTS)) % ACCOUNTS;
    let read = |at: usize, id: &str| member(None, id, "GET", &url(at), Value::Null);
    let answer = rig.batch(ROOT, &[read(from, "1"), read(to, "2")]).await;
    let json = answer.json();
    let entity = |at: usize| json["responses"][at]["body"].clone();
    let (Some(old_from), Some(old_to)) = (entity(0)["creditlimit"].as_i64(), entity(1)["creditlimit"].as_i64()) else {
        panic!("{}", answer.text())
    };
    let amount = random.random_range(1..100);
    let changes = [(from, old_from - amount, entity(0)), (to, old_to + amount, entity(1))];
    let answer = if random.random_bool(0.5) { as_json(rig, &changes).await } else { as_multipart(rig, &changes).await };
    let text = answer.text();
    let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
    match answer.status {
        200 if text.matches("204").count() >= 2 && !text.contains("\"status\":4") => count(&tally.committed),
        // Outside it is 400 for any failure of a client.
        400 if text.contains("\"status\":412") || text.contains("HTTP/1.1 412") => count(&tally.stale),
        // Nobody knows whether it was done, so the whole does not say that it failed.
        200 if text.contains("It is not known whether the change was made") => count(&tally.busy),
        503 => count(&tally.busy),
        _ => panic!("{} {text}", answer.status),
    };
}

type Change = (usize, i64, Value);

fn etag(entity: &Value) -> &str {
    entity["@odata.etag"].as_str().unwrap()
}

async fn as_json(rig: &Rig, changes: &[Change]) -> Answer {
    let request = |(at, (account, balance, entity)): (usize, &Change)| {
        let body = json!({ "creditlimit": balance });
        if_match(member(Some("g"), &at.to_string(), "PATCH", &url(*account), body), etag(entity))
    };
    rig.batch(ROOT, &changes.iter().enumerate().map(request).collect::<Vec<_>>()).await
}

async fn as_multipart(rig: &Rig, changes: &[Change]) -> Answer {
    let mut body = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n".to_owned();
    for (at, (account, balance, entity)) in changes.iter().enumerate() {
        body += &format!(
            "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {at}\r\n\r\n\
             PATCH {ROOT}/{} HTTP/1.1\r\nContent-Type: application/json\r\nIf-Match: {}\r\n\r\n\
             {{\"creditlimit\":{balance}}}\r\n",
            url(*account),
            etag(entity),
        );
    }
    body += "--c--\r\n--b--\r\n";
    rig.send("POST", &format!("{ROOT}/$batch"), &["content-type: multipart/mixed; boundary=b"], body).await
}

/// The balances at one instant.
async fn sum(rig: &Rig) -> i64 {
    let client = rig.client();
    let gets = (0..ACCOUNTS).map(|at| {
        let sort = AttributeValue::S(format!("30000000-0000-0000-0000-{at:012}"));
        let partition = AttributeValue::S("E|dataverse||accounts".to_owned());
        let get = Get::builder().table_name(TABLE).key("pk", partition).key("sk", sort).build().unwrap();
        TransactGetItem::builder().get(get).build()
    });
    let answer = client.transact_get_items().set_transact_items(Some(gets.collect())).send().await.unwrap();
    let balance = |item: &std::collections::HashMap<String, AttributeValue>| -> i64 {
        item["v"].as_m().unwrap()["creditlimit"].as_n().unwrap().parse().unwrap()
    };
    let items = answer.responses();
    assert_eq!(items.len(), ACCOUNTS);
    items.iter().map(|response| balance(response.item().expect("an account"))).sum()
}

async fn watch(rig: Rig, tally: Arc<Tally>) {
    loop {
        assert_eq!(sum(&rig).await, START * 10, "a transfer is half done");
        tally.snapshots.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Many clients and one entity: everybody gets an answer, and what was said to be stored is stored.
#[tokio::test]
async fn one_entity_and_many_writers() {
    const WRITERS: usize = 16;
    const EACH: usize = 50;
    let rig = Rig::seeded().await;
    let person = json!({ "UserName": "hot", "FirstName": "f", "LastName": "l" }).to_string();
    assert_eq!(rig.send("POST", "/trippin/People", &[], person).await.status, 201);
    let busy = rig.with(HOLD, Duration::from_secs(25));
    let begin = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let busy = busy.clone();
        writers.spawn(async move {
            let (mut last, mut longest, mut refused) = (0, Duration::ZERO, 0);
            for round in 1..=EACH {
                let start = Instant::now();
                // Odd writers read the entity first, so that theirs depends on the version; even ones patch blindly.
                let prefer = ["return=minimal", "return=representation"][writer % 2];
                let body = json!({ format!("w{writer}"): round }).to_string();
                let answer = busy.send("PATCH", "/trippin/People('hot')", &[&format!("prefer: {prefer}")], body).await;
                match answer.status {
                    200 | 204 => last = round,
                    503 => refused += 1,
                    _ => panic!("{} {}", answer.status, answer.text()),
                }
                longest = longest.max(start.elapsed());
            }
            (writer, last, longest, refused)
        });
    }
    let ends: Vec<_> = writers.join_all().await;
    let hot = rig.get("/trippin/People('hot')").await.json();
    for (writer, last, longest, refused) in &ends {
        assert_eq!(hot[format!("w{writer}")], json!(last), "writer {writer}");
        assert!(*longest < Duration::from_secs(25) && *refused < EACH / 2, "writer {writer}: {longest:?}, {refused}");
    }
    let refused: usize = ends.iter().map(|end| end.3).sum();
    let longest = ends.iter().map(|end| end.2).max();
    eprintln!("{} patches in {:?}; longest {longest:?}, {refused} times 503", WRITERS * EACH, begin.elapsed());
}
