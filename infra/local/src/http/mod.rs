//! HTTP/1.1 on a socket, in front of anything that decides about heads and answers requests.
//!
//! | file | what |
//! |---|---|
//! | `limits` | limits of sizes, numbers and times |
//! | `crowd` | all connections, and which of them makes room for a further one |
//! | `connection` | who is to act next on a connection, and until when |
//! | `watched` | the stream of a connection, with its deadlines |
//! | `exchange` | one request: head, body, turn, answer |
//! | `body` | receiving a body |
//! | `budget` | how much is held in memory, how many requests are worked on |
//! | `answer` | answers as bytes |
//!
//! # Nobody holds the server
//!
//! Whatever a client does or does not do, others are served: each step that a client has to take has a deadline, and
//! what is held for clients has a bound. Over a limit, a client is told so: 408 where it is too slow, 413 where its body is
//! too long, 503 with `Retry-After` where there is no room. Requests are worked on in a runtime of their own, as calls into
//! an embedded database block their thread: the threads that own the sockets only wait, and answer what a head
//! alone decides, such as `/health`, whatever else is going on.

mod answer;
mod body;
mod budget;
mod connection;
mod crowd;
mod exchange;
mod limits;
mod watched;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use shared::exchange::{Admitted, Incoming, Outgoing, Verdict};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Handle,
    sync::Semaphore,
    time::{sleep, timeout},
};

pub(crate) use answer::refusal;
pub use limits::Limits;

use self::{answer::Told, budget::Budget, crowd::Crowd, exchange::Server, limits::LEAVING, watched::Watched};

/// Connections that the system holds until they are taken: when many come at once, none has to knock a second time. The
/// system has a bound of its own.
const BACKLOG: u32 = 4_096;
/// For a client that is turned away to take the reason.
const FAREWELL: Duration = Duration::from_secs(1);

/// The receiver of requests.
pub trait Handler: Send + Sync + 'static {
    /// Decides what the head of a request leads to. It must not block its thread.
    fn admit(self: Arc<Self>, head: Incoming) -> impl Future<Output = Verdict> + Send;
}

/// A function answers requests that are there as a whole.
impl<H, F> Handler for H
where
    H: Fn(Incoming) -> F + Send + Sync + 'static,
    F: Future<Output = Outgoing> + Send + 'static,
{
    async fn admit(self: Arc<Self>, head: Incoming) -> Verdict {
        Verdict::Admitted(Admitted::new(usize::MAX, move |body| async move {
            match body {
                Ok(body) => self(Incoming { body, ..head }).await,
                Err(why) => answer::unread(why),
            }
        }))
    }
}

/// Listens on an address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The address of a server that has just ended can be used again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `handler` on `listener` until `stop` completes, then lets the requests in flight finish.
pub async fn serve(listener: TcpListener, handler: impl Handler, limits: Limits, stop: impl Future<Output = ()>) {
    serve_beside(listener, handler, limits, Handle::current(), stop).await;
}

/// The same, with the work on requests in another runtime.
pub async fn serve_beside(
    listener: TcpListener,
    handler: impl Handler,
    limits: Limits,
    work: Handle,
    stop: impl Future<Output = ()>,
) {
    let server = Arc::new(Server { handler: Arc::new(handler), limits, budget: Budget::new(&limits), work });
    let crowd = Arc::new(Crowd::new(limits.connections));
    let (graceful, turned_away) = (GracefulShutdown::new(), Arc::new(Semaphore::new(LEAVING)));
    tokio::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Most likely out of file descriptors: give some time to come back.
                    tracing::warn!(%error, "no connection accepted");
                    crowd.give_up_one();
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // A stream of which this cannot be said has ended already; it shows when it is read.
        let _ = stream.set_nodelay(true);
        let Some(member) = crowd.join() else {
            turn_away(stream, &turned_away);
            continue;
        };
        let (server, connection) = (Arc::clone(&server), Arc::clone(&member.connection));
        let watched = Watched::new(stream, Arc::clone(&connection), limits);
        let service = service_fn(move |request| Arc::clone(&server).exchange(request, Arc::clone(&connection)));
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            // The stream has a deadline that says more.
            .header_read_timeout(None::<Duration>)
            .max_buf_size(limits.head)
            .max_headers(limits.headers)
            .serve_connection(TokioIo::new(watched), service);
        let http = graceful.watch(http);
        tokio::spawn(async move {
            if let Err(error) = http.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(member);
        });
    }
    drop(listener);
    end(graceful, &crowd, &limits).await;
}

/// Lets the requests in flight finish; those that are still arriving have less time for that.
async fn end(graceful: GracefulShutdown, crowd: &Crowd, limits: &Limits) {
    let all_done = graceful.shutdown();
    tokio::pin!(all_done);
    if timeout(limits.stop, &mut all_done).await.is_ok() {
        return;
    }
    crowd.give_up_requests();
    if timeout(limits.drain.saturating_sub(limits.stop), all_done).await.is_err() {
        tracing::warn!("requests still in flight were cut off");
    }
}

/// Says that there is no room; without a word only where even that is asked for too often.
fn turn_away(mut stream: TcpStream, turned_away: &Arc<Semaphore>) {
    let Ok(permit) = Arc::clone(turned_away).try_acquire_owned() else { return };
    tokio::spawn(async move {
        let farewell = async {
            Told::Busy.count();
            stream.write_all(&Told::Busy.bytes()).await?;
            stream.shutdown().await?;
            // To close while something is unread would take the answer away from the client.
            while stream.read(&mut [0; 1024]).await? > 0 {}
            io::Result::Ok(())
        };
        // A client that is gone, or stays, has been told.
        let _ = timeout(FAREWELL, farewell).await;
        drop(permit);
    });
}
