//! The verdict on the head of a request: an answer, or leave to send its body.
//!
//! A body may be large, and slow to come. So a handler says first, from the head alone, whether there is any use in it: a
//! caller without a token costs an edge no more than a head. An edge that has all of a request does both in a row.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Outgoing;

/// The verdict on a head.
#[derive(Debug)]
pub enum Verdict {
    /// The answer; the body, if there is one, is of no use.
    Answered(Outgoing),
    /// The body may come.
    Admitted(Admitted),
}

/// A request whose head lets it in.
pub struct Admitted {
    /// The longest body that is taken, in bytes.
    pub body_limit: usize,
    answer: Answer,
}

type Answer = Box<dyn FnOnce(Result<Bytes, Unread>) -> BoxFuture<'static, Outgoing> + Send>;

/// Why a request is answered without its body, or before anything is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The body is longer than what is taken.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// So much is taken.
        limit: usize,
    },
    /// The body did not come, or came too slowly.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The body ended early, or is not framed as HTTP/1.1 frames one.
    #[error("the body is not complete")]
    Broken,
    /// The host has no room for the body or its answer, or too many requests wait already.
    #[error("the host has too much to do; nothing of the request was done")]
    Busy,
}

impl Admitted {
    /// Takes bodies of up to so many bytes, and answers as `answer` says.
    pub fn new<A, F>(body_limit: usize, answer: A) -> Self
    where
        A: FnOnce(Result<Bytes, Unread>) -> F + Send + 'static,
        F: Future<Output = Outgoing> + Send + 'static,
    {
        Self { body_limit, answer: Box::new(|body| Box::pin(answer(body))) }
    }

    /// Answers the request: does what it asks for, or says why its body could not be taken. Never fails.
    pub fn answer(self, body: Result<Bytes, Unread>) -> BoxFuture<'static, Outgoing> {
        (self.answer)(body)
    }
}

impl Verdict {
    /// The answer, where the body is there already.
    pub async fn with(self, body: Bytes) -> Outgoing {
        match self {
            Self::Answered(answer) => answer,
            Self::Admitted(admitted) if body.len() > admitted.body_limit => {
                let limit = admitted.body_limit;
                admitted.answer(Err(Unread::TooLong { limit })).await
            }
            Self::Admitted(admitted) => admitted.answer(Ok(body)).await,
        }
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("body_limit", &self.body_limit).finish_non_exhaustive()
    }
}
