//! One process per run directory: a lock on a file in it, which the system lets go of with the
//! process, however that ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Name of the file that is locked.
pub const LOCK: &str = ".lock";

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a run directory.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = file(dir);
        let unwritable = |source| StoreError::Unwritable { path: path.clone(), source };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: dir.into() }),
            // Some network file systems know no locks; a run is possible there nevertheless.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Self { _file: file }),
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }

    /// Removes the file of a lock that this process holds.
    pub fn remove(dir: &Path) {
        // What cannot be removed is no worse for the attempt.
        let _ = fs::remove_file(file(dir));
    }
}

/// The file that is locked.
fn file(dir: &Path) -> PathBuf {
    dir.join(LOCK)
}
