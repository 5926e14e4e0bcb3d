//! What the fuzz target of the store's files and the tests share: small databases, whose files are edited as an input says.
//! Not part of the public interface: no promise of stability. Panics when a property is broken.

mod base;
mod case;
mod files;
mod memory;
mod whole;

use std::path::{Path, PathBuf};

use base::Base;
use case::Case;

/// What became of an input; the first that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Reading everything ends in an error.
    Refused,
    /// Reading does not, but `verify` finds damage.
    Damaged,
    /// All is read as it was written.
    Sound,
    /// Something else is read. Possible only under checksums that were made to fit.
    Forged,
}

/// Databases to be edited: models, and raw codes with labels; as they grew, and compacted.
#[derive(Debug)]
pub struct StoreFiles {
    bases: Vec<Base>,
    work: PathBuf,
}

impl StoreFiles {
    /// Makes the databases in `dir`, which must be an empty directory and is worked in as long as this lives.
    ///
    /// # Panics
    /// If that fails.
    pub fn new(dir: &Path) -> Self {
        Self { bases: base::all(dir), work: dir.to_owned() }
    }

    /// Edits the files of a database as `bytes` say, and looks at them in every way there is.
    ///
    /// The first byte: bits 0 and 1 choose the database; bit 2 mends the checksums in the files, bit 3 those that the catalog has of
    /// their ends, too; bit 4 opens, verifies, salvages and writes to the database as a whole, else its files alone are
    /// looked at, in memory; bit 5 maps. Edits follow: number of the file (behind the last one `published`, then the ends and the
    /// number of commits that the catalog knows), operation, place (two bytes), length, and what the operation needs.
    ///
    /// # Panics
    /// If a property is broken:
    /// * what `verify` finds nothing wrong with can be opened, read and, but for forged checksums, written to;
    /// * what is read, salvaged or left by the recovery of a writer is what was written, unless checksums were made to fit;
    /// * salvage of what is sound loses nothing, and what it makes is sound in any case.
    pub fn run(&self, bytes: &[u8]) -> Verdict {
        let (&flags, edits) = bytes.split_first().unwrap_or((&0, &[]));
        let base = &self.bases[usize::from(flags & 3)];
        let case = Case::new(base, flags, edits);
        if flags & 16 == 0 {
            files::look(base, &case)
        } else {
            whole::look(base, &case, &self.work, flags & 32 != 0)
        }
    }
}
