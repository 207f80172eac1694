//! What the answer to a call of SetBatchJobToWaiting means. Pure.
//!
//! | answer | meaning | may it have acted? |
//! |---|---|---|
//! | 2xx, `IsSuccess: true` | the job waits again | – |
//! | `IsSuccess: false` | what its `ResponseStatusCode` means | no: it says so |
//! | 2xx that is not the action's reply | again | yes |
//! | 3xx | again | no |
//! | 401, 403, 407, 421, 423, 425, 429 | again | no: it was not let in |
//! | 408, 5xx, the connection lost, no answer in time | again | yes |
//! | other 4xx | refused | no |
//! | nobody listens, the address is not allowed | again | no: it was not sent |
//!
//! A 503 may have acted: this service answers so when it does not know what became of a write. The members of the reply
//! are read whatever their case (`reference/microsoft-wire.md` §1.1), bare or inside of `value`, there as object or text.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::outbox::{attempt::Health, courier::Answer};

/// The longest reason, in characters.
const MAX_REASON: usize = 500;

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The job waits again; how that is known, where the target did not say so itself.
    Done(Option<String>),
    /// The target refuses it, and would do so again.
    Refused(String),
    /// It is to be tried again.
    Again(Failure),
}

/// Why a call is to be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Why, for people.
    pub(super) reason: String,
    /// How long the target asks to wait.
    pub(super) after: Option<Duration>,
    /// Whether it may have acted all the same.
    pub(super) may_have_acted: bool,
    /// What it says of the target.
    pub(super) health: Health,
}

/// The reply of the action.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reply {
    is_success: bool,
    status: Option<u16>,
    details: String,
}

/// What the answer to the action means.
pub(super) fn outcome(answer: &Answer) -> Outcome {
    let http = match http_status(answer) {
        Ok(status) => status,
        Err(failure) => return Outcome::Again(Failure { may_have_acted: answer.arrived, ..failure }),
    };
    let succeeded = (200..300).contains(&http);
    match reply(&answer.body) {
        Some(reply) if reply.is_success && succeeded => Outcome::Done(None),
        Some(reply) if !reply.is_success => {
            let status = reply.status.unwrap_or(http);
            let reason = format!("the action answered {status}: {}", reply.details);
            match judged(answer, status, &reason) {
                Outcome::Again(failure) => Outcome::Again(Failure { may_have_acted: false, ..failure }),
                outcome => outcome,
            }
        }
        _ => judged(answer, http, &told(answer, http)),
    }
}

/// The state of a job in the answer to a read of it, or what it means that there is none. Reading does nothing.
pub(super) fn status(answer: &Answer) -> Result<String, Outcome> {
    let http = http_status(answer).map_err(Outcome::Again)?;
    let members: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
    let status = members.as_ref().and_then(|members| member(members, "Status")?.as_str());
    match status.filter(|_| (200..300).contains(&http)) {
        Some(status) => Ok(shortened(status)),
        None => Err(match judged(answer, http, &format!("reading the job: {}", told(answer, http))) {
            Outcome::Again(failure) => Outcome::Again(Failure { may_have_acted: false, ..failure }),
            outcome => outcome,
        }),
    }
}

/// The status of an answer, or what it means that there is no answer.
fn http_status(answer: &Answer) -> Result<u16, Failure> {
    answer.attempt.result.clone().map_err(|reason| Failure::of_target(&reason, None))
}

impl Outcome {
    /// What it says of the target.
    pub(super) fn health(&self) -> Health {
        match self {
            Self::Done(_) | Self::Refused(_) => Health::Well,
            Self::Again(failure) => failure.health,
        }
    }
}

impl Failure {
    /// The target does not answer, or nobody.
    pub(super) fn of_target(reason: &str, after: Option<Duration>) -> Self {
        let (reason, health) = (shortened(reason), Health::Failing(after));
        Self { reason, after, may_have_acted: false, health }
    }
}

/// What a status means.
fn judged(answer: &Answer, status: u16, reason: &str) -> Outcome {
    let failure = Failure::of_target(reason, answer.attempt.retry_after);
    // What may be the matter of this one job keeps no other from being called; the job's own waits are pause enough.
    let health = if failure.after.is_none() { Health::Well } else { failure.health };
    Outcome::Again(match status {
        403 | 423 => Failure { health, ..failure },
        401 | 407 | 421 | 425 | 429 | 300..=399 => failure,
        400..=407 | 409..=499 => return Outcome::Refused(failure.reason),
        200..=299 | 500 => Failure { may_have_acted: true, health, ..failure },
        _ => Failure { may_have_acted: true, ..failure },
    })
}

/// What an answer says that is no reply of the action.
fn told(answer: &Answer, status: u16) -> String {
    match message(&answer.body) {
        Some(text) => format!("{status}: {text}"),
        None if (200..300).contains(&status) => format!("the answer {status} is not what the target should say"),
        None => format!("the answer was {status}"),
    }
}

/// The reply in a body, if it is one.
fn reply(body: &[u8]) -> Option<Reply> {
    let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    read(&members).or_else(|| match member(&members, "value")? {
        Value::Object(inner) => read(inner),
        Value::String(text) => read(&serde_json::from_str(text).ok()?),
        _ => None,
    })
}

fn read(members: &Map<String, Value>) -> Option<Reply> {
    Some(Reply {
        is_success: member(members, "IsSuccess")?.as_bool()?,
        status: member(members, "ResponseStatusCode").and_then(Value::as_u64).and_then(|status| status.try_into().ok()),
        details: member(members, "ExceptionDetails").and_then(Value::as_str).unwrap_or_default().to_owned(),
    })
}

/// What an error of OData says: the text that is of use is the inner one (`reference/microsoft-wire.md` §1.2).
fn message(body: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let text = ["/error/innererror/message", "/error/message"].into_iter().find_map(|at| json.pointer(at)?.as_str());
    text.filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn member<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    members.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A text of a target as it is kept: one line of limited length.
pub(super) fn shortened(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(MAX_REASON).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::courier::Attempt;

    const SUCCESS: &str =
        r#"{"ResponseStatusCode":200,"IsSuccess":true,"Batch JobId":1,"ExceptionDetails":"","reponseMessage":"ok"}"#;

    fn answer(result: Result<u16, &str>, body: &str) -> Answer {
        let attempt =
            Attempt { result: result.map_err(str::to_owned), retry_after: None, duration: Duration::from_millis(1) };
        Answer { attempt, body: body.to_owned().into(), arrived: true }
    }

    fn denied(status: u16) -> String {
        format!(
            r#"{{"ResponseStatusCode":{status},"IsSuccess":false,"Batch JobId":1,"ExceptionDetails":"no\nway","reponseMessage":""}}"#
        )
    }

    fn failure(outcome: Outcome) -> Failure {
        let Outcome::Again(failure) = outcome else { panic!("{outcome:?}") };
        failure
    }

    #[test]
    fn success_is_read_in_every_form_it_may_have() {
        let text = serde_json::to_string(SUCCESS).unwrap();
        for body in [
            SUCCESS.to_owned(),
            format!(r#"{{"@odata.context":"x","value":{text}}}"#),
            format!(r#"{{"@odata.context":"x","value":{SUCCESS}}}"#),
            r#"{"issuccess":true,"BatchJobId":1,"ResponseMessage":"ok"}"#.to_owned(),
        ] {
            assert_eq!(outcome(&answer(Ok(200), &body)), Outcome::Done(None), "{body}");
        }
        assert!(failure(outcome(&answer(Ok(500), SUCCESS))).may_have_acted, "the status denies it");
    }

    #[test]
    fn a_reply_without_success_is_judged_by_its_own_status() {
        for http in [200, 409] {
            for status in [400, 404, 409, 422] {
                let expected = Outcome::Refused(format!("the action answered {status}: no way"));
                assert_eq!(outcome(&answer(Ok(http), &denied(status))), expected);
            }
        }
        let wrapped = format!(r#"{{"value":{}}}"#, serde_json::to_string(&denied(404)).unwrap());
        assert!(matches!(outcome(&answer(Ok(200), &wrapped)), Outcome::Refused(_)));
        for (http, status) in [(200, 429), (200, 500), (500, 500), (503, 503), (200, 200)] {
            let failure = failure(outcome(&answer(Ok(http), &denied(status))));
            assert!(!failure.may_have_acted, "{http} {status}: it says that it did not");
        }
        let stranger = failure(outcome(&answer(Ok(403), &denied(403))));
        assert_eq!((stranger.may_have_acted, stranger.health), (false, Health::Well), "other jobs may be allowed");
    }

    #[test]
    fn what_the_target_refuses_is_final_and_says_why() {
        for status in [400, 402, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 417, 422, 424, 426, 428, 431, 451] {
            assert!(matches!(outcome(&answer(Ok(status), "")), Outcome::Refused(_)), "{status}");
        }
        let odata =
            r#"{"error":{"code":"","message":"An error has occurred.","innererror":{"message":"No such job"}}}"#;
        assert_eq!(outcome(&answer(Ok(400), odata)), Outcome::Refused("400: No such job".into()));
        let long = format!(r#"{{"error":{{"code":"","message":"{}"}}}}"#, "ü".repeat(9_000));
        let Outcome::Refused(reason) = outcome(&answer(Ok(400), &long)) else { panic!() };
        assert_eq!(reason.chars().count(), 500);
    }

    #[test]
    fn what_may_pass_is_tried_again_and_known_to_have_acted_or_not() {
        for (status, may_have_acted) in [
            (200, true),
            (202, true),
            (204, true),
            (301, false),
            (302, false),
            (308, false),
            (401, false),
            (403, false),
            (407, false),
            (408, true),
            (421, false),
            (423, false),
            (425, false),
            (429, false),
            (500, true),
            (501, true),
            (502, true),
            (503, true),
            (504, true),
            (599, true),
            (100, true),
        ] {
            let failure = failure(outcome(&answer(Ok(status), "<html>Sorry</html>")));
            assert_eq!(failure.may_have_acted, may_have_acted, "{status}");
            assert_eq!(failure.health == Health::Well, [200, 202, 204, 403, 423, 500].contains(&status), "{status}");
        }
        for arrived in [true, false] {
            let lost = Answer { arrived, ..answer(Err("no answer within 30 s"), "") };
            let failure = failure(outcome(&lost));
            assert_eq!((failure.may_have_acted, failure.health), (arrived, Health::Failing(None)));
        }
    }

    #[test]
    fn a_target_may_ask_to_wait() {
        let wait = Some(Duration::from_secs(7));
        for status in [200, 429, 500, 503] {
            let mut busy = answer(Ok(status), "");
            busy.attempt.retry_after = wait;
            let failure = failure(outcome(&busy));
            assert_eq!((failure.after, failure.health), (wait, Health::Failing(wait)), "{status}");
        }
    }

    #[test]
    fn the_state_of_a_job_is_read_or_it_is_said_why_not() {
        assert_eq!(status(&answer(Ok(200), r#"{"BatchJobRecId":1,"Status":"Error"}"#)), Ok("Error".into()));
        assert!(matches!(status(&answer(Ok(404), "")), Err(Outcome::Refused(_))));
        for (http, body) in
            [(200, "<html>"), (200, "{}"), (200, r#"{"Status":3}"#), (500, ""), (503, r#"{"Status":"Error"}"#)]
        {
            let failure = failure(status(&answer(Ok(http), body)).unwrap_err());
            assert!(!failure.may_have_acted, "reading does nothing: {http}");
        }
    }
}
