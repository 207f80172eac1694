//! `GET /health`: the process answers. `GET /ready`: its table does, too. Neither needs a token.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;
use tokio::time::timeout;

use super::Engine;
use crate::{
    batch::Headers,
    exchange::{Incoming, Outgoing, below_public},
    service::{HEALTH, READY},
    store::{Deadline, ItemKey, StoreError},
};

/// How long the table has for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nothing is under this key.
const PARTITION: &str = "B|ready";
/// How soon it makes sense to ask again.
const SOON: HeaderValue = HeaderValue::from_static("1");

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Alive,
    Ready,
}

impl Question {
    /// The question that a path is; a URL of the host may have a path before it.
    pub(super) fn of(path: &str, public_url: Option<&str>) -> Option<Self> {
        let asks = |path: &str| match path {
            HEALTH => Some(Self::Alive),
            READY => Some(Self::Ready),
            _ => None,
        };
        asks(path).or_else(|| asks(below_public(public_url, path)?))
    }
}

impl Engine {
    /// Answers a question.
    pub(super) async fn health(&self, question: Question, incoming: &Incoming) -> Outgoing {
        if !matches!(incoming.method, Method::GET | Method::HEAD) {
            let error = json!({ "error": { "code": "MethodNotAllowed", "message": "it is asked for by GET" } });
            let allow = (header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer(StatusCode::METHOD_NOT_ALLOWED, &error, Some(allow));
        }
        let problem = match question {
            Question::Alive => None,
            Question::Ready => self.problem().await,
        };
        match problem {
            None => answer(StatusCode::OK, &json!({ "status": "ok" }), None),
            Some(reason) => {
                let body = json!({ "status": "unavailable", "reason": reason });
                answer(StatusCode::SERVICE_UNAVAILABLE, &body, Some((header::RETRY_AFTER, SOON)))
            }
        }
    }

    /// Why the table does not answer, without anything of what it said; `None` when it does.
    async fn problem(&self) -> Option<&'static str> {
        let key = ItemKey { partition: PARTITION.into(), sort: "-".into() };
        let read = self.store.get(std::slice::from_ref(&key), Deadline::after(PATIENCE));
        match timeout(PATIENCE, read).await {
            Ok(Ok(_)) => None,
            Ok(Err(StoreError::Refused(_) | StoreError::Invalid(_))) => Some("the table refuses the service"),
            _ if self.store.usage().throttles > 0 => Some("the table has too much to do"),
            Ok(Err(_)) | Err(_) => Some("the table does not answer"),
        }
    }
}

fn answer(status: StatusCode, body: &serde_json::Value, extra: Option<(HeaderName, HeaderValue)>) -> Outgoing {
    let mut headers = Headers::new();
    headers.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some((name, value)) = extra {
        headers.append(name, value);
    }
    Outgoing { status, headers, body: Bytes::from(body.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_whole_path_with_or_without_that_of_the_public_url() {
        let of = |path| Question::of(path, Some("https://a.b/api"));
        assert_eq!((of("/health"), of("/api/ready")), (Some(Question::Alive), Some(Question::Ready)));
        for path in ["/", "/health/", "/healthy", "/x/health", "/apihealth", "/ready/x"] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
