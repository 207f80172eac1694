//! Lambda function: writes down what changes of batch jobs are to the outside, and sends what is due: events to endpoints,
//! and calls that requeue jobs to targets.
//!
//! # Who invokes it
//!
//! - A mapping of the table's stream for **changes** of jobs and endpoints. Rows are written, nothing is sent: the records
//!   behind these wait. For the service `finance-operations` its filter is
//!   ```json
//!   {"dynamodb": {"Keys": {"pk": {"S": [
//!     {"prefix": "E|finance-operations||BatchJobs"},
//!     {"prefix": "E|finance-operations||BusinessEventEndpoints"}]}}}}
//!   ```
//! - A second mapping of the same stream for **new deliveries**, and for **decisions** that are new or carried out again,
//!   which sends what is due for up to 40 seconds. Its two filters:
//!   ```json
//!   {"eventName": ["INSERT"],
//!    "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "E|finance-operations||BusinessEventDeliveries"}]}}}}
//!   ```
//!   ```json
//!   {"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "E|finance-operations||RequeueDecisions"}]}},
//!                 "NewImage": {"dp": {"S": [{"exists": true}]}}}}
//!   ```
//!   The second one takes INSERT and MODIFY, which is what the action Rerun does, of rows that something is to be done
//!   about. The outbox's own changes of them come along, and send nothing.
//! - A **schedule**, once a minute: retries, requeues that wait for their time, what is sent again by hand, what waits for
//!   endpoints that were deleted, and whatever there was no time for. An attempt to deliver takes up to ten seconds, one to
//!   requeue up to a second, the target's `timeout`, once more where it keeps no ids, and ten seconds where it wants a token.
//!
//! Which it is follows from the records: only a batch of nothing but deliveries and decisions sends. Without filters all of
//! it works, by the schedule. Both mappings need `ReportBatchItemFailures`; the stream has to show both images.
//!
//! # Its timeout
//!
//! An attempt is begun only when it can end in time. So the function needs **twice the longest `timeout` of a target and 31
//! seconds** at least, and more to make several attempts one after another: 90 seconds for a `timeout` of 20 seconds, two
//! minutes for any. Where it has less, it never calls that target, and each scheduled invocation logs an error.

mod config;
mod handler;

use config::Config;
use handler::{EventError, Handler};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde_json::value::RawValue;
use shared::telemetry;

// What it does is waiting: for the table, for endpoints.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::function();
    let handler = Handler::new(Config::from_vars(|name| std::env::var(name).ok())?).await?;
    let handler = &handler;
    let service = service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        handler.handle(event.payload.get(), &event.context).await.map_err(|error| diagnostic(&error))
    });
    Runtime::new(service).run().await
}

fn diagnostic(error: &EventError) -> Diagnostic {
    Diagnostic { error_type: error.name().to_owned(), error_message: error.to_string() }
}
