//! Owns what `verify` tells: [`Damage`], and [`VerifyReport`].

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::schema::Kind;

/// Models, tensors or raw codes that cannot be trusted for some damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// What the ids are of: models, tensors, raw codes, or labels of raw codes.
    pub kind: Kind,
    /// Their ids.
    pub ids: Range<u32>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in the file, in bytes; 0 in the catalog.
    pub offset_bytes: u64,
    /// Which item.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub got: String,
    /// What cannot be trusted for it; nothing if no answer depends on it, or if it is not known.
    pub affected: Option<Affected>,
    /// Labels of these, as far as they can be read; the first [`MAX_LABELS`].
    pub labels: Vec<String>,
}

/// Labels that are told of one damage.
pub const MAX_LABELS: usize = 20;

impl Damage {
    fn new(file: PathBuf, offset_bytes: u64, what: String, expected: String, got: String) -> Self {
        Self { file, offset_bytes, what, expected, got, affected: None, labels: Vec::new() }
    }

    /// The damage that an error tells of; at `place` if it does not say where.
    pub fn from_error(error: Error, place: &Path) -> Self {
        match error {
            Error::Corrupted { file, offset_bytes, what, expected, got } => {
                Self::new(file, offset_bytes, what, expected, got)
            }
            Error::TooShort { file, expected_bytes, got_bytes } => {
                let bytes = |bytes: u64| format!("{bytes} bytes");
                Self::new(file, got_bytes, "length".to_owned(), bytes(expected_bytes), bytes(got_bytes))
            }
            other => {
                let (what, expected) = ("reading it".to_owned(), "success".to_owned());
                Self::new(place.to_owned(), 0, what, expected, other.to_string())
            }
        }
    }
}

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Bytes that were checked.
    pub checked_bytes: u64,
    /// Codes that were checked, void ones included.
    pub checked_codes: u64,
    /// Bytes behind the committed ones, left by an interrupted writer or being written now: not damage, the next
    /// writer cuts them off.
    pub uncommitted_bytes: u64,
    /// Everything that is wrong; empty means sound.
    pub damages: Vec<Damage>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty()
    }
}
