//! What actors do to a few entities, and what must hold of that whatever the order of their calls is.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use local::embedded::Embedded;
use serde_json::{Value, json};
use shared::{
    Engine, Settings,
    store::{self, Deadline, Staging, Store},
};
use tests::explore::{self, Act, Gate, Items, Started, TABLE, Watch, World};

use super::view::{CHILD, ORPHAN, View, left_on, of_items, of_list};
use crate::rig::{Answer, call, member, services};

/// No pause of a run comes near it.
const BUDGET: Duration = Duration::from_mins(10);

/// What an actor does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// A change set that is staged: method, entity and flag. `CHILD` is the creation of a child of `y`.
    Large(&'static [(&'static str, &'static str, &'static str)]),
    /// A change set in one transaction.
    Small(&'static [(&'static str, &'static str, &'static str)]),
    /// A PATCH.
    Patch(&'static str, &'static str),
    /// Reads the list so many times.
    List(usize),
    /// Reads these entities.
    Get(&'static [&'static str]),
    /// Reads these entities in one batch.
    Batch(&'static [&'static str]),
    /// Finishes what is left.
    Sweep,
}

/// What becomes of an entity.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Has(&'static str, &'static str),
    Gone(&'static str),
}

/// What is known of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Not,
    Unknown,
}

#[derive(Debug)]
enum Event {
    Answered(usize, Outcome),
    Listed(usize, View),
    Got(usize, &'static str, Option<BTreeSet<String>>),
}

/// Entities that are there, and who does what to them.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) there: &'static [&'static str],
    pub(super) roles: Vec<Role>,
}

type Log = Arc<Mutex<Vec<Event>>>;

/// Everything as small as it can be: each item is a part.
fn staging(direct_items: usize) -> Staging {
    Staging { direct_items, part_items: 1, at_once: 1, now: explore::now, ..Staging::default() }
}

fn engine(store: Store) -> Engine {
    Engine::new(services(), store, Settings { time_budget: BUDGET, ..Settings::default() })
}

fn url(entity: &str) -> String {
    format!("/trippin/People('{entity}')")
}

async fn send(engine: &Engine, method: &str, url: &str, body: impl Into<Bytes>) -> Answer {
    call(engine, None, method, url, &["accept: application/json"], body.into()).await
}

async fn batch(engine: &Engine, requests: &[Value]) -> Answer {
    send(engine, "POST", "/trippin/$batch", json!({ "requests": requests }).to_string()).await
}

impl Role {
    fn writes(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Large(writes) | Self::Small(writes) => writes,
            _ => &[],
        }
    }

    fn effects(self) -> Vec<Effect> {
        let effect = |(method, entity, flag): &(&'static str, &'static str, &'static str)| match *method {
            "DELETE" => Effect::Gone(entity),
            _ => Effect::Has(entity, flag),
        };
        match self {
            Self::Patch(entity, flag) => vec![Effect::Has(entity, flag)],
            _ => self.writes().iter().map(effect).collect(),
        }
    }

    async fn act(self, actor: usize, gate: Gate, log: Log) {
        let direct = if matches!(self, Self::Large(_)) { 0 } else { 100 };
        let store = Store::new(gate.client(), TABLE).with_staging(staging(direct));
        if matches!(self, Self::Sweep) {
            store.sweep_units(Deadline::after(BUDGET)).await.unwrap();
            return;
        }
        let engine = engine(store);
        let say = |event| log.lock().unwrap().push(event);
        match self {
            Self::Large(_) | Self::Small(_) => {
                let requests = self.writes().iter().enumerate().map(|(at, write)| request(at, *write));
                let requests: Vec<Value> = requests.collect();
                let answer = batch(&engine, &requests).await;
                let statuses = answer.statuses();
                let done = statuses.len() == requests.len() && statuses.iter().all(|status| *status < 300);
                say(Event::Answered(actor, outcome(done, &answer)));
            }
            Self::Patch(entity, flag) => {
                let body = json!({ flag: "1" }).to_string();
                let headers = ["prefer: return=minimal", "if-match: *"];
                let answer = call(&engine, None, "PATCH", &url(entity), &headers, body.into()).await;
                say(Event::Answered(actor, outcome(answer.status < 300, &answer)));
            }
            Self::List(times) => {
                for _ in 0..times {
                    let answer = send(&engine, "GET", "/trippin/People", "").await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    say(Event::Listed(actor, of_list(&answer.json()["value"])));
                }
            }
            Self::Get(entities) => {
                for entity in entities {
                    let answer = send(&engine, "GET", &url(entity), "").await;
                    let found = (answer.status == 200).then(|| of_list(&json!([answer.json()])));
                    let found = found.and_then(|mut view| view.remove(*entity));
                    say(Event::Got(actor, entity, found));
                }
            }
            Self::Batch(entities) => {
                let get = |(at, entity): (usize, &&str)| {
                    member(None, &at.to_string(), "GET", &format!("People('{entity}')"), Value::Null)
                };
                let requests: Vec<Value> = entities.iter().enumerate().map(get).collect();
                let headers = ["accept: application/json", "prefer: odata.continue-on-error"];
                let body = json!({ "requests": requests }).to_string();
                let answer = call(&engine, None, "POST", "/trippin/$batch", &headers, body.into()).await;
                let responses = answer.json()["responses"].as_array().unwrap().clone();
                let found = responses.into_iter().filter(|one| one["status"] == 200).map(|one| one["body"].clone());
                say(Event::Listed(actor, of_list(&found.collect())));
            }
            Self::Sweep => {}
        }
    }
}

fn request(at: usize, (method, entity, flag): (&str, &str, &str)) -> Value {
    let id = at.to_string();
    match method {
        "POST" => {
            let body = json!({ "UserName": entity, "FirstName": "f", "LastName": "l", flag: "1" });
            member(Some("g"), &id, "POST", "People", body)
        }
        "CHILD" => {
            let body = json!({
                "TripId": at, "Name": "n", "Budget": 1, "StartsAt": "2026-01-01T00:00:00Z",
                "EndsAt": "2026-01-01T00:00:00Z", "Tags": [],
            });
            member(Some("g"), &id, "POST", "People('y')/Trips", body)
        }
        "DELETE" => member(Some("g"), &id, "DELETE", &format!("People('{entity}')"), Value::Null),
        _ => member(Some("g"), &id, method, &format!("People('{entity}')"), json!({ flag: "1" })),
    }
}

fn outcome(done: bool, answer: &Answer) -> Outcome {
    if done {
        Outcome::Done
    } else if answer.text().contains("not known") {
        Outcome::Unknown
    } else {
        Outcome::Not
    }
}

impl Scene {
    /// Whether nobody deletes what this effect is about.
    fn lasts(&self, effect: &Effect) -> bool {
        let is_deleted = |entity| {
            let mut effects = self.roles.iter().flat_map(|role| role.effects());
            effects.any(|effect| matches!(effect, Effect::Gone(other) if other == entity))
        };
        match effect {
            Effect::Has(entity, _) => !is_deleted(*entity),
            Effect::Gone(_) => true,
        }
    }
}

impl World for Scene {
    fn start(&self) -> BoxFuture<'_, Started> {
        Box::pin(async {
            let database = Embedded::memory().unwrap();
            let store = Store::new(store::through(database.clone()), TABLE);
            store.ensure_table().await.unwrap();
            let engine = engine(store);
            for entity in self.there {
                let body = json!({ "UserName": entity, "FirstName": "f", "LastName": "l" });
                assert_eq!(send(&engine, "POST", "/trippin/People", body.to_string()).await.status, 201);
            }
            let log = Log::default();
            let actors = self.roles.iter().enumerate().map(|(actor, role)| {
                let (role, log) = (*role, Arc::clone(&log));
                Box::new(move |gate| Box::pin(role.act(actor, gate, log)) as BoxFuture<'static, ()>) as Act
            });
            let actors = actors.collect();
            let count = self.roles.len();
            let (windows, outcomes) = (vec![Vec::new(); count], vec![None; count]);
            let judge = Judge { scene: self.clone(), log, windows, outcomes, last: View::new() };
            Started { database, actors, watch: Box::new(judge) }
        })
    }

    fn clean_up<'r>(&'r self, database: &'r Embedded) -> BoxFuture<'r, ()> {
        Box::pin(async {
            let store = Store::new(store::through(database.clone()), TABLE).with_staging(staging(0));
            store.sweep_units(Deadline::after(BUDGET)).await.unwrap();
        })
    }
}

/// Watches a run.
struct Judge {
    scene: Scene,
    log: Log,
    /// What was to be seen since each actor's last read ended.
    windows: Vec<Vec<View>>,
    outcomes: Vec<Option<Outcome>>,
    last: View,
}

impl Watch for Judge {
    fn step(&mut self, items: &Items) -> Result<String, String> {
        let view = of_items(items);
        for (actor, role) in self.scene.roles.iter().enumerate() {
            let there = applied(&role.effects(), &view);
            if there.contains(&true) && there.contains(&false) {
                return Err(format!("half of what actor {actor} does is to be seen: {view:?}"));
            }
        }
        let is_born_orphan =
            |(name, flags): (&String, &BTreeSet<String>)| flags.contains(ORPHAN) && !self.last.contains_key(name);
        if view.iter().any(is_born_orphan) {
            return Err(format!("a child without a parent: {view:?}"));
        }
        self.last.clone_from(&view);
        for window in &mut self.windows {
            if window.last() != Some(&view) {
                window.push(view.clone());
            }
        }
        let events = std::mem::take(&mut *self.log.lock().unwrap());
        events.into_iter().try_for_each(|event| self.check(event, &view))?;
        Ok(format!("{:?} {:?}", self.windows, self.outcomes))
    }

    fn end(&mut self, items: &Items, answered: &[bool]) -> Result<(), String> {
        let left = left_on(items);
        if !left.is_empty() {
            return Err(format!("left behind: {left:?}"));
        }
        let view = of_items(items);
        for (actor, role) in self.scene.roles.iter().enumerate() {
            let lasting: Vec<Effect> = role.effects().into_iter().filter(|effect| self.scene.lasts(effect)).collect();
            let there = applied(&lasting, &view);
            match self.outcomes.get(actor).copied().flatten() {
                Some(Outcome::Done) if there.contains(&false) => return Err(format!("actor {actor} lost a change")),
                Some(Outcome::Not) if there.contains(&true) => return Err(format!("actor {actor} was not told")),
                None if !there.is_empty() && answered.get(actor) == Some(&true) => {
                    return Err(format!("actor {actor} got no answer"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Judge {
    fn check(&mut self, event: Event, now: &View) -> Result<(), String> {
        let (actor, matches): (usize, Box<dyn Fn(&View) -> bool>) = match &event {
            Event::Answered(actor, outcome) => {
                let effects = self.scene.roles.get(*actor).map(|role| role.effects()).unwrap_or_default();
                self.outcomes[*actor] = Some(*outcome);
                let wrong = *outcome == Outcome::Done && applied(&effects, now).contains(&false);
                return if wrong { Err(format!("{event:?}, and is not done")) } else { Ok(()) };
            }
            Event::Listed(actor, seen) => {
                let read: Option<&[&str]> = match self.scene.roles.get(*actor) {
                    Some(Role::Batch(entities)) => Some(entities),
                    _ => None,
                };
                let part = move |view: &View| -> View {
                    let view = view.clone().into_iter();
                    let is_read = |entity: &str| read.map_or(!entity.starts_with(CHILD), |read| read.contains(&entity));
                    view.filter(|(entity, _)| is_read(entity)).collect()
                };
                (*actor, Box::new(move |view| part(view) == *seen))
            }
            Event::Got(actor, entity, seen) => (*actor, Box::new(move |view| view.get(*entity) == seen.as_ref())),
        };
        let window = std::mem::replace(&mut self.windows[actor], vec![now.clone()]);
        if window.iter().any(matches) { Ok(()) } else { Err(format!("{event:?} was never so: {window:?}")) }
    }
}

/// Which of the effects are to be seen.
fn applied(effects: &[Effect], view: &View) -> Vec<bool> {
    let is_there = |effect: &Effect| match effect {
        Effect::Has(entity, flag) => view.get(*entity).is_some_and(|flags| flags.contains(*flag)),
        Effect::Gone(entity) => !view.contains_key(*entity),
    };
    effects.iter().map(is_there).collect()
}
