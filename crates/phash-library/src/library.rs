//! Owns [`Library`]: a snapshot of a database opened for searching. Cheap to open: nothing is read but the catalog's
//! counts and the headers of the files.

use std::ops::Range;
use std::path::{Path, PathBuf};

use phash_core::{CODE_WORDS, Digest, PerView, View};
use phash_store::{CodeView, Contents, Error as StoreError, OpenOptions, Reader};

use crate::error::{Error, Result};
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

    pub(crate) fn search_of(&self, view: View) -> &ViewSearch<CodeView<CODE_WORDS>> {
        &self.searches[view]
    }
}

pub(crate) fn check_parameters(dir: &Path, reader: &Reader) -> Result<()> {
    reader.check_contents(Contents::Models)?;
    let (ours, theirs) = (schema(), reader.schema());
    if *theirs == ours {
        return Ok(());
    }
    let describe = |schema: &phash_store::Schema| {
        let views: Vec<&str> = schema.views.iter().map(|view| view.name.as_str()).collect();
        format!("{}, views {}", Digest(schema.parameters), views.join(" "))
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
