//! A call to the service itself, without a network between.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, header::RETRY_AFTER};
use tokio::time::timeout;

use crate::{
    auth::{Caller, Grants},
    events::retry_after,
    exchange::Incoming,
    execute::Engine,
    outbox::{
        courier::{Answer, Attempt},
        operation,
    },
    uri::Encoding,
};

/// What the host calls itself. Always the same: the ids of requests are those of a caller.
const NAME: &str = "rebatch";

/// Asks the service itself, which has `time` for its answer.
pub(super) async fn ask(
    engine: &Engine,
    (method, path): (Method, String),
    headers: HeaderMap,
    body: Bytes,
    time: Duration,
) -> Answer {
    let incoming = Incoming {
        method,
        path,
        path_encoding: Encoding::Percent,
        query: None,
        headers: headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        body,
        scheme: "https",
        id: operation(),
        // The wait for it ends anyway; what it has begun by then is unknown, and known to a repeat.
        time_left: None,
    };
    let caller = Caller { name: NAME.into(), object_id: None, grants: Grants::All };
    let start = Instant::now();
    let answered = timeout(time, engine.handle_as(caller, incoming)).await;
    let attempt = |result, retry_after| Attempt { result, retry_after, duration: start.elapsed() };
    let Ok(answer) = answered else {
        let reason = format!("no answer within {} s", time.as_secs_f32());
        return Answer { attempt: attempt(Err(reason), None), body: Bytes::new(), arrived: true };
    };
    let wait = answer.headers.get(RETRY_AFTER.as_str());
    let wait = wait.and_then(|value| retry_after(value, crate::clock::now()));
    Answer { attempt: attempt(Ok(answer.status.as_u16()), wait), body: answer.body, arrived: true }
}
