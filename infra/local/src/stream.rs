//! The stream of the embedded table: who reads it, and what keeps it small.
//!
//! The emulator keeps each record for ever, and looks at all of them to number the next: a write would take longer
//! with every write before it. The keeper has a connection of its own to the same database. It adds the index that the
//! numbering lacks, and removes what was read: the stream is its reader's checkpoint at the same time. The last record
//! stays, because the next number follows from it.

use std::{
    fmt,
    sync::{Mutex, PoisonError, RwLock},
    time::Duration,
};

use dynoxide::{
    DynoxideError,
    actions::{
        get_records::GetRecordsRequest, get_shard_iterator::GetShardIteratorRequest, list_streams::ListStreamsRequest,
    },
    streams::shard_id,
};
use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::Notify;

use crate::embedded::Embedded;

/// How long a record is kept when there is nobody to read it, in seconds: as long as DynamoDB keeps it.
const RETENTION: i64 = 24 * 60 * 60;

/// How long the emulator's own writes are waited for.
const BUSY: Duration = Duration::from_secs(5);

/// The index behind the number of a new record, in the words of the emulator's query.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS _stream_records_by_number
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";
const FORGET_BEFORE: &str =
    "DELETE FROM _stream_records WHERE CAST(sequence_number AS INTEGER) < ?1 AND table_name = ?2";
const FORGET_OLD: &str = "DELETE FROM _stream_records WHERE created_at < unixepoch() - ?1
    AND id < (SELECT MAX(id) FROM _stream_records)";

/// Why the stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The database refused what the keeper wanted of it.
    #[error("cannot keep the stream: {0}")]
    Keep(#[from] rusqlite::Error),
    /// The emulator refused to read it.
    #[error("cannot read the stream: {0}")]
    Read(#[from] DynoxideError),
    /// What it answered is not understood.
    #[error("cannot read a record of the stream: {0}")]
    Record(#[from] serde_json::Error),
}

/// Looks after the stream.
pub(crate) struct Keeper {
    /// Held alone while the keeper writes: an in-memory database refuses a second writer instead of letting it wait.
    gate: RwLock<()>,
    connection: Mutex<Connection>,
    changed: Notify,
}

impl Keeper {
    pub(crate) fn open(path: &str) -> Result<Self, StreamError> {
        let connection = Connection::open(path)?;
        // What is forgotten need not be safe on the disk: records that come back after a crash are read again.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(INDEX)?;
        Ok(Self { gate: RwLock::new(()), connection: Mutex::new(connection), changed: Notify::new() })
    }

    /// Runs a call of the emulator, not at the same time as the keeper's own.
    pub(crate) fn beside<T>(&self, call: impl FnOnce() -> T) -> T {
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        call()
    }

    /// Told after each write.
    pub(crate) fn changed(&self) -> &Notify {
        &self.changed
    }

    fn write(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize, StreamError> {
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(connection.execute(sql, parameters)?)
    }
}

impl Embedded {
    /// Up to 1,000 records of the table's stream after the one with that sequence number, or the oldest there are.
    pub fn records(&self, table: &str, after: Option<&str>) -> Result<Vec<Value>, StreamError> {
        let read = || {
            let database = &self.database;
            let request = ListStreamsRequest { table_name: Some(table.to_owned()), ..ListStreamsRequest::default() };
            let Some(stream) = database.list_streams(request)?.streams.into_iter().next() else {
                return Ok(Vec::new());
            };
            let kind = if after.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" };
            let request = GetShardIteratorRequest {
                stream_arn: stream.stream_arn,
                shard_id: shard_id(table),
                shard_iterator_type: kind.to_owned(),
                sequence_number: after.map(str::to_owned),
            };
            let Some(iterator) = database.get_shard_iterator(request)?.shard_iterator else { return Ok(Vec::new()) };
            let answer = database.get_records(GetRecordsRequest { shard_iterator: iterator, limit: None })?;
            answer.records.iter().map(|record| Ok(serde_json::to_value(record)?)).collect()
        };
        self.stream.beside(read)
    }

    /// Removes the records of a table's stream before the one with that sequence number.
    pub fn forget_records(&self, table: &str, before: &str) -> Result<(), StreamError> {
        // A sequence number is the stored one behind a 1, filled up with zeros.
        let stored: i64 = before.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        self.stream.write(FORGET_BEFORE, (stored, table)).map(drop)
    }

    /// Removes records that are older than a day. Only for a stream that nobody reads: whoever does forgets what was
    /// read, and finds the rest however long it takes.
    pub fn forget_old_records(&self) -> Result<(), StreamError> {
        self.stream.write(FORGET_OLD, [RETENTION]).map(drop)
    }

    /// Removes items whose time is over.
    pub fn expire(&self) -> Result<(), StreamError> {
        self.stream.beside(|| self.database.sweep_ttl())?;
        Ok(())
    }

    /// Completes when something was written since it completed last.
    pub async fn changed(&self) {
        self.stream.changed().notified().await;
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    const TABLE: &str = "items";

    fn call(database: &Embedded, operation: &str, body: &Value) -> Value {
        let answer = database.execute(&format!("DynamoDB_20120810.{operation}"), body.to_string().as_bytes());
        assert!(answer.status.is_success(), "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    fn create(database: &Embedded) {
        let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let table = json!({
            "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [attribute("pk")],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        });
        call(database, "CreateTable", &table);
    }

    fn put(database: &Embedded, key: usize) {
        let item =
            json!({ "TableName": TABLE, "Item": { "pk": { "S": key.to_string() }, "v": { "S": "x".repeat(2_000) } } });
        call(database, "PutItem", &item);
    }

    fn keys(records: &[Value]) -> Vec<&str> {
        records.iter().map(|record| record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap()).collect()
    }

    fn sequence(record: &Value) -> &str {
        record["dynamodb"]["SequenceNumber"].as_str().unwrap()
    }

    #[test]
    fn what_was_read_is_forgotten_and_numbers_go_on() {
        let database = Embedded::memory().unwrap();
        create(&database);
        (0..5).for_each(|key| put(&database, key));
        let records = database.records(TABLE, None).unwrap();
        assert_eq!(keys(&records), ["0", "1", "2", "3", "4"]);
        let third = sequence(&records[2]);
        assert_eq!(keys(&database.records(TABLE, Some(third)).unwrap()), ["3", "4"]);
        database.forget_records(TABLE, third).unwrap();
        assert_eq!(keys(&database.records(TABLE, None).unwrap()), ["2", "3", "4"]);
        let last = sequence(&records[4]);
        database.forget_records(TABLE, last).unwrap();
        put(&database, 5);
        let records = database.records(TABLE, Some(last)).unwrap();
        assert_eq!(keys(&records), ["5"]);
        assert!(sequence(&records[0]) > last);
    }

    #[test]
    fn records_survive_a_restart_until_they_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data.db");
        let database = Embedded::open(&file).unwrap();
        create(&database);
        (0..3).for_each(|key| put(&database, key));
        let records = database.records(TABLE, None).unwrap();
        database.forget_records(TABLE, sequence(&records[1])).unwrap();
        drop(database);
        let database = Embedded::open(&file).unwrap();
        assert_eq!(keys(&database.records(TABLE, None).unwrap()), ["1", "2"]);
    }

    #[test]
    fn records_wait_for_their_reader_for_longer_than_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data.db");
        let database = Embedded::open(&file).unwrap();
        create(&database);
        (0..3).for_each(|key| put(&database, key));
        database.stream.write("UPDATE _stream_records SET created_at = created_at - ?1", [2 * RETENTION]).unwrap();
        drop(database);
        let database = Embedded::open(&file).unwrap();
        database.expire().unwrap();
        assert_eq!(keys(&database.records(TABLE, None).unwrap()), ["0", "1", "2"]);
        database.forget_old_records().unwrap();
        assert_eq!(keys(&database.records(TABLE, None).unwrap()), ["2"], "the last one stays");
    }

    #[test]
    fn a_write_takes_as_long_after_many_records_as_after_few() {
        let database = Embedded::memory().unwrap();
        create(&database);
        let time = |keys: std::ops::Range<usize>| {
            let begin = Instant::now();
            keys.for_each(|key| put(&database, key % 50));
            begin.elapsed()
        };
        let first = time(0..200);
        time(200..3_000);
        let last = time(3_000..3_200);
        assert!(last < first * 4 + Duration::from_millis(50), "{first:?} at first, {last:?} after 3,000 records");
    }
}
