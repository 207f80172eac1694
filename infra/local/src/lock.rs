//! One process a data file.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
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
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{}: is in use by another process", .0.display())]
    Held(PathBuf),
    /// A folder is no data file.
    #[error("{}: is a folder, and no data file", .0.display())]
    Folder(PathBuf),
}

impl DataLock {
    /// Takes `<data>.lock` beside the data file, making the folder when it is missing: for nobody but its owner, because
    /// secrets of endpoints are in the data.
    pub fn acquire(data: &Path) -> Result<Self, LockError> {
        let write = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Write { path, source }
        };
        if data.is_dir() {
            return Err(LockError::Folder(data.to_owned()));
        }
        if let Some(folder) = data.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            make_folder(folder).map_err(write(folder))?;
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

/// Makes a folder for data, and those above it, where they are missing: for nobody but their owner.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_made_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        DataLock::acquire(&folder.path().join("below/data.db")).unwrap();
        let mode = folder.path().join("below").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

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
