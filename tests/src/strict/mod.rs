//! A layer around an embedded DynamoDB that adds what the emulator lacks: conflicts between calls under way, and
//! accidents on the way there and back. It counts the calls as well.
//!
//! The limits of DynamoDB (100 actions, 4 MB, one action an item, reused tokens) the emulator checks by itself.

mod conflicts;
mod fault;
mod items;

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use conflicts::Conflicts;
pub use fault::{Fault, Plan, WRITE_FAULTS};
use items::Schemas;
use local::embedded::TARGET_HEADER;
use serde_json::Value;

use crate::actions;

/// What precedes the operation in [`TARGET_HEADER`].
const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// One call of the SDK, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its place among the calls since the last [`Strict::forget`], from 0.
    pub number: usize,
    /// `TransactWriteItems`, `Query`, …
    pub operation: String,
    /// The items it names, in the order of the request; a `Query` names none.
    pub items: Vec<String>,
    /// Its `ClientRequestToken`.
    pub token: Option<String>,
    /// What happens to it.
    pub fault: Option<Fault>,
}

/// What others do before a call goes on.
pub type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

type Interlude = dyn Fn(&Call) -> Option<Meanwhile> + Send + Sync;

/// The layer. Cheap to clone; clones share the record, the plan and the items in use.
#[derive(Clone)]
pub struct Strict {
    inner: SharedHttpConnector,
    schemas: Arc<Schemas>,
    conflicts: Arc<Conflicts>,
    record: Arc<Mutex<Vec<Call>>>,
    plan: Arc<Mutex<Plan>>,
    interlude: Arc<Mutex<Option<Arc<Interlude>>>>,
    hold: Duration,
    /// Whose actions are recorded.
    function: Option<&'static str>,
}

impl Strict {
    /// A layer without faults around `inner`, in which calls take no time of their own.
    pub fn new(inner: impl HttpConnector + 'static) -> Self {
        Self {
            inner: SharedHttpConnector::new(inner),
            schemas: Arc::default(),
            conflicts: Arc::default(),
            record: Arc::default(),
            plan: Arc::new(Mutex::new(Plan::none())),
            interlude: Arc::default(),
            hold: Duration::ZERO,
            function: None,
        }
    }

    /// The same for calls of this function, whose actions are recorded.
    #[must_use]
    pub fn of(&self, function: &'static str) -> Self {
        Self { function: Some(function), ..self.clone() }
    }

    /// The same with writes that take `hold` before their effect, so that concurrent ones conflict.
    #[must_use]
    pub fn holding(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// From now on, faults come from `plan`.
    pub fn set_plan(&self, plan: Plan) {
        *lock(&self.plan) = plan;
    }

    /// From now on, what `interlude` says happens before a call goes on.
    pub fn set_interlude(&self, interlude: impl Fn(&Call) -> Option<Meanwhile> + Send + Sync + 'static) {
        *lock(&self.interlude) = Some(Arc::new(interlude));
    }

    /// The calls since the last [`Self::forget`], in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.record).clone()
    }

    /// How many calls there were of each operation.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in &*lock(&self.record) {
            *counts.entry(call.operation.clone()).or_default() += 1;
        }
        counts
    }

    /// Forgets the calls so far; the next one is number 0.
    pub fn forget(&self) {
        lock(&self.record).clear();
    }

    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get(TARGET_HEADER).unwrap_or_default();
        let operation = target.strip_prefix(TARGET_PREFIX).unwrap_or(target).to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        if let Some(function) = self.function {
            actions::record(function, &operation, &body);
        }
        let items = self.schemas.items(&self.inner, &operation, &body).await;
        let call = self.note(operation, items, &body);
        let interlude = lock(&self.interlude).clone();
        if let Some(meanwhile) = interlude.and_then(|interlude| interlude(&call)) {
            // On a stack of its own.
            tokio::spawn(meanwhile).await.expect("what others do");
        }
        if call.fault == Some(Fault::Hang) {
            return std::future::pending().await;
        }
        if let Some(answer) = call.fault.and_then(|fault| fault::before(fault, &call)) {
            return answer;
        }
        if call.fault == Some(Fault::UnprocessedKeys) && call.operation == "BatchGetItem" {
            return fault::unprocessed(&self.inner, request, body).await;
        }
        let answer = self.apply(&call, request).await?;
        if call.fault == Some(Fault::HangAfterCommit) {
            return std::future::pending().await;
        }
        fault::after(call.fault, answer)
    }

    /// Runs a call among the others that are under way.
    async fn apply(&self, call: &Call, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let _held = match self.conflicts.enter(call) {
            Ok(held) => held,
            Err(refusal) => return Ok(refusal.answer(call)),
        };
        if !self.hold.is_zero() && conflicts::writes(&call.operation) {
            tokio::time::sleep(self.hold).await;
        }
        self.inner.call(request).await
    }

    fn note(&self, operation: String, items: Vec<String>, body: &Value) -> Call {
        let token = body.get("ClientRequestToken").and_then(Value::as_str).map(str::to_owned);
        let mut record = lock(&self.record);
        let mut call = Call { number: record.len(), operation, items, token, fault: None };
        call.fault = lock(&self.plan).fault(&call);
        record.push(call.clone());
        call
    }
}

/// A panic of another test thread does not make what it held unusable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strict").field("hold", &self.hold).finish_non_exhaustive()
    }
}

impl HttpConnector for Strict {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let strict = self.clone();
        HttpConnectorFuture::new(async move { strict.answer(request).await })
    }
}

impl HttpClient for Strict {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
