//! Owns [`Items`]: whether messages about a database speak of models or of raw codes.

use std::path::Path;

use phash_library::{Contents, OpenOptions, Reader};

use crate::output::number;

/// What a database holds, as messages call it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items(Option<Contents>);

impl Items {
    /// Looks into the database; what cannot be opened holds items.
    pub(super) fn of(db: &Path) -> Self {
        Self(Reader::open(db, OpenOptions::default()).ok().map(|reader| reader.contents()))
    }

    /// So many of them.
    pub(super) fn count(self, number: u64) -> String {
        let (one, many) = match self.0 {
            Some(Contents::Models) => ("model", "models"),
            Some(Contents::Codes) => ("raw code", "raw codes"),
            None => ("item", "items"),
        };
        number::counted(number, one, many)
    }
}
