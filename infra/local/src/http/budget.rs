//! How much is held in memory for requests at a time, and how many are worked on.
//!
//! Bodies and answers have room of their own: a body that has come waits for the room of its answer, so answers must not
//! wait for that of bodies. The room of an answer is taken before the request is worked on, as large as an answer can be:
//! what was committed can then always be answered. What is not of use is given back as soon as the answer is known.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use shared::exchange::{MAX_PAYLOAD, Unread};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::limits::Limits;

/// Room is counted in KiB.
const UNIT: usize = 1 << 10;

/// All room of a server.
#[derive(Debug)]
pub(super) struct Budget {
    bodies: Pool,
    answers: Pool,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    patience: Duration,
}

#[derive(Debug)]
struct Pool {
    units: Arc<Semaphore>,
    all: u32,
}

/// Room that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

/// Leave to work on a request, with room for its answer.
#[derive(Debug)]
pub(super) struct Turn {
    turn: OwnedSemaphorePermit,
    room: Room,
}

/// Bytes, and their room for as long as there are any of them.
struct Held(Bytes, #[expect(dead_code, reason = "its end is what it is for")] Room);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            bodies: Pool::new(limits.bodies),
            answers: Pool::new(limits.answers),
            turns: Arc::new(Semaphore::new(limits.at_once)),
            waiting: Arc::new(Semaphore::new(limits.waiting)),
            patience: limits.patience,
        }
    }

    /// Room for so many bytes of a body.
    pub(super) async fn body(&self, bytes: usize) -> Result<Room, Unread> {
        timeout(self.patience, self.bodies.take(bytes)).await.unwrap_or(Err(Unread::Busy))
    }

    /// The turn of a request, in the order in which they came.
    pub(super) async fn turn(&self) -> Result<Turn, Unread> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Unread::Busy)?;
        let turn = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Unread::Busy)?;
            Ok(Turn { turn, room: self.answers.take(MAX_PAYLOAD).await? })
        };
        timeout(self.patience, turn).await.unwrap_or(Err(Unread::Busy))
    }
}

impl Pool {
    fn new(bytes: usize) -> Self {
        let all = units(bytes);
        Self { units: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits for so much room; for all that there is, where that is less.
    async fn take(&self, bytes: usize) -> Result<Room, Unread> {
        let wanted = units(bytes).min(self.all);
        Arc::clone(&self.units).acquire_many_owned(wanted).await.map(Room).map_err(|_| Unread::Busy)
    }
}

impl Room {
    /// Both together.
    pub(super) fn with(mut self, more: Self) -> Self {
        self.0.merge(more.0);
        self
    }

    /// How many bytes it is for.
    pub(super) fn bytes(&self) -> usize {
        self.0.num_permits() * UNIT
    }

    /// Keeps the room of these bytes for as long as there are any of them, and gives back what is beyond.
    pub(super) fn hold(mut self, bytes: Bytes) -> Bytes {
        let beyond = self.0.num_permits().saturating_sub(units(bytes.len()) as usize);
        drop(self.0.split(beyond));
        Bytes::from_owner(Held(bytes, self))
    }
}

impl Turn {
    /// Ends the turn. What is left is the room of the answer.
    pub(super) fn end(self) -> Room {
        drop(self.turn);
        self.room
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(at_once: usize, waiting: usize) -> Budget {
        let patience = Duration::from_millis(20);
        Budget::new(&Limits { bodies: 100 << 10, answers: 13 << 20, at_once, waiting, patience, ..Limits::default() })
    }

    #[tokio::test]
    async fn room_comes_back_with_the_last_of_its_bytes() {
        let budget = budget(1, 9);
        let held = budget.body(90 << 10).await.unwrap().hold(Bytes::from(vec![0; 50 << 10]));
        let part = held.slice(7..9);
        let rest = budget.body(50 << 10).await.unwrap();
        drop(held);
        assert_eq!(budget.body(1).await.err(), Some(Unread::Busy));
        drop(part);
        assert!(budget.body(50 << 10).await.is_ok());
        drop(rest);
        assert!(budget.body(1 << 30).await.is_ok(), "more than there is takes all that there is");
    }

    #[tokio::test]
    async fn turns_are_bounded_and_so_are_those_who_wait() {
        let budget = budget(3, 1);
        // The room of two answers is there, for three who work.
        let (one, two) = (budget.turn().await.unwrap(), budget.turn().await.unwrap());
        assert_eq!(budget.turn().await.err(), Some(Unread::Busy));
        let answer = one.end().hold(Bytes::from_static(b"short"));
        let third = budget.turn().await;
        assert!(third.is_ok());
        let (waits, refused) = tokio::join!(budget.turn(), budget.turn());
        assert!(waits.is_err() && refused.is_err());
        drop((answer, two, third));
        assert!(budget.turn().await.is_ok());
    }
}
