//! Limits of sizes, numbers and times of a server.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits of sizes, numbers and times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body, in bytes, where the handler takes as much; a longer one is answered 413 and not read.
    pub body: usize,
    /// Longest request line and headers, in bytes.
    pub head: usize,
    /// Most headers of one request.
    pub headers: usize,
    /// Most connections at a time. For a further one, that which has kept the server waiting for the longest is closed.
    pub connections: usize,
    /// For the next request of a connection to begin.
    pub idle: Duration,
    /// For a whole head to arrive, from its first byte.
    pub head_time: Duration,
    /// For a whole body to arrive, and a second more for each `body_rate` bytes that came.
    pub body_time: Duration,
    /// The least bytes a second of a body.
    pub body_rate: u32,
    /// For a whole answer to be taken, and a second more for each `answer_rate` bytes that it has.
    pub answer_time: Duration,
    /// The least bytes a second of an answer.
    pub answer_rate: u32,
    /// For a client to take anything of an answer.
    pub stall: Duration,
    /// For a client to notice that no more of its body is read.
    pub linger: Duration,
    /// Bytes of bodies that are received or worked on, all together; bodies of up to 16 KiB are not counted.
    pub bodies: usize,
    /// Bytes of answers that are made or written, all together.
    pub answers: usize,
    /// Requests that are worked on at once.
    pub at_once: usize,
    /// Requests that wait for their turn. Further ones are answered 503.
    pub waiting: usize,
    /// How long a request waits for room or its turn before it is answered 503.
    pub patience: Duration,
    /// For bodies to arrive, once the server was told to stop.
    pub stop: Duration,
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
            idle: Duration::from_secs(30),
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            body_rate: 64 << 10,
            answer_time: Duration::from_secs(20),
            answer_rate: 64 << 10,
            stall: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            bodies: 32 << 20,
            answers: 96 << 20,
            at_once: 16,
            waiting: 1_000,
            patience: Duration::from_secs(10),
            stop: Duration::from_secs(5),
            drain: Duration::from_secs(30),
        }
    }
}

/// Files that a process has open beside its connections: the database, pollers, what it sends to others.
const OTHER_FILES: u64 = 128;
/// Connections that are about to be closed, or are told that there is no room.
pub(super) const LEAVING: usize = 256;

impl Limits {
    /// The same for a process that has as many files open as the system allows: that is raised as far as it is of use, and
    /// where it cannot be, there are fewer connections.
    #[must_use]
    pub fn within_files(self) -> Self {
        let others = OTHER_FILES + LEAVING as u64;
        let wanted = self.connections as u64 + others;
        let limit = getrlimit(Resource::Nofile);
        let (mut current, maximum) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
        let raised = wanted.min(maximum);
        if current < raised
            && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }).is_ok()
        {
            current = raised;
        }
        let possible = usize::try_from(current.saturating_sub(others)).unwrap_or(usize::MAX).max(16);
        Self { connections: self.connections.min(possible), ..self }
    }
}

/// How long so many bytes may take at a rate, beside what they may take anyway.
pub(super) fn at_rate(bytes: usize, rate: u32) -> Duration {
    Duration::from_secs(bytes as u64) / rate.max(1)
}
