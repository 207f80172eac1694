//! The payloads of documents and recordings that tests send and expect: `tests/fixtures`.

use std::{fs, path::PathBuf};

use crate::binaries::workspace;

/// The folder of fixtures.
pub fn folder() -> PathBuf {
    workspace().join("tests/fixtures")
}

/// The text of a fixture.
pub fn read(path: &str) -> String {
    let file = folder().join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
