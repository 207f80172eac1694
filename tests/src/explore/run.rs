//! One run: actors over a table of their own, a choice at a time.

use std::{cell::Cell, collections::BTreeMap, sync::Arc};

use aws_smithy_runtime_api::client::http::HttpConnector;
use jiff::{SignedDuration, Timestamp};
use local::embedded::Embedded;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    Budget, Started, Watch, World,
    gate::{Board, Gate, Verdict, number},
};

thread_local! {
    static CLOCK: Cell<i64> = const { Cell::new(0) };
}

/// What the clock jumps by: beyond every lease, in seconds.
const JUMP: i64 = 60 * 60;

/// The time of a run: it stands still between jumps.
pub fn now() -> Timestamp {
    let start = Timestamp::from_second(1_800_000_000).expect("a time");
    start + SignedDuration::from_millis(CLOCK.get())
}

fn move_clock(by: SignedDuration) {
    CLOCK.set(CLOCK.get() + i64::try_from(by.as_millis()).expect("a test takes no ages"));
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    /// The call of an actor is run.
    Step(usize),
    /// An actor never goes on.
    Crash(usize),
    /// The call of an actor is lost before it arrives.
    Drop(usize),
    /// The answer of a call is lost.
    Lose(usize),
    /// A call is given up, and arrives later.
    Delay(usize),
    /// The call that was delayed arrives.
    Arrive,
    /// All leases are over.
    Jump,
}

/// The items of the table, by partition and sort key.
pub type Items = BTreeMap<(String, String), Value>;

/// A run.
pub(super) struct Run {
    database: Embedded,
    board: Arc<Board>,
    tasks: Vec<JoinHandle<()>>,
    watch: Box<dyn Watch>,
    items: Items,
    /// The last record of the stream that is in `items`.
    last: Option<String>,
    gone: Vec<usize>,
    /// Who made the last call.
    current: Option<usize>,
    budget: Budget,
    used: Budget,
    /// What of the invariants counts for later.
    watched: String,
    trace: Vec<String>,
}

impl Run {
    /// Begins a run: all actors stand before their first calls. Each is a millisecond younger than the one before.
    pub(super) async fn start(world: &dyn World, budget: Budget) -> Self {
        CLOCK.set(0);
        let Started { database, actors, watch } = world.start().await;
        let board = Arc::<Board>::default();
        for record in database.records(super::TABLE, None).expect("a stream") {
            board.learn(record.pointer("/dynamodb/NewImage").unwrap_or(&Value::Null));
        }
        let mut tasks = Vec::with_capacity(actors.len());
        for (actor, act) in actors.into_iter().enumerate() {
            let work = act(Gate::new(actor, &board, &database));
            let own = Arc::clone(&board);
            tasks.push(tokio::spawn(async move {
                work.await;
                own.finish(actor);
            }));
            board.settled(actor).await;
            move_clock(SignedDuration::from_millis(1));
        }
        let (items, last, gone) = (Items::new(), None, Vec::new());
        let (used, watched, trace) = (Budget::default(), String::new(), Vec::new());
        let current = None;
        let mut run = Self { database, board, tasks, watch, items, last, gone, current, budget, used, watched, trace };
        run.look();
        run
    }

    /// What may happen next; nothing once all actors are done or gone.
    pub(super) fn choices(&self) -> Vec<Choice> {
        let budget = self.budget;
        let actors: Vec<usize> = (0..self.tasks.len()).filter(|actor| self.goes_on(*actor)).collect();
        let may_switch = self.used.switches < budget.switches;
        let next: Vec<usize> = actors.iter().copied().filter(|actor| may_switch || !self.is_switch(*actor)).collect();
        let mut choices: Vec<Choice> = next.iter().map(|actor| Choice::Step(*actor)).collect();
        if self.used.crashes < budget.crashes {
            choices.extend(actors.iter().map(|actor| Choice::Crash(*actor)));
        }
        if self.used.losses < budget.losses {
            choices.extend(next.iter().flat_map(|actor| [Choice::Drop(*actor), Choice::Lose(*actor)]));
        }
        if self.used.delays < budget.delays {
            choices.extend(next.iter().map(|actor| Choice::Delay(*actor)));
        }
        if self.board.has_delayed() {
            choices.push(Choice::Arrive);
        }
        let is_left = |owner| self.gone.contains(&owner) || self.board.is_done(owner);
        let jumps = self.leases().any(|owner| self.used.jumps < budget.jumps || is_left(owner));
        if jumps && !actors.is_empty() {
            choices.push(Choice::Jump);
        }
        choices
    }

    /// Whether somebody would be interrupted if this actor went on; never where that is not counted.
    fn is_switch(&self, actor: usize) -> bool {
        let is_interrupted = |current: usize| current != actor && self.goes_on(current) && !self.board.is_idle(current);
        self.budget.switches != usize::MAX && self.current.is_some_and(is_interrupted)
    }

    fn goes_on(&self, actor: usize) -> bool {
        !self.gone.contains(&actor) && self.board.is_waiting(actor)
    }

    /// The owners of pending units whose leases are not over.
    fn leases(&self) -> impl Iterator<Item = usize> {
        let records = self.items.iter().filter(move |(_, item)| {
            let lease: Option<Timestamp> = text(item, "/le/S").parse().ok();
            text(item, "/st/S") == "pending" && lease.is_some_and(|lease| lease > now())
        });
        records.filter_map(|((partition, _), _)| self.board.owner(partition.strip_prefix("U|")?))
    }

    /// Makes a choice.
    pub(super) async fn take(&mut self, choice: Choice) {
        if let Choice::Step(actor) | Choice::Drop(actor) | Choice::Lose(actor) | Choice::Delay(actor) = choice {
            self.used.switches += usize::from(self.is_switch(actor));
            self.current = (self.budget.switches != usize::MAX).then_some(actor);
        }
        let step = async |actor: usize, verdict| {
            let operation = self.board.release(actor, verdict);
            self.board.settled(actor).await;
            operation
        };
        let operation = match choice {
            Choice::Step(actor) => step(actor, Verdict::Run).await,
            Choice::Drop(actor) => step(actor, Verdict::Drop).await,
            Choice::Lose(actor) => step(actor, Verdict::Lose).await,
            Choice::Delay(actor) => step(actor, Verdict::Delay).await,
            Choice::Arrive => {
                let request = self.board.arrival();
                HttpConnector::call(&self.database, request).await.expect("an answer that nobody hears");
                String::new()
            }
            Choice::Crash(_) => String::new(),
            Choice::Jump => {
                move_clock(SignedDuration::from_secs(JUMP));
                String::new()
            }
        };
        match choice {
            Choice::Crash(actor) => {
                self.gone.push(actor);
                self.used.crashes += 1;
            }
            Choice::Drop(_) | Choice::Lose(_) => self.used.losses += 1,
            Choice::Delay(_) => self.used.delays += 1,
            Choice::Jump => self.used.jumps += 1,
            Choice::Step(_) | Choice::Arrive => {}
        }
        self.trace.push(format!("{choice:?} {operation}"));
        self.look();
    }

    /// Looks at the table, and checks what must hold of it.
    fn look(&mut self) {
        for record in self.database.records(super::TABLE, self.last.as_deref()).expect("a stream") {
            let key = (text(&record, "/dynamodb/Keys/pk/S"), text(&record, "/dynamodb/Keys/sk/S"));
            match record.pointer("/dynamodb/NewImage").filter(|item| !item.is_null()) {
                Some(item) => self.items.insert(key, item.clone()),
                None => self.items.remove(&key),
            };
            self.last = Some(text(&record, "/dynamodb/SequenceNumber"));
        }
        let checked = self.watch.step(&self.items);
        self.watched = checked.unwrap_or_else(|broken| self.fail(&broken));
    }

    /// A number for all that counts for what may come.
    pub(super) fn state(&self) -> u64 {
        let mut items: Vec<String> = self.items.values().map(|item| self.board.text(item)).collect();
        items.sort_unstable();
        let mut gone = self.gone.clone();
        gone.sort_unstable();
        let current = self.current.map(|actor| (actor, self.board.is_idle(actor)));
        number(&(items, self.board.number(&gone), gone, current, self.used, CLOCK.get(), &self.watched))
    }

    /// Checks the end, when all leases are over.
    pub(super) async fn end(mut self, world: &dyn World) {
        move_clock(SignedDuration::from_secs(JUMP));
        world.clean_up(&self.database).await;
        self.look();
        let answered: Vec<bool> = (0..self.tasks.len()).map(|actor| self.board.is_done(actor)).collect();
        let checked = self.watch.end(&self.items, &answered);
        checked.unwrap_or_else(|broken| self.fail(&broken));
    }

    /// How many choices were made.
    pub(super) fn len(&self) -> usize {
        self.trace.len()
    }

    pub(super) fn fail(&self, broken: &str) -> ! {
        let items: Vec<String> = self.items.values().map(|item| self.board.text(item).replace('\n', " ")).collect();
        panic!("{broken}\nafter:\n{}\nwith:\n{}", self.trace.join("\n"), items.join("\n"))
    }
}

/// The text at a place of a JSON value; empty when there is none.
fn text(json: &Value, pointer: &str) -> String {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Drop for Run {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
