//! Owns the writer's lock: an exclusive advisory lock on `writer.lock`, held as long as the writer lives and freed by
//! the system when its process dies. Readers never touch it.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::{Error, Result};

/// Name of the lock file in the database directory. It is empty; only the lock on it means something.
pub(crate) const LOCK_FILE: &str = "writer.lock";

/// The lock, held.
#[derive(Debug)]
pub(crate) struct WriterLock(File);

impl WriterLock {
    /// Takes the lock at once or not at all.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK_FILE);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| Error::io("open", &path, e))?;
        Self::of(file, &path)
    }

    /// The same for the open lock file.
    pub(crate) fn of(file: File, path: &Path) -> Result<Self> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(e)) => Err(Error::io("lock", path, e)),
        }
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that another thread is just starting has a copy of it until
        // its exec, and would hold the lock that long. If unlocking fails, closing is what is left.
        let _ = self.0.unlock();
    }
}
