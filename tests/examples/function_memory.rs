//! The most memory that each function has (`VmHWM`): when it waits for its first event, and after one; `batch` also after
//! many batches of 100 operations, half of them creates in a change set, half reads:
//! `cargo run --release -p tests --example function_memory [batches]`. More than 64 MiB is a failure.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the command line")]

use std::{env, process::ExitCode, time::Duration};

use serde_json::{Value, json};
use tests::{
    binaries::example,
    functions::{FUNCTIONS, Surroundings, event, http},
    runtime_api::Function,
};
use tokio::time::sleep;

/// Batches when the command line does not say.
const BATCHES: usize = 1_000;
/// Operations of each kind in a batch.
const HALF: usize = 50;
/// The most that a function may have, in KiB.
const LIMIT: u64 = 64 << 10;
/// For what goes on beside the wait for the first event.
const SETTLED: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> ExitCode {
    let batches = env::args().nth(1).map_or(BATCHES, |count| count.parse().expect("a number of batches"));
    let empty = Function::start(&example("empty_function"), &[]).await;
    report("empty function", started(&empty).await, invoked(&empty, event("batch")).await);
    let surroundings = Surroundings::start().await;
    let mut most = 0;
    for name in FUNCTIONS {
        let function = surroundings.function(name).await;
        let start = started(&function).await;
        let one = invoked(&function, event(name)).await;
        report(name, start, one);
        most = most.max(one);
        if name == "batch" {
            most = most.max(many(&function, batches).await);
        }
    }
    if most > LIMIT { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn started(function: &Function) -> u64 {
    function.start_time().await;
    sleep(SETTLED).await;
    function.peak_memory()
}

async fn invoked(function: &Function, event: Value) -> u64 {
    function.invoke(event).await.expect("an answer");
    function.peak_memory()
}

/// Sends batches, and tells of the memory after each tenfold.
async fn many(function: &Function, batches: usize) -> u64 {
    let mut next = 1;
    for number in 1..=batches {
        let answer = function.invoke(batch(number)).await.expect("an answer");
        let body = answer.get("body").and_then(Value::as_str).unwrap_or_default();
        let answers: Value = serde_json::from_str(body).expect("JSON");
        let statuses = answers.get("responses").and_then(Value::as_array).into_iter().flatten();
        let good = statuses.filter(|one| one.get("status").and_then(Value::as_u64).is_some_and(|s| s < 300)).count();
        assert_eq!(good, 2 * HALF, "{body}");
        if number == next || number == batches {
            println!("{:>14}  after {number} batches of {}: {}", "", 2 * HALF, mib(function.peak_memory()));
            next *= 10;
        }
    }
    function.peak_memory()
}

/// Accounts that are made in a change set, and read afterwards.
fn batch(number: usize) -> Value {
    let id = |of: usize| format!("00000000-0000-4000-8000-{:012}", number * HALF + of);
    let creates = (0..HALF).map(|of| {
        json!({
            "id": format!("c{of}"), "atomicityGroup": "g", "method": "POST", "url": "accounts",
            "headers": { "content-type": "application/json" },
            "body": { "accountid": id(of), "name": format!("Account {of} of batch {number}") },
        })
    });
    let reads = (0..HALF).map(|of| {
        json!({ "id": format!("r{of}"), "method": "GET", "url": format!("accounts({})", id(of)), "dependsOn": ["g"] })
    });
    let body = json!({ "requests": creates.chain(reads).collect::<Vec<_>>() }).to_string();
    let headers = json!({ "content-type": "application/json", "accept": "application/json" });
    http("POST", "/api/data/v9.2/$batch", &body, &headers)
}

fn report(name: &str, start: u64, one: u64) {
    println!("{name:>14}: {} at the start, {} after one event", mib(start), mib(one));
}

#[expect(clippy::cast_precision_loss, reason = "for the eye")]
fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
