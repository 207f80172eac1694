//! A stream whose client is not waited for without end.
//!
//! hyper has a deadline for a head, and then ends the connection without a word; it has none for a client that does not read.
//! Timeouts of single reads and writes, as tokio-io-timeout has them, begin anew with every byte. So this is own code: whole
//! heads and whole answers have a deadline, who is cut off is told so, and a client whose body is refused is read from for
//! a moment, as closing at once would take the answer away from it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::futures::OwnedNotified,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    connection::{Connection, Fate, Phase},
    limits::Limits,
};

/// Most bytes of a refused body that are read to be forgotten.
const FORGOTTEN: usize = 16 << 20;
/// So many of them are read before other connections have their turn.
const AT_ONCE: usize = 32 << 10;

/// The stream of a connection.
pub(super) struct Watched<S> {
    stream: S,
    connection: Arc<Connection>,
    limits: Limits,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
    woken: Pin<Box<OwnedNotified>>,
    /// Since when nothing of an answer is taken.
    stalled: Option<Instant>,
    /// Nothing more is read or written.
    ended: bool,
    /// Bytes that were read to be forgotten, and until when they are.
    forgotten: Option<(usize, Instant)>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>, limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            stream,
            limits,
            reading: Box::pin(sleep_until(now)),
            writing: Box::pin(sleep_until(now)),
            woken: Box::pin(Arc::clone(&connection.woken).notified_owned()),
            connection,
            stalled: None,
            ended: false,
            forgotten: None,
        }
    }

    /// Sees to it that the task is woken when the connection is given up.
    fn listen(&mut self, cx: &mut Context<'_>) {
        while self.woken.as_mut().poll(cx).is_ready() {
            self.woken.set(Arc::clone(&self.connection.woken).notified_owned());
        }
    }

    /// Ends the wait for a client that takes nothing, or too little, of its answer.
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        self.listen(cx);
        let since = *self.stalled.get_or_insert_with(Instant::now);
        let deadline = self.connection.answer_by().min(since + self.limits.stall);
        if self.connection.is_given_up() || has_passed(&mut self.writing, deadline, cx) {
            self.ended = true;
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not read")));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                this.connection.heard();
            }
            return Poll::Ready(result);
        }
        this.listen(cx);
        loop {
            match this.connection.fate(&this.limits) {
                Fate::Waits(None) => return Poll::Pending,
                Fate::Waits(Some(deadline)) if !has_passed(&mut this.reading, deadline, cx) => return Poll::Pending,
                Fate::Waits(Some(_)) => {}
                Fate::Ends(told) => {
                    this.ended = true;
                    if let Some(told) = told {
                        // Nothing was written on this connection since the last answer: there is room for a short one.
                        told.count();
                        let _ = Pin::new(&mut this.stream).poll_write(cx, &told.bytes());
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (mut bytes, until) = if let Some(forgotten) = this.forgotten {
            forgotten
        } else {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if this.ended || !this.connection.is_unread() {
                return Poll::Ready(Ok(()));
            }
            this.connection.turn_to(Phase::Leaving);
            (0, Instant::now() + this.limits.linger)
        };
        let (begin, mut buffer) = (bytes, [0; 8 << 10]);
        loop {
            if bytes - begin >= AT_ONCE {
                this.forgotten = Some((bytes, until));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut this.stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() && bytes < FORGOTTEN => bytes += read.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    this.forgotten = Some((bytes, until));
                    this.listen(cx);
                    let ends = this.connection.is_given_up() || has_passed(&mut this.reading, until, cx);
                    return if ends { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
            }
        }
    }
}

/// Whether a time has passed; if not, the task is woken when it has.
fn has_passed(timer: &mut Pin<Box<Sleep>>, deadline: Instant, cx: &mut Context<'_>) -> bool {
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.as_mut().poll(cx).is_ready()
}
