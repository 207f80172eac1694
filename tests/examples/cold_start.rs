//! Compares the starts of the functions, with the services of this workspace, with that of an empty one:
//! `cargo run --release -p tests --example cold_start [starts]`.
//!
//! What is measured is the time from the start of the process to its first request for an event. They take turns.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the command line")]

use std::{env, time::Duration};

use tests::{
    binaries::example,
    functions::{FUNCTIONS, Surroundings},
    runtime_api::Function,
};

/// Starts of each function when the command line does not say.
const STARTS: usize = 31;

#[tokio::main]
async fn main() {
    let starts = env::args().nth(1).map_or(STARTS, |count| count.parse().expect("a number of starts"));
    let surroundings = Surroundings::start().await;
    let empty = example("empty_function");
    let (mut of_empty, mut of_functions) = (Vec::new(), FUNCTIONS.map(|_| Vec::new()));
    for _ in 0..starts.max(1) {
        of_empty.push(Function::start(&empty, &[]).await.start_time().await);
        for (name, times) in FUNCTIONS.into_iter().zip(&mut of_functions) {
            times.push(surroundings.function(name).await.start_time().await);
        }
    }
    let empty = report("empty function", of_empty);
    for (name, times) in FUNCTIONS.into_iter().zip(of_functions) {
        let time = report(name, times);
        println!("{name} is {:.2} times the empty function, {:+.2} ms", ratio(time, empty), ms(time) - ms(empty));
    }
}

/// Prints the distribution and returns its median.
fn report(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let at = |share: usize| times.get((times.len() - 1) * share / 100).copied().unwrap_or_default();
    println!("{name:>14}: median {:.2} ms, p90 {:.2} ms, {} starts", ms(at(50)), ms(at(90)), times.len());
    at(50)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
