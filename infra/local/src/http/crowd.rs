//! All connections of a server, and which of them makes room for a further one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    connection::{Connection, Phase},
    limits::LEAVING,
};

/// Between two lines of the log about connections that were closed.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    connections: HashMap<u64, Arc<Connection>>,
    next: u64,
    /// Connections that were given up and are not told of in the log.
    untold: usize,
    told: Option<Instant>,
}

/// A connection that is counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Member {
    crowd: Arc<Crowd>,
    number: u64,
    pub(super) connection: Arc<Connection>,
}

impl Crowd {
    pub(super) fn new(most: usize) -> Self {
        Self { most, all: Mutex::default() }
    }

    /// Counts one more connection. Where there are too many, another is given up; `None` if there is none to give up.
    pub(super) fn join(self: &Arc<Self>) -> Option<Member> {
        let mut all = self.lock();
        if all.connections.len() >= self.most && !all.make_room(self.most) {
            return None;
        }
        let connection = Arc::new(Connection::new());
        let number = all.next;
        all.next += 1;
        all.connections.insert(number, Arc::clone(&connection));
        drop(all);
        Some(Member { crowd: Arc::clone(self), number, connection })
    }

    /// Gives up one connection, if there is one that keeps the server waiting.
    pub(super) fn give_up_one(&self) {
        self.lock().give_up_one();
    }

    /// Ends the wait for all clients that have not sent all of their requests.
    pub(super) fn give_up_requests(&self) {
        for connection in self.lock().connections.values() {
            connection.give_up(Phase::Body);
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    /// Sees to it that there is room for one more among so many; those that are about to end do not count.
    fn make_room(&mut self, most: usize) -> bool {
        if self.connections.len() >= most + LEAVING {
            return false;
        }
        let leaving = self.connections.values().filter(|connection| connection.is_given_up()).count();
        self.connections.len() - leaving < most || self.give_up_one()
    }

    fn give_up_one(&mut self) -> bool {
        let waiting = self.connections.values().filter_map(|one| one.place().map(|place| (place, one)));
        let Some((_, longest)) = waiting.min_by_key(|(place, _)| *place) else { return false };
        longest.give_up(Phase::Answer);
        self.untold += 1;
        if self.told.is_none_or(|told| told.elapsed() >= BETWEEN_LINES) {
            tracing::warn!(connections = self.untold, "closed to make room: their clients kept the server waiting");
            (self.untold, self.told) = (0, Some(Instant::now()));
        }
        true
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.crowd.lock().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_keeps_the_server_waiting_longest_makes_room() {
        let crowd = Arc::new(Crowd::new(3));
        let mut members = Vec::new();
        for phase in [Phase::Work, Phase::Body, Phase::Body] {
            let member = crowd.join().unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
            member.connection.turn_to(phase);
            members.push(member);
        }
        let given_up = |members: &[Member]| members.iter().map(|m| m.connection.is_given_up()).collect::<Vec<_>>();
        members.push(crowd.join().unwrap());
        assert_eq!(given_up(&members), [false, true, false, false]);
        // One that is about to end does not count. On the newest nothing is said yet: it comes last.
        members.push(crowd.join().unwrap());
        assert_eq!(given_up(&members), [false, true, true, false, false]);
        for member in &members {
            member.connection.turn_to(Phase::Work);
        }
        assert!(crowd.join().is_none());
        members[0].connection.answers(Duration::from_secs(9), false);
        assert!(crowd.join().is_none(), "an answer has just begun");
        members.truncate(2);
        assert!(crowd.join().is_some());
    }
}
