//! Owns [`Staging`]: a database that is made as a whole under another name beside its place and appears there by one
//! rename, last of all. What must hold: until then there is nothing under its name, whatever interrupts the making.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dir::{SEGMENTS_DIR, parent};
use crate::error::{Error, Result};
use crate::vfs::Vfs;

/// What the name of an unfinished database ends with.
const ENDING: &str = ".partial";

/// A database in the making; removed when it is dropped without being published.
#[derive(Debug)]
pub struct Staging {
    vfs: Arc<dyn Vfs>,
    /// Holds the other two.
    partial: PathBuf,
    dir: PathBuf,
    scratch: PathBuf,
    out: PathBuf,
}

impl Staging {
    /// Makes the folder `OUT.partial` for a copy of the database at `db`.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if something is at `out`, if `out` lies inside `db`, or if an interrupted run has left an
    /// `OUT.partial`; [`Error::Io`].
    pub(crate) fn new(vfs: &Arc<dyn Vfs>, db: &Path, out: &Path) -> Result<Self> {
        let refused = |path: &Path, what: &str| {
            Err(Error::AlreadyExists { path: path.to_owned(), what: what.to_owned() })
        };
        let (Some(name), parent) = (out.file_name(), parent(out)) else {
            return refused(out, "the path has no name of its own at its end");
        };
        let real = |path: &Path| fs::canonicalize(path).map_err(|e| Error::io("find", path, e));
        let (db, place) = (real(db)?, real(parent)?.join(name));
        if place == db {
            return refused(out, "it is the very database that is to be copied");
        }
        if place.starts_with(&db) {
            return refused(out, "it lies inside the database that is to be copied");
        }
        if fs::symlink_metadata(out).is_ok() {
            return refused(out, "something is there already; name a directory that is not there");
        }
        let mut partial: OsString = name.to_owned();
        partial.push(ENDING);
        let partial = parent.join(partial);
        match vfs.create_dir(&partial) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return refused(
                    &partial,
                    "an interrupted run has left it, or another one is at work; if not, remove it: it is no database",
                );
            }
            made => made.map_err(|e| Error::io("create", &partial, e))?,
        }
        let (dir, scratch) = (partial.join("database"), partial.join("scratch"));
        let this = Self { vfs: Arc::clone(vfs), partial, dir, scratch, out: out.to_owned() };
        for dir in [&this.dir, &this.dir.join(SEGMENTS_DIR), &this.scratch] {
            vfs.create_dir(dir).map_err(|e| Error::io("create", dir, e))?;
        }
        Ok(this)
    }

    /// Where the database is made.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A folder for what is needed only meanwhile.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Gives the database its name. All its files must be synced. Durable when it returns.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if something has come there meanwhile; [`Error::Io`]. Nothing is left behind then; but if all that
    /// fails is the last sync, of its name, the database is there, whole.
    pub fn publish(self) -> Result<()> {
        for dir in [&self.dir.join(SEGMENTS_DIR), &self.dir] {
            self.vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        }
        if fs::symlink_metadata(&self.out).is_ok() {
            let what = "something has come there meanwhile".to_owned();
            return Err(Error::AlreadyExists { path: self.out.clone(), what });
        }
        self.vfs.rename(&self.dir, &self.out).map_err(|e| Error::io("rename", &self.dir, e))?;
        let parent = parent(&self.out);
        self.vfs.sync_dir(parent).map_err(|e| Error::io("sync", parent, e))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed is refused by name next time.
        let _ = self.vfs.remove_tree(&self.partial);
    }
}
