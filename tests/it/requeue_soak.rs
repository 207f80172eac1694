//! Events come several times, in any order, from many senders at once; the table fails now and then, the environment
//! throttles, breaks off and loses answers, and the host is killed again and again. In the end each failure was decided
//! once, no job was requeued more often than its rule allows, and none is exhausted that was not requeued so often. The full
//! numbers: see `soak`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rand::{Rng, seq::SliceRandom};
use serde_json::{Value, json};
use shared::events::{Secret, sign};
use tests::{
    binaries::example,
    environment::{CLIENT_ID, CLIENT_SECRET, Call, Environment, Kind, SCOPE, Trouble},
    host::Host,
};
use tokio::process::Command;
use uuid::Uuid;

use crate::soak::rounds;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SENDERS: usize = 16;
/// The limit of the rule.
const LIMIT: usize = 5;
/// Each event is sent so many times at most.
const COPIES: usize = 5;
/// Percent of the calls to the table that suffer something.
const FAULTS: &str = "2";
/// In jobs that finish, each so-manieth event says so.
const FINISHES: usize = 20;
/// For all to be done once nobody sends any more: longer than a target that failed is left alone at most.
const PATIENCE: Duration = Duration::from_mins(15);
/// Requests in a row that suffer something at most, so that the environment is not left alone for longer each time.
const IN_A_ROW: usize = 2;
const FIRST: i64 = 5_950_000_001;

/// What happens to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    /// It fails and fails.
    Fails,
    /// It fails fewer times than the limit.
    FailsThrice,
    /// It finishes now and then.
    Finishes,
}

/// An event to send.
#[derive(Clone, Copy, Debug)]
struct Event {
    job: usize,
    /// Its place among those of its job.
    at: usize,
}

/// What the senders share.
struct Post {
    url: Mutex<String>,
    waiting: Mutex<VecDeque<Event>>,
    /// When each event happened, by its id: just before it is sent for the first time.
    times: Mutex<HashMap<String, Timestamp>>,
    answered: AtomicUsize,
    repeated: AtomicUsize,
    known: AtomicUsize,
}

fn life(job: usize) -> Life {
    [Life::Fails, Life::Fails, Life::FailsThrice, Life::Finishes][job % 4]
}

/// The name of the event, by its place among those of its job.
fn name(life: Life, at: usize) -> &'static str {
    match life {
        Life::Finishes if at % FINISHES == FINISHES - 1 => "Finished",
        Life::FailsThrice if at >= 3 => "Started",
        _ => "Failed",
    }
}

impl Event {
    fn id(self) -> String {
        let name = format!("{} {}", self.job, self.at);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string().to_uppercase()
    }

    fn body(self, post: &Post) -> String {
        let (name, id) = (name(life(self.job), self.at), self.id());
        let time = *post.times.lock().unwrap().entry(id.clone()).or_insert_with(Timestamp::now);
        let body = json!({
            "BusinessEventId": format!("BatchJob{name}BusinessEvent"), "BusinessEventLegalEntity": "usmf",
            "ControlNumber": 1_000_000 + self.at, "EventId": id, "EventTimeIso8601": time.to_string(),
            "JobDescription": "soak", "JobId": FIRST + i64::try_from(self.job).unwrap(),
        });
        body.to_string()
    }
}

fn policy(environment: &Environment) -> String {
    format!(
        "[sources.fo]\ntarget = \"fo\"\nauthentication = {{ signature = [\"{SECRET}\"] }}\n\
         [targets.fo]\nurl = \"{}\"\nrepeatability = true\ntimeout = \"2s\"\n\
         [targets.fo.authentication.client_credentials]\ntoken_url = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
         client_secret = \"{CLIENT_SECRET}\"\nscope = \"{SCOPE}\"\n\
         [[rules]]\nname = \"again\"\naction = \"requeue\"\nmax_retries = {LIMIT}\n",
        environment.url(),
        environment.token_url()
    )
}

/// What an environment does on a bad day, until it is `quiet` again.
fn bad_day(quiet: &AtomicBool, in_a_row: &AtomicUsize, call: &Call) -> Option<Trouble> {
    let before = in_a_row.load(Ordering::Relaxed);
    let trouble = trouble(call).filter(|_| before < IN_A_ROW && !quiet.load(Ordering::Relaxed));
    in_a_row.store(if trouble.is_some() { before + 1 } else { 0 }, Ordering::Relaxed);
    trouble
}

fn trouble(call: &Call) -> Option<Trouble> {
    let bad = match call.kind {
        Kind::Token => return (call.number % 7 == 3).then_some(Trouble::Html(503)),
        _ => rand::rng().random_range(0..100),
    };
    Some(match bad {
        0..3 => Trouble::LostAfter,
        3..5 => Trouble::Lost,
        5..7 => Trouble::HtmlAfter(200),
        7..9 => Trouble::HtmlAfter(500),
        9..10 => Trouble::Throttled(1),
        10..11 => Trouble::Unauthorized,
        11..12 => Trouble::Html(503),
        12..13 => Trouble::Slow(Duration::from_millis(2_500)),
        _ => return None,
    })
}

async fn start(data: &Path, policy: &Path, seed: usize, post: &Post) -> Host {
    let mut command = Command::new(example("faulty_host"));
    command.args([data, policy]).args([FAULTS, &seed.to_string()]).stdout(Stdio::piped()).kill_on_drop(true);
    let host = Host::run(command).await;
    host.url().clone_into(&mut post.url.lock().unwrap());
    host
}

/// Sends what waits until nothing does; what is not answered with 2xx is sent again, as every sender does.
async fn send(post: Arc<Post>) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let secret = Secret::parse(SECRET).unwrap();
    loop {
        let Some(event) = post.waiting.lock().unwrap().pop_front() else { return };
        let (id, body) = (event.id(), event.body(&post));
        loop {
            let now = Timestamp::now().as_second();
            let signature = sign(&secret, &id, now, body.as_bytes());
            let url = format!("{}/events/fo", post.url.lock().unwrap());
            let request = client.post(url).header("content-type", "application/json").header("webhook-id", &id);
            let request = request.header("webhook-timestamp", now).header("webhook-signature", signature);
            match request.body(body.clone()).send().await {
                Ok(answer) if answer.status() == 200 => {
                    let known = answer.json::<Value>().await.is_ok_and(|body| body["events"][0]["duplicate"] == true);
                    post.known.fetch_add(usize::from(known), Ordering::Relaxed);
                    post.answered.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Ok(answer) if answer.status() != 503 => panic!("{}: {body}", answer.status()),
                _ => {
                    post.repeated.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn rows(url: &str, path: &str) -> Vec<Value> {
    let client = reqwest::Client::new();
    let (mut rows, mut next) = (Vec::new(), Some(format!("{url}/data/{path}")));
    while let Some(url) = &next {
        // The table fails for readers, too.
        let Ok(answer) = client.get(url).send().await else { continue };
        let Ok(body) = answer.json::<Value>().await else { continue };
        if body["error"].is_object() {
            continue;
        }
        rows.extend(body["value"].as_array().cloned().unwrap_or_default());
        next = body["@odata.nextLink"].as_str().map(str::to_owned);
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_of_events_that_come_often_and_in_any_order() {
    let (jobs, events, kills) = (rounds(8, 50), rounds(40, 200), rounds(2, 20));
    let (quiet, in_a_row) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    let environment = Environment::start(true, {
        let quiet = Arc::clone(&quiet);
        move |call| bad_day(&quiet, &in_a_row, call)
    })
    .await;
    for job in 0..jobs {
        let id = FIRST + i64::try_from(job).unwrap();
        environment.set(id, "Error");
        environment.keeps_failing(id);
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, policy_file) = (folder.path().join("data.db"), folder.path().join("policy.toml"));
    std::fs::write(&policy_file, policy(&environment)).unwrap();
    let mut waiting: Vec<Event> = Vec::new();
    for job in 0..jobs {
        for at in 0..events {
            let copies = rand::rng().random_range(1..=COPIES);
            waiting.extend(std::iter::repeat_n(Event { job, at }, copies));
        }
    }
    waiting.shuffle(&mut rand::rng());
    let sent = waiting.len();
    let post = Arc::new(Post {
        url: Mutex::default(),
        waiting: Mutex::new(waiting.into()),
        times: Mutex::default(),
        answered: AtomicUsize::new(0),
        repeated: AtomicUsize::new(0),
        known: AtomicUsize::new(0),
    });
    let begun = Instant::now();
    let mut host = start(&data, &policy_file, 0, &post).await;
    let senders: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(send(Arc::clone(&post)))).collect();
    for kill in 1..=kills {
        // At about the same distance of events, as long as there are any.
        let until = sent * kill / (kills + 1);
        while post.answered.load(Ordering::Relaxed) < until && begun.elapsed() < 4 * PATIENCE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        host.kill().await;
        host = start(&data, &policy_file, kill, &post).await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    quiet.store(true, Ordering::Relaxed);
    let decided = settled(&host).await;
    let effects: Vec<(i64, String)> =
        environment.effects().into_iter().map(|effect| (effect.job, effect.request_id)).collect();
    report(&decided, &effects, (sent, &post, kills, begun.elapsed()));
    check(jobs, events, &decided, &effects);
    exhaust(jobs, events, &host, &post).await;
    for job in (0..jobs).filter(|job| life(*job) == Life::Fails) {
        let done =
            environment.effects().iter().filter(|effect| effect.job == FIRST + i64::try_from(job).unwrap()).count();
        assert_eq!(done, LIMIT, "job {job}");
    }
    host.kill().await;
}

/// Lets the jobs that fail and fail do so until each is exhausted: by requeues, one for each failure.
async fn exhaust(jobs: usize, events: usize, host: &Host, post: &Arc<Post>) {
    let failing: Vec<usize> = (0..jobs).filter(|job| life(*job) == Life::Fails).collect();
    for at in events..=events + LIMIT {
        post.waiting.lock().unwrap().extend(failing.iter().map(|job| Event { job: *job, at }));
        send(Arc::clone(post)).await;
        settled(host).await;
    }
    let decided = rows(host.url(), "RequeueDecisions").await;
    for job in failing {
        let last = decided.iter().find(|row| of_job(row) == job && row["ControlNumber"] == 1_000_000 + events + LIMIT);
        assert_eq!(last.map(|row| &row["Decision"]), Some(&json!("Exhausted")), "job {job}");
    }
}

/// The decisions, once none of them is under way any more.
async fn settled(host: &Host) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let pending = rows(
            host.url(),
            "RequeueDecisions?$filter=Status eq Microsoft.Dynamics.DataEntities.RequeueStatus'Pending'",
        )
        .await;
        if pending.is_empty() {
            return rows(host.url(), "RequeueDecisions").await;
        }
        assert!(start.elapsed() < PATIENCE, "stuck: {pending:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn of_job(row: &Value) -> usize {
    usize::try_from(row["BatchJobRecId"].as_i64().unwrap() - FIRST).unwrap()
}

fn is(row: &Value, name: &str, value: &str) -> bool {
    row[name] == value
}

fn report(decided: &[Value], effects: &[(i64, String)], (sent, post, kills, time): (usize, &Post, usize, Duration)) {
    let mut table: BTreeMap<Life, BTreeMap<String, usize>> = BTreeMap::new();
    for row in decided {
        let line = table.entry(life(of_job(row))).or_default();
        *line.entry(row["Decision"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for (job, _) in effects {
        let line = table.entry(life(usize::try_from(job - FIRST).unwrap())).or_default();
        *line.entry("requeued".into()).or_default() += 1;
    }
    let [answered, repeated, known] =
        [&post.answered, &post.repeated, &post.known].map(|count| count.load(Ordering::Relaxed));
    eprintln!(
        "{} events, {sent} deliveries by {SENDERS} senders, {repeated} of them sent again, {kills} kills, {time:.1?}",
        decided.len()
    );
    eprintln!("{answered} answered with 200, {known} of them known already");
    for (life, line) in table {
        eprintln!("{life:?}: {line:?}");
    }
}

fn check(jobs: usize, events: usize, decided: &[Value], effects: &[(i64, String)]) {
    let ids: BTreeSet<&str> = decided.iter().filter_map(|row| row["EventId"].as_str()).collect();
    assert_eq!((decided.len(), ids.len()), (jobs * events, jobs * events), "every event has one decision");
    let distinct: BTreeSet<&(i64, String)> = effects.iter().collect();
    assert_eq!(distinct.len(), effects.len(), "no failure has requeued its job twice");
    let mut requeued: HashMap<usize, usize> = HashMap::new();
    for (job, _) in effects {
        *requeued.entry(usize::try_from(job - FIRST).unwrap()).or_default() += 1;
    }
    for job in 0..jobs {
        let rows: Vec<&Value> = decided.iter().filter(|row| of_job(row) == job).collect();
        let count = |decision: &str| rows.iter().filter(|row| is(row, "Decision", decision)).count();
        let done = requeued.get(&job).copied().unwrap_or(0);
        // What was decided was done and nothing else; but a job that finished before its turn came is left alone.
        let decided: Vec<_> = rows.iter().filter(|row| is(row, "Decision", "Requeue")).collect();
        let left = decided.iter().filter(|row| is(row, "LastError", "the job finished after this failure")).count();
        // (Of those some may have been done all the same: their answer was lost before.)
        let requeued = decided.iter().filter(|row| is(row, "Status", "Requeued")).count();
        assert!((requeued..=requeued + left).contains(&done), "job {job}: {requeued} of {done}, {left} left alone");
        assert_eq!((decided.len(), left > 0 && life(job) != Life::Finishes), (requeued + left, false), "job {job}");
        let failures = (0..events).filter(|at| name(life(job), *at) == "Failed").count();
        match life(job) {
            Life::Fails | Life::FailsThrice => {
                assert!((1..=failures.min(LIMIT)).contains(&done), "job {job}: {done}");
                // A requeue supersedes the failures that it answers, and only the limit exhausts.
                assert_eq!(count("Exhausted") + count("Superseded"), failures - done, "job {job}");
                assert!(count("Exhausted") == 0 || done == LIMIT, "job {job}: {done}");
            }
            Life::Finishes => {
                // Between two ends, never more than the limit.
                let time = |row: &Value| row["EventDateTime"].as_str().unwrap().to_owned();
                let ends: BTreeSet<String> =
                    rows.iter().filter(|row| is(row, "Event", "Finished")).map(|row| time(row)).collect();
                let mut between: BTreeMap<usize, usize> = BTreeMap::new();
                for row in rows.iter().filter(|row| is(row, "Status", "Requeued")) {
                    *between.entry(ends.range(..time(row)).count()).or_default() += 1;
                }
                assert!(between.values().all(|count| *count <= LIMIT), "job {job}: {between:?}");
                // An end that comes early supersedes what comes late from before it: nothing is left out all the same.
                let decided = ["Requeue", "Exhausted", "Superseded"].map(count).iter().sum::<usize>();
                assert_eq!((decided, count("Reset")), (failures, events - failures), "job {job}");
            }
        }
    }
}
