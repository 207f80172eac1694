//! Mutated inputs for everything that reads what clients send.
//!
//! An input is a pure function of its number and the seeds: what a run reports is found again by [`Fuzz::input`] with
//! that number.

mod corpus;
mod mutate;
mod reader;
mod scaling;

use std::{
    any::Any,
    fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use corpus::Corpus;
use mutate::{Random, mutate};
use reader::Reader;
pub use reader::Subject;
pub use scaling::Growth;

/// An input that takes longer is a failure.
const SLOW: Duration = Duration::from_secs(1);
/// An input that takes longer ends the process, with its number: nothing else can be done about a thread.
const STUCK: Duration = Duration::from_secs(20);
/// Numbers a thread takes at a time.
const BLOCK: u64 = 1_000;

/// Seeds, and how to read what is made of them.
#[derive(Debug)]
pub struct Fuzz {
    corpus: Corpus,
    reader: Reader,
}

/// What happened to a range of inputs.
#[derive(Debug, Default)]
pub struct Report {
    /// Inputs by subject, in the order of [`Subject::ALL`]: all, and those that were accepted.
    pub counts: [(u64, u64); Subject::ALL.len()],
    /// What must not happen.
    pub failures: Vec<Failure>,
    /// The longest time that an input took, and its number.
    pub slowest: (Duration, u64),
}

/// An input that was not read as it should be.
#[derive(Debug)]
pub struct Failure {
    /// Its number.
    pub number: u64,
    /// Who read it.
    pub subject: Subject,
    /// The panic, or the time it took.
    pub what: String,
    /// The input.
    pub input: Vec<u8>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input {} for {:?}: {}\n{}", self.number, self.subject, self.what, self.input.escape_ascii())
    }
}

impl Fuzz {
    /// Seeds of its own, the seeds of the shipped services and, where it is present, the reference material.
    pub fn new() -> Self {
        let reader = Reader::new();
        Self { corpus: Corpus::new(reader.services()), reader }
    }

    /// The input of that number.
    pub fn input(&self, number: u64) -> (Subject, Vec<u8>) {
        let mut random = Random::new(number);
        let kinds = Subject::ALL.len() as u64;
        let subject = Subject::ALL.into_iter().nth(usize::try_from(number % kinds).unwrap_or_default());
        let subject = subject.unwrap_or(Subject::Batch);
        let seeds = self.corpus.seeds(subject);
        (subject, mutate(&mut random, seeds))
    }

    /// Reads the inputs of a range of numbers with that many threads.
    pub fn run(&self, numbers: Range<u64>, threads: usize) -> Report {
        let next = AtomicU64::new(numbers.start);
        let began = Instant::now();
        let watches: Vec<Watch> = (0..threads.max(1)).map(|_| Watch::default()).collect();
        let mut report = Report::default();
        thread::scope(|scope| {
            let (next, end) = (&next, numbers.end);
            let workers: Vec<_> =
                watches.iter().map(|watch| scope.spawn(move || self.work(next, end, began, watch))).collect();
            while workers.iter().any(|worker| !worker.is_finished()) {
                for watch in &watches {
                    watch.check(began);
                }
                thread::sleep(Duration::from_millis(20));
            }
            for worker in workers {
                report.add(worker.join().expect("panics are caught"));
            }
        });
        report
    }

    fn work(&self, next: &AtomicU64, end: u64, began: Instant, watch: &Watch) -> Report {
        let mut report = Report::default();
        loop {
            let block = next.fetch_add(BLOCK, Ordering::Relaxed);
            if block >= end {
                return report;
            }
            for number in block..(block + BLOCK).min(end) {
                let started = Instant::now();
                watch.begin(number, started - began);
                let (subject, input) = self.input(number);
                let read = catch_unwind(AssertUnwindSafe(|| self.reader.read(subject, &input)));
                watch.end();
                report.record(number, subject, input, started.elapsed(), read);
            }
        }
    }
}

impl Default for Fuzz {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    fn record(
        &mut self,
        number: u64,
        subject: Subject,
        input: Vec<u8>,
        time: Duration,
        read: Result<bool, Box<dyn Any + Send>>,
    ) {
        let accepted = *read.as_ref().unwrap_or(&false);
        for ((all, good), _) in self.counts.iter_mut().zip(Subject::ALL).filter(|(_, s)| *s == subject) {
            *all += 1;
            *good += u64::from(accepted);
        }
        self.slowest = self.slowest.max((time, number));
        let what = match read {
            Err(panic) => message(&*panic),
            Ok(_) if time > SLOW => format!("{time:?}"),
            Ok(_) => return,
        };
        self.failures.push(Failure { number, subject, what, input });
    }

    fn add(&mut self, other: Self) {
        for ((all, good), (more, more_good)) in self.counts.iter_mut().zip(other.counts) {
            *all += more;
            *good += more_good;
        }
        self.failures.extend(other.failures);
        self.slowest = self.slowest.max(other.slowest);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").to_owned()
}

/// What a thread is at.
#[derive(Debug, Default)]
struct Watch {
    number: AtomicU64,
    /// Milliseconds after the beginning, plus one; 0 = at nothing.
    since: AtomicU64,
}

impl Watch {
    fn begin(&self, number: u64, at: Duration) {
        self.number.store(number, Ordering::Relaxed);
        self.since.store(u64::try_from(at.as_millis()).unwrap_or_default() + 1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    fn check(&self, began: Instant) {
        let since = self.since.load(Ordering::Relaxed);
        let now = u64::try_from(began.elapsed().as_millis()).unwrap_or_default();
        if since > 0 && now.saturating_sub(since) > u64::try_from(STUCK.as_millis()).unwrap_or_default() {
            eprintln!("input {} has no end", self.number.load(Ordering::Relaxed));
            std::process::abort();
        }
    }
}
