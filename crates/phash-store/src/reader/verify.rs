//! Owns [`Reader::verify`]: the check of a reader's own snapshot.

use super::Reader;
use crate::error::Result;
use crate::verify::{CodeFiles, Verify, VerifyReport, is_stale};

impl Reader {
    /// Checks every committed byte of the code files and segments against its checksum, every row of the catalog, and
    /// that all of these agree; goes on after damage. Time O(size of the database), memory bounded but for the list of
    /// damage. `progress` is called with the bytes checked and the bytes in all.
    ///
    /// Other threads that need the catalog through this reader wait while its rows are checked: give them a reader of their
    /// own. Of a database that is too damaged to be opened, see [`crate::verify()`].
    ///
    /// # Errors
    /// None for damage: that is in the report. [`crate::Error::Io`] if the size of the database cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport> {
        let snapshot = &self.snapshot;
        let files =
            CodeFiles::of_snapshot(&*self.vfs, &snapshot.files, &|| is_stale(&self.dir, &snapshot.head));
        let verify = Verify {
            vfs: &*self.vfs,
            dir: &self.dir,
            mmap: self.options.mmap,
            catalog: &snapshot.catalog,
            head: &snapshot.head,
            files,
            segments: snapshot.segments.iter().map(|(row, _)| *row).collect(),
        };
        let report = verify.run(&mut |done, all| {
            progress(done, all);
            true
        })?;
        Ok(report.unwrap_or_default())
    }
}
