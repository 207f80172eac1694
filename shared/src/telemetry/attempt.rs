//! The line of an attempt that failed: a delivery that an endpoint did not take, a call that requeued no job.

use jiff::Timestamp;
use uuid::Uuid;

/// Target of the line.
const ATTEMPT: &str = "rebatch::attempt";

/// An attempt of the outbox that failed. It names no URL: those of endpoints may hold secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttemptLine<'a> {
    /// The service.
    pub service: &'a str,
    /// Id of the endpoint, of a delivery.
    pub endpoint: Option<Uuid>,
    /// Name of the target, of a requeue.
    pub requeue_target: Option<&'a str>,
    /// The event.
    pub event: Uuid,
    /// The job, where there is one.
    pub job: Option<i64>,
    /// Its number among the attempts of the row, from 1.
    pub attempt: i64,
    /// Status of the answer, where there was one.
    pub status: Option<u16>,
    /// Why there was none.
    pub reason: Option<&'a str>,
    /// When the next attempt is due; none where the row is given up, or refused.
    pub next: Option<Timestamp>,
    /// Whether the target refused to requeue, and would do so again: the job is in another state, or has met its own limit.
    pub refused: bool,
}

impl AttemptLine<'_> {
    /// Writes it, as a warning.
    pub fn write(&self) {
        macro_rules! line {
            ($text:literal) => {
                tracing::warn!(
                    target: ATTEMPT,
                    service = self.service,
                    endpoint = self.endpoint.map(tracing::field::display),
                    requeueTarget = self.requeue_target,
                    eventId = tracing::field::display(self.event),
                    job = self.job,
                    attempt = self.attempt,
                    status = self.status,
                    reason = self.reason,
                    next = self.next.map(tracing::field::display),
                    $text
                )
            };
        }
        match (self.next, self.requeue_target) {
            _ if self.refused => line!("a requeue was refused: the job stays as it is"),
            (Some(_), _) => line!("an attempt failed"),
            (None, None) => line!("a delivery was given up: Resend sends it again"),
            (None, Some(_)) => line!("a requeue was given up: a person has to look"),
        }
    }
}
