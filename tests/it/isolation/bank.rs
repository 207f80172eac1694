//! Clients that move amounts between accounts, and readers of all accounts of a bank: the sum is the same in each answer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tests::strict::{Plan, WRITE_FAULTS};

use super::*;
use crate::{rig::if_match, soak::rounds};

const WRITERS: usize = 8;
const READERS: usize = 2;
const START: i64 = 1000;
const HOLD: Duration = Duration::from_millis(1);
/// Percentage of calls that meet an accident.
const ACCIDENTS: u32 = 1;

/// Accounts that amounts are moved between.
#[derive(Clone, Copy, Debug)]
struct Bank {
    name: &'static str,
    set: &'static str,
    accounts: usize,
}

const BANKS: [Bank; 4] = [
    Bank { name: "two", set: "People", accounts: 2 },
    Bank { name: "hundred", set: "People", accounts: 100 },
    Bank { name: "many", set: "People", accounts: 150 },
    Bank { name: "collection", set: "Airlines", accounts: 40 },
];

impl Bank {
    fn key(self, at: usize) -> String {
        format!("{}{at}", self.name)
    }

    fn url(self, at: usize) -> String {
        format!("{}('{}')", self.set, self.key(at))
    }

    fn body(self, balance: i64) -> Value {
        if self.set == "People" {
            json!({ "LastName": balance.to_string() })
        } else {
            json!({ "Name": balance.to_string() })
        }
    }

    fn create(self, at: usize) -> Value {
        let mut body = self.body(START);
        if self.set == "People" {
            body["UserName"] = self.key(at).into();
            body["FirstName"] = "f".into();
        } else {
            body["AirlineCode"] = self.key(at).into();
        }
        grouped("g", member(None, &at.to_string(), "POST", self.set, body))
    }

    fn balance(self, entity: &Value) -> i64 {
        let text = if self.set == "People" { &entity["LastName"] } else { &entity["Name"] };
        text.as_str().unwrap_or_else(|| panic!("{entity}")).parse().unwrap_or(0)
    }

    /// What a reader asks for: all accounts by key, or the collection and some of them by key.
    fn reads(self) -> Vec<String> {
        match self.set {
            "People" => (0..self.accounts).map(|at| self.url(at)).collect(),
            _ => std::iter::once(self.set.to_owned()).chain((0..5).map(|at| self.url(at))).collect(),
        }
    }

    /// The sum of all accounts in the answers.
    fn sum(self, answers: &[Value]) -> i64 {
        if self.set == "People" {
            return answers.iter().map(|account| self.balance(account)).sum();
        }
        let rows = answers[0]["value"].as_array().unwrap();
        for account in &answers[1..] {
            let row = rows.iter().find(|row| row["AirlineCode"] == account["AirlineCode"]).unwrap();
            assert_eq!(row["Name"], account["Name"], "the collection and the entity are of two instants");
        }
        rows.iter().map(|row| self.balance(row)).sum()
    }
}

async fn open(rig: &Rig) {
    for bank in BANKS {
        let create: Vec<Value> = (0..bank.accounts).map(|at| bank.create(at)).collect();
        for some in create.chunks(50) {
            assert_eq!(rig.batch(ROOT, some).await.statuses(), vec![201; some.len()]);
        }
    }
}

/// Moves an amount, unless somebody else was faster. Whether it was moved.
async fn transfer(rig: &Rig, random: &mut StdRng) -> bool {
    let bank = BANKS[random.random_range(0..BANKS.len())];
    let from = random.random_range(0..bank.accounts);
    let to = (from + random.random_range(1..bank.accounts)) % bank.accounts;
    let answer = rig.batch(ROOT, &[get("1", &bank.url(from)), get("2", &bank.url(to))]).await;
    if answer.statuses().contains(&503) {
        return false;
    }
    let amount = random.random_range(1..100);
    let change = |(at, by): (usize, i64)| {
        let entity = body(&answer, at);
        let url = bank.url(if at == 0 { from } else { to });
        let request = member(Some("g"), &at.to_string(), "PATCH", &url, bank.body(bank.balance(&entity) + by));
        if_match(request, entity["@odata.etag"].as_str().unwrap())
    };
    let changes: Vec<Value> = [(0, -amount), (1, amount)].map(change).into();
    // Some with the isolation: then the change set is a part of one unit.
    let answer = if random.random_bool(0.3) { isolated(rig, &changes).await } else { rig.batch(ROOT, &changes).await };
    answer.statuses() == [204, 204]
}

/// The answers to reads with the isolation, or the status of the refusal.
async fn read(rig: &Rig, bank: Bank, multipart: bool) -> Result<Vec<Value>, u16> {
    let reads = bank.reads();
    if !multipart {
        let requests: Vec<Value> = reads.iter().enumerate().map(|(at, url)| get(&at.to_string(), url)).collect();
        let answer = isolated(rig, &requests).await;
        if answer.status != 200 {
            return Err(answer.status);
        }
        assert!(answer.statuses().iter().all(|status| *status == 200), "{}", answer.text());
        return Ok((0..reads.len()).map(|at| body(&answer, at)).collect());
    }
    let part = |url: &String| {
        format!(
            "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET {url} HTTP/1.1\r\n\r\n\r\n"
        )
    };
    let text = reads.iter().map(part).collect::<String>() + "--b--\r\n";
    let answer =
        rig.send("POST", "/trippin/$batch", &["content-type: multipart/mixed; boundary=b", ISOLATED], text).await;
    if answer.status != 200 {
        return Err(answer.status);
    }
    let text = answer.text();
    let bodies: Vec<Value> = text
        .split("\r\n")
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(bodies.len(), reads.len(), "{text}");
    Ok(bodies)
}

/// Of each bank: how many answers, and how many refusals.
type Tally = Arc<Mutex<BTreeMap<&'static str, [usize; 2]>>>;

#[tokio::test]
async fn soak_the_sum_is_the_same_in_each_snapshot() {
    let wanted = rounds(60, 5_000);
    let rig = Rig::seeded().await;
    open(&rig).await;
    let busy = rig.with(HOLD, Duration::from_secs(20));
    busy.strict.set_plan(Plan::random(11, ACCIDENTS, &WRITE_FAULTS));
    let (moved, tally) = (Arc::new(AtomicUsize::new(0)), Tally::default());
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (rig, moved) = (busy.clone(), Arc::clone(&moved));
        tasks.spawn(async move {
            let mut random = StdRng::seed_from_u64(writer as u64);
            while moved.load(Ordering::Relaxed) < wanted {
                moved.fetch_add(usize::from(transfer(&rig, &mut random).await), Ordering::Relaxed);
            }
        });
    }
    for reader in 0..READERS {
        let (rig, moved, tally) = (busy.clone(), Arc::clone(&moved), Arc::clone(&tally));
        tasks.spawn(async move {
            for round in reader.. {
                if moved.load(Ordering::Relaxed) >= wanted {
                    return;
                }
                let bank = BANKS[round % BANKS.len()];
                let end = read(&rig, bank, round % 3 == 0).await;
                let mut tally = tally.lock().unwrap();
                let [answers, refusals] = tally.entry(bank.name).or_default();
                match end {
                    Ok(bodies) => {
                        assert_eq!(bank.sum(&bodies), START * i64::try_from(bank.accounts).unwrap(), "{bank:?}");
                        *answers += 1;
                    }
                    Err(412) => *refusals += 1,
                    Err(status) => panic!("{status}"),
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let tally = tally.lock().unwrap();
    eprintln!(
        "{} transfers; answers and refusals: {tally:?}; {:?}",
        moved.load(Ordering::Relaxed),
        busy.strict.counts()
    );
    for (bank, [answers, refusals]) in &*tally {
        assert!(*answers > 0 && refusals * 10 <= *answers, "{bank}: {answers} answers, {refusals} refusals");
    }
    assert_eq!(tally.len(), BANKS.len());
}
