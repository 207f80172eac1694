//! How a request, a unit or a batch ended, as bytes: what its repeats are told.
//!
//! The bytes are the length of a JSON text, that text (statuses, headers, references), and the bodies one after another.

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::batch::{Headers, Response};

use super::{Outcome, context::Reference};

/// How a unit of work ended. A batch as a whole is a unit of one answer.
#[derive(Clone, Debug)]
pub enum Ending {
    /// All requests were carried out.
    Done(Vec<Outcome>),
    /// One was refused, and nothing was changed.
    Failed {
        /// The answers of those before it, as they would have been.
        before: Vec<Outcome>,
        /// Its answer.
        answer: Response,
    },
}

#[derive(Debug, Deserialize, Serialize)]
struct Head {
    /// The last of the answers is that of a request that was refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
    answers: Vec<Answer>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    /// Length of the body.
    body: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Led>,
}

/// The entity that an answer led to.
#[derive(Debug, Deserialize, Serialize)]
struct Led {
    path: String,
    etag: Option<String>,
}

impl Ending {
    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let (outcomes, failed) = match self {
            Self::Done(outcomes) => (outcomes, None),
            Self::Failed { before, answer } => (before, Some(answer)),
        };
        let done = outcomes.iter().map(|outcome| Answer::of(&outcome.response, &outcome.reference));
        let answers = done.chain(failed.map(|answer| Answer::of(answer, &Reference::Nothing))).collect();
        // Texts and numbers always serialize.
        let head = serde_json::to_vec(&Head { failed: failed.is_some(), answers }).unwrap_or_default();
        let bodies = outcomes.iter().map(|outcome| &outcome.response.body).chain(failed.map(|answer| &answer.body));
        let mut bytes = BytesMut::with_capacity(8 + head.len() + bodies.clone().map(Bytes::len).sum::<usize>());
        bytes.put_u64(head.len() as u64);
        bytes.put_slice(&head);
        bodies.for_each(|body| bytes.put_slice(body));
        bytes.freeze()
    }

    /// From bytes; `None` where they are none of [`Self::encode`].
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let length = u64::from_be_bytes(take(&mut bytes, 8)?.as_ref().try_into().ok()?);
        let head = take(&mut bytes, length.try_into().ok()?)?;
        let head: Head = serde_json::from_slice(&head).ok()?;
        let mut outcomes =
            head.answers.into_iter().map(|answer| answer.outcome(&mut bytes)).collect::<Option<Vec<_>>>()?;
        if !head.failed {
            return Some(Self::Done(outcomes));
        }
        let answer = outcomes.pop()?.response;
        Some(Self::Failed { before: outcomes, answer })
    }
}

/// Takes the first bytes, if there are so many.
fn take(bytes: &mut Bytes, count: usize) -> Option<Bytes> {
    (count <= bytes.len()).then(|| bytes.split_to(count))
}

impl Answer {
    fn of(response: &Response, reference: &Reference) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            status: response.status.as_u16(),
            headers: response.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            body: response.body.len(),
            reference: match reference {
                Reference::Entity { path, etag } => Some(Led { path: path.clone(), etag: etag.clone() }),
                Reference::Nothing | Reference::Failed => None,
            },
        }
    }

    fn outcome(self, bodies: &mut Bytes) -> Option<Outcome> {
        let mut headers = Headers::new();
        for (name, value) in &self.headers {
            headers.try_append(name, value).ok()?;
        }
        let (status, body) = (StatusCode::from_u16(self.status).ok()?, take(bodies, self.body)?);
        let reference = match self.reference {
            Some(Led { path, etag }) => Reference::Entity { path, etag },
            None => Reference::Nothing,
        };
        Some(Outcome { response: Response { id: None, status, headers, body }, reference, repeated: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, body: &'static [u8], reference: Reference) -> Outcome {
        let mut headers = Headers::new();
        headers.try_append("Location", "http://h/a('\u{fc}')").unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let response = Response { id: None, status, headers, body: Bytes::from_static(body) };
        Outcome { response, reference, repeated: true }
    }

    #[test]
    fn an_ending_is_read_as_it_was_written() {
        let entity = Reference::Entity { path: "a(1)".into(), etag: Some("W/\"x\"".into()) };
        let both = vec![outcome(201, b"{\"a\":1}", entity.clone()), outcome(204, b"", Reference::Nothing)];
        let bytes = Ending::Done(both.clone()).encode();
        let Some(Ending::Done(read)) = Ending::decode(bytes.clone()) else { panic!("it is done") };
        for (read, written) in read.iter().zip(&both) {
            assert_eq!((&read.response, &read.reference), (&written.response, &written.reference));
        }
        let answer = outcome(409, b"\xff", Reference::Nothing).response;
        let failed = Ending::Failed { before: both[..1].to_vec(), answer: answer.clone() };
        let Some(Ending::Failed { before, answer: read }) = Ending::decode(failed.encode()) else {
            panic!("it failed")
        };
        assert_eq!((before.len(), &before[0].reference, read), (1, &entity, answer));
        for end in 0..bytes.len() {
            assert!(Ending::decode(bytes.slice(..end)).is_none(), "{end}");
        }
    }
}
