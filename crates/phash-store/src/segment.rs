//! Owns the files of index segments: their names, writing one durably, and [`SegmentBytes`]. What is in them is for
//! others to know; here they are a length and a checksum. A file is never changed after its rename, and no name is
//! used twice.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc32fast::Hasher;

use crate::bytes::Bytes;
use crate::catalog::rows::SegmentRow;
use crate::dir::SEGMENTS_DIR;
use crate::error::{Error, Result};
use crate::vfs::{StoreFile, Vfs, write_all_at};

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// The name of a segment's file: view, first id, end id, and the number that makes it unique.
pub(crate) fn file_name(view: &str, segment: &SegmentRow) -> String {
    format!("{view}.{:010}-{:010}.{:08}.mih", segment.first_id, segment.end_id, segment.id)
}

/// Where a segment's file lies.
pub(crate) fn path(dir: &Path, view: &str, segment: &SegmentRow) -> PathBuf {
    dir.join(SEGMENTS_DIR).join(file_name(view, segment))
}

/// Writes a segment's file under its final name; durable when it returns. Returns the row with length and checksum. What does
/// not become one, because `content` was stopped or anything failed, is removed.
pub(crate) fn write(
    vfs: &dyn Vfs,
    path: &Path,
    row: SegmentRow,
    content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> Result<SegmentRow> {
    let temporary = path.with_extension("tmp");
    let written = write_temporary(vfs, &temporary, row, content).and_then(|row| {
        vfs.rename(&temporary, path).map_err(|e| Error::io("rename", &temporary, e))?;
        Ok(row)
    });
    if written.is_err() {
        // If it cannot be removed now, the next opening does it.
        let _ = vfs.remove(&temporary);
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    written.and_then(|row| vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e)).map(|()| row))
}

fn write_temporary(
    vfs: &dyn Vfs,
    temporary: &Path,
    row: SegmentRow,
    content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> Result<SegmentRow> {
    let file = vfs.create(temporary).map_err(|e| Error::io("create", temporary, e))?;
    let mut writer = FileWriter { file: &*file, gathered: Vec::new(), written: 0, hasher: Hasher::new() };
    content(&mut writer).and_then(|()| writer.flush()).map_err(|e| Error::io("write to", temporary, e))?;
    let (len_bytes, crc32) = (writer.written, writer.hasher.finalize());
    file.sync().map_err(|e| Error::io("sync", temporary, e))?;
    Ok(SegmentRow { len_bytes, crc32, ..row })
}

/// Opens a segment's file and checks its length.
pub(crate) fn open_file(vfs: &dyn Vfs, path: &Path, row: &SegmentRow) -> Result<Box<dyn StoreFile>> {
    let file = vfs.open_read(path).map_err(|e| Error::io("open", path, e))?;
    let got_bytes = file.len_bytes().map_err(|e| Error::io("read the length of", path, e))?;
    if got_bytes < row.len_bytes {
        return Err(Error::TooShort { file: path.to_owned(), expected_bytes: row.len_bytes, got_bytes });
    }
    if got_bytes > row.len_bytes {
        return Err(Error::corrupted(path, row.len_bytes, "length of the segment", row.len_bytes, got_bytes));
    }
    Ok(file)
}

/// The bytes of a segment's file, of which the length is checked. The checksum is for `verify`; whoever interprets the bytes
/// checks their structure.
pub(crate) fn open(vfs: &dyn Vfs, path: &Path, row: &SegmentRow, mmap: bool) -> Result<SegmentBytes> {
    let file = open_file(vfs, path, row)?;
    let bytes = Bytes::load(&*file, row.len_bytes, mmap).map_err(|e| Error::io("read or map", path, e))?;
    Ok(SegmentBytes(Arc::new(bytes)))
}

/// The bytes of an index segment. They start at an address divisible by 8 and keep themselves alive: cheap to clone,
/// `Send + Sync`, valid after the reader was refreshed or dropped.
#[derive(Clone, Debug)]
pub struct SegmentBytes(Arc<Bytes>);

impl AsRef<[u8]> for SegmentBytes {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// Gathers bytes and writes them in large pieces; the checksum covers what the file has taken.
struct FileWriter<'a> {
    file: &'a dyn StoreFile,
    gathered: Vec<u8>,
    written: u64,
    hasher: Hasher,
}

impl Write for FileWriter<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(buf);
        if self.gathered.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all_at(self.file, &self.gathered, self.written)?;
        self.hasher.update(&self.gathered);
        self.written += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }
}
