//! Backup and salvage as workloads: a copy of a whole database that appears under its name last. Whatever interrupts it, the
//! name is not there, or a whole and sound database is; an unfinished one is refused, and the original is as it was.

use std::path::{Path, PathBuf};

use phash_store::{Error, Reader, Result, Schema, Store, Writer, salvage_on};

use crate::codes;
use crate::common::*;
use crate::fault_vfs::FaultVfs;
use crate::medium::Image;
use crate::workloads::{Commit, Workload, larger};

/// What makes the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Backup,
    Salvage,
}

/// Copies the second database of a root, `other`, to `db`. The state is 1 when that is there.
pub(crate) struct Copies {
    pub(crate) how: How,
    pub(crate) raw: bool,
}

impl Copies {
    fn schema(&self) -> Schema {
        if self.raw { codes::raw() } else { schema() }
    }

    fn view(&self) -> &'static str {
        if self.raw { "raw" } else { "energy" }
    }

    fn count(&self) -> u64 {
        larger(if self.raw { 2060 } else { 7 })
    }

    fn put(&self, writer: &mut Writer, range: std::ops::Range<u64>) -> Result<()> {
        if self.raw { codes::put_codes(writer, range) } else { put_range(writer, range) }
    }

    fn reader(vfs: &FaultVfs, db: &Path) -> Reader {
        Reader::open_on(vfs.shared(), db, NO_MMAP).unwrap_or_else(|error| panic!("a reader: {error}"))
    }

    fn check(&self, reader: &Reader, count: u64, segments: usize) {
        if self.raw {
            codes::check(reader, count);
        } else {
            check_range(reader, count);
        }
        let stored = reader.segments(self.view()).unwrap();
        assert!(stored.len() <= segments);
        for (ids, bytes) in stored {
            let bytes = bytes.unwrap_or_else(|error| panic!("a segment: {error}"));
            assert_eq!((ids, bytes.as_ref()), (0..3, &b"a segment"[..]));
        }
    }

    /// How many index segments the copy has at most.
    fn segments(&self) -> usize {
        usize::from(self.how == How::Backup)
    }

    fn copy(&self, vfs: &FaultVfs, from: &Path, to: &Path) -> Result<()> {
        match self.how {
            How::Backup => {
                let reader = Reader::open_on(vfs.shared(), from, NO_MMAP)?;
                let done = reader.backup(to, &mut |_, _| true)?.expect("it was not stopped");
                // A segment that cannot be read now is left out, and that is told.
                if !done.segments_left_out.is_empty() {
                    return Err(Error::InvalidInput { what: format!("{done:?}") });
                }
            }
            How::Salvage => {
                let done = salvage_on(&vfs.shared(), from, to, None, &mut |_| true)?;
                let done = done.expect("it was not stopped");
                // A file that cannot be read now is no damage, but a salvage takes it for such.
                if done.losses > 0 {
                    return Err(Error::InvalidInput { what: format!("{} losses", done.losses) });
                }
                done.staging.publish()?;
            }
        }
        Ok(())
    }
}

fn other(db: &Path) -> PathBuf {
    db.with_file_name("other")
}

impl Workload for Copies {
    fn name(&self) -> &'static str {
        match (self.how, self.raw) {
            (How::Backup, false) => "backup of models",
            (How::Backup, true) => "backup of codes",
            (How::Salvage, false) => "salvage of models",
            (How::Salvage, true) => "salvage of codes",
        }
    }

    fn image(&self, root: &Path) -> Image {
        let vfs = FaultVfs::boot(&Image::default(), root);
        vfs.record();
        let dir = root.join("other");
        Store::create_on(&vfs.shared(), &dir, &self.schema(), clock()).unwrap();
        let mut writer = self.writer(&vfs, &dir).unwrap();
        self.put(&mut writer, 0..self.count()).unwrap();
        writer.add_segment(self.view(), 0..3, b"a segment").unwrap();
        writer.commit().unwrap();
        drop(writer);
        vfs.live()
    }

    fn start(&self) -> u64 {
        0
    }

    fn run(&self, vfs: &FaultVfs, db: &Path, commit: &mut Commit<'_>) -> Result<()> {
        let partial = db.with_file_name("db.partial");
        if partial.exists() {
            // What an interrupted run has left is refused, by readers and by the next run, until it is removed.
            let opened = Reader::open_on(vfs.shared(), &partial, NO_MMAP);
            assert!(matches!(opened, Err(Error::NotADatabase { .. })), "{opened:?}");
            let again = self.copy(vfs, &other(db), db).unwrap_err();
            assert!(matches!(again, Error::AlreadyExists { .. }), "{again}");
            vfs.shared().remove_tree(&partial).unwrap();
        }
        commit(1, &mut || self.copy(vfs, &other(db), db))
    }

    fn may_pass(&self, call: &str) -> bool {
        // What a salvage needs of a damaged database it looks for in several places; what it does not find, it tells.
        self.how == How::Salvage && ["open_read ", "len ", "read "].iter().any(|read| call.starts_with(read))
    }

    fn state(&self, vfs: &FaultVfs, db: &Path) -> u64 {
        if !Store::exists(db) {
            return 0;
        }
        self.check(&Self::reader(vfs, db), self.count(), self.segments());
        1
    }

    fn writer(&self, vfs: &FaultVfs, db: &Path) -> Result<Writer> {
        Ok(Writer::open_on(vfs.shared(), db, &self.schema())?.with_clock(clock))
    }

    fn go_on(&self, vfs: &FaultVfs, db: &Path, mut writer: Writer, state: u64) {
        for dir in [db, &other(db)] {
            let report = Self::reader(vfs, dir).verify(&mut |_, _| {}).unwrap();
            assert!(report.is_sound() && report.uncommitted_bytes == 0, "{}: {report:?}", dir.display());
        }
        self.put(&mut writer, self.count()..self.count() + 2)
            .and_then(|()| writer.commit())
            .unwrap_or_else(|error| panic!("going on: {error}"));
        self.check_further(vfs, db, state);
    }

    fn check_further(&self, vfs: &FaultVfs, db: &Path, _: u64) {
        self.check(&Self::reader(vfs, db), self.count() + 2, self.segments());
        self.check(&Self::reader(vfs, &other(db)), self.count(), 1);
    }
}
