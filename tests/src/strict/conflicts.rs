//! Items in use by calls under way, and who gives way.
//!
//! A transaction is refused where another transaction or a single write is under way, a single write or a
//! transactional read where a transaction is. Single writes wait for each other. Other reads are never refused.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde_json::json;

use super::{Call, fault, lock};

/// The items in use.
#[derive(Debug, Default)]
pub(super) struct Conflicts(Mutex<InUse>);

#[derive(Debug, Default)]
struct InUse {
    items: HashMap<String, Use>,
    tokens: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Transaction,
    Singles(usize),
}

/// Why a call cannot go on now.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The positions of its items that are in use.
    Conflict(BTreeSet<usize>),
    /// A call with the same token is under way.
    InProgress,
}

/// Keeps the items of a call in use until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    conflicts: Arc<Conflicts>,
    items: Vec<String>,
    token: Option<String>,
}

/// Whether an operation changes items.
pub(super) fn writes(operation: &str) -> bool {
    operation == "TransactWriteItems" || is_single(operation)
}

fn is_single(operation: &str) -> bool {
    matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem")
}

impl Conflicts {
    /// Lets a call in, unless what it names is in use.
    pub(super) fn enter(self: &Arc<Self>, call: &Call) -> Result<Held, Refusal> {
        let mut in_use = lock(&self.0);
        let single = is_single(&call.operation);
        let transaction = call.operation == "TransactWriteItems";
        if transaction && call.token.as_ref().is_some_and(|token| in_use.tokens.contains(token)) {
            return Err(Refusal::InProgress);
        }
        let gives_way = |item: &String| match in_use.items.get(item) {
            Some(Use::Transaction) => single || transaction || call.operation == "TransactGetItems",
            Some(Use::Singles(_)) => transaction || call.operation == "TransactGetItems",
            None => false,
        };
        let conflicts: BTreeSet<usize> =
            call.items.iter().enumerate().filter(|(_, item)| gives_way(item)).map(|(at, _)| at).collect();
        if !conflicts.is_empty() {
            return Err(Refusal::Conflict(conflicts));
        }
        let mut held = Held { conflicts: Arc::clone(self), items: Vec::new(), token: None };
        if single || transaction {
            for item in &call.items {
                in_use.take(item, single);
            }
            held.items.clone_from(&call.items);
        }
        if transaction && let Some(token) = &call.token {
            in_use.tokens.insert(token.clone());
            held.token = Some(token.clone());
        }
        Ok(held)
    }
}

impl InUse {
    fn take(&mut self, item: &str, single: bool) {
        let next = match self.items.get(item) {
            Some(Use::Singles(count)) if single => Use::Singles(count + 1),
            _ if single => Use::Singles(1),
            _ => Use::Transaction,
        };
        self.items.insert(item.to_owned(), next);
    }

    fn release(&mut self, item: &str) {
        match self.items.get_mut(item) {
            Some(Use::Singles(count)) if *count > 1 => *count -= 1,
            _ => drop(self.items.remove(item)),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut in_use = lock(&self.conflicts.0);
        for item in &self.items {
            in_use.release(item);
        }
        if let Some(token) = &self.token {
            in_use.tokens.remove(token);
        }
    }
}

impl Refusal {
    /// What DynamoDB says.
    pub(super) fn answer(&self, call: &Call) -> HttpResponse {
        match self {
            Self::InProgress => fault::error(400, "TransactionInProgressException", "Transaction is in progress"),
            Self::Conflict(at) => conflict(call, |position| at.contains(&position)),
        }
    }
}

/// The refusal of a call for the sake of some of its items.
pub(super) fn conflict(call: &Call, in_use: impl Fn(usize) -> bool) -> HttpResponse {
    const MESSAGE: &str = "Transaction is ongoing for the item";
    if !call.operation.starts_with("Transact") {
        return fault::error(400, "TransactionConflictException", MESSAGE);
    }
    let reasons: Vec<_> = (0..call.items.len())
        .map(|at| {
            if in_use(at) {
                json!({ "Code": "TransactionConflict", "Message": MESSAGE })
            } else {
                json!({ "Code": "None" })
            }
        })
        .collect();
    let message = "Transaction cancelled, please refer cancellation reasons for specific reasons";
    fault::error_with(400, "TransactionCanceledException", message, json!({ "CancellationReasons": reasons }))
}
