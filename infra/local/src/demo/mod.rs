//! `rebatch demo`: jobs that fail, and how they come back without a person.
//!
//! The host tells itself of what happens to its jobs. The rule requeues a job three
//! times; nothing else happens to it then.

mod board;
mod client;
mod jobs;
mod screen;

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use shared::policy::{Policy, PolicyFileError, SecretsOf};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use board::Board;
use client::{ClientError, OData};
use screen::Screen;

/// Between looks at the jobs.
const LOOK: Duration = Duration::from_millis(300);

/// The rules of the demonstration.
const POLICY: &str = r#"
[targets.own]

[[rules]]
name = "leave clean-up alone"
description = "Clean up*"
action = "ignore"

[[rules]]
name = "requeue three times"
action = "requeue"
max_retries = 3
backoff = { initial = "1s", factor = 2, cap = "10s", jitter = 0.1 }
"#;

/// The policy of the demonstration.
pub(crate) fn policy() -> Result<Policy, DemoError> {
    Ok(Policy::parse("the demonstration's policy", POLICY, SecretsOf::Everybody, |_| None)?)
}

/// Makes the jobs, and shows what happens until somebody ends it.
pub(crate) async fn run(host: &str, stop: impl Future<Output = ()>) -> Result<(), DemoError> {
    let odata = OData::new(host)?;
    jobs::create(&odata).await?;
    let server = jobs::run(odata.clone());
    tokio::select! {
        ended = server => Ok(ended?),
        shown = show(&odata, host, stop) => shown,
    }
}

/// Why the demonstration ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
}

async fn show(odata: &OData, host: &str, stop: impl Future<Output = ()>) -> Result<(), DemoError> {
    if !io::stdout().is_terminal() {
        return lines(odata, host, stop).await;
    }
    let mut screen = Screen::open()?;
    let open = Arc::new(AtomicBool::new(true));
    let keys = spawn_blocking({
        let open = Arc::clone(&open);
        move || screen::wait_for_end(|| open.load(Ordering::Relaxed))
    });
    let shown = tokio::select! {
        shown = async {
            loop {
                let board = odata.board(jobs::FIRST).await?;
                screen.show(&board, host)?;
                tokio::time::sleep(LOOK).await;
            }
        } => shown,
        pressed = keys => pressed.unwrap_or(Ok(())).map_err(DemoError::from),
        () = stop => Ok(()),
    };
    open.store(false, Ordering::Relaxed);
    shown
}

/// One line for each change, where nobody looks at a screen.
async fn lines(odata: &OData, host: &str, stop: impl Future<Output = ()>) -> Result<(), DemoError> {
    print(&[format!("to explore: {host}/data/BatchJobs {host}/data/RequeueDecisions {host}/data/RequeueAttempts")])?;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Board::default();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = &mut stop => return Ok(()),
        }
        let board = odata.board(jobs::FIRST).await?;
        print(&board.changes(&before))?;
        before = board;
    }
}

fn print(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let now = shared::clock::now().strftime("%H:%M:%S").to_string();
    for line in lines {
        writeln!(out, "{now} {line}")?;
    }
    out.flush()
}
