//! Owns [`Library`]: a snapshot of a database opened for searching. Cheap to open: nothing is read but the catalog's
//! counts and the headers of the files.

use std::ops::Range;
use std::path::{Path, PathBuf};

use phash_core::{CODE_WORDS, PerView, View};
use phash_store::{CodeView, Contents, Damage, Error as StoreError, OpenOptions, Reader, VerifyReport};

use crate::error::{Error, Result};
use crate::raw::CodeLibrary;
use crate::schema::schema;
use crate::search::ViewSearch;

/// A library of models, as it was at one commit.
#[derive(Debug)]
pub struct Library {
    dir: PathBuf,
    reader: Reader,
    searches: PerView<ViewSearch<CodeView<CODE_WORDS>>>,
}

impl Library {
    /// Opens the database at `dir`.
    ///
    /// # Errors
    /// [`crate::Error::Store`] if there is no database, if it is damaged, or if it was made with other hash parameters than
    /// this build's.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, OpenOptions::default())
    }

    /// As [`Library::open`], with files mapped or read into memory. The answers are the same.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn open_with(dir: &Path, options: OpenOptions) -> Result<Self> {
        Self::of(dir, Reader::open(dir, options)?)
    }

    /// The library behind an open reader.
    pub(crate) fn of(dir: &Path, reader: Reader) -> Result<Self> {
        check_parameters(dir, &reader)?;
        let searches = searches(&reader)?;
        Ok(Self { dir: dir.to_owned(), reader, searches })
    }

    /// Moves to the latest commit; whether there was a newer one.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn refresh(&mut self) -> Result<bool> {
        let changed = self.reader.refresh()?;
        if changed {
            self.searches = searches(&self.reader)?;
        }
        Ok(changed)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many models are stored. Ids may go beyond: those of removed models are not given again before a compaction.
    pub fn model_count(&self) -> u32 {
        self.reader.live_count()
    }

    /// The store's snapshot behind the library: models, labels, tensors, sizes, verification.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Index segments that cannot be used, and why. Answers are complete without them, only slower.
    pub fn unusable_segments(&self) -> impl Iterator<Item = &Error> {
        self.searches.0.iter().flat_map(ViewSearch::unusable)
    }

    /// The ranges of ids that the view's index segments cover, in order.
    pub fn segments(&self, view: View) -> Vec<Range<u32>> {
        self.searches[view].indexed()
    }

    /// Checks everything: the store's checksums, and that each index segment finds exactly its codes. Goes on after damage.
    /// `progress` is called with (bytes done, bytes in all) of the store's part. Time linear in the library's size.
    ///
    /// Works for databases of raw codes and of any hash parameters, which [`Library::open`] refuses.
    ///
    /// # Errors
    /// [`crate::Error::Store`] if the database cannot even be opened; damage is in the report.
    pub fn verify(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport> {
        Self::verify_with(dir, OpenOptions::default(), progress)
    }

    /// As [`Library::verify`], with labels and index segments mapped or read into memory; code files are read in any case.
    ///
    /// # Errors
    /// As [`Library::verify`].
    pub fn verify_with(
        dir: &Path,
        options: OpenOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<VerifyReport> {
        let reader = Reader::open(dir, options)?;
        let mut report = reader.verify(progress)?;
        let damaged_segment = |view: &str, error: Error| Damage {
            file: PathBuf::from("segments"),
            offset_bytes: 0,
            what: format!("index segment of view {view}"),
            expected: "a segment that finds its codes".to_owned(),
            got: error.to_string(),
        };
        if reader.contents() == Contents::Codes {
            if report.damages.is_empty() {
                let damaged = CodeLibrary::of(dir, reader)?.damaged_segments();
                report.damages.extend(damaged.into_iter().map(|error| damaged_segment("raw", error)));
            }
            return Ok(report);
        }
        if check_parameters(dir, &reader).is_ok() && report.damages.is_empty() {
            for view in View::ALL {
                let search = ViewSearch::of_view(view, &reader)?;
                let damaged = search.damaged_segments().into_iter();
                report.damages.extend(damaged.map(|error| damaged_segment(view.name(), error)));
            }
        }
        Ok(report)
    }

    pub(crate) fn search_of(&self, view: View) -> &ViewSearch<CodeView<CODE_WORDS>> {
        &self.searches[view]
    }
}

fn check_parameters(dir: &Path, reader: &Reader) -> Result<()> {
    reader.check_contents(Contents::Models)?;
    let (ours, theirs) = (schema(), reader.schema());
    if *theirs == ours {
        return Ok(());
    }
    let describe = |schema: &phash_store::Schema| {
        let views: Vec<&str> = schema.views.iter().map(|view| view.name.as_str()).collect();
        let parameters: String = schema.parameters.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{parameters}, views {}", views.join(" "))
    };
    Err(StoreError::ParametersDiffer {
        path: dir.to_owned(),
        expected: describe(&ours),
        found: describe(theirs),
    }
    .into())
}

fn searches(reader: &Reader) -> Result<PerView<ViewSearch<CodeView<CODE_WORDS>>>> {
    PerView::try_from_fn(|view| ViewSearch::of_view(view, reader))
}
