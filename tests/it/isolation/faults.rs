//! Accidents at every call of a batch with the isolation.

use std::time::Duration;

use serde_json::{Value, json};
use tests::strict::{Fault, Plan, WRITE_FAULTS};

use super::*;

/// How many times in a row a fault strikes.
const TIMES: [usize; 3] = [1, 2, usize::MAX];

/// What is asked, with the statuses of the answers. `{n}` is the number of the case.
fn scenarios(n: usize) -> [(Vec<Value>, Vec<u16>); 4] {
    let (old, new) = (format!("O{n}"), format!("N{n}"));
    let collection = format!("Airlines?$filter=AirlineCode eq '{old}'");
    [
        (vec![get("1", &airline(&old)), get("2", &airline("none"))], vec![200, 404]),
        (vec![get("1", &collection), get("2", &airline(&old))], vec![200, 200]),
        (vec![get("1", &airline("NW")), patch("2", &old, "new"), post("3", &new, "new")], vec![200, 204, 201]),
        (
            vec![get("1", &collection), patch("2", &old, "new"), post("3", "NW", "x"), post("4", &new, "new")],
            vec![200, 204, 409, 201],
        ),
    ]
}

/// What is stored of a case.
async fn look(rig: &Rig, n: usize) -> [Value; 2] {
    let name = async |code: String| rig.get(&format!("/trippin/Airlines('{code}')")).await.json()["Name"].clone();
    [name(format!("O{n}")).await, name(format!("N{n}")).await]
}

#[tokio::test]
async fn the_answer_and_the_stored_state_agree() {
    let rig = Rig::seeded().await;
    let mut cases = tokio::task::JoinSet::new();
    let mut n = 0;
    for scenario in 0..4 {
        let create = post("1", &format!("O{n}"), "old");
        assert_eq!(rig.batch(ROOT, &[create]).await.statuses(), [201]);
        rig.strict.forget();
        let (requests, statuses) = scenarios(n)[scenario].clone();
        assert_eq!(isolated(&rig, &requests).await.statuses(), statuses);
        let calls = rig.calls().len();
        for at in 0..calls {
            for fault in WRITE_FAULTS.into_iter().chain([Fault::UnprocessedKeys]) {
                for times in TIMES {
                    n += 1;
                    if cases.len() == 16 {
                        cases.join_next().await.unwrap().unwrap();
                    }
                    cases.spawn(case(rig.clone(), n, scenario, (at, fault, times)));
                }
            }
        }
        n += 1;
    }
    assert!(n > 150, "{n}");
    while let Some(result) = cases.join_next().await {
        result.unwrap();
    }
}

async fn case(rig: Rig, n: usize, scenario: usize, (at, fault, times): (usize, Fault, usize)) {
    let what = format!("scenario {scenario}, {fault:?} at call {at}, {times} times");
    assert_eq!(rig.again().batch(ROOT, &[post("1", &format!("O{n}"), "old")]).await.statuses(), [201]);
    let lasting = times == usize::MAX;
    let budget = if lasting { Duration::from_millis(120) } else { Duration::from_secs(30) };
    let faulty = rig.with(Duration::ZERO, budget);
    faulty.strict.set_plan(Plan::from_fn(move |call| (call.number >= at && call.number - at < times).then_some(fault)));
    let (requests, expected) = scenarios(n)[scenario].clone();
    let answer = isolated(&faulty, &requests).await;
    let now = look(&rig.again(), n).await;
    let [before, after] = [[json!("old"), Value::Null], [json!("new"), json!("new")]];
    let after = if scenario < 2 { before.clone() } else { after };
    assert!(now == before || now == after, "{what}: half of it is stored: {now:?}");
    if answer.status == 200 {
        assert_eq!((answer.statuses(), now), (expected, after), "{what}");
    } else {
        assert!(lasting && matches!(answer.status, 503 | 412), "{what}: {} {}", answer.status, answer.text());
        assert!(answer.status == 503 || now == before, "{what}: {}", answer.text());
    }
}
