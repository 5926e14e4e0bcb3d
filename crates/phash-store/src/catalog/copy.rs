//! Owns the copying of the catalog as of a snapshot, by SQLite's own online backup.

use std::path::Path;

use rusqlite::OpenFlags;
use rusqlite::backup::{Backup, StepResult};

use super::Catalog;
use super::head::Head;
use crate::error::{Error, Result};

/// Pages copied at once.
const PAGES: i32 = 256;
const OP: &str = "copy the catalog";

impl Catalog {
    /// Copies the snapshot that this connection has to a new file, whatever others write meanwhile. `go_on` is told of
    /// bytes; `false` (also returned) stops.
    pub(crate) fn copy_to(&self, target: &Path, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut copy = Self::connect(target, target, flags, OP)?;
        let pages = self.pages()?;
        let failed = |e| Error::catalog(OP, target, e);
        // This connection is in a read transaction: the pages are those of its snapshot.
        let backup = Backup::new(&self.conn, &mut copy.conn).map_err(failed)?;
        let mut left = pages;
        loop {
            let step = backup.step(PAGES).map_err(failed)?;
            let now = i64::from(backup.progress().remaining);
            if !go_on((left - now).max(0).cast_unsigned().saturating_mul(self.page_bytes()?)) {
                return Ok(false);
            }
            left = now;
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => return Err(Error::Locked { path: self.path.clone() }),
            }
        }
        drop(backup);
        Ok(true)
    }

    /// Makes a copied catalog ready to be published: takes out the index segments that were not copied, checks every row,
    /// empties the log into the file.
    pub(crate) fn finish_copy(target: &Path, head: &Head, without_segments: &[u32]) -> Result<()> {
        let copy = Self::open_write(target)?;
        let found = copy.head()?;
        if found != *head {
            return Err(copy.damaged(
                "head of the copied catalog",
                format!("{head:?}"),
                format!("{found:?}"),
            ));
        }
        copy.begin_write()?;
        for &id in without_segments {
            copy.delete_segment(id)?;
        }
        copy.commit()?;
        let mut first = None;
        copy.verify(head, &mut |error, _| first = first.take().or(Some(error)));
        match first {
            None => copy.close(),
            Some(error) => Err(error),
        }
    }

    /// Length of the snapshot in bytes.
    pub(crate) fn snapshot_bytes(&self) -> Result<u64> {
        Ok(self.pages()?.max(0).cast_unsigned().saturating_mul(self.page_bytes()?))
    }

    fn pages(&self) -> Result<i64> {
        self.conn.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(|e| self.err(OP, e))
    }

    fn page_bytes(&self) -> Result<u64> {
        let bytes: i64 =
            self.conn.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(|e| self.err(OP, e))?;
        Ok(bytes.max(0).cast_unsigned())
    }
}
