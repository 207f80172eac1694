//! Reads mutated inputs, and watches how the time to read them grows with their size:
//! `cargo run --release -p tests --example fuzz [inputs [first]]`; ten million by default.
//!
//! Ends with 1 when something does not hold. `… fuzz 1 N` runs the input that was reported with the number N.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the command line")]

use std::{env, process::ExitCode, thread, time::Instant};

use tests::fuzz::{Fuzz, Subject};

const INPUTS: u64 = 10_000_000;
/// One shape is measured for so many inputs.
const INPUTS_A_SHAPE: u64 = 2_000;
/// Failures that are shown.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    let mut numbers = env::args().skip(1).map(|number| number.parse::<u64>().expect("a number"));
    let inputs = numbers.next().unwrap_or(INPUTS);
    let first = numbers.next().unwrap_or(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let fuzz = Fuzz::new();

    let started = Instant::now();
    let report = fuzz.run(first..first + inputs, threads);
    println!("{inputs} inputs in {:.1?} with {threads} threads", started.elapsed());
    for (subject, (all, accepted)) in Subject::ALL.iter().zip(report.counts) {
        println!("  {subject:?}: {all}, of which {accepted} were accepted");
    }
    println!("  slowest: input {}, {:?}", report.slowest.1, report.slowest.0);
    println!("  failures: {}", report.failures.len());
    report.failures.iter().take(SHOWN).for_each(|failure| println!("{failure}"));

    let started = Instant::now();
    let shapes = inputs / INPUTS_A_SHAPE;
    let growths = fuzz.growth(first..first + shapes);
    println!("{shapes} shapes of growing inputs in {:.1?}", started.elapsed());
    println!("  slower a byte as they grow: {}", growths.len());
    growths.iter().take(SHOWN).for_each(|growth| println!("{growth}"));

    if report.failures.is_empty() && growths.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
