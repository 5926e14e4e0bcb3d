//! Owns [`CodeLibrary`], a snapshot of a database of raw codes opened for searching, and [`AnyLibrary`], which opens
//! whatever a directory holds.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};

use phash_index::{Layout, Matches};
use phash_store::{CheckedCodes, Contents, Kind, Labels, OpenOptions, Reader};

use super::sized::{self, AnyWidth, VIEW};
use super::{RawCode, Width};
use crate::error::{Error, Result};
use crate::explain::ExplainedSearch;
use crate::library::Library;

/// Which stored codes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeMode {
    /// All within so many bits (inclusive).
    Radius(u32),
    /// The so many nearest; of those at the same distance the ones with smaller ids.
    Nearest(usize),
}

/// A database of either kind.
#[expect(clippy::large_enum_variant, reason = "made once, and taken apart at once")]
#[derive(Debug)]
pub enum AnyLibrary {
    /// Models.
    Models(Library),
    /// Raw codes.
    Codes(CodeLibrary),
}

impl AnyLibrary {
    /// Opens the database at `dir`, whatever it holds.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, OpenOptions::default())
    }

    /// As [`AnyLibrary::open`], with files mapped or read into memory. The answers are the same.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn open_with(dir: &Path, options: OpenOptions) -> Result<Self> {
        let reader = Reader::open(dir, options)?;
        Ok(match reader.contents() {
            Contents::Models => Self::Models(Library::of(dir, reader)?),
            Contents::Codes => Self::Codes(CodeLibrary::of(dir, reader)?),
        })
    }
}

/// A database of raw codes, as it was at one commit.
#[derive(Debug)]
pub struct CodeLibrary {
    dir: PathBuf,
    reader: Reader,
    labels: Labels,
    /// The stored bytes of the codes, with the proof of them.
    checked: CheckedCodes,
    width: Width,
    codes: Box<dyn AnyWidth>,
}

impl CodeLibrary {
    /// Opens the database at `dir`. Cheap: nothing is read but the catalog's counts and the headers of the files.
    ///
    /// # Errors
    /// [`Error::Store`] if there is no database, if it is damaged, or if it holds models.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, OpenOptions::default())
    }

    /// As [`CodeLibrary::open`], with files mapped or read into memory. The answers are the same.
    ///
    /// # Errors
    /// As [`CodeLibrary::open`].
    pub fn open_with(dir: &Path, options: OpenOptions) -> Result<Self> {
        Self::of(dir, Reader::open(dir, options)?)
    }

    pub(crate) fn of(dir: &Path, reader: Reader) -> Result<Self> {
        let labels = reader.code_labels()?;
        let words = reader.schema().views.first().map_or(0, |view| view.words);
        let width = Width::from_words(words).ok_or(Error::Store(phash_store::Error::InvalidInput {
            what: format!("codes of {words} words"),
        }))?;
        let codes = sized::open(&reader, width)?;
        let checked = reader.checked_codes(VIEW, Kind::Raw)?;
        Ok(Self { dir: dir.to_owned(), reader, labels, checked, width, codes })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store's snapshot behind the library: sizes, verification.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The width of the codes.
    pub fn width(&self) -> Width {
        self.width
    }

    /// How many codes are stored.
    pub fn code_count(&self) -> u32 {
        self.reader.live_count()
    }

    /// The end of the ids: all codes lie below, but not every id has one, as those of removed codes are not given again
    /// before a compaction.
    pub fn id_end(&self) -> u32 {
        self.codes.len()
    }

    /// A stored code; `None` also if it was removed.
    pub fn code(&self, id: u32) -> Option<RawCode> {
        self.codes.code(id)
    }

    /// A stored code that must be there.
    ///
    /// # Errors
    /// [`Error::NoSuchCode`].
    pub fn code_of(&self, id: u32) -> Result<RawCode> {
        self.code(id).ok_or(Error::NoSuchCode { id, codes: self.id_end() })
    }

    /// The label of a code that is to be reported, if it has one. What searches and groups found by reading codes through a map, without a
    /// look at any checksum, is proven here: the code's block is checked, once for each 2048 codes.
    ///
    /// # Errors
    /// [`Error::Store`] if the code or its label is damaged.
    pub fn label(&self, id: u32) -> Result<Option<String>> {
        self.checked.get(id)?;
        Ok(self.labels.get(id)?)
    }

    /// The ranges of ids that index segments cover, in order.
    pub fn segments(&self) -> Vec<Range<u32>> {
        self.codes.indexed()
    }

    /// The layout of each of these segments.
    pub fn segment_layouts(&self) -> Vec<Layout> {
        self.codes.layouts()
    }

    /// Index segments that cannot be used, and why. Answers are complete without them, only slower.
    pub fn unusable_segments(&self) -> &[Error] {
        self.codes.unusable()
    }

    /// The stored codes that match each of the queries, in their order; the matches of one in the order of distance, then
    /// id. Exact. The queries must have the database's width, which [`RawCode::from_hex`] sees to.
    ///
    /// Answers do not depend on `threads`. Memory linear in all matches.
    ///
    /// # Errors
    /// [`Error::RadiusTooLarge`].
    pub fn search(&self, queries: &[RawCode], mode: CodeMode, threads: NonZeroUsize) -> Result<Vec<Matches>> {
        self.check_mode(mode)?;
        Ok(self.codes.search(queries, mode, threads))
    }

    /// What the planner chooses for a query and why, and what the search then takes.
    ///
    /// # Errors
    /// [`Error::RadiusTooLarge`].
    pub fn explain(&self, query: &RawCode, mode: CodeMode) -> Result<Option<ExplainedSearch>> {
        self.check_mode(mode)?;
        Ok(self.codes.explain(query, mode))
    }

    /// Refuses a radius beyond the width.
    ///
    /// # Errors
    /// [`Error::RadiusTooLarge`].
    pub fn check_mode(&self, mode: CodeMode) -> Result<()> {
        let limit_bits = self.width.bits();
        match mode {
            CodeMode::Radius(got_bits) if got_bits > limit_bits => {
                Err(Error::RadiusTooLarge { got_bits, limit_bits })
            }
            CodeMode::Radius(_) | CodeMode::Nearest(_) => Ok(()),
        }
    }

    pub(super) fn codes(&self) -> &dyn AnyWidth {
        &*self.codes
    }
}
