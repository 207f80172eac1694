//! The signals that end the program.

use std::{
    fs,
    io::{self, Write},
    process,
    time::{Duration, Instant},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals so soon after the first one are the same wish: `timeout` sends two, and so does a terminal that closes.
const ONE_WISH: Duration = Duration::from_millis(500);

/// Added to the number of the signal that ended a program, as shells do.
const ENDED_BY_SIGNAL: i32 = 128;

/// SIGINT, SIGTERM and SIGHUP, from when this is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where the program was started to ignore it, as `nohup` does.
    hang_up: Option<Signal>,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let ignored = fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_up(&status));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if ignored { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Completes at the first signal: the program ends in order. The second one ends it at once.
    pub(crate) async fn first(mut self) {
        self.next().await;
        let first = Instant::now();
        tokio::spawn(async move {
            let mut kind = self.next().await;
            while first.elapsed() < ONE_WISH {
                kind = self.next().await;
            }
            // Standard error may be closed.
            let _ = writeln!(io::stderr(), "rebatch: ended at once by a second signal");
            process::exit(ENDED_BY_SIGNAL + kind.as_raw_value());
        });
    }

    async fn next(&mut self) -> SignalKind {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = hang_up => SignalKind::hangup(),
        }
    }
}

/// Whether a process ignores SIGHUP, as Linux tells it: the first bit of the mask.
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        for (status, ignored) in [
            ("Name:\trebatch\nSigIgn:\t0000000000001001\nSigCgt:\t0\n", true),
            ("SigIgn:\t0000000000001000\n", false),
            ("SigBlk:\t0000000000000001\n", false),
            ("SigIgn:\tx\n", false),
            ("", false),
        ] {
            assert_eq!(ignores_hang_up(status), ignored, "{status}");
        }
    }
}
