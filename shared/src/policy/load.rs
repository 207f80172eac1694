//! The file on disk: the one place of this module that reads it.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{Policy, PolicyFileError, PolicyProblem, SecretsOf};
use crate::text_file;

/// The longest file, in bytes.
const MAX_FILE: u64 = 1 << 20;

impl Policy {
    /// Reads a `policy.toml`; `var` are the variables that its secrets can come from.
    pub fn load(
        path: &Path,
        secrets: SecretsOf,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, PolicyFileError> {
        let file = path.display().to_string();
        let failed = |problem: PolicyProblem| problem.in_file(&file);
        let bytes = read(path).map_err(|error| failed(PolicyProblem::Read(error)))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
            return Err(failed(PolicyProblem::FileSize(MAX_FILE)));
        }
        let text = text_file::decode(&bytes).map_err(|problem| PolicyFileError::not_text(&file, problem))?;
        Self::parse(&file, text, secrets, var)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
