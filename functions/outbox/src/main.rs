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
//! An event for the endpoint `rebatch:events` goes to no address: it is written down here, with what the policy decides about
//! it, and its decision comes back by the second mapping.
//!
//! Which it is follows from the records: only a batch of nothing but deliveries and decisions sends. Without filters all of
//! it works, by the schedule. Both mappings need `ReportBatchItemFailures`; the stream has to show both images.
//!
//! # Its timeout
//!
//! An attempt is begun only when it can end in time. So the function needs **twice the longest `timeout` of a target and 31
//! seconds** at least, and more to make several attempts one after another: 90 seconds for a `timeout` of 20 seconds, two
//! minutes for any. Where it has less, it never calls that target, and each scheduled invocation logs an error.
//!
//! # Its environment
//!
//! | variable | what it is |
//! |---|---|
//! | `TABLE_NAME` | the DynamoDB table. Needed |
//! | `POLICY_FILE` | sources, rules and targets; `policy.toml` beside the binary without it. No file: no jobs are requeued |
//! | what `{ env = "…" }` names in the policy's targets | their secrets. Those of its sources are not looked at |
//! | `SECRET_ID` | name or ARN of the secret that has those, where the environment has them not: a JSON object of texts in AWS Secrets Manager, read once, when an instance of the function starts |
//! | `ALLOW_PRIVATE_TARGETS` | `true` lets endpoints be in the own network; `false` without it |
//! | `OWN_LOOP` | `true` writes, once for a table, the endpoint `rebatch:events` through which the service tells its own policy of its jobs; `false` without it. The policy needs a target without URL |
//! | `PUBLIC_URL` | what clients call the root of the API, an absolute URL; events say it as their source |
//! | `SERVICES_DIR` | the folder of services; `services` beside the binary without it |
//! | `RUST_LOG` | what is logged; `info` without it |

mod handler;

use std::process::ExitCode;

use handler::Handler;
use shared::function::{OutboxConfig, start};

fn main() -> ExitCode {
    start(|environment| Ok(Handler::new(OutboxConfig::from_vars(environment)?)))
}
