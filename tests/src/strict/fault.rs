//! Accidents between the SDK and DynamoDB.

use std::{fmt, io, sync::Arc};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    Call,
    conflicts::{conflict, writes},
};

/// What may happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500 without an effect.
    FailBefore,
    /// 500 after the effect.
    FailAfterCommit,
    /// The connection breaks before the request arrives.
    DropBefore,
    /// The effect happens, its answer is lost with the connection.
    DropAfterCommit,
    /// No answer in time, and no effect.
    Timeout,
    /// No answer in time, but the effect happens.
    TimeoutAfterCommit,
    /// It has no effect, and nobody ever hears of it.
    Hang,
    /// The effect happens, but nobody ever hears of it.
    HangAfterCommit,
    /// Refused for exceeding the throughput.
    Throttle,
    /// `BatchGetItem` leaves the second half of its keys (of one: this one) unprocessed; nothing for other operations.
    UnprocessedKeys,
    /// Writes and transactional reads are refused as if another transaction had all their items; nothing for others.
    Conflict,
}

/// Every fault that can happen to a write.
pub const WRITE_FAULTS: [Fault; 8] = [
    Fault::FailBefore,
    Fault::FailAfterCommit,
    Fault::DropBefore,
    Fault::DropAfterCommit,
    Fault::Timeout,
    Fault::TimeoutAfterCommit,
    Fault::Throttle,
    Fault::Conflict,
];

/// Which call suffers what.
#[derive(Clone)]
pub struct Plan(Arc<Choice>);

type Choice = dyn Fn(&Call) -> Option<Fault> + Send + Sync;

impl Plan {
    /// Nothing happens.
    pub fn none() -> Self {
        Self::from_fn(|_| None)
    }

    /// What a function says; `fault` of the call is not yet set. The same calls should get the same faults.
    pub fn from_fn(fault: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fault))
    }

    /// One fault, at the call of this number.
    pub fn at(number: usize, fault: Fault) -> Self {
        Self::from_fn(move |call| (call.number == number).then_some(fault))
    }

    /// One of `faults` at about `percent` of the calls, chosen by the seed and the number of the call.
    pub fn random(seed: u64, percent: u32, faults: &'static [Fault]) -> Self {
        Self::from_fn(move |call| {
            let mut random = StdRng::seed_from_u64(seed ^ (call.number as u64).rotate_left(32));
            let chosen = random.random_range(0..faults.len());
            random.random_ratio(percent, 100).then(|| faults.get(chosen).copied()).flatten()
        })
    }

    pub(super) fn fault(&self, call: &Call) -> Option<Fault> {
        (self.0)(call)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plan")
    }
}

/// The answer of a fault that keeps the call from DynamoDB.
pub(super) fn before(fault: Fault, call: &Call) -> Option<Result<HttpResponse, ConnectorError>> {
    let answer = match fault {
        Fault::FailBefore => Ok(internal()),
        Fault::Throttle => Ok(throttled(call)),
        Fault::DropBefore => Err(dropped()),
        Fault::Timeout => Err(timed_out()),
        Fault::Conflict if writes(&call.operation) || call.operation == "TransactGetItems" => {
            Ok(conflict(call, |_| true))
        }
        _ => return None,
    };
    Some(answer)
}

/// What becomes of an answer on its way back.
pub(super) fn after(fault: Option<Fault>, answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    match fault {
        Some(Fault::FailAfterCommit) => Ok(internal()),
        Some(Fault::DropAfterCommit) => Err(dropped()),
        Some(Fault::TimeoutAfterCommit) => Err(timed_out()),
        _ => Ok(answer),
    }
}

/// Passes the first half of the keys of each table on, and gives the others back.
pub(super) async fn unprocessed(
    inner: &SharedHttpConnector,
    mut request: HttpRequest,
    mut body: Value,
) -> Result<HttpResponse, ConnectorError> {
    let mut left = serde_json::Map::new();
    if let Some(tables) = body.get_mut("RequestItems").and_then(Value::as_object_mut) {
        for (table, part) in tables.iter_mut() {
            let mut rest = part.clone();
            if let Some(keys) = part.get_mut("Keys").and_then(Value::as_array_mut) {
                let others = keys.split_off(keys.len() / 2);
                if let Some(slot) = rest.get_mut("Keys") {
                    *slot = others.into();
                }
            }
            left.insert(table.clone(), rest);
        }
        tables.retain(|_, part| part.get("Keys").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty()));
        if tables.is_empty() {
            return Ok(respond(200, &json!({ "Responses": {}, "UnprocessedKeys": left })));
        }
    }
    *request.body_mut() = SdkBody::from(body.to_string());
    let response = inner.call(request).await?;
    if !response.status().is_success() {
        return Ok(response);
    }
    let mut answer: Value = serde_json::from_slice(response.body().bytes().unwrap_or_default()).unwrap_or_default();
    if let Some(members) = answer.as_object_mut() {
        members.insert("UnprocessedKeys".to_owned(), left.into());
    }
    Ok(respond(200, &answer))
}

/// An error of DynamoDB.
pub(super) fn error(status: u16, kind: &str, message: &str) -> HttpResponse {
    error_with(status, kind, message, json!({}))
}

/// An error of DynamoDB with more members.
pub(super) fn error_with(status: u16, kind: &str, message: &str, mut body: Value) -> HttpResponse {
    if let Some(members) = body.as_object_mut() {
        members.insert("__type".to_owned(), format!("com.amazonaws.dynamodb.v20120810#{kind}").into());
        members.insert("Message".to_owned(), message.into());
    }
    respond(status, &body)
}

fn respond(status: u16, body: &Value) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a constant");
    HttpResponse::new(status, SdkBody::from(body.to_string()))
}

fn internal() -> HttpResponse {
    error(500, "InternalServerError", "Internal server error")
}

fn throttled(call: &Call) -> HttpResponse {
    const MESSAGE: &str = "The level of configured provisioned throughput for the table was exceeded";
    if !call.operation.starts_with("Transact") {
        return error(400, "ProvisionedThroughputExceededException", MESSAGE);
    }
    let reasons: Vec<_> = call.items.iter().map(|_| json!({ "Code": "ThrottlingError", "Message": MESSAGE })).collect();
    error_with(400, "TransactionCanceledException", MESSAGE, json!({ "CancellationReasons": reasons }))
}

fn dropped() -> ConnectorError {
    ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into())
}

fn timed_out() -> ConnectorError {
    ConnectorError::timeout(io::Error::from(io::ErrorKind::TimedOut).into())
}
