//! The runtime in which requests are worked on, apart from the one that owns the sockets.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime that may end inside another one: what is still going on in it is not waited for.
#[derive(Debug)]
pub struct Work {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Work {
    /// A runtime with a thread for each core.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().thread_name("work").build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// By which tasks are started in it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
