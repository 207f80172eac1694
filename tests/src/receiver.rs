//! An endpoint of business events: an HTTP server that does to each request what the test says.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::http::{Request, answer, reset};

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer with this status.
    Status(u16),
    /// The same with a header line.
    With(u16, &'static str),
    /// Silence.
    Hang,
    /// The end of the connection.
    Reset,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its last byte came.
    pub at: Instant,
    /// Its number, from 0.
    pub number: usize,
    /// Its path and query.
    pub path: String,
    /// Its header lines, names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

/// The server. It ends with the runtime of the test.
#[derive(Clone)]
pub struct Receiver {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    manner: Arc<Manner>,
}

type Manner = dyn Fn(&Seen) -> Reply + Send + Sync;

impl Seen {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

impl Receiver {
    /// Starts a server on a free port of this machine.
    pub async fn start(manner: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let receiver = Self { url, seen: Arc::default(), manner: Arc::new(manner) };
        let server = receiver.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(connection).await });
            }
        });
        receiver
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far, in the order of their arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.lock().clear();
    }

    async fn serve(&self, mut connection: TcpStream) -> Option<()> {
        loop {
            let seen = self.read(&mut connection).await?;
            let (status, line) = match (self.manner)(&seen) {
                Reply::Status(status) => (status, String::new()),
                Reply::With(status, line) => (status, format!("{line}\r\n")),
                Reply::Hang => std::future::pending().await,
                Reply::Reset => {
                    reset(&connection);
                    return None;
                }
            };
            answer(&mut connection, status, &line, "").await?;
        }
    }

    /// Reads a request and notes it; `None` when the connection ends.
    async fn read(&self, connection: &mut TcpStream) -> Option<Seen> {
        let Request { path, headers, body, .. } = Request::read(connection).await?;
        let mut all = self.lock();
        let seen = Seen { at: Instant::now(), number: all.len(), path, headers, body };
        all.push(seen.clone());
        Some(seen)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("url", &self.url).finish_non_exhaustive()
    }
}
