//! A unit that cannot come to its end in time is not begun; one whose time ends under way never was.

use std::time::Duration;

use serde_json::{Value, json};
use shared::store::{Deadline, Staging};
use tests::strict::{Fault, Plan};

use super::{clock, left_behind};
use crate::rig::{Rig, member};

const ROOT: &str = "/trippin";
const SIZE: usize = 250;

fn airlines() -> Vec<Value> {
    let airline = |at: usize| json!({ "AirlineCode": format!("ZZ{at}"), "Name": "n" });
    (0..SIZE).map(|at| member(Some("g"), &at.to_string(), "POST", "Airlines", airline(at))).collect()
}

async fn count(rig: &Rig) -> String {
    rig.get(&format!("{ROOT}/Airlines/$count?$filter=startswith(AirlineCode,'ZZ')")).await.text()
}

#[tokio::test]
async fn a_unit_without_enough_time_is_refused_before_its_first_write() {
    let seeded = Rig::seeded().await;
    let slow = seeded.staging(Staging { call_time: Duration::from_secs(4), ..Staging::default() });
    let answer = slow.batch(ROOT, &airlines()).await;
    assert!(answer.text().contains("the time for this request ran out"), "{}", answer.text());
    assert!(answer.statuses().iter().all(|status| *status >= 400), "{}", answer.text());
    assert_eq!(slow.writes(), 0);
    assert_eq!(seeded.batch(ROOT, &airlines()).await.statuses(), vec![201; SIZE]);
}

#[tokio::test]
async fn a_unit_whose_time_ends_under_way_never_was() {
    let seeded = Rig::seeded().await;
    let rig = seeded.staging(Staging { now: clock::now, ..Staging::default() });
    for until in [1, 2, 3] {
        rig.strict.forget();
        rig.strict.set_plan(Plan::from_fn(move |call| (call.number >= until).then_some(Fault::Throttle)));
        let body = json!({ "requests": airlines() }).to_string();
        let headers = ["accept: application/json"];
        // A second of them is kept for the answer, three for the last call.
        let time = Some(Duration::from_millis(5_500));
        let answer = rig.send_within(time, "POST", &format!("{ROOT}/$batch"), &headers, body.into()).await;
        assert!(answer.statuses().iter().all(|status| *status >= 400), "{}", answer.text());
        rig.strict.set_plan(Plan::none());
        assert!(count(&rig).await.trim_start_matches('\u{feff}') == "0", "nothing of it counts");
        clock::end_leases();
        assert!(count(&rig).await.trim_start_matches('\u{feff}') == "0", "nothing of it counts once its lease is over");
    }
    rig.store().sweep_units(Deadline::after(Duration::from_mins(1))).await.unwrap();
    assert_eq!(left_behind(&rig), []);
    assert_eq!(rig.batch(ROOT, &airlines()).await.statuses(), vec![201; SIZE]);
}
