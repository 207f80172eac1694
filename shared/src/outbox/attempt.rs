//! One attempt to deliver one row: the request, and what is written about it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    edm::{DateTimeOffset, ETag, Model, Value, Version},
    events::{Meta, Verdict, envelope, id_text, next_attempt, sign, verdict},
    store::{Commit, Condition, Deadline, Due, ItemKey, Patch, Schedule, StoreError, Stored, Write, WriteKind},
    telemetry::{AttemptLine, TraceContext},
};

use super::{
    ANSWER_TIME, KEPT, LEASE, Outbox, STORE_TIME,
    change::subject,
    courier::Attempt,
    delivery::{Delivery, State, time},
    desk::{Desk, Mail},
    endpoint::Endpoint,
    jitter, later, operation,
};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Before a write is tried again that met a transaction.
const CONFLICT_PAUSE: Duration = Duration::from_millis(30);

/// How often it is tried to write down an attempt at a row that others change.
const TRIES: usize = 5;

/// What became of writes.
pub(super) enum Settled {
    /// They are stored, by the operation of this id.
    Done(String),
    /// These items do not meet their conditions. They are as given here (`None`: absent).
    Refused(Vec<(ItemKey, Option<Stored>)>),
    /// Others kept having one of the items.
    Busy,
}

/// How a row ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The endpoint has it.
    Delivered,
    /// There were enough attempts.
    GivenUp,
    /// It is tried again then.
    Postponed(Timestamp),
}

/// What an attempt says about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers.
    Well,
    /// It failed at one event: that may be the event's fault, or its own.
    Doubtful,
    /// It does not, or not with sense; how long it wants to be left alone.
    Failing(Option<Duration>),
    /// It is gone for good.
    Gone,
}

impl Outbox {
    /// Takes a row for this attempt; the row as it is then, or `None` when it is not what was read any more.
    pub(super) async fn claim(
        &self,
        desk: &Desk,
        endpoint: &Endpoint,
        mut row: Delivery,
    ) -> Result<Option<Delivery>, StoreError> {
        let lease = Due::new(&desk.service.name, endpoint.id, later(self.now(), LEASE));
        let due = Some(lease.time.clone());
        let Some(etag) = self.change(desk, &row, Vec::new(), Schedule::At(lease)).await? else { return Ok(None) };
        (row.etag, row.due) = (etag, due);
        Ok(Some(row))
    }

    /// Sends a row.
    pub(super) async fn send(&self, desk: &Desk, endpoint: &Endpoint, row: &Delivery) -> (Timestamp, Attempt) {
        let begun = self.now();
        let refused = |reason: String| Attempt { result: Err(reason), retry_after: None, duration: Duration::ZERO };
        let secret = match &endpoint.secret {
            Ok(secret) => secret.as_ref(),
            Err(fault) => return (begun, refused(format!("not sent: {fault}"))),
        };
        let id = id_text(row.event_id);
        let subject = subject(desk, row.job, endpoint);
        // Each attempt is a span of its own; the event, which may be signed, stays what it is.
        let trace = TraceContext::from_text(&row.trace);
        let parent = trace.as_ref().map(TraceContext::parent).unwrap_or_default();
        let meta = Meta {
            event_id: row.event_id,
            business_event_id: &row.business_event_id,
            time: event_time(&row.payload).or(row.created).unwrap_or(begun),
            source: &desk.source,
            subject: &subject,
            traceparent: &parent,
            tracestate: trace.as_ref().and_then(TraceContext::state).unwrap_or_default(),
        };
        let envelope = envelope(endpoint.format, &row.payload, &meta);
        let seconds = begun.as_second();
        let signature = secret.map(|secret| sign(secret, &id, seconds, &envelope.body));
        let mut headers: HeaderMap = envelope.headers.into_iter().collect();
        headers.extend(trace.iter().flat_map(|trace| trace.child(Uuid::new_v4()).headers()));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(envelope.content_type));
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(seconds));
        for (name, value) in [(WEBHOOK_ID, Some(id)), (WEBHOOK_SIGNATURE, signature)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        (begun, self.courier.post(&endpoint.url, headers, envelope.body, ANSWER_TIME).await)
    }

    /// Writes down what came of an attempt at a row that was claimed; how the row ended by it.
    ///
    /// `None` when it is not this attempt that ends it: somebody else took, resent or gave up the row meanwhile. What
    /// they made of it stays, and the attempt is added. Only a row that was given up is delivered after all when it was.
    pub(super) async fn finish(
        &self,
        (desk, mail): (&Desk, &Mail),
        claimed: Delivery,
        (begun, attempt): (Timestamp, &Attempt),
    ) -> Result<Option<End>, StoreError> {
        let made = claimed.attempt_count.saturating_add(1);
        let end = self.end(made, attempt);
        let (key, lease, mut row) = (claimed.key.clone(), claimed.due.clone(), claimed);
        for _ in 0..TRIES {
            // Whoever takes or resends a row gives it another time.
            let is_own = row.state == State::Pending && row.due == lease;
            let mut properties = vec![("Attempts", row.attempts_with(desk, mail, begun, attempt))];
            let schedule = if is_own {
                properties.push(("AttemptCount", Value::Integer(made)));
                self.conclude((desk, mail), &row, &end, &mut properties)
            } else if row.state == State::Failed && end == End::Delivered {
                self.conclude((desk, mail), &row, &end, &mut properties)
            } else {
                Schedule::Keep
            };
            if self.change(desk, &row, properties, schedule).await?.is_some() {
                if is_own {
                    tell(desk, &row, (made, attempt), &end);
                }
                return Ok(is_own.then_some(end));
            }
            match self.row(desk, mail, &key).await? {
                Some(now) => row = now,
                None => return Ok(None),
            }
        }
        tracing::warn!(?key, "an attempt was not written down: others kept changing the row");
        Ok(None)
    }

    /// How a row ends by its attempt of this number.
    fn end(&self, made: i64, attempt: &Attempt) -> End {
        let judged = verdict(attempt.result.as_ref().ok().copied(), attempt.retry_after);
        let wait = match judged {
            Verdict::Delivered => return End::Delivered,
            Verdict::Retry { after } => next_attempt(u32::try_from(made).unwrap_or(u32::MAX), jitter(), after),
            // It waits until the endpoint is switched on again.
            Verdict::Disable => Some(Duration::ZERO),
        };
        wait.map_or(End::GivenUp, |wait| End::Postponed(later(self.now(), wait)))
    }

    /// Gives a row up that is not sent any more, and says why. False when it is not what was read any more.
    pub(super) async fn bury(
        &self,
        (desk, mail): (&Desk, &Mail),
        row: &Delivery,
        why: &str,
    ) -> Result<bool, StoreError> {
        let note = Attempt { result: Err(why.to_owned()), retry_after: None, duration: Duration::ZERO };
        let mut properties = vec![("Attempts", row.attempts_with(desk, mail, self.now(), &note))];
        let schedule = self.conclude((desk, mail), row, &End::GivenUp, &mut properties);
        let buried = self.change(desk, row, properties, schedule).await?.is_some();
        if buried {
            tell(desk, row, (row.attempt_count, &note), &End::GivenUp);
        }
        Ok(buried)
    }

    /// The properties and the place in the index of a row that ended like this.
    fn conclude(
        &self,
        (desk, mail): (&Desk, &Mail),
        row: &Delivery,
        end: &End,
        properties: &mut Vec<(&'static str, Value)>,
    ) -> Schedule {
        let status = |name| desk.member(mail.deliveries.ty, "Status", name);
        let done = Schedule::Done { expires: later(self.now(), KEPT).as_second() };
        match end {
            End::Delivered => {
                let at = time(self.now());
                properties.extend([
                    ("Status", status("Delivered")),
                    ("DeliveredDateTime", at),
                    ("DueDateTime", Value::Null),
                ]);
                done
            }
            End::GivenUp => {
                properties.extend([("Status", status("Failed")), ("DueDateTime", Value::Null)]);
                done
            }
            End::Postponed(at) => {
                properties.push(("DueDateTime", time(*at)));
                Schedule::At(Due::new(&desk.service.name, row.endpoint, *at))
            }
        }
    }

    /// Writes all of it; `writes` makes it for the operation of an id. What was cancelled is another operation the next
    /// time: a token stands for one request.
    pub(super) async fn settle(
        &self,
        model: &Model,
        writes: impl Fn(&str) -> Result<Vec<Write>, StoreError>,
    ) -> Result<Settled, StoreError> {
        let deadline = Deadline::after(STORE_TIME);
        loop {
            let operation = operation();
            let writes = writes(&operation)?;
            // Boxed: each caller would hold the state of the whole way to the table otherwise.
            match Box::pin(self.store.commit(model, &writes, &operation, deadline)).await? {
                Commit::Done => return Ok(Settled::Done(operation)),
                Commit::Refused(items) => return Ok(Settled::Refused(items)),
                // A transaction had the row (somebody wants it sent again, perhaps): what it left is seen next time.
                Commit::Conflict if deadline.is_before(CONFLICT_PAUSE) => return Ok(Settled::Busy),
                Commit::Conflict => tokio::time::sleep(CONFLICT_PAUSE).await,
            }
        }
    }

    /// Changes a row that is still as it was read; its new etag, or `None` when it is not.
    async fn change(
        &self,
        desk: &Desk,
        row: &Delivery,
        properties: Vec<(&'static str, Value)>,
        schedule: Schedule,
    ) -> Result<Option<ETag>, StoreError> {
        let etag = &row.etag;
        let properties: Vec<_> = properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let version = |operation: &str| format!("{operation}.0");
        let write = |operation: &str| {
            let (properties, schedule) = (properties.clone(), schedule.clone());
            let patch = Patch { properties, schedule, version: version(operation), ..Patch::default() };
            let condition = Condition::Version(etag.clone());
            Ok(vec![Write { key: row.key.clone(), kind: WriteKind::Patch(patch), condition }])
        };
        Ok(match self.settle(desk.model(), write).await? {
            Settled::Done(operation) => {
                Some(ETag { incarnation: etag.incarnation.clone(), version: Version(version(&operation)) })
            }
            Settled::Refused(_) | Settled::Busy => None,
        })
    }
}

/// Writes the line of an attempt of this number that did not deliver its row.
fn tell(desk: &Desk, row: &Delivery, (number, attempt): (i64, &Attempt), end: &End) {
    let next = match end {
        End::Delivered => return,
        End::GivenUp => None,
        End::Postponed(at) => Some(*at),
    };
    AttemptLine {
        service: &desk.service.name,
        endpoint: Some(row.endpoint),
        requeue_target: None,
        event: row.event_id,
        job: row.job,
        attempt: number,
        status: attempt.result.as_ref().ok().copied(),
        reason: attempt.result.as_ref().err().map(String::as_str),
        next,
        refused: false,
    }
    .write();
}

/// What an attempt says about its endpoint. A refusal of one event (4xx) says nothing about the others.
pub(super) fn health(attempt: &Attempt) -> Health {
    match (&attempt.result, verdict(attempt.result.as_ref().ok().copied(), attempt.retry_after)) {
        (_, Verdict::Delivered)
        | (Ok(400..=407 | 409..=424 | 426..=428 | 430..=499), Verdict::Retry { after: None }) => Health::Well,
        (Ok(500), Verdict::Retry { after: None }) => Health::Doubtful,
        (_, Verdict::Disable) => Health::Gone,
        (_, Verdict::Retry { after }) => Health::Failing(after),
    }
}

/// When the event of a payload happened.
fn event_time(payload: &str) -> Option<Timestamp> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Time<'a> {
        event_time_iso8601: &'a str,
    }
    let time: Time<'_> = serde_json::from_str(payload).ok()?;
    DateTimeOffset::parse(time.event_time_iso8601).ok().map(|at| at.instant())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_of_one_event_does_not_shut_the_endpoint() {
        let attempt = |result, retry_after| Attempt { result, retry_after, duration: Duration::ZERO };
        let minute = Some(Duration::from_mins(1));
        for (result, asked, expected) in [
            (Ok(204), None, Health::Well),
            (Ok(400), None, Health::Well),
            (Ok(400), minute, Health::Failing(minute)),
            (Ok(429), minute, Health::Failing(minute)),
            (Ok(408), None, Health::Failing(None)),
            (Ok(302), None, Health::Failing(None)),
            (Ok(500), None, Health::Doubtful),
            (Ok(500), minute, Health::Failing(minute)),
            (Ok(503), None, Health::Failing(None)),
            (Ok(410), None, Health::Gone),
            (Err("no answer within 10 s".to_owned()), None, Health::Failing(None)),
        ] {
            assert_eq!(health(&attempt(result.clone(), asked)), expected, "{result:?}");
        }
    }

    #[test]
    fn the_time_of_an_event_is_in_its_payload() {
        let payload = r#"{"EventTimeIso8601":"2022-12-30T13:51:15.2942742Z","EventId":"x"}"#;
        assert_eq!(event_time(payload), Some("2022-12-30T13:51:15.2942742Z".parse().unwrap()));
        assert_eq!(event_time("{}"), None);
    }
}
