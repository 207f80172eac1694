//! A connection: who is to act next on it, and since when.
//!
//! No client may keep the server waiting without end, so each phase in which a client is to act has its deadline. When there
//! are too many connections, that is closed which has kept the server waiting for the longest.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{answer::Told, limits::Limits};

/// The side that is to act. When room is needed, the first phases are closed first, but for those that have hardly begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The client: to notice that no more of its body is read.
    Leaving,
    /// The client: to begin with a request.
    Idle,
    /// The client: to end the head of its request.
    Head,
    /// The client: to send the body.
    Body,
    /// The client: to take the answer.
    Answer,
    /// The server.
    Work,
}

/// For so long a client may be silent before it makes room for others: to send what it came for, to take an answer.
const HONEST: Duration = Duration::from_secs(1);

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    state: Mutex<State>,
    /// Wakes its task when it is to end.
    pub(super) woken: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Until when the answer has to be taken.
    answer_by: Instant,
    /// Its client is not waited for any longer.
    given_up: bool,
    /// A request has come on it.
    used: bool,
    /// A body was not read to its end: its client may still be sending.
    unread: bool,
}

/// The fate of a connection whose client is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server waits for the client until then.
    Waits(Option<Instant>),
    /// The server closes it, and tells the client why where a request has begun.
    Ends(Option<Told>),
}

impl Connection {
    /// A connection on which nothing has been said.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let state =
            State { phase: Phase::Idle, since: now, answer_by: now, given_up: false, used: false, unread: false };
        Self { state: Mutex::new(state), woken: Arc::new(Notify::new()) }
    }

    /// Another phase begins.
    pub(super) fn turn_to(&self, phase: Phase) {
        self.lock().turn_to(phase);
    }

    /// Bytes came. The first of them begin a head; one that is whole is served, even where its connection was given up.
    pub(super) fn heard(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Idle {
            let given_up = state.given_up;
            state.turn_to(Phase::Head);
            state.given_up = given_up;
        }
    }

    /// An answer of so many bytes is to be taken; whether the client may still be sending a body of which nothing is read.
    pub(super) fn answers(&self, time: Duration, unread: bool) {
        let mut state = self.lock();
        state.turn_to(Phase::Answer);
        (state.answer_by, state.unread) = (state.since + time, unread);
    }

    /// The answer is taken.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Answer {
            state.turn_to(Phase::Idle);
        }
    }

    /// Until when its answer has to be taken.
    pub(super) fn answer_by(&self) -> Instant {
        self.lock().answer_by
    }

    /// Whether its client may still be sending a body of which nothing is read.
    pub(super) fn is_unread(&self) -> bool {
        self.lock().unread
    }

    /// Whether its client is not waited for any longer.
    pub(super) fn is_given_up(&self) -> bool {
        self.lock().given_up
    }

    /// Its place among those that may be closed to make room; `None` where the server is to act, or an answer has just begun.
    /// A connection on which nothing is said yet comes last: most likely its request is on the way.
    pub(super) fn place(&self) -> Option<(bool, Phase, Instant)> {
        let state = self.lock();
        let fresh = state.since.elapsed() < HONEST;
        let held = !matches!((state.phase, fresh), (Phase::Work, _) | (Phase::Answer, true));
        (held && !state.given_up).then_some((fresh && state.phase == Phase::Idle, state.phase, state.since))
    }

    /// Ends the wait for its client, if there is one in one of these phases.
    pub(super) fn give_up(&self, up_to: Phase) {
        let mut state = self.lock();
        if state.phase <= up_to {
            state.given_up = true;
            self.woken.notify_one();
        }
    }

    /// The fate of the connection while nothing comes.
    pub(super) fn fate(&self, limits: &Limits) -> Fate {
        let state = self.lock();
        let (deadline, told) = match state.phase {
            Phase::Idle => (state.since + limits.idle, None),
            Phase::Head => (state.since + limits.head_time, Some(Told::TooSlow)),
            // The deadline of a body depends on how much came: who receives it knows that.
            Phase::Body => return if state.given_up { Fate::Ends(Some(Told::Busy)) } else { Fate::Waits(None) },
            // Looked at again when the answer is taken, or its deadline has passed: that counts for who writes.
            Phase::Answer if state.answer_by > Instant::now() => return Fate::Waits(Some(state.answer_by)),
            Phase::Work | Phase::Answer | Phase::Leaving => return Fate::Waits(None),
        };
        match (state.given_up, Instant::now() >= deadline) {
            // Of a connection that is kept, the client does not expect a word; of a new one its request may be on the way.
            (true, _) => Fate::Ends((told.is_some() || !state.used).then_some(Told::Busy)),
            (false, true) => Fate::Ends(told),
            (false, false) => Fate::Waits(Some(deadline)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turn_to(&mut self, phase: Phase) {
        (self.phase, self.since, self.given_up) = (phase, Instant::now(), false);
        self.used |= phase == Phase::Work;
    }
}
