//! One request on a connection: its head, then its body, then its turn, then its answer.

use std::{convert::Infallible, sync::Arc};

use ::http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming as HyperBody};
use shared::{
    batch::Headers,
    exchange::{Admitted, Incoming, Outgoing, Verdict},
    uri::Encoding,
};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::authority;

use super::{
    Handler, answer,
    body::receive,
    budget::{Budget, Room},
    connection::{Connection, Phase},
    limits::Limits,
};

/// The parts of the server that all connections share.
pub(super) struct Server<H> {
    pub(super) handler: Arc<H>,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    /// Where requests are worked on.
    pub(super) work: Handle,
}

/// An answer, the room of its body, and whether the client may still be sending.
type Answered = (Outgoing, Option<Room>, bool);

impl<H: Handler> Server<H> {
    /// Answers one request. Each step of a handler is a task of its own: a client that hangs up does not cut a unit of work
    /// short, and a panic is one 500.
    pub(super) async fn exchange(
        self: Arc<Self>,
        request: Request<HyperBody>,
        connection: Arc<Connection>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        connection.turn_to(Phase::Work);
        let (parts, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        if let Err(fault) = authority::check(parts.version, &parts.uri, &parts.headers) {
            let refused = answer::refusal(StatusCode::BAD_REQUEST, &fault.to_string());
            return Ok(answer::respond(refused, None, true, &connection, &self.limits));
        }
        let head = head(parts);
        let verdict = tokio::spawn(Arc::clone(&self.handler).admit(head)).await;
        let (outgoing, room, unread) = match verdict {
            Ok(Verdict::Answered(outgoing)) => (outgoing, None, has_body),
            Ok(Verdict::Admitted(admitted)) => self.admitted(admitted, body, &connection).await,
            Err(_) => (answer::internal(), None, has_body),
        };
        Ok(answer::respond(outgoing, room, unread, &connection, &self.limits))
    }

    async fn admitted(&self, admitted: Admitted, body: HyperBody, connection: &Connection) -> Answered {
        let limit = admitted.body_limit.min(self.limits.body);
        let body = match receive(body, limit, &self.limits, &self.budget, connection).await {
            Ok(body) => body,
            Err(unread) => {
                connection.turn_to(Phase::Work);
                let answered = tokio::spawn(admitted.answer(Err(unread))).await;
                return (answered.unwrap_or_else(|_| answer::internal()), None, true);
            }
        };
        let turn = match self.budget.turn().await {
            Ok(turn) => turn,
            Err(busy) => {
                let answered = tokio::spawn(admitted.answer(Err(busy))).await;
                return (answered.unwrap_or_else(|_| answer::internal()), None, false);
            }
        };
        let task = self.work.spawn(async move {
            let outgoing = admitted.answer(Ok(body)).await;
            (outgoing, Some(turn.end()), false)
        });
        task.await.unwrap_or_else(|_| (answer::internal(), None, false))
    }
}

/// A request without its body.
fn head(parts: Parts) -> Incoming {
    let mut headers: Headers = parts.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    // An absolute request target outranks Host (RFC 9112 §3.2.2).
    if let Some(host) = parts.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok()) {
        headers.take("host");
        headers.append(header::HOST, host);
    }
    Incoming {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        path_encoding: Encoding::Percent,
        query: parts.uri.query().map(str::to_owned),
        headers,
        body: Bytes::new(),
        scheme: "http",
        id: Uuid::new_v4().to_string(),
        time_left: None,
    }
}
