//! Owns the check of the index segments: that each is there, with the length and checksum that the catalog has of it.

use std::path::Path;

use super::report::{Damage, VerifyReport};
use super::{Verify, is_stale};
use crate::catalog::rows::SegmentRow;
use crate::error::{Error, Result};
use crate::segment;
use crate::vfs::read_exact_at;

/// Bytes of a segment that are read at once.
const READ_BYTES: usize = 1 << 20;

impl Verify<'_> {
    /// `false` if it was stopped.
    pub(super) fn segments(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64) -> bool) -> bool {
        let is_stale = || is_stale(self.dir, self.head);
        for row in &self.segments {
            let view = &self.head.schema.views[row.view as usize];
            let path = segment::path(self.dir, &view.name, row);
            match self.segment_crc(&path, row, advance) {
                // A segment that the writer has dropped since is gone for good: a snapshot still has its bytes.
                Err(Error::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && is_stale() => {}
                Err(error) => report.damages.push(Damage::from_error(error, &path)),
                Ok(None) => return false,
                Ok(Some(crc)) if crc == row.crc32 => {}
                Ok(Some(crc)) => {
                    let hex = crate::files::layout::hex32;
                    let what = "checksum of the index segment (it can be built again from the codes)";
                    let error = Error::corrupted(&path, 0, what, hex(row.crc32), hex(crc));
                    report.damages.push(Damage::from_error(error, &path));
                }
            }
        }
        true
    }

    fn segment_crc(
        &self,
        path: &Path,
        row: &SegmentRow,
        advance: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<u32>> {
        let file = segment::open_file(self.vfs, path, row)?;
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut at = 0;
        while at < row.len_bytes {
            let piece = usize::try_from((row.len_bytes - at).min(READ_BYTES as u64)).unwrap_or(READ_BYTES);
            read_exact_at(&*file, &mut buffer[..piece], at).map_err(|e| Error::io("read", path, e))?;
            hasher.update(&buffer[..piece]);
            at += piece as u64;
            if !advance(piece as u64) {
                return Ok(None);
            }
        }
        Ok(Some(hasher.finalize()))
    }
}
