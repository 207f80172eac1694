//! One process a data file.

use std::{
    fs::{File, TryLockError, create_dir_all},
    io,
    path::{Path, PathBuf},
};

/// Holds a data file for this process; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Its folder or the lock beside it cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    Held(PathBuf),
}

impl DataLock {
    /// Takes `<data>.lock` beside the data file, making the folder when it is missing.
    pub fn acquire(data: &Path) -> Result<Self, LockError> {
        let write = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Write { path, source }
        };
        if let Some(folder) = data.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_dir_all(folder).map_err(write(folder))?;
        }
        let mut name = data.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let file = File::create(&path).map_err(write(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(data.to_owned())),
            Err(TryLockError::Error(source)) => Err(LockError::Write { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("below/data.db");
        let held = DataLock::acquire(&data).unwrap();
        assert!(matches!(DataLock::acquire(&data), Err(LockError::Held(_))));
        drop(held);
        DataLock::acquire(&data).unwrap();
    }
}
