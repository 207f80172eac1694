//! HTTP/1.1 on a loopback socket, in front of anything that turns an [`Incoming`] into an [`Outgoing`].

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use ::http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming as HyperBody},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use shared::{
    batch::Headers,
    exchange::{Incoming, Outgoing},
    uri::Encoding,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use uuid::Uuid;

/// What may be asked of a server, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body, in bytes; a longer one is answered 413 and not read.
    pub body: usize,
    /// Longest request line and headers, in bytes.
    pub head: usize,
    /// Most headers of one request.
    pub headers: usize,
    /// Most connections at a time; further ones wait in the system's queue.
    pub connections: usize,
    /// For the headers of a request to arrive, an idle connection included.
    pub head_timeout: Duration,
    /// For the next bytes of a body to arrive.
    pub body_timeout: Duration,
    /// For the requests in flight, once the server was told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            head: 64 << 10,
            headers: 100,
            connections: 1_000,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        }
    }
}

/// Why a request is answered before its handler sees it.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the body is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body cannot be read: {0}")]
    Broken(#[from] hyper::Error),
}

/// Serves `handler` on `listener` until `stop` completes, then lets the requests in flight finish.
///
/// Each request runs as a task of its own: a client that hangs up does not cut a unit of work short, and a panic is
/// one 500.
pub async fn serve<H, F>(listener: TcpListener, handler: H, limits: Limits, stop: impl Future<Output = ()>)
where
    H: Fn(Incoming) -> F + Send + Sync + 'static,
    F: Future<Output = Outgoing> + Send + 'static,
{
    let handler = Arc::new(handler);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits.connections));
    tokio::pin!(stop);
    loop {
        let (stream, slot) = tokio::select! {
            accepted = accept(&listener, &slots) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most likely out of file descriptors: give some time to come back.
                    tracing::warn!(%error, "no connection accepted");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let handler = Arc::clone(&handler);
        let service = service_fn(move |request| exchange(request, Arc::clone(&handler), limits));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_buf_size(limits.head)
            .max_headers(limits.headers)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests still in flight were cut off");
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn exchange<H, F>(
    request: Request<HyperBody>,
    handler: Arc<H>,
    limits: Limits,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    H: Fn(Incoming) -> F + Send + Sync + 'static,
    F: Future<Output = Outgoing> + Send + 'static,
{
    let incoming = match receive(request, limits).await {
        Ok(incoming) => incoming,
        Err(refusal) => return Ok(refuse(&refusal)),
    };
    let answer = tokio::spawn(async move { handler(incoming).await }).await;
    Ok(answer.map_or_else(|_| plain_error(StatusCode::INTERNAL_SERVER_ERROR, "internal error"), respond))
}

/// Reads the body and takes the request apart.
async fn receive(request: Request<HyperBody>, limits: Limits) -> Result<Incoming, Refusal> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, limits).await?;
    let mut headers: Headers = parts.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    // An absolute request target outranks Host (RFC 9112 §3.2.2).
    if let Some(host) = parts.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok()) {
        headers.take("host");
        headers.append(header::HOST, host);
    }
    Ok(Incoming {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        path_encoding: Encoding::Percent,
        query: parts.uri.query().map(str::to_owned),
        headers,
        body,
        scheme: "http",
        id: Uuid::new_v4().to_string(),
        time_left: None,
    })
}

async fn read_body(mut body: HyperBody, limits: Limits) -> Result<Bytes, Refusal> {
    let limit = limits.body;
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Refusal::TooLarge { limit });
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = timeout(limits.body_timeout, body.frame()).await.map_err(|_| Refusal::TooSlow)? {
        let Ok(data) = frame?.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(announced.max(first.len() + data.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn respond(outgoing: Outgoing) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(outgoing.body));
    *response.status_mut() = outgoing.status;
    response.headers_mut().extend(outgoing.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    response
}

fn refuse(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status = match refusal {
        Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Refusal::Broken(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = plain_error(status, &refusal.to_string());
    // The rest of the body is not read, so nothing can follow it.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An error of the server, not of a service: no profile applies.
fn plain_error(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "error": { "code": status.as_str(), "message": message } });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    for (name, value) in [(header::CONTENT_TYPE, "application/json"), (ODATA_VERSION, "4.0")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
