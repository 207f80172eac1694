//! Accidents at every call of the outbox to the table: nothing is lost, nothing is held up, nothing is out of order.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use shared::{outbox::Outbox, store::Deadline};
use tests::{
    receiver::{Receiver, Reply, Seen},
    strict::{Fault, Plan, WRITE_FAULTS},
};

use super::{LONG, Post, column};
use crate::soak::rounds;

/// For a fault that never ends.
const SHORT: Duration = Duration::from_millis(150);
/// Longer than a claim holds.
const LEASE: Duration = Duration::from_secs(31);
const STATES: [&str; 4] = ["Executing", "Error", "Waiting", "Executing"];
/// Those of [`STATES`] that are events.
const EVENTS: [&str; 3] = ["Executing", "Error", "Executing"];

/// The fault at a call and at those that follow, so many in all.
fn strikes(at: usize, times: usize, fault: Fault) -> Plan {
    Plan::from_fn(move |call| (call.number >= at && call.number - at < times).then_some(fault))
}

/// Whether a case is one of those that always run; the others do when all of it is asked for.
fn is_chosen(number: usize) -> bool {
    number.is_multiple_of(rounds(8, 1))
}

/// An outbox that suffers these accidents, and the layer that counts its calls.
fn faulty(post: &Post, plan: Plan) -> (Outbox, tests::strict::Strict) {
    let rig = post.rig.again();
    rig.strict.set_plan(plan);
    let strict = rig.strict.clone();
    (post.beside(rig), strict)
}

/// Leads two new jobs through their states; the records of that.
async fn changes(post: &mut Post, n: i64) -> Vec<Value> {
    post.write_down().await;
    for id in [2 * n, 2 * n + 1] {
        post.job(id).await;
        post.change(id, &STATES).await;
    }
    post.unread()
}

/// What a function's event source does: everything from the first record that failed comes again.
async fn again(post: &Post, records: &[Value], failed: &[String]) {
    let sequence = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
    let Some(first) = records.iter().position(|record| failed.contains(&sequence(record))) else { return };
    let recorded = post.outbox.records(&records[first..], Deadline::after(LONG)).await;
    assert_eq!(recorded.failed, Vec::<String>::new());
}

async fn check_rows(post: &Post, endpoint: &str, n: i64, what: &str) {
    let (all, history) = (post.deliveries(endpoint).await, post.rows("BatchJobHistory").await);
    for id in [2 * n, 2 * n + 1] {
        let of = |rows: &[Value]| rows.iter().filter(|row| row["BatchJobRecId"] == id).cloned().collect::<Vec<_>>();
        assert_eq!(column(&of(&history), "Generation"), [1, 2, 3, 4, 5], "{what}");
        let rows = of(&all);
        assert_eq!(column(&rows, "Generation"), [2, 3, 5], "{what}");
        let numbers: Vec<i64> = rows.iter().map(|row| row["ControlNumber"].as_i64().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{what}: {numbers:?}");
    }
}

#[tokio::test]
async fn soak_every_record_has_its_rows_whatever_call_fails() {
    let mut post = Post::new().await;
    let endpoint = post.endpoint("https://events.example/", json!({})).await;
    let records = changes(&mut post, 1).await;
    let (outbox, strict) = faulty(&post, Plan::none());
    outbox.records(&records, Deadline::after(LONG)).await;
    let calls = strict.calls().len();
    assert_eq!(calls, 1 + 1 + 2 * (5 + 3), "endpoints, numbers, rows");
    check_rows(&post, &endpoint, 1, "without faults").await;
    let (mut n, mut again_needed) = (1, 0);
    for at in 0..calls {
        for (number, fault) in WRITE_FAULTS.into_iter().enumerate() {
            for times in [1, usize::MAX] {
                if !is_chosen(at + number + times % 2) {
                    continue;
                }
                n += 1;
                let what = format!("{fault:?} at call {at}, {times} times");
                let records = changes(&mut post, n).await;
                let (outbox, _) = faulty(&post, strikes(at, times, fault));
                let until = if times == 1 { LONG } else { SHORT };
                let recorded = outbox.records(&records, Deadline::after(until)).await;
                assert!(times != 1 || recorded.failed.is_empty(), "{what}: {recorded:?}");
                assert_eq!(recorded.set_aside, 0, "{what}");
                again_needed += usize::from(!recorded.failed.is_empty());
                again(&post, &records, &recorded.failed).await;
                check_rows(&post, &endpoint, n, &what).await;
            }
        }
    }
    eprintln!("{} runs over {calls} calls, {again_needed} of which had to come again", n - 1);
}

/// What came first of each event, by job, in the order of arrival; and how many came more than once.
fn arrivals(seen: &[Seen]) -> (BTreeMap<i64, Vec<String>>, usize) {
    let mut first: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let (mut ids, mut twice) = (BTreeMap::new(), 0);
    for seen in seen {
        let json = seen.json();
        let Some(job) = json["JobId"].as_i64() else { continue };
        let event = json["EventId"].to_string();
        let same = ids.insert(event.clone(), seen.body.clone());
        if let Some(body) = same {
            assert_eq!(body, seen.body, "the same event is the same");
            twice += 1;
        } else {
            first.entry(job).or_default().push(json["JobStatus"].as_str().unwrap().to_owned());
        }
    }
    (first, twice)
}

/// Sends until nothing waits.
async fn deliver_all(post: &Post) {
    for _ in 0..20 {
        post.wait(LEASE);
        let swept = post.sweep().await;
        if swept.next_due.is_none() {
            return;
        }
    }
    panic!("it does not come to an end");
}

/// One case of [`soak_every_event_arrives_in_order_whatever_call_fails`]: an outbox suffers, another one goes on.
async fn arrive(post: &mut Post, receiver: &Receiver, n: i64, plan: Plan, what: &str) -> usize {
    let records = changes(post, n).await;
    post.outbox.records(&records, Deadline::after(LONG)).await;
    receiver.forget();
    let (outbox, _) = faulty(post, plan);
    outbox.sweep(Deadline::after(LONG)).await;
    deliver_all(post).await;
    let (first, twice) = arrivals(&receiver.seen());
    let expected: BTreeMap<i64, Vec<String>> =
        [2 * n, 2 * n + 1].into_iter().map(|id| (id, EVENTS.map(str::to_owned).to_vec())).collect();
    assert_eq!(first, expected, "{what}");
    assert!(post.rows("BusinessEventDeliveries").await.iter().all(|row| row["Status"] == "Delivered"), "{what}");
    twice
}

#[tokio::test]
async fn soak_every_event_arrives_in_order_whatever_call_fails() {
    let receiver = Receiver::start(|_| Reply::Status(200)).await;
    let mut post = Post::new().await;
    post.endpoint(receiver.url(), json!({})).await;
    post.turn().await;
    let records = changes(&mut post, 1).await;
    post.outbox.records(&records, Deadline::after(LONG)).await;
    let (outbox, strict) = faulty(&post, Plan::none());
    outbox.sweep(Deadline::after(LONG)).await;
    let calls = strict.calls().len();
    let (mut n, mut twice) = (1, 0);
    for at in 0..calls {
        for (number, fault) in WRITE_FAULTS.into_iter().enumerate() {
            if !is_chosen(at + number) {
                continue;
            }
            n += 1;
            let what = format!("{fault:?} at call {at} of {calls}");
            twice += arrive(&mut post, &receiver, n, strikes(at, 1, fault), &what).await;
        }
    }
    eprintln!("{} sweeps with one accident each at {calls} calls: {twice} events came twice", n - 1);
    assert_eq!(twice, 0, "one accident is made good in the same sweep");
}

/// The table stops answering in the midst of a sweep, as it is when the process ends there.
#[tokio::test]
async fn soak_every_event_arrives_in_order_wherever_a_sweep_is_cut_off() {
    let mut cases = tokio::task::JoinSet::new();
    for at in (0..28).step_by(rounds(5, 1)) {
        for fault in [Fault::DropBefore, Fault::DropAfterCommit] {
            cases.spawn(async move {
                let receiver = Receiver::start(|_| Reply::Status(200)).await;
                let mut post = Post::new().await;
                post.endpoint(receiver.url(), json!({})).await;
                post.turn().await;
                let what = format!("{fault:?} from call {at} on");
                arrive(&mut post, &receiver, 1, strikes(at, usize::MAX, fault), &what).await
            });
        }
    }
    let count = cases.len();
    let twice: usize = cases.join_all().await.into_iter().sum();
    eprintln!("{count} sweeps cut off: {twice} events came twice");
}
