//! A batch server that is not very good: it runs the jobs that wait, and some of them fail.

use std::time::Duration;

use serde_json::json;
use tokio::time::{interval, sleep};

use super::client::{ClientError, OData};

/// The id of the first job.
pub(super) const FIRST: i64 = 5_700_000_001;
/// The company of the jobs.
const COMPANY: &str = "usmf";
/// Between looks for jobs that wait.
const LOOK: Duration = Duration::from_millis(500);
/// How long a job runs.
const RUN: Duration = Duration::from_millis(1_500);
/// How long a job that finished rests until it is scheduled again.
const REST: Duration = Duration::from_secs(20);

/// A job and how it behaves.
struct Sample {
    description: &'static str,
    /// So many runs in a row fail before one ends well; `None`: all fail.
    fails: Option<u32>,
}

const SAMPLES: [Sample; 6] = [
    Sample { description: "Import bank statements", fails: Some(1) },
    Sample { description: "Recalculate inventory", fails: Some(2) },
    Sample { description: "Post sales invoices", fails: Some(0) },
    Sample { description: "Master planning", fails: None },
    Sample { description: "Send reminders", fails: Some(3) },
    Sample { description: "Clean up staging tables", fails: None },
];

/// Makes the sample jobs; all of them wait.
pub(super) async fn create(odata: &OData) -> Result<(), ClientError> {
    for (sample, id) in SAMPLES.iter().zip(FIRST..) {
        let job = json!({
            "BatchJobRecId": id, "JobDescription": sample.description, "CompanyAccounts": COMPANY, "Status": "Waiting",
        });
        odata.create("BatchJobs", &job).await?;
    }
    Ok(())
}

/// Runs jobs as long as the demonstration lasts.
pub(super) async fn run(odata: OData) -> Result<(), ClientError> {
    let mut looks = interval(LOOK);
    let mut failed = [0_u32; SAMPLES.len()];
    let mut at = 0;
    loop {
        looks.tick().await;
        let board = odata.board(FIRST).await?;
        // One job at a time, each in its turn: somebody is watching.
        let waiting = (0..SAMPLES.len())
            .map(|step| (at + step) % SAMPLES.len())
            .find(|position| board.jobs.get(*position).is_some_and(|job| job.status == "Waiting"));
        if let Some(position) = waiting
            && let (Some(job), Some(sample), Some(failed)) =
                (board.jobs.get(position), SAMPLES.get(position), failed.get_mut(position))
        {
            at = position + 1;
            if !odata.set_status(job.id, "Executing").await? {
                continue;
            }
            sleep(RUN).await;
            if sample.fails.is_none_or(|fails| *failed < fails) {
                *failed += 1;
                odata.set_status(job.id, "Error").await?;
            } else {
                *failed = 0;
                odata.set_status(job.id, "Finished").await?;
                tokio::spawn(schedule_again(odata.clone(), job.id));
            }
        }
    }
}

/// A job that recurs: it waits again after a while.
async fn schedule_again(odata: OData, job: i64) {
    sleep(REST).await;
    // It may be anywhere by then, or the host at its end.
    let _ = odata.schedule(job).await;
}
