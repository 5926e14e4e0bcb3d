//! Owns [`Reader::backup`]: a copy of the database as of the reader's snapshot, made beside a writer at work. Everything
//! is compared with its checksum on the way; the copy appears under its name last, whole and synced.

use std::path::Path;

use crate::catalog::Catalog;
use crate::dir::{NEW_CATALOG_FILE, SEGMENTS_DIR, catalog_path};
use crate::error::{Error, Result};
use crate::files::copy::Committed;
use crate::published::Publisher;
use crate::reader::Reader;
use crate::segment;
use crate::staging::Staging;
use crate::vfs::{Vfs, write_all_at};

/// What a backup copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupSummary {
    /// The commit that was copied.
    pub generation: u64,
    /// Models, or raw codes, that are not removed.
    pub items: u32,
    /// Length of all files of the copy, in bytes.
    pub copied_bytes: u64,
    /// Files of index segments that are damaged or missing here and were left out: they are built again from the codes.
    pub segments_left_out: Vec<String>,
}

impl Reader {
    /// Copies the snapshot to a new database at `out`, which appears whole, synced and checked, or not at all. A writer may
    /// be at work, and is not made to wait. `progress` is told the bytes copied and those in all; `false` stops, and
    /// `None` comes back. The copy has the same database id: it is the same database at an earlier time.
    ///
    /// Time and space O(size of the database).
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if something is at `out`, or `out` is or lies in the database; [`Error::Corrupted`] or
    /// [`Error::TooShort`] if this database is damaged (but for index segments, which are left out);
    /// [`Error::DiskFull`], [`Error::Io`], [`Error::Catalog`]. Nothing is left at `out`.
    pub fn backup(
        &self,
        out: &Path,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Option<BackupSummary>> {
        let staging = Staging::new(&self.vfs, &self.dir, out)?;
        let all = self.catalog().snapshot_bytes()?
            + self.snapshot.files.iter().map(|file| file.len_bytes()).sum::<u64>()
            + self.snapshot.segments.iter().map(|(row, _)| row.len_bytes).sum::<u64>();
        let mut done = 0u64;
        let mut go_on = |bytes: u64| {
            done += bytes;
            progress(done.min(all), all)
        };
        for file in &self.snapshot.files {
            let target = staging.dir().join(file.path.file_name().unwrap_or_default());
            let (header, tail) = (&file.header, file.tail);
            let source = Committed { file: &*file.file, path: &file.path, header, tail };
            if !source.copy_to(&*self.vfs, &target, &mut go_on)? {
                return Ok(None);
            }
        }
        let Some(left_out) = self.copy_segments(staging.dir(), &mut go_on)? else { return Ok(None) };
        let new = staging.dir().join(NEW_CATALOG_FILE);
        if !self.catalog().copy_to(&new, &mut go_on)? {
            return Ok(None);
        }
        let (ids, names): (Vec<u32>, Vec<String>) = left_out.into_iter().unzip();
        Catalog::finish_copy(&new, &self.snapshot.head, &ids)?;
        Publisher::new(staging.dir()).write(&*self.vfs, &self.snapshot.head);
        let made = self.vfs.open_write(&new).map_err(|e| Error::io("open", &new, e))?;
        made.sync().map_err(|e| Error::io("sync", &new, e))?;
        self.vfs.rename(&new, &catalog_path(staging.dir())).map_err(|e| Error::io("rename", &new, e))?;
        let copied_bytes = length(&*self.vfs, staging.dir())?;
        staging.publish()?;
        Ok(Some(BackupSummary {
            generation: self.generation(),
            items: self.live_count(),
            copied_bytes,
            segments_left_out: names,
        }))
    }

    /// Copies the index segments; returns id and name of those that cannot be, or `None` if it was stopped.
    fn copy_segments(
        &self,
        dir: &Path,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<Vec<(u32, String)>>> {
        let mut left_out = Vec::new();
        for (row, bytes) in &self.snapshot.segments {
            let name = segment::file_name(&self.schema().views[row.view as usize].name, row);
            let target = dir.join(SEGMENTS_DIR).join(&name);
            let sound = |bytes: &&segment::SegmentBytes| crc32fast::hash(bytes.as_ref()) == row.crc32;
            match bytes.as_ref().ok().filter(sound) {
                None => left_out.push((row.id, name)),
                Some(bytes) => {
                    let file = self.vfs.create(&target).map_err(|e| Error::io("create", &target, e))?;
                    write_all_at(&*file, bytes.as_ref(), 0).map_err(|e| Error::io("write to", &target, e))?;
                    file.sync().map_err(|e| Error::io("sync", &target, e))?;
                }
            }
            if !go_on(row.len_bytes) {
                return Ok(None);
            }
        }
        Ok(Some(left_out))
    }
}

/// Length of all files of a new database, in bytes.
fn length(vfs: &dyn Vfs, dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for folder in [dir.to_owned(), dir.join(SEGMENTS_DIR)] {
        for name in vfs.list(&folder).map_err(|e| Error::io("list", &folder, e))? {
            if name == SEGMENTS_DIR {
                continue;
            }
            let path = folder.join(name);
            let file = vfs.open_read(&path).map_err(|e| Error::io("open", &path, e))?;
            bytes += file.len_bytes().map_err(|e| Error::io("read the length of", &path, e))?;
        }
    }
    Ok(bytes)
}
