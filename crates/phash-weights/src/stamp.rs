//! Owns [`FileStamp`]: what tells cheaply whether the files of a model are the ones seen before. It proves nothing about
//! the contents; the digests do.

use std::fs::Metadata;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::{Error, format};

/// Length and modification time of the files a model consists of (for a sharded model: index and shards together).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// Total length, in bytes.
    pub len_bytes: u64,
    /// The newest modification time, ns since 1970-01-01 UTC; 0 where the file system keeps none.
    pub mtime_ns: i64,
}

impl FileStamp {
    /// The stamp of nothing: neutral for [`FileStamp::and`].
    pub(crate) const NONE: FileStamp = FileStamp { len_bytes: 0, mtime_ns: i64::MIN };

    pub(crate) fn of(metadata: &Metadata) -> FileStamp {
        let mtime_ns = match metadata.modified().map(|time| time.duration_since(UNIX_EPOCH)) {
            Ok(Ok(after)) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Ok(Err(before)) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
            Err(_) => 0,
        };
        FileStamp { len_bytes: metadata.len(), mtime_ns }
    }

    /// The stamp of two sets of files together.
    pub(crate) fn and(self, other: FileStamp) -> FileStamp {
        FileStamp {
            len_bytes: self.len_bytes.saturating_add(other.len_bytes),
            mtime_ns: self.mtime_ns.max(other.mtime_ns),
        }
    }
}

/// The stamp of the model at `path`, equal to [`crate::WeightsFile::stamp`] of it once opened.
///
/// Reads no header: of a single file the file system's record and the first bytes, which tell the format; of a sharded
/// model the index as well, which says which shards belong to the model. O(index length).
///
/// # Errors
/// As [`crate::WeightsFile::open`] as far as the record and the index go; a damaged header is not noticed.
pub fn stamp(path: &Path) -> Result<FileStamp, Error> {
    format::stamp(path)
}
