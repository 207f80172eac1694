//! The function that only requeues jobs meets what a unit left on a job whose owner died.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use shared::store::Staging;
use tests::strict::{Fault, Plan};

use crate::rig::{Rig, member};

const DATA: &str = "/data";
const FAILED: i64 = 5_637_144_576;

/// Changes two jobs in a staged unit whose owner stops at its decision: before it, or right after it.
async fn owner_stops(rig: &Rig, decides: bool) {
    let owner = rig.staging(Staging { direct_items: 1, lease: Duration::from_millis(200), ..Staging::default() });
    let is_over = Arc::new(AtomicBool::new(false));
    owner.strict.set_plan(Plan::from_fn(move |call| {
        let is_decision = call.operation == "UpdateItem" && call.items.iter().any(|item| item.contains("U|"));
        let stops = is_over.load(Ordering::Relaxed) || is_decision && !decides;
        is_over.fetch_or(is_decision, Ordering::Relaxed);
        stops.then_some(Fault::Hang)
    }));
    let job = json!({ "BatchJobRecId": 91, "Status": "Error" });
    let requests = [
        member(Some("g"), "1", "PATCH", &format!("BatchJobs({FAILED})"), json!({ "JobDescription": "changed" })),
        member(Some("g"), "2", "POST", "BatchJobs", job),
    ];
    let stopped = tokio::time::timeout(Duration::from_secs(2), owner.batch(DATA, &requests)).await;
    assert!(stopped.is_err(), "its owner stops");
    owner.strict.set_plan(Plan::none());
}

async fn requeued(decides: bool) -> (Rig, Vec<u16>) {
    let rig = Rig::seeded().await;
    owner_stops(&rig, decides).await;
    let job_state = rig.job_state();
    let url = format!("{DATA}/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting");
    let mut statuses = Vec::new();
    for id in [FAILED, 91] {
        statuses.push(job_state.send("POST", &url, &[], json!({ "batchJobId": id }).to_string()).await.status);
    }
    (rig, statuses)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_change_was_decided_is_requeued_as_it_is_now() {
    let (rig, statuses) = requeued(true).await;
    assert_eq!(statuses, [200, 200]);
    for id in [FAILED, 91] {
        let job = rig.get(&format!("{DATA}/BatchJobs({id})")).await.json();
        assert_eq!((&job["Status"], &job["RetryCount"]), (&json!("Waiting"), &json!(1)), "{job}");
        assert!(id != FAILED || job["JobDescription"] == "changed", "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_change_was_not_decided_is_requeued_as_it_was() {
    let (rig, statuses) = requeued(false).await;
    assert_eq!(statuses, [200, 404]);
    let job = rig.get(&format!("{DATA}/BatchJobs({FAILED})")).await.json();
    assert_eq!((&job["Status"], &job["RetryCount"]), (&json!("Waiting"), &json!(1)), "{job}");
    assert_ne!(job["JobDescription"], "changed");
}
