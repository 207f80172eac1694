//! Documents and recordings that tests read but the project does not hold.

use std::{env, fs, path::PathBuf};

use crate::binaries::workspace;

/// The text of a file below `REBATCH_SHARED`, else below `../shared`. `None`, with a word on stderr, when the folder
/// is absent; on CI it must not be.
pub fn read(path: &str) -> Option<String> {
    let folder = env::var_os("REBATCH_SHARED").map_or_else(|| workspace().join("../shared"), PathBuf::from);
    if !folder.is_dir() {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{} is absent", folder.display());
        eprintln!("skipped: {} is absent", folder.display());
        return None;
    }
    let file = folder.join(path);
    Some(fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}
