//! Attempts of a web page of another origin to write to a host without authentication, in a real browser: `foreign_page [REBATCH]`.
//!
//! The program starts `rebatch` (or the program that is named, such as an older build), and Chromium without a window, with a page of
//! `evil.example` that tries to write by all that a browser sends without asking first, and one of `rebound.example`, a
//! name that leads to the host once its page is there. Then it asks the host what took effect, and fails if
//! anything did. Needs `chromium`; everything stays on this machine.

#![expect(clippy::print_stdout, reason = "it is a report")]

mod site;

use std::{collections::BTreeMap, env, error::Error, path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use site::{Site, Told};
use tempfile::TempDir;
use tests::{
    binaries::binary,
    host::{self, Host, command_of},
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

/// For a page to load and to tell how its attempts went.
const PATIENCE: Duration = Duration::from_mins(1);
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1",
];

/// Failed jobs that the pages try to change.
const JOBS: [i64; 6] = [REQUEUED, RERUN, TOLD, DELETED, REBOUND_DELETED, REBOUND_TOLD];
const REQUEUED: i64 = 5_900_000_001;
const RERUN: i64 = 5_900_000_002;
const TOLD: i64 = 5_900_000_003;
const DELETED: i64 = 5_900_000_004;
const REBOUND_DELETED: i64 = 5_900_000_005;
const REBOUND_TOLD: i64 = 5_900_000_006;

type Failed = Box<dyn Error>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let program = env::args_os().nth(1).map_or_else(|| binary("rebatch"), PathBuf::from);
    let host = Host::run(command_of(&program, &["--memory", "--no-outbox"])).await;
    let client = Client { url: host.url().to_owned(), http: reqwest::Client::new() };
    let rerun = client.prepare().await?;
    let mut told = BTreeMap::new();
    for page in ["foreign", "rebound"] {
        told.extend(visit(&host, page, &rerun).await?);
    }
    let took_effect = client.effects(&told).await?;
    println!("{:<16} {:<8} the page was told", "attempt", "effect");
    for (attempt, effect) in &took_effect {
        let said = told.get(*attempt).map_or("nothing", String::as_str);
        println!("{attempt:<16} {:<8} {said}", if *effect { "YES" } else { "no" });
    }
    let count = took_effect.values().filter(|effect| **effect).count();
    println!("{count} of {} attempts took effect on {}", took_effect.len(), program.display());
    if count == 0 { Ok(()) } else { Err("a foreign page changed or read something".into()) }
}

/// Opens a page in a browser, and waits until it has told how its attempts went.
async fn visit(host: &Host, page: &'static str, rerun: &str) -> Result<Told, Failed> {
    let (done, listener) = site::listener().await?;
    let fill = |text: &str| {
        text.replace("{host}", host.url())
            .replace("{done}", &done)
            .replace("{rerun}", rerun)
            .replace("{requeue}", &REQUEUED.to_string())
            .replace("{delete}", &DELETED.to_string())
            .replace("{rebound_delete}", &REBOUND_DELETED.to_string())
            .replace("{event}", &event("BatchJobFailedBusinessEvent", TOLD).to_string())
            .replace("{rebound_event}", &event("BatchJobFailedBusinessEvent", REBOUND_TOLD).to_string())
    };
    let pages = BTreeMap::from([
        ("/foreign", fill(include_str!("foreign.html"))),
        ("/rebound", fill(include_str!("rebound.html"))),
    ]);
    let name = if page == "foreign" { "evil.example" } else { "rebound.example" };
    let address = host.url().trim_start_matches("http://").to_owned();
    let (tell, mut hear) = mpsc::channel(1);
    let site = Site::start(pages, address, listener, tell).await?;
    let profile = TempDir::new()?;
    let mut browser = browser(&profile, &format!("http://{name}:{}/{page}", site.port))?;
    let told = timeout(PATIENCE, hear.recv()).await;
    browser.kill().await?;
    Ok(told.map_err(|_| format!("the page {page} told nothing"))?.ok_or("no page")?)
}

fn browser(profile: &TempDir, url: &str) -> Result<Child, Failed> {
    for name in BROWSERS {
        let mut command = Command::new(name);
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
        match command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn() {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(format!("none of {} is installed", BROWSERS.join(", ")).into())
}

fn event(id: &str, job: i64) -> Value {
    json!({
        "BusinessEventId": id, "BusinessEventLegalEntity": "usmf", "ControlNumber": job,
        "EventId": format!("8D1220EB-E514-4E35-844E-{job:012}"), "JobId": job, "JobDescription": "foreign page",
        "JobStatus": "Error", "EventTimeIso8601": jiff::Timestamp::now().to_string(),
    })
}

/// The value at a place in JSON; null where nothing is.
fn at<'v>(value: &'v Value, place: &str) -> &'v Value {
    value.pointer(place).unwrap_or(&Value::Null)
}

/// A client of the host itself.
struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value), Failed> {
        let mut request = self.http.request(method.parse()?, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    }

    /// Makes failed jobs, and a decision that does nothing until it is run again; the path of that.
    async fn prepare(&self) -> Result<String, Failed> {
        // The host requeues its own failures otherwise. An older one has no such endpoint.
        self.send("DELETE", host::OWN_LOOP, None).await?;
        for job in JOBS {
            let made = json!({ "BatchJobRecId": job, "JobDescription": "foreign page", "Status": "Waiting" });
            self.must("POST", "/data/BatchJobs", made).await?;
            for status in ["Executing", "Error"] {
                self.must("PATCH", &format!("/data/BatchJobs({job})"), json!({ "Status": status })).await?;
            }
        }
        self.must("POST", "/events/local", event("BatchJobCancelledBusinessEvent", RERUN)).await?;
        let id = format!("8d1220eb-e514-4e35-844e-{RERUN:012}");
        let decision = format!("/data/RequeueDecisions(BatchJobRecId={RERUN},Target='own',EventId={id})");
        let (status, body) = self.send("GET", &decision, None).await?;
        if status != 200 || at(&body, "/Decision") != "NoRule" {
            return Err(format!("no decision to run again: {status} {body}").into());
        }
        Ok(format!("{decision}/Microsoft.Dynamics.DataEntities.Rerun"))
    }

    async fn must(&self, method: &str, path: &str, body: Value) -> Result<(), Failed> {
        let (status, answer) = self.send(method, path, Some(body)).await?;
        if (200..300).contains(&status) { Ok(()) } else { Err(format!("{method} {path}: {status} {answer}").into()) }
    }

    /// Which attempts took effect.
    async fn effects(&self, told: &Told) -> Result<BTreeMap<&'static str, bool>, Failed> {
        let mut effects = BTreeMap::new();
        let (_, endpoints) = self.send("GET", "/data/BusinessEventEndpoints", None).await?;
        let names: Vec<&Value> =
            at(&endpoints, "/value").as_array().into_iter().flatten().map(|row| at(row, "/Name")).collect();
        for name in [
            "blob",
            "bytes",
            "text",
            "beacon",
            "form-text",
            "form-urlencoded",
            "form-data",
            "batch",
            "batch-text",
            "json",
        ] {
            effects.insert(name, names.contains(&&json!(name)));
        }
        effects.insert("rebound-create", names.contains(&&json!("rebound")));
        effects.insert("requeue", at(&self.job(REQUEUED).await?.1, "/Status") == "Waiting");
        for (name, job) in [("delete", DELETED), ("rebound-delete", REBOUND_DELETED)] {
            effects.insert(name, self.job(job).await?.0 == 404);
        }
        for (name, job) in [("event", TOLD), ("rebound-event", REBOUND_TOLD)] {
            effects.insert(name, self.decision(job, "Decision").await? != Value::Null);
        }
        effects.insert("rerun", self.decision(RERUN, "RerunDateTime").await? != Value::Null);
        for (name, path) in [
            ("account", "/api/data/v9.2/accounts?$filter=name%20eq%20'foreign%20page'"),
            ("airline", "/trippin/Airlines?$filter=AirlineCode%20eq%20'FP'"),
        ] {
            let (_, rows) = self.send("GET", path, None).await?;
            effects.insert(name, at(&rows, "/value").as_array().is_some_and(|rows| !rows.is_empty()));
        }
        effects.insert("rebound-read", told.get("rebound-read").is_some_and(|told| told.starts_with("200 ")));
        Ok(effects)
    }

    async fn job(&self, job: i64) -> Result<(u16, Value), Failed> {
        self.send("GET", &format!("/data/BatchJobs({job})"), None).await
    }

    /// A property of the decision about a job; null where there is none.
    async fn decision(&self, job: i64, property: &str) -> Result<Value, Failed> {
        let path = format!("/data/RequeueDecisions?$filter=BatchJobRecId%20eq%20{job}");
        let (_, rows) = self.send("GET", &path, None).await?;
        Ok(at(&rows, &format!("/value/0/{property}")).clone())
    }
}
