//! All orders in which calls of concurrent actors can reach the table.
//!
//! Each call of an actor waits at its gate until it is chosen; so a list of choices is a run, and the same choices make the
//! same run. All choices are tried from every state. Two runs that come to the same state (the table, and all that each actor
//! was answered, what is random by name) go on alike, so only one of them does.

mod gate;
mod names;
mod run;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use local::embedded::Embedded;
use tokio::runtime::{Builder, Runtime};

pub use gate::Gate;
use run::{Choice, Run};
pub use run::{Items, now};

/// Name of the table.
pub const TABLE: &str = "items";
/// Runs that are under way at once; most of the time of one that waits for others is pauses.
const WORKERS: usize = 12;
/// More choices than any run takes: one that takes more would never end.
const LONGEST: usize = 300;
/// The stack of a worker, in bytes.
const STACK: usize = 16 << 20;

/// How often what is not the next call of an actor may happen in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// An actor is interrupted by another one. One that waits is not; `usize::MAX` allows all orders.
    pub switches: usize,
    /// An actor stops for ever.
    pub crashes: usize,
    /// A call or its answer is lost.
    pub losses: usize,
    /// A call is given up, and arrives later.
    pub delays: usize,
    /// All leases end at once. Those of actors that stopped, or are done, end without being counted.
    pub jumps: usize,
}

/// What an actor does. It does the same whenever it is answered the same.
pub type Act = Box<dyn FnOnce(Gate) -> BoxFuture<'static, ()> + Send>;

/// A run that begins.
pub struct Started {
    /// The table.
    pub database: Embedded,
    /// The actors.
    pub actors: Vec<Act>,
    /// What must hold.
    pub watch: Box<dyn Watch>,
}

/// What is explored.
pub trait World: Sync {
    /// Makes a table and the actors over it.
    fn start(&self) -> BoxFuture<'_, Started>;
    /// What is done once no actor goes on and all leases are over.
    fn clean_up<'r>(&'r self, database: &'r Embedded) -> BoxFuture<'r, ()>;
}

/// What must hold in a run.
pub trait Watch: Send {
    /// After each choice. What it knows of the past that counts for the future, or what is broken.
    fn step(&mut self, items: &Items) -> Result<String, String>;
    /// At the end, with who came to its own.
    fn end(&mut self, items: &Items, answered: &[bool]) -> Result<(), String>;
}

/// What was explored.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// States in which nobody goes on.
    pub ends: usize,
    /// Orders of choices that these states stand for.
    pub schedules: f64,
    /// Runs that were made to see them.
    pub runs: usize,
    /// The most choices of a run.
    pub longest: usize,
    /// Time that it took.
    pub took: Duration,
}

/// A run to make: its choices, and the state before the last one.
type Job = (Vec<Choice>, Option<u64>);

#[derive(Default)]
struct Shared {
    jobs: Vec<Job>,
    /// Workers that may add jobs.
    busy: usize,
    next: HashMap<u64, HashSet<u64>>,
    /// How each state was first come to: the state before it, and the choice there.
    from: HashMap<u64, (u64, Choice)>,
    ends: HashSet<u64>,
    first: Option<u64>,
    runs: usize,
    longest: usize,
    failed: bool,
}

struct Search<'w> {
    world: &'w dyn World,
    budget: Budget,
    shared: Mutex<Shared>,
    more: Condvar,
}

/// Tries all orders. Panics where something is broken, or where a state has no way to an end.
pub fn explore(world: &dyn World, budget: Budget) -> Report {
    let begun = Instant::now();
    let shared = Shared { jobs: vec![(Vec::new(), None)], ..Shared::default() };
    let search = Search { world, budget, shared: Mutex::new(shared), more: Condvar::new() };
    thread::scope(|scope| {
        let worker =
            || thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || search.work()).expect("a thread");
        let workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let shared = std::mem::take(&mut *search.shared());
    let schedules = match shared.check_ways_out() {
        Ok(schedules) => schedules,
        Err((lost, path)) => {
            runtime().block_on(search.show(&path, &format!("from {lost} states there is no way to an end")))
        }
    };
    Report {
        states: shared.next.len(),
        ends: shared.ends.len(),
        schedules,
        runs: shared.runs,
        longest: shared.longest,
        took: begun.elapsed(),
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Search<'_> {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let runtime = runtime();
        while let Some(job) = self.job() {
            let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(self.run(job))));
            let mut shared = self.shared();
            shared.busy -= 1;
            shared.failed |= end.is_err();
            drop(shared);
            self.more.notify_all();
            if let Err(panic) = end {
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// The next job; `None` once there is none and will be none.
    fn job(&self) -> Option<Job> {
        let mut shared = self.shared();
        loop {
            if shared.failed {
                return None;
            }
            if let Some(job) = shared.jobs.pop() {
                shared.busy += 1;
                shared.runs += 1;
                return Some(job);
            }
            if shared.busy == 0 {
                return None;
            }
            shared = self.more.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes the choices of a job, then always the first one that there is, until the state is known.
    async fn run(&self, (mut path, expected): Job) {
        let mut run = Run::start(self.world, self.budget).await;
        let mut before = None;
        for (at, choice) in path.iter().enumerate() {
            if at + 1 == path.len() {
                before = Some(run.state());
                if before != expected {
                    run.fail("the same choices did not lead to the same state");
                }
            }
            run.take(*choice).await;
        }
        loop {
            let state = run.state();
            let choices = run.choices();
            if !self.note(before, state, &path, &choices) {
                return;
            }
            let Some(first) = choices.first() else { return run.end(self.world).await };
            if run.len() >= LONGEST {
                run.fail("it goes on and on");
            }
            path.push(*first);
            run.take(*first).await;
            before = Some(state);
        }
    }

    /// Fails where these choices lead.
    async fn show(&self, path: &[Choice], broken: &str) -> ! {
        let mut run = Run::start(self.world, self.budget).await;
        for choice in path {
            run.take(*choice).await;
        }
        run.fail(broken)
    }

    /// Remembers a step. False when the state was known; else all choices in it but the first become jobs.
    fn note(&self, before: Option<u64>, state: u64, path: &[Choice], choices: &[Choice]) -> bool {
        let mut shared = self.shared();
        shared.longest = shared.longest.max(path.len());
        match before {
            Some(before) => drop(shared.next.entry(before).or_default().insert(state)),
            None => shared.first = Some(state),
        }
        if shared.next.contains_key(&state) {
            return false;
        }
        shared.next.insert(state, HashSet::new());
        if let (Some(before), Some(choice)) = (before, path.last()) {
            shared.from.insert(state, (before, *choice));
        }
        if choices.is_empty() {
            shared.ends.insert(state);
        }
        let others =
            choices.iter().skip(1).map(|choice| (path.iter().copied().chain([*choice]).collect(), Some(state)));
        shared.jobs.extend(others);
        drop(shared);
        self.more.notify_all();
        true
    }
}

impl Shared {
    /// Each state must have a way to an end. Returns how many ways there are from the first state, without those in which
    /// somebody waits and nothing happens; or how many states have none, and the choices that lead to one of them.
    fn check_ways_out(&self) -> Result<f64, (usize, Vec<Choice>)> {
        let mut before: HashMap<u64, Vec<u64>> = HashMap::new();
        for (state, next) in &self.next {
            for next in next {
                before.entry(*next).or_default().push(*state);
            }
        }
        let mut reaching = self.ends.clone();
        let mut stack: Vec<u64> = self.ends.iter().copied().collect();
        while let Some(state) = stack.pop() {
            let ways = before.get(&state).into_iter().flatten();
            stack.extend(ways.filter(|state| reaching.insert(**state)));
        }
        let lost: Vec<Vec<Choice>> =
            self.next.keys().filter(|state| !reaching.contains(state)).map(|state| self.path_to(*state)).collect();
        let count = lost.len();
        lost.into_iter().min_by_key(Vec::len).map_or_else(|| Ok(self.count_ways()), |path| Err((count, path)))
    }

    fn path_to(&self, mut state: u64) -> Vec<Choice> {
        let mut path = Vec::new();
        while let Some((before, choice)) = self.from.get(&state) {
            path.push(*choice);
            state = *before;
        }
        path.reverse();
        path
    }

    fn count_ways(&self) -> f64 {
        let mut ways: HashMap<u64, f64> = HashMap::new();
        let mut open: HashSet<u64> = HashSet::new();
        let mut stack: Vec<(u64, bool)> = self.first.iter().map(|first| (*first, false)).collect();
        while let Some((state, seen)) = stack.pop() {
            let next = || self.next.get(&state).into_iter().flatten().filter(|next| **next != state);
            if seen {
                open.remove(&state);
                let sum: f64 = next().filter_map(|next| ways.get(next)).sum();
                let sum = if self.ends.contains(&state) { 1.0 } else { sum };
                ways.insert(state, sum);
            } else if !ways.contains_key(&state) && open.insert(state) {
                stack.push((state, true));
                stack.extend(next().map(|next| (*next, false)));
            }
        }
        ways.get(&self.first.unwrap_or_default()).copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, ends, schedules, runs, longest, took } = self;
        write!(
            f,
            "{states} states, {ends} ends, {schedules:.2e} schedules of up to {longest} steps; {runs} runs in {took:.1?}"
        )
    }
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").field("actors", &self.actors.len()).finish_non_exhaustive()
    }
}
