//! Receiving a body: no longer than what is taken, no slower than the least rate, and within the room that there is.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming as HyperBody};
use shared::exchange::Unread;
use tokio::time::{Instant, timeout_at};

use super::{
    budget::{Budget, Room},
    connection::{Connection, Phase},
    limits::{Limits, at_rate},
};

/// Bodies of up to so many bytes take no room that others could miss: each connection has as much for its head anyway.
const SMALL: usize = 16 << 10;

/// Receives a body of at most `limit` bytes.
pub(super) async fn receive(
    mut body: HyperBody,
    limit: usize,
    limits: &Limits,
    budget: &Budget,
    connection: &Connection,
) -> Result<Bytes, Unread> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let least = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if least > limit {
        return Err(Unread::TooLong { limit });
    }
    // A body in chunks does not say how long it will be.
    let whole = if body.size_hint().exact().is_some() { least } else { limit };
    let mut begun = Instant::now();
    let mut room: Option<Room> = None;
    let mut all = BytesMut::with_capacity(least.min(SMALL));
    connection.turn_to(Phase::Body);
    loop {
        let deadline = begun + limits.body_time + at_rate(all.len(), limits.body_rate);
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| Unread::TooSlow)?;
        let Some(frame) = frame else { break };
        // A connection that was given up to make room seems to end.
        let broken = |_| if connection.is_given_up() { Unread::Busy } else { Unread::Broken };
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        let length = all.len() + data.len();
        if length > limit {
            return Err(Unread::TooLong { limit });
        }
        if length > SMALL && room.is_none() {
            connection.turn_to(Phase::Work);
            let waits = Instant::now();
            room = Some(budget.body(whole).await?);
            begun += waits.elapsed();
            connection.turn_to(Phase::Body);
            all.reserve(least.max(length) - all.len());
        }
        all.extend_from_slice(&data);
    }
    connection.turn_to(Phase::Work);
    let all = all.freeze();
    Ok(if let Some(room) = room { room.hold(all) } else { all })
}
