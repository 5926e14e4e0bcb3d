//! Owns the names in a database directory, and the creation of a database. What must hold: `catalog.sqlite` appears
//! last and whole, by a rename; a directory with it is a database, one without is not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::files::recover;
use crate::lock::{LOCK_FILE, WriterLock};
use crate::schema::{Schema, is_code_file_name};
use crate::vfs::{OsVfs, Vfs};

/// Name of the catalog.
pub(crate) const CATALOG_FILE: &str = "catalog.sqlite";
/// Name of the catalog while it is made.
pub(crate) const NEW_CATALOG_FILE: &str = "catalog.sqlite.new";
/// Name of the folder of index segments.
pub(crate) const SEGMENTS_DIR: &str = "segments";

pub(crate) fn catalog_path(dir: &Path) -> PathBuf {
    dir.join(CATALOG_FILE)
}

/// That there is a database in `dir`, or what is left of one; if not, why not.
pub(crate) fn check_exists(dir: &Path) -> Result<()> {
    let path = catalog_path(dir);
    let what = match path.try_exists() {
        Ok(true) => return Ok(()),
        Ok(false) if dir.exists() => format!("there is no {CATALOG_FILE} in it"),
        Ok(false) => "there is no such directory".to_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => "it is not a directory".to_owned(),
        Err(e) => return Err(Error::io("look for", &path, e)),
    };
    Err(Error::NotADatabase { path: dir.to_owned(), what })
}

/// Creation of databases.
#[derive(Clone, Copy, Debug)]
pub struct Store;

impl Store {
    /// Whether `dir` holds a database (or what is left of one: opening tells).
    pub fn exists(dir: &Path) -> bool {
        catalog_path(dir).exists()
    }

    /// Creates an empty database in `dir`, which is made if it is missing. Durable when it returns.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if there is a database, or any file that an interrupted creation cannot have left;
    /// [`Error::Locked`] if another process is creating one; [`Error::InvalidInput`] for a bad schema.
    pub fn create(dir: &Path, schema: &Schema) -> Result<()> {
        Self::create_on(&(Arc::new(OsVfs) as Arc<dyn Vfs>), dir, schema, crate::clock::now_ms())
    }

    /// The same through another file system than the operating system's, at a given time.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_on(vfs: &Arc<dyn Vfs>, dir: &Path, schema: &Schema, now_ms: i64) -> Result<()> {
        schema.validate()?;
        if Self::exists(dir) {
            let what = format!("{CATALOG_FILE} is there already");
            return Err(Error::AlreadyExists { path: dir.to_owned(), what });
        }
        make_dir(&**vfs, dir)?;
        check_empty(&**vfs, dir)?;
        let _lock = WriterLock::take(dir)?;
        if Self::exists(dir) {
            let what = format!("another process has just made {CATALOG_FILE}");
            return Err(Error::AlreadyExists { path: dir.to_owned(), what });
        }
        make_dir(&**vfs, &dir.join(SEGMENTS_DIR))?;

        let new = dir.join(NEW_CATALOG_FILE);
        for suffix in ["", "-wal", "-shm"] {
            remove_if_there(&**vfs, &dir.join(format!("{NEW_CATALOG_FILE}{suffix}")))?;
        }
        let catalog = Catalog::create(&new, schema.contents)?;
        let head = catalog.insert_head(schema, now_ms)?;
        for number in 0..head.tails.len() {
            let path = dir.join(head.file(number).name());
            drop(recover::create(&**vfs, &path, &head.file_header(number))?);
        }
        vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        catalog.commit()?;
        // Closing empties the log into the file, so that the file alone is the catalog.
        catalog.close()?;
        let made = vfs.open_write(&new).map_err(|e| Error::io("open", &new, e))?;
        made.sync().map_err(|e| Error::io("sync", &new, e))?;
        vfs.rename(&new, &catalog_path(dir)).map_err(|e| Error::io("rename", &new, e))?;
        vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))
    }
}

/// Makes a directory (and those above it), its name durable.
fn make_dir(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    let parent = parent(dir);
    if dir.is_dir() {
        // An earlier process may have made it and died before this.
        return sync_name(vfs, dir);
    }
    if !parent.is_dir() {
        make_dir(vfs, parent)?;
    }
    match vfs.create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(Error::io("create", dir, e)),
        _ => {}
    }
    vfs.sync_dir(parent).map_err(|e| Error::io("sync", parent, e))
}

/// Makes the name of a directory durable. Where the directory above may not be read, it is somebody else's, and so is this.
pub(crate) fn sync_name(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    let parent = parent(dir);
    match vfs.sync_dir(parent) {
        Err(e) if e.kind() != io::ErrorKind::PermissionDenied => Err(Error::io("sync", parent, e)),
        _ => Ok(()),
    }
}

/// The directory that a path names something in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses a directory with anything in it but what an interrupted creation leaves: in particular code files that
/// hold codes but have lost their catalog.
fn check_empty(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    for name in vfs.list(dir).map_err(|e| Error::io("list", dir, e))? {
        let path = dir.join(&name);
        let ours = if is_code_file_name(&name) {
            recover::holds_no_codes(vfs, &path)?
        } else if name == SEGMENTS_DIR {
            vfs.list(&path).map_err(|e| Error::io("list", &path, e))?.is_empty()
        } else {
            name == LOCK_FILE || name.starts_with(NEW_CATALOG_FILE)
        };
        if !ours {
            let what = "it is not left over from an interrupted creation; name a new or empty directory";
            return Err(Error::AlreadyExists { path, what: what.to_owned() });
        }
    }
    Ok(())
}

fn remove_if_there(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    match vfs.remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}
