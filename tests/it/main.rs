//! The integration tests, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::cast_precision_loss,
    reason = "what goes wrong in a test is a failed test; tables of cases are long and typed in place"
)]

mod architecture;
mod auth;
mod bank;
mod batch_faults;
mod batch_json;
mod batch_multipart;
mod by_number;
mod call_budget;
mod captures;
mod check_rules;
mod clients;
mod closed_loop;
mod cors;
mod courier;
mod documents;
mod edge_limits;
mod endpoints;
mod envelope;
mod equivalence;
mod faults;
mod fuzz;
mod host;
mod isolation;
mod jobs;
mod kill;
mod lambda;
mod ledger;
mod lenient;
mod links;
mod lost_answers;
mod model_rules;
mod moved;
mod outbox;
mod own_loop;
mod own_writes;
mod pictures;
mod races;
mod readme;
mod repeats;
mod requests;
mod requeue_soak;
mod requeues;
mod rig;
mod samples;
mod seeds;
mod siege;
mod soak;
mod staged;
mod starts;
mod strict;
mod telemetry;
mod tells;
mod too_large;
mod units;
mod web_pages;
mod webhook;
mod writes;
