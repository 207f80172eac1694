//! What a function reads from its files while its first event is on its way.

use std::{convert::Infallible, future::pending};

use tokio::{
    sync::watch,
    task::{JoinError, spawn_blocking},
};

use crate::{ledger::LedgerError, service::ServiceError};

/// Something that is there once it is read. Cheap to clone then.
#[derive(Debug)]
pub(super) struct Pending<T>(watch::Sender<Option<T>>);

/// Why a function cannot answer anything.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A service is wrong.
    #[error(transparent)]
    Services(#[from] ServiceError),
    /// Reading them was cut off.
    #[error("the services were not read: {0}")]
    Stopped(#[from] JoinError),
    /// The ledger of a service is wrong.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Decisions would have no place.
    #[error("no service has [requeues], where it is written down what is decided about events")]
    NoLedger,
}

impl<T: Clone + Send + Sync + 'static> Pending<T> {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Reads it on a thread of its own, while `meanwhile` goes on. Ends only when reading fails: what `meanwhile` comes to
    /// is for those who need it.
    pub(super) async fn load<M>(
        &self,
        read: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
        meanwhile: impl Future<Output = M>,
    ) -> Result<Infallible, LoadError> {
        let read = async {
            self.0.send_replace(Some(spawn_blocking(read).await??));
            Ok::<_, LoadError>(())
        };
        let meanwhile = async {
            meanwhile.await;
            Ok(())
        };
        tokio::try_join!(read, meanwhile)?;
        pending().await
    }

    /// What was read, once it is.
    pub(super) async fn wait(&self) -> T {
        let mut read = self.0.subscribe();
        loop {
            if let Some(read) = read.borrow_and_update().as_ref() {
                return read.clone();
            }
            // The sender lives as long as whoever waits, so there is no end to wait for but this.
            if read.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }
}
