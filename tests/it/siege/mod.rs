//! Clients that try to hold the host. The same at full size, against the real process: `tests/examples/siege.rs`.

mod heads;
mod once;
mod room;
mod slow;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use local::{
    http::{Handler, Limits, serve_beside},
    work::Work,
};
use shared::{
    Engine, Settings,
    auth::{Authenticator, Tokens},
    exchange::{Incoming, Verdict},
};
use tests::siege::status;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::rig::{Rig, services};

/// Far more than any answer here takes.
const SOON: Duration = Duration::from_secs(10);
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A server, and the runtime in which its requests are worked on.
struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    _work: Work,
}

/// Decides about heads, as the host does.
struct Edge(Engine);

impl Handler for Edge {
    async fn admit(self: Arc<Self>, head: Incoming) -> Verdict {
        self.0.admit(head).await
    }
}

impl Served {
    async fn start(handler: impl Handler, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, work) = (listener.local_addr().unwrap(), Work::new().unwrap());
        let (stop, stopped) = oneshot::channel();
        let handle = work.handle().clone();
        let task = tokio::spawn(async move {
            serve_beside(listener, handler, limits, handle, async { drop(stopped.await) }).await;
        });
        Self { address, stop, task, _work: work }
    }

    /// An engine over new data, which everybody may use.
    async fn open(limits: Limits) -> Self {
        Self::start(Edge(Rig::seeded().await.engine), limits).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection on which this was written.
    async fn send(&self, request: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = self.connect().await;
        // The server may have answered and hung up before all of it is sent.
        let _ = stream.write_all(request.as_ref()).await;
        stream
    }

    /// The status of the answer to this.
    async fn ask(&self, request: impl AsRef<[u8]>) -> String {
        answered(&mut self.send(request).await).await
    }
}

/// An engine that lets in who knows [`TOKEN`].
async fn closed() -> Edge {
    let rig = Rig::seeded().await;
    let authenticator = Authenticator::Token(Tokens::parse(TOKEN).unwrap());
    let settings = Settings { authenticator, ..Settings::default() };
    Edge(Engine::new(services(), rig.store().clone(), settings))
}

/// The status of an answer; empty where the connection ends without one.
async fn answered(stream: &mut TcpStream) -> String {
    timeout(SOON, status(stream)).await.expect("in time").unwrap_or_default()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}
