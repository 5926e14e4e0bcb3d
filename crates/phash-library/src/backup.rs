//! Owns [`backup`]: a consistent copy of a database, made while others read and write it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_store::{BackupSummary, OpenOptions, Reader};

use crate::error::{Error, Result};

/// Copies the database at `dir`, as of its last commit, to `out`, where nothing may be. Everything is compared with its
/// checksum on the way; what appears at `out` is whole and on the medium. To restore it, use it: it is a database.
/// `progress` is told the bytes copied and those in all.
///
/// Time and space linear in the database. Neither readers nor a writer wait.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::Store`], among others because something is at `out`, `out` lies in the database, the
/// disk is full, or the database is damaged. Nothing is left at `out`.
pub fn backup(
    dir: &Path,
    out: &Path,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BackupSummary> {
    let reader = Reader::open(dir, OpenOptions::default())?;
    let done = reader.backup(out, &mut |done, all| {
        progress(done, all);
        !cancel.load(Ordering::Relaxed)
    })?;
    done.ok_or(Error::Cancelled)
}
