//! Giving others their turn.
//!
//! A request that waits for its table lets others run meanwhile. Where calls do not wait, as those into an embedded
//! database, and while much is looked at or written, nothing would: so whatever may take long asks now and then whether it
//! has had its share. Short requests never give way, as each time costs them the shares of all others.

use std::time::{Duration, Instant};

use tokio::task::yield_now;

/// For so long a request keeps its thread.
const SLICE: Duration = Duration::from_millis(10);

/// The share of a request.
#[derive(Debug)]
pub(super) struct Share(Instant);

impl Share {
    /// A share that begins.
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Lets others run if the share is used up; the next one begins after that.
    pub(super) async fn pass(&mut self) {
        if self.0.elapsed() >= SLICE {
            yield_now().await;
            *self = Self::begin();
        }
    }
}
