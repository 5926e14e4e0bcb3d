//! Owns [`migrate`]: a database of an earlier format becomes one of the newest, and index segments that this build cannot
//! use are built again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_store::{OpenOptions, Reader, Writer};

use crate::error::{Error, Result};
use crate::segments::build_missing;

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The version of the format before.
    pub from_version: u32,
    /// The version of the format now.
    pub to_version: u32,
    /// Index segments that were built: in place of ones that this build cannot use, and for codes that had none.
    pub segments_built: u32,
}

impl Migration {
    /// Whether there was anything to do.
    pub fn is_done(&self) -> bool {
        self.from_version != self.to_version || self.segments_built > 0
    }
}

/// What happens during a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrateEvent<'a> {
    /// So many rows of models and tensors, of so many, are brought to the newest version.
    Rows {
        /// Done.
        done: u64,
        /// In all.
        all: u64,
    },
    /// An index segment is being built.
    Indexing {
        /// The view; `raw` for raw codes.
        view: &'a str,
        /// How many codes it covers.
        codes: u32,
    },
}

/// Brings the database at `dir` to the newest version of its format, and its index up to date. Each step is one commit:
/// whatever interrupts it, the database is of the version before or after, and running again does what is left.
///
/// # Errors
/// [`crate::Error::Store`], among others [`phash_store::Error::UnknownVersion`] if a newer build wrote the database, and
/// [`phash_store::Error::Corrupted`] if a row or code that needs a checksum does not pass the one it has;
/// [`crate::Error::Index`]; [`crate::Error::Cancelled`].
pub fn migrate(
    dir: &Path,
    cancel: &AtomicBool,
    events: &mut dyn FnMut(MigrateEvent<'_>),
) -> Result<Migration> {
    let reader = Reader::open(dir, OpenOptions::default())?;
    let schema = reader.schema().clone();
    drop(reader);
    let migrated = Writer::migrate(dir, &schema, &mut |done, all| {
        events(MigrateEvent::Rows { done, all });
        !cancel.load(Ordering::Relaxed)
    })?;
    let (mut writer, from_version) = migrated.ok_or(Error::Cancelled)?;
    if writer.format_version() != from_version {
        writer.shrink_catalog()?;
    }
    let mut segments_built = 0;
    build_missing(dir, &mut writer, cancel, &mut |view, codes| {
        segments_built += 1;
        events(MigrateEvent::Indexing { view, codes });
    })?;
    Ok(Migration { from_version, to_version: writer.format_version(), segments_built })
}
