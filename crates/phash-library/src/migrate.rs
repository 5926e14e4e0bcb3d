//! Owns [`migrate`]: a database of an earlier format becomes one of the newest, and index segments that this build cannot
//! use are built again.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use phash_store::{OpenOptions, Reader, Writer};

use crate::error::Result;
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

/// Brings the database at `dir` to the newest version of its format, and its index up to date. Each step is one commit:
/// whatever interrupts it, the database is of the version before or after, and running again does what is left. `starts`
/// is told the view and the codes of each index segment that is built.
///
/// # Errors
/// [`crate::Error::Store`], among others [`phash_store::Error::UnknownVersion`] if a newer build wrote the database;
/// [`crate::Error::Index`]; [`crate::Error::Cancelled`].
pub fn migrate(dir: &Path, cancel: &AtomicBool, starts: &mut dyn FnMut(&str, u32)) -> Result<Migration> {
    let reader = Reader::open(dir, OpenOptions::default())?;
    let schema = reader.schema().clone();
    drop(reader);
    let mut writer = Writer::open(dir, &schema)?;
    let from_version = writer.format_version();
    writer.migrate()?;
    let mut segments_built = 0;
    build_missing(dir, &mut writer, cancel, &mut |view, codes| {
        segments_built += 1;
        starts(view, codes);
    })?;
    Ok(Migration { from_version, to_version: writer.format_version(), segments_built })
}
