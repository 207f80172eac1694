//! The outbox beside the server: it follows the stream of the embedded table, and sends what is due.

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use shared::{
    outbox::{ANSWER_TIME, Outbox, Recorded},
    store::Deadline,
    telemetry::OutboxLine,
};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::{interval, sleep, timeout},
};

use crate::{embedded::Embedded, stream::StreamError};

/// For one batch of records.
const BATCH: Duration = Duration::from_secs(30);
/// Before the stream is read again, or records that failed are tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Records that may have been read and not be forgotten yet, while more keep coming.
const UNFORGOTTEN: usize = 1_000;
/// Between looks for what may be forgotten because its time is over.
const EXPIRY: Duration = Duration::from_hours(1);
/// For attempts under way, once the host was told to stop: as long as a delivery takes. A call to a target may take longer,
/// by its `timeout` up to 71 seconds, and is cut off then.
const DRAIN: Duration = ANSWER_TIME.saturating_add(Duration::from_secs(5));

/// What goes on besides answering requests.
#[derive(Debug)]
pub struct Background {
    /// The database.
    pub database: Embedded,
    /// Name of its table.
    pub table: &'static str,
    /// `None` when nothing is to be written down or sent.
    pub outbox: Option<Outbox>,
}

/// The tasks of a [`Background`].
#[derive(Debug)]
pub struct Running {
    stop: oneshot::Sender<()>,
    sweeper: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts what goes on.
    pub fn start(background: Background) -> Self {
        let Background { database, table, outbox } = background;
        let (stop, stopped) = oneshot::channel();
        let mut others = vec![tokio::spawn(expire(database.clone(), outbox.is_none()))];
        let sweeper = outbox.map(|outbox| {
            let woken = Arc::new(Notify::new());
            others.push(tokio::spawn(follow(database, table, outbox.clone(), Arc::clone(&woken))));
            tokio::spawn(async move {
                let stopped = async {
                    // A sender that is gone says the same.
                    let _ = stopped.await;
                };
                outbox.run(&woken, stopped).await;
            })
        });
        Self { stop, sweeper, others }
    }

    /// Lets the attempts under way come to their end for 15 seconds, and cuts off what takes longer. That has a lease in the
    /// table: once it has run out, a host that is started again repeats a delivery with its event id, and a call to a target,
    /// of which it is not known whether it worked, with its request id. Such an attempt has no row of its own. What is not
    /// read of the stream stays in it.
    pub async fn stop(self) {
        for task in self.others {
            task.abort();
        }
        let _ = self.stop.send(());
        if let Some(sweeper) = self.sweeper
            && timeout(DRAIN, sweeper).await.is_err()
        {
            tracing::warn!("deliveries and calls under way were cut off: they are repeated with their ids");
        }
    }
}

/// Removes what nobody needs any more; records of the stream only when it is `unread`.
async fn expire(database: Embedded, unread: bool) {
    let mut hours = interval(EXPIRY);
    loop {
        hours.tick().await;
        if unread {
            told(database.forget_old_records());
        }
        told(database.expire());
    }
}

/// Writes down what the records of the stream tell, in their order, as long as the host lives.
async fn follow(database: Embedded, table: &str, outbox: Outbox, woken: Arc<Notify>) {
    let mut after: Option<String> = None;
    let mut unforgotten = 0;
    loop {
        let Some(records) = told(database.records(table, after.as_deref())) else {
            sleep(PAUSE).await;
            continue;
        };
        let forget = unforgotten >= UNFORGOTTEN || records.is_empty() && unforgotten > 0;
        if let Some(read) = after.as_deref().filter(|_| forget) {
            told(database.forget_records(table, read));
            unforgotten = 0;
        }
        if records.is_empty() {
            database.changed().await;
            continue;
        }
        let begun = Instant::now();
        let metered = outbox.metered();
        let recorded = metered.records(&records, Deadline::after(BATCH)).await;
        if recorded != Recorded::default() {
            let mut line = OutboxLine { usage: metered.usage(), duration: begun.elapsed(), ..OutboxLine::default() };
            recorded.tell(records.len(), &mut line);
            line.write("stream");
        }
        if records.iter().any(|record| outbox.is_due(record)) {
            woken.notify_one();
        }
        let sequences = records.iter().map(sequence);
        let done: Vec<&str> = sequences.take_while(|number| !recorded.failed.iter().any(|f| f == number)).collect();
        unforgotten += done.len();
        if let Some(last) = done.last() {
            after = Some((*last).to_owned());
        }
        if !recorded.failed.is_empty() {
            sleep(PAUSE).await;
        }
    }
}

fn sequence(record: &serde_json::Value) -> &str {
    record.pointer("/dynamodb/SequenceNumber").and_then(serde_json::Value::as_str).unwrap_or_default()
}

fn told<T>(result: Result<T, StreamError>) -> Option<T> {
    let log = |error: &dyn Display| tracing::error!(%error, "the stream of the table");
    result.inspect_err(|error| log(error)).ok()
}
