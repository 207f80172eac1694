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
/// So much room is taken beyond what has come, for what comes next.
const STEP: usize = 128 << 10;

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
        let held = room.as_ref().map_or(SMALL, Room::bytes);
        if length > held {
            connection.turn_to(Phase::Work);
            let waits = Instant::now();
            // In steps, as it comes: a client that announces much and sends little takes little from others.
            let more = budget.body(if room.is_some() { length - held + STEP } else { length + STEP }).await?;
            room = Some(match room.take() {
                Some(room) => room.with(more),
                None => more,
            });
            begun += waits.elapsed();
            connection.turn_to(Phase::Body);
            // Memory that nothing is written to is none.
            all.reserve(least.max(length) - all.len());
        }
        all.extend_from_slice(&data);
    }
    connection.turn_to(Phase::Work);
    let all = all.freeze();
    Ok(if let Some(room) = room { room.hold(all) } else { all })
}
