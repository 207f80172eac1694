//! Clients that move amounts between 2 to 300 accounts at once, some of which stop in the middle, while others read all
//! accounts in one list: no list ever shows a transfer half done, and what was answered is what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use shared::store::{Deadline, Staging};
use tests::strict::{Plan, WRITE_FAULTS};

use super::left_behind;
use crate::{
    rig::{Rig, if_match, member},
    soak::rounds,
};

const ROOT: &str = "/api/data/v9.2";
const CLIENTS: usize = 8;
const START: i64 = 1000;
/// How long a write holds its items.
const HOLD: Duration = Duration::from_millis(1);
/// Percentage of calls that meet an accident.
const ACCIDENTS: u32 = 1;
const LEASE: Duration = Duration::from_millis(400);

/// Units of two items are staged already, and each part is small.
fn staging() -> Staging {
    Staging { direct_items: 1, part_items: 24, call_time: Duration::from_millis(5), lease: LEASE, ..Staging::default() }
}

fn accounts() -> usize {
    rounds(30, 300)
}

fn id(account: usize) -> String {
    format!("60000000-0000-0000-0000-{account:012}")
}

fn url(account: usize) -> String {
    format!("accounts({})", id(account))
}

/// What is known of each transfer: the accounts, and whether it was done (`None`: nobody was told).
type Book = Mutex<BTreeMap<usize, (Vec<usize>, Option<bool>)>>;

#[derive(Debug, Default)]
struct Tally {
    numbers: AtomicUsize,
    done: AtomicUsize,
    items: AtomicUsize,
    stale: AtomicUsize,
    busy: AtomicUsize,
    killed: AtomicUsize,
    lists: AtomicUsize,
    unread: AtomicUsize,
}

fn count(counter: &AtomicUsize) -> usize {
    counter.fetch_add(1, Ordering::Relaxed)
}

/// All accounts in one list: balance, numbers of the transfers so far, etag.
async fn list(rig: &Rig) -> Option<Vec<(i64, String, String)>> {
    let answer = rig.get(&format!("{ROOT}/accounts?$filter=name%20eq%20'staged%20bank'")).await;
    if answer.status == 503 {
        return None;
    }
    let rows = answer.json()["value"].as_array().unwrap().clone();
    assert_eq!(rows.len(), accounts(), "{:.500}", answer.text());
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| (row["creditlimit"].as_i64().unwrap(), text(row, "description"), text(row, "@odata.etag"));
    let sum: i64 = rows.iter().map(|one| row(one).0).sum();
    assert_eq!(sum, START * i64::try_from(accounts()).unwrap(), "a transfer is half done");
    Some(rows.iter().map(row).collect())
}

async fn open(rig: &Rig) {
    let open = |at: usize| {
        let body = json!({ "accountid": id(at), "name": "staged bank", "creditlimit": START, "description": "" });
        member(Some("g"), &at.to_string(), "POST", "accounts", body)
    };
    let statuses = rig.batch(ROOT, &(0..accounts()).map(open).collect::<Vec<_>>()).await.statuses();
    assert_eq!(statuses, vec![204; accounts()]);
}

/// Moves amounts among some accounts: an amount from each to the next one. Sometimes whoever does it stops.
async fn transfer(rig: &Rig, random: &mut StdRng, tally: &Tally, book: &Book) {
    let Some(rows) = list(rig).await else {
        count(&tally.unread);
        return;
    };
    // Most are small.
    let size = 2 + (0..5).map(|_| random.random_range(0..accounts() - 1)).min().unwrap();
    let mut chosen: Vec<usize> = (0..accounts()).collect();
    chosen.shuffle(random);
    chosen.truncate(size);
    let number = count(&tally.numbers);
    let amounts: Vec<i64> = chosen.iter().map(|_| random.random_range(1..100)).collect();
    let change = |(at, account): (usize, &usize)| {
        let (balance, past, etag) = &rows[*account];
        let balance = balance - amounts[at] + amounts[(at + 1) % size];
        let body = json!({ "creditlimit": balance, "description": format!("{past}{number},") });
        if_match(member(Some("g"), &at.to_string(), "PATCH", &url(*account), body), etag)
    };
    let requests: Vec<Value> = chosen.iter().enumerate().map(change).collect();
    book.lock().unwrap().insert(number, (chosen, None));
    let own = rig.clone();
    let task = tokio::spawn(async move { own.batch(ROOT, &requests).await });
    if random.random_ratio(1, 10) {
        tokio::time::sleep(Duration::from_millis(random.random_range(1..60))).await;
        task.abort();
    }
    let Ok(answer) = task.await else {
        count(&tally.killed);
        return;
    };
    let (statuses, text) = (answer.statuses(), answer.text());
    let done = if statuses.len() == size && statuses.iter().all(|status| *status == 204) {
        count(&tally.done);
        tally.items.fetch_add(size, Ordering::Relaxed);
        Some(true)
    } else if text.contains("not known") {
        count(&tally.busy);
        None
    } else if answer.status == 412 || statuses.contains(&412) {
        count(&tally.stale);
        Some(false)
    } else {
        assert!(answer.status == 503 || statuses.contains(&503), "{} {text:.500}", answer.status);
        count(&tally.busy);
        Some(false)
    };
    book.lock().unwrap().get_mut(&number).unwrap().1 = done;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_large_transfers_keep_the_sum() {
    let wanted = rounds(30, 200);
    let rig = Rig::seeded().await;
    open(&rig).await;
    let busy = rig.with(HOLD, Duration::from_secs(25)).staging(staging());
    busy.strict.set_plan(Plan::random(11, ACCIDENTS, &WRITE_FAULTS));
    let (tally, book, begin) = (Arc::new(Tally::default()), Arc::new(Book::default()), Instant::now());
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (rig, tally, book) = (busy.clone(), Arc::clone(&tally), Arc::clone(&book));
        clients.spawn(async move {
            let mut random = StdRng::seed_from_u64(client as u64);
            while tally.done.load(Ordering::Relaxed) < wanted {
                transfer(&rig, &mut random, &tally, &book).await;
            }
        });
    }
    let (reader, own) = (rig.staging(staging()), Arc::clone(&tally));
    let reader = tokio::spawn(async move {
        loop {
            match list(&reader).await {
                Some(_) => count(&own.lists),
                None => count(&own.unread),
            };
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    reader.abort();
    assert!(reader.await.unwrap_err().is_cancelled(), "a reader saw what is not so");
    let took = begin.elapsed();
    tokio::time::sleep(LEASE * 5).await;
    let rows = list(&rig.staging(staging())).await.unwrap();
    check(&rows, &book.lock().unwrap());
    rig.staging(staging()).store().sweep_units(Deadline::after(Duration::from_mins(1))).await.unwrap();
    assert_eq!(left_behind(&rig), []);
    let done = tally.done.load(Ordering::Relaxed);
    eprintln!("{done} transfers in {took:.1?} ({:.1}/s); {tally:?}", done as f64 / took.as_secs_f64());
}

/// Each transfer is in the past of all its accounts or of none, as it was answered.
fn check(rows: &[(i64, String, String)], book: &BTreeMap<usize, (Vec<usize>, Option<bool>)>) {
    let past = |past: &str| past.split(',').filter_map(|number| number.parse().ok()).collect::<BTreeSet<usize>>();
    let past: Vec<BTreeSet<usize>> = rows.iter().map(|(_, text, _)| past(text)).collect();
    for (number, (accounts, done)) in book {
        let there: BTreeSet<bool> = accounts.iter().map(|account| past[*account].contains(number)).collect();
        assert_eq!(there.len(), 1, "transfer {number} is there by half");
        assert!(done.is_none_or(|done| there.contains(&done)), "transfer {number}: answered {done:?}");
    }
}
