//! DynamoDB inside the process: the SDK's requests are handed to an emulator over SQLite, without a socket.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use http::StatusCode;
use serde::{Serialize, de::DeserializeOwned};

use crate::stream::{Keeper, StreamError};

/// The header that names the operation.
pub const TARGET_HEADER: &str = "x-amz-target";
/// What precedes the operation in [`TARGET_HEADER`].
const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// How a file of SQLite begins.
const DATABASE: &[u8] = b"SQLite format 3\0";

/// An embedded DynamoDB with the stream of its table. Cheap to clone; clones share the data.
///
/// A call runs on the task that makes it: it takes about a millisecond, less than most hand-overs to another thread
/// would be worth, and the emulator lets one call at a time in anyway.
#[derive(Clone)]
pub struct Embedded {
    pub(crate) database: Database,
    pub(crate) stream: Arc<Keeper>,
}

/// Why the embedded database did not open.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No database in memory.
    #[error("cannot keep data in memory: {0}")]
    Memory(#[source] OpenError),
    /// No database in a file.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: OpenError,
    },
}

/// Why a database did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refused: no permission, written by something newer.
    #[error("cannot be opened: {0}")]
    Database(#[from] DynoxideError),
    /// The file cannot be made, or not be written.
    #[error("cannot be opened: {0}")]
    File(#[from] io::Error),
    /// The file has something else in it.
    #[error("is no data file: it does not begin as a SQLite database does")]
    NoDatabase,
    /// Its stream cannot be looked after.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The emulator takes UTF-8 paths only.
    #[error("the path is not UTF-8")]
    Path,
}

/// What DynamoDB answers.
#[derive(Debug)]
pub struct Answer {
    /// 200, 400 or 500.
    pub status: StatusCode,
    /// JSON.
    pub body: String,
}

impl Embedded {
    /// A database that is forgotten with its last clone.
    pub fn memory() -> Result<Self, EmbeddedError> {
        // A name of its own, so that the keeper of the stream can open it as well.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::at(&format!("file:rebatch-{number}?mode=memory&cache=shared")).map_err(EmbeddedError::Memory)
    }

    /// The database in a file, made when it is missing: for nobody but its owner, because secrets of endpoints are in it.
    pub fn open(file: &Path) -> Result<Self, EmbeddedError> {
        Self::in_file(file).map_err(|problem| EmbeddedError::File { path: file.to_owned(), problem })
    }

    fn in_file(file: &Path) -> Result<Self, OpenError> {
        let opened = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(file)?;
        let mut head = Vec::new();
        opened.take(DATABASE.len() as u64).read_to_end(&mut head)?;
        if !head.is_empty() && head != DATABASE {
            return Err(OpenError::NoDatabase);
        }
        // SQLite takes a name that begins with `file:` for a URI, and `:memory:` for no file at all.
        let path = if file.is_absolute() { file.to_owned() } else { Path::new(".").join(file) };
        Self::at(path.to_str().ok_or(OpenError::Path)?)
    }

    fn at(path: &str) -> Result<Self, OpenError> {
        let database = Database::new(path)?;
        Ok(Self { stream: Arc::new(Keeper::open(path)?), database })
    }

    /// Runs one operation: the value of [`TARGET_HEADER`] and the JSON body of the request.
    pub fn execute(&self, target: &str, body: &[u8]) -> Answer {
        let operation = target.strip_prefix(TARGET_PREFIX).unwrap_or_default();
        let result = self.stream.beside(|| self.dispatch(operation, body));
        if result.is_ok() && is_write(operation) {
            self.stream.changed().notify_one();
        }
        match result {
            Ok(body) => Answer { status: StatusCode::OK, body },
            Err(error) => Answer {
                status: StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                body: error.to_json(),
            },
        }
    }

    fn dispatch(&self, operation: &str, body: &[u8]) -> dynoxide::Result<String> {
        let db = &self.database;
        match operation {
            "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
            "CreateTable" => run(body, |request| db.create_table(request)),
            "DeleteItem" => run(body, |request| db.delete_item(request)),
            "DescribeTable" => run(body, |request| db.describe_table(request)),
            "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
            "GetItem" => run(body, |request| db.get_item(request)),
            "ListTables" => run(body, |request| db.list_tables(request)),
            "PutItem" => run(body, |request| db.put_item(request)),
            "Query" => run(body, |request| db.query(request)),
            "TransactGetItems" => run(body, |request| db.transact_get_items(request)),
            "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
            "UpdateItem" => run(body, |request| db.update_item(request)),
            "UpdateTable" => run(body, |request| db.update_table(request)),
            "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
            _ => Err(DynoxideError::UnsupportedCapability(operation.to_owned())),
        }
    }
}

fn is_write(operation: &str) -> bool {
    matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems")
}

/// Reads a request, runs it, writes its answer.
fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> dynoxide::Result<A>,
) -> dynoxide::Result<String> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?;
    let answer = operation(request)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// The emulator checks values while it reads them, and marks what is a matter of validation in the message.
fn unreadable(message: &str) -> DynoxideError {
    match message.split_once(':') {
        Some((marker, rest)) if marker.starts_with("VALIDATION") => DynoxideError::ValidationException(rest.to_owned()),
        Some((marker, rest)) if marker.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(rest.to_owned())
        }
        _ => DynoxideError::SerializationException(message.to_owned()),
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Embedded")
    }
}

impl HttpConnector for Embedded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let database = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get(TARGET_HEADER).unwrap_or_default();
            let Some(body) = request.body().bytes() else {
                return Err(ConnectorError::user("a streamed body".into()));
            };
            let answer = database.execute(target, body);
            Ok(HttpResponse::new(answer.status.into(), SdkBody::from(answer.body)))
        })
    }
}

impl HttpClient for Embedded {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_file_of_something_else_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        for text in ["notes", "SQLite format 2 and more"] {
            fs::write(&file, text).unwrap();
            let error = Embedded::open(&file).err().unwrap().to_string();
            assert_eq!(error, format!("{}: {}", file.display(), OpenError::NoDatabase));
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn a_data_file_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let database = Embedded::open(&folder.path().join("data.db")).unwrap();
        for file in folder.path().read_dir().unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(database);
    }
}
