//! What the calls of one request to the table come to: how many there were, and what DynamoDB charges for them.

use std::{
    fmt,
    future::Future,
    ops::Sub,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        batch_get_item::BatchGetItemOutput, delete_item::DeleteItemOutput, get_item::GetItemOutput,
        put_item::PutItemOutput, query::QueryOutput, transact_get_items::TransactGetItemsOutput,
        transact_write_items::TransactWriteItemsOutput, update_item::UpdateItemOutput,
    },
    types::ConsumedCapacity,
};
use metrics::histogram;

use super::Store;

/// The metric with the time of each call.
pub const CALL_SECONDS: &str = "rebatch_table_call_duration_seconds";

/// Capacity units. DynamoDB charges halves: half a unit is an eventually consistent read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capacity {
    halves: u64,
}

/// What calls to the table came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls that were sent, each repeat among them.
    pub calls: u64,
    /// Read capacity, as far as DynamoDB said: it is silent about calls that it refuses.
    pub read: Capacity,
    /// Write capacity, as far as DynamoDB said.
    pub write: Capacity,
    /// Commits, and reads of one instant, that met another transaction at one of their items.
    pub conflicts: u64,
    /// Units of work that were run again, for a conflict or because an item was not as it was assumed to be.
    pub reruns: u64,
    /// Calls that were refused because there were too many.
    pub throttles: u64,
}

/// Counts the calls of one request.
#[derive(Debug, Default)]
pub(super) struct Meter {
    calls: AtomicU64,
    read_halves: AtomicU64,
    write_halves: AtomicU64,
    conflicts: AtomicU64,
    reruns: AtomicU64,
    throttles: AtomicU64,
}

impl Capacity {
    /// So many units, to the next half.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "such a cast saturates; nothing is below 0"
    )]
    pub fn from_units(units: f64) -> Self {
        Self { halves: (units * 2.0).round() as u64 }
    }

    /// In units.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2⁵² units")]
    pub fn units(self) -> f64 {
        self.halves as f64 / 2.0
    }
}

impl Sub for Usage {
    type Output = Self;

    /// The usage since `earlier`, which was counted by the same store.
    fn sub(self, earlier: Self) -> Self {
        let halves = |now: Capacity, then: Capacity| Capacity { halves: now.halves.saturating_sub(then.halves) };
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            read: halves(self.read, earlier.read),
            write: halves(self.write, earlier.write),
            conflicts: self.conflicts.saturating_sub(earlier.conflicts),
            reruns: self.reruns.saturating_sub(earlier.reruns),
            throttles: self.throttles.saturating_sub(earlier.throttles),
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.units())
    }
}

impl Store {
    /// The same table with counters of its own, for one request. Cheap.
    #[must_use]
    pub fn metered(&self) -> Self {
        Self { meter: Arc::default(), ..self.clone() }
    }

    /// What the calls through this store, and its clones, came to so far.
    pub fn usage(&self) -> Usage {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let meter = &self.meter;
        Usage {
            calls: read(&meter.calls),
            read: Capacity { halves: read(&meter.read_halves) },
            write: Capacity { halves: read(&meter.write_halves) },
            conflicts: read(&meter.conflicts),
            reruns: read(&meter.reruns),
            throttles: read(&meter.throttles),
        }
    }

    /// Counts a unit of work that is run again.
    pub fn count_rerun(&self) {
        Meter::count(&self.meter.reruns);
    }

    /// Sends a request, which asks for what it consumes, and counts it.
    pub(super) async fn send<O: Charged, E>(
        &self,
        request: impl Future<Output = Result<O, SdkError<E>>>,
    ) -> Result<O, SdkError<E>> {
        Meter::count(&self.meter.calls);
        let begun = Instant::now();
        let answer = request.await;
        histogram!(CALL_SECONDS, "operation" => O::OPERATION).record(begun.elapsed().as_secs_f64());
        let answer = answer?;
        self.meter.charge(&answer);
        Ok(answer)
    }
}

impl Meter {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn count_conflict(&self) {
        Self::count(&self.conflicts);
    }

    pub(super) fn count_throttle(&self) {
        Self::count(&self.throttles);
    }

    fn charge<O: Charged>(&self, answer: &O) {
        for consumed in answer.consumed() {
            // A transaction says which kind it is. One that is repeated with its token reads.
            let (read, write) = match (consumed.read_capacity_units(), consumed.write_capacity_units()) {
                (None, None) if O::WRITES => (None, consumed.capacity_units()),
                (None, None) => (consumed.capacity_units(), None),
                said => said,
            };
            for (counter, units) in [(&self.read_halves, read), (&self.write_halves, write)] {
                counter.fetch_add(Capacity::from_units(units.unwrap_or(0.0)).halves, Relaxed);
            }
        }
    }
}

/// An answer that says what the call consumed.
pub(super) trait Charged {
    /// Name of the operation.
    const OPERATION: &str;
    /// Whether a number without a kind is write capacity.
    const WRITES: bool;

    fn consumed(&self) -> &[ConsumedCapacity];
}

/// An answer about one table, or about several.
macro_rules! charged {
    ($writes:literal: $($one:ty = $name:literal),+) => {$(
        impl Charged for $one {
            const OPERATION: &str = $name;
            const WRITES: bool = $writes;

            fn consumed(&self) -> &[ConsumedCapacity] {
                self.consumed_capacity.as_slice()
            }
        }
    )+};
    ($writes:literal, tables: $several:ty = $name:literal) => {
        impl Charged for $several {
            const OPERATION: &str = $name;
            const WRITES: bool = $writes;

            fn consumed(&self) -> &[ConsumedCapacity] {
                self.consumed_capacity.as_deref().unwrap_or_default()
            }
        }
    };
}

charged!(false: GetItemOutput = "GetItem", QueryOutput = "Query");
charged!(false, tables: BatchGetItemOutput = "BatchGetItem");
charged!(false, tables: TransactGetItemsOutput = "TransactGetItems");
charged!(true: PutItemOutput = "PutItem", UpdateItemOutput = "UpdateItem", DeleteItemOutput = "DeleteItem");
charged!(true, tables: TransactWriteItemsOutput = "TransactWriteItems");

#[cfg(test)]
mod tests {
    use super::*;

    fn consumed(total: Option<f64>, read: Option<f64>, write: Option<f64>) -> ConsumedCapacity {
        let builder = ConsumedCapacity::builder().set_capacity_units(total);
        builder.set_read_capacity_units(read).set_write_capacity_units(write).build()
    }

    #[test]
    fn halves_add_up_exactly() {
        let meter = Meter::default();
        for _ in 0..1_000 {
            meter.charge(&QueryOutput::builder().consumed_capacity(consumed(Some(0.5), None, None)).build());
        }
        meter.charge(&GetItemOutput::builder().consumed_capacity(consumed(Some(1.0), None, None)).build());
        meter.charge(&GetItemOutput::builder().build());
        assert_eq!(meter.read_halves.load(Relaxed), 1_002);
        assert_eq!(meter.write_halves.load(Relaxed), 0);
        assert_eq!(Capacity { halves: 1_003 }.to_string(), "501.5");
    }

    #[test]
    fn a_transaction_writes_and_its_repeat_reads() {
        let meter = Meter::default();
        let answer = |consumed| TransactWriteItemsOutput::builder().consumed_capacity(consumed).build();
        meter.charge(&answer(consumed(Some(4.0), None, Some(4.0))));
        meter.charge(&answer(consumed(Some(2.0), Some(2.0), None)));
        meter.charge(&PutItemOutput::builder().consumed_capacity(consumed(Some(3.0), None, None)).build());
        assert_eq!((meter.read_halves.load(Relaxed), meter.write_halves.load(Relaxed)), (4, 14));
    }

    #[test]
    fn what_is_no_capacity_is_none() {
        for units in [-1.0, f64::NAN] {
            assert_eq!(Capacity::from_units(units), Capacity::default());
        }
    }
}
