//! How much the tests do that repeat the same thing many times.
//!
//! `cargo test` runs a small number of rounds. The full numbers (10,000 transfers, 200 kills) take one command:
//!
//! ```sh
//! REBATCH_SOAK=full cargo test -p tests --release -- --nocapture soak
//! ```

/// The full number when it is asked for, else the small one.
pub(crate) fn rounds(small: usize, full: usize) -> usize {
    if std::env::var("REBATCH_SOAK").is_ok_and(|value| value == "full") { full } else { small }
}
