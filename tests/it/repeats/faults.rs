//! Accidents at every call of requests that are repeated: each is done once, and whoever is answered is answered alike.

use std::time::Duration;

use serde_json::{Value, json};
use tests::strict::{Call, Fault, Plan, WRITE_FAULTS};
use tokio::task::JoinSet;

use super::{
    CENTRAL, DATAVERSE, TRIPPIN, batch,
    batches::{check, mixed},
    let_pass, place, result, seen, send, settled, tasks, with_id,
};
use crate::rig::{Answer, Rig, member};

/// Before and after an effect, refused as such and by others: what the store tells apart.
const FAULTS: [Fault; 5] =
    [Fault::DropBefore, Fault::DropAfterCommit, Fault::FailAfterCommit, Fault::Throttle, Fault::Conflict];
/// Of a request whose fault never ends.
const SHORT: Duration = Duration::from_millis(200);
/// Of any other request.
const LONG: Duration = Duration::from_secs(30);
/// Cases under way together; most of their time is waiting.
const AT_A_TIME: usize = 16;

const JOURNAL: &str = "f91409ba-1d3d-eb11-bb72-000d3a2b9218";
const SALARIES: &str = "ae4110b4-1d3d-eb11-bb72-000d3a2b9218";

/// What is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// A write that reads nothing.
    Single,
    /// A write that reads first.
    Derived,
    /// A refusal.
    Refused,
    /// A change set whose requests have ids.
    ChangeSet,
    /// A batch with an id.
    Batch,
    /// The same, all of one instant.
    Snapshot,
}

impl Work {
    async fn send(self, rig: &Rig, n: usize) -> Answer {
        let (id, text) = (format!("{self:?} {n}"), format!("{self:?}-{n}"));
        match self {
            Self::Single => {
                let body = json!({ "subject": text }).to_string();
                send(rig, "POST", &format!("{DATAVERSE}/tasks"), &id, &[], &body).await
            }
            Self::Derived => {
                let url = format!("{CENTRAL}/journals({JOURNAL})/journalLines");
                let body = json!({ "accountId": SALARIES, "amount": 1, "description": text }).to_string();
                send(rig, "POST", &url, &id, &[], &body).await
            }
            Self::Refused => {
                let body = json!({ "accountid": "00000000-0000-0000-0000-000000000001", "name": text }).to_string();
                send(rig, "POST", &format!("{DATAVERSE}/accounts"), &id, &[], &body).await
            }
            Self::ChangeSet => {
                let task = |at: &str| {
                    let request = member(Some("g"), at, "POST", "tasks", json!({ "subject": text }));
                    with_id(request, &format!("{id} {at}"))
                };
                rig.batch(DATAVERSE, &[task("1"), task("2")]).await
            }
            Self::Batch => batch(rig, DATAVERSE, &id, &mixed(n)).await,
            Self::Snapshot => {
                let list = format!("Airlines?$filter=AirlineCode eq '{text}'");
                let create = |at| member(None, at, "POST", "Airlines", json!({ "AirlineCode": text, "Name": at }));
                let requests = [member(None, "0", "GET", &list, Value::Null), create("1"), create("2")];
                let body = json!({ "requests": requests }).to_string();
                let more = ["accept: application/json", "prefer: odata.continue-on-error", "isolation: snapshot"];
                send(rig, "POST", &format!("{TRIPPIN}/$batch"), &id, &more, &body).await
            }
        }
    }

    /// Repeats it until it is answered for good.
    async fn settle(self, rig: &Rig, n: usize) -> Answer {
        let service = match self {
            Self::Batch => "dataverse",
            Self::Snapshot => "trippin",
            _ => return self.send(rig, n).await,
        };
        settled(rig, service, &format!("{self:?} {n}"), || self.send(rig, n)).await
    }

    /// Whether an answer says how it ended.
    fn is_settled(self, answer: &Answer) -> bool {
        match self {
            Self::ChangeSet => answer.statuses() == [204, 204],
            _ => result(answer) == Some("accepted"),
        }
    }

    /// What it has left, once.
    async fn check(self, rig: &Rig, n: usize, answer: &Answer) {
        let text = format!("{self:?}-{n}");
        match self {
            Self::Single => assert_eq!((answer.status, tasks(rig, &text).await), (204, 1), "{text}"),
            Self::ChangeSet => assert_eq!((answer.statuses(), tasks(rig, &text).await), (vec![204; 2], 2), "{text}"),
            Self::Refused => assert_eq!(answer.status, 412, "{text}: {}", answer.text()),
            Self::Batch => check(rig, n, answer).await,
            Self::Snapshot => {
                assert_eq!(answer.statuses(), [200, 201, 409], "{text}: {}", answer.text());
                assert_eq!(answer.json()["responses"][0]["body"]["value"], json!([]), "{text}");
                assert_eq!(rig.get(&format!("{TRIPPIN}/Airlines('{text}')")).await.json()["Name"], "1");
            }
            Self::Derived => {
                let url = format!("{CENTRAL}/journals({JOURNAL})/journalLines/$count?$filter=description eq '{text}'");
                assert_eq!((answer.status, rig.get(&url).await.text().as_str()), (201, "1"), "{text}");
            }
        }
    }
}

/// One case: an accident at that call, and at as many as follow; then repeats without any.
async fn case(rig: Rig, work: Work, n: usize, (at, fault, times): (usize, Fault, usize)) {
    let what = format!("{work:?} {n}, {fault:?} at call {at}, {times} times");
    let faulty = rig.with(Duration::ZERO, if times == usize::MAX { SHORT } else { LONG });
    faulty
        .strict
        .set_plan(Plan::from_fn(move |call: &Call| (call.number >= at && call.number - at < times).then_some(fault)));
    let first = work.send(&faulty, n).await;
    // Where time is short, it may be over before that call.
    let struck = faulty.strict.calls().iter().any(|call| call.fault.is_some());
    assert!(struck || times == usize::MAX, "{what}: not struck");
    let repeat = work.settle(&rig, n).await;
    assert!(work.is_settled(&repeat), "{what}: {} {}", repeat.status, repeat.text());
    work.check(&rig, n, &repeat).await;
    if work.is_settled(&first) {
        assert_eq!(seen(&first), seen(&repeat), "{what}");
    } else {
        assert!(times == usize::MAX, "{what}: {} {}", first.status, first.text());
    }
    assert_eq!(seen(&work.settle(&rig, n).await), seen(&repeat), "{what}");
}

#[tokio::test]
async fn whatever_fails_a_repeat_sets_it_right() {
    let mut cases = JoinSet::new();
    let mut n = 0;
    for work in [Work::Single, Work::Derived, Work::Refused, Work::ChangeSet, Work::Batch, Work::Snapshot] {
        n += 1;
        let whole = Rig::seeded().await;
        let answer = work.send(&whole, n).await;
        let calls = whole.calls().len();
        work.check(&whole, n, &answer).await;
        for at in 0..calls {
            // What is looked for stays among few.
            let rig = Rig::seeded().await;
            for fault in FAULTS {
                for times in [1, usize::MAX] {
                    n += 1;
                    if cases.len() == AT_A_TIME {
                        cases.join_next().await.unwrap().unwrap();
                    }
                    cases.spawn(case(rig.again(), work, n, (at, fault, times)));
                }
            }
        }
    }
    assert!(n > 150, "{n}");
    while let Some(end) = cases.join_next().await {
        end.unwrap();
    }
}

/// Accidents at random, other executors among them.
#[tokio::test]
async fn a_batch_survives_accidents_at_random() {
    let rig = Rig::seeded().await;
    for n in 0..40 {
        let (id, requests) = (format!("random {n}"), mixed(n));
        let mut answers: Vec<Answer> = Vec::new();
        for round in 0..6 {
            let faulty = rig.with(Duration::ZERO, Duration::from_millis(400));
            faulty.strict.set_plan(Plan::random((n * 100 + round) as u64, 30, &WRITE_FAULTS));
            let second = async {
                let_pass(&rig.client(), place("dataverse", &id)).await;
                batch(&faulty, DATAVERSE, &id, &requests).await
            };
            let (one, two) = tokio::join!(batch(&faulty, DATAVERSE, &id, &requests), second);
            answers.extend([one, two]);
        }
        let last = settled(&rig, "dataverse", &id, || batch(&rig, DATAVERSE, &id, &requests)).await;
        check(&rig, n, &last).await;
        for answer in answers.iter().filter(|answer| result(answer).is_some()) {
            assert_eq!(seen(answer), seen(&last), "{n}");
        }
    }
}
