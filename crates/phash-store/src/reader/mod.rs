//! Owns [`Reader`]: a snapshot of a database and the questions that can be asked of it. A snapshot never changes;
//! `refresh` takes a newer one. Reading never writes, never waits for the writer and never makes it wait.

mod checked;
mod info;
mod models;
mod proof;
mod snapshot;
mod verify;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use roaring::RoaringBitmap;

use crate::catalog::Catalog;
use crate::catalog::head::file_number;
use crate::catalog::rows::Coded;
use crate::error::{Error, Result};
use crate::files::labels::Labels;
use crate::files::view::CodeView;
use crate::records::{ModelRow, Source, TensorRow};
use crate::schema::{Contents, Kind, Schema};
use crate::segment::{self, SegmentBytes};
use crate::vfs::{OsVfs, Vfs};

pub use checked::CheckedCodes;
pub use models::Models;
use snapshot::Snapshot;

/// The ids that an index segment covers, and its bytes or why there are none.
pub type StoredSegment = (Range<u32>, std::result::Result<SegmentBytes, Arc<Error>>);

/// How a reader reads code files and index segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Map files into memory (the default). Without it they are read into memory by positional reads, and every
    /// block's checksum is checked on the way: the same answers, proof against another program truncating a
    /// file (which kills a process that maps it), and the choice for network file systems.
    pub mmap: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { mmap: true }
    }
}

/// A snapshot of a database, as of one commit. `Send + Sync`; codes, voids and segments are read without any lock,
/// questions to the catalog take turns.
///
/// As long as it lives, SQLite's log cannot be emptied: in a process that runs for long beside a busy writer, call
/// [`Reader::refresh`] now and then.
#[derive(Debug)]
pub struct Reader {
    pub(crate) snapshot: Snapshot,
    options: OpenOptions,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) dir: PathBuf,
}

impl Reader {
    /// Opens the latest snapshot. Checks headers, lengths, and the last block of each code file; costs no more for a
    /// large database than for a small one (with `mmap`).
    ///
    /// # Errors
    /// [`Error::NotADatabase`], [`Error::UnknownVersion`]; [`Error::TooShort`] and [`Error::Corrupted`] if what was
    /// committed is not there.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Self> {
        Self::open_on(Arc::new(OsVfs), dir, options)
    }

    /// Opens through another file system than the operating system's; the catalog stays a real file.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_on(vfs: Arc<dyn Vfs>, dir: &Path, options: OpenOptions) -> Result<Self> {
        let snapshot = Snapshot::take(&*vfs, dir, options.mmap, None)?;
        Ok(Self { snapshot, options, vfs, dir: dir.to_owned() })
    }

    /// Moves on to the latest commit and says whether there was a newer one. What was handed out before stays valid
    /// and as it was. Files that did not change are not opened again.
    ///
    /// # Errors
    /// As [`Reader::open`]; the reader then keeps the snapshot it has.
    pub fn refresh(&mut self) -> Result<bool> {
        let newer = Snapshot::take(&*self.vfs, &self.dir, self.options.mmap, Some(&self.snapshot))?;
        let changed = newer.head.generation != self.snapshot.head.generation;
        self.snapshot = newer;
        Ok(changed)
    }

    /// The schema. Compare `parameters` with the hasher's before searching.
    pub fn schema(&self) -> &Schema {
        &self.snapshot.head.schema
    }

    /// The number of commits up to the snapshot.
    pub fn generation(&self) -> u64 {
        self.snapshot.head.generation
    }

    /// What the database holds.
    pub fn contents(&self) -> Contents {
        self.schema().contents
    }

    /// Ids given to raw codes: code ids are `0..code_count()`, less [`Reader::removed`]. None in a database of models.
    pub fn code_count(&self) -> u32 {
        match self.contents() {
            Contents::Models => 0,
            Contents::Codes => self.snapshot.head.indexable(),
        }
    }

    /// The raw codes, the removed ones among them.
    ///
    /// # Errors
    /// [`Error::OtherContents`], [`Error::WidthMismatch`].
    pub fn raw_codes<const W: usize>(&self) -> Result<CodeView<W>> {
        self.check_contents(Contents::Codes)?;
        CodeView::new(&self.snapshot.files[file_number(0, Kind::Raw)])
    }

    /// The labels of the raw codes, the removed ones among them.
    ///
    /// # Errors
    /// [`Error::OtherContents`].
    pub fn code_labels(&self) -> Result<Labels> {
        self.check_contents(Contents::Codes)?;
        Ok(self.snapshot.labels())
    }

    /// Refuses what a database of other contents cannot answer.
    ///
    /// # Errors
    /// [`Error::OtherContents`].
    pub fn check_contents(&self, expected: Contents) -> Result<()> {
        let found = self.contents();
        if found == expected {
            return Ok(());
        }
        Err(Error::OtherContents { path: self.dir.clone(), expected, found })
    }

    /// Models or raw codes that are not removed.
    pub fn live_count(&self) -> u32 {
        let head = &self.snapshot.head;
        head.indexable().saturating_sub(head.upkeep.removed)
    }

    /// The ids of removed models or raw codes: their codes are still there and must be left out. Read at the first call.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn removed(&self) -> Result<&RoaringBitmap> {
        self.snapshot.removed()
    }

    /// The ids of removed tensors. Read at the first call.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn removed_tensors(&self) -> Result<&RoaringBitmap> {
        self.snapshot.removed_tensors()
    }

    /// Ids given to models: code ids are `0..model_count()`, less [`Reader::removed`].
    pub fn model_count(&self) -> u32 {
        self.snapshot.head.models
    }

    /// Ids given to tensors: tensor code ids are `0..tensor_count()`, less [`Reader::removed_tensors`].
    pub fn tensor_count(&self) -> u32 {
        self.snapshot.head.tensors
    }

    /// The models' codes in a view. Void and removed ones are among them; leave out [`Reader::voids`] and
    /// [`Reader::removed`].
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::WidthMismatch`], [`Error::OtherContents`].
    pub fn codes<const W: usize>(&self, view: &str) -> Result<CodeView<W>> {
        CodeView::new(&self.snapshot.files[self.file(view, Kind::Model)?])
    }

    /// The tensors' codes in a view. Void and removed ones are among them; leave out
    /// [`Reader::tensor_voids`] and [`Reader::removed_tensors`].
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::WidthMismatch`], [`Error::OtherContents`].
    pub fn tensor_codes<const W: usize>(&self, view: &str) -> Result<CodeView<W>> {
        CodeView::new(&self.snapshot.files[self.file(view, Kind::Tensor)?])
    }

    /// The models without a code in a view. Read at the first call.
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::Corrupted`], [`Error::Catalog`].
    pub fn voids(&self, view: &str) -> Result<&RoaringBitmap> {
        self.snapshot.voids(self.file(view, Kind::Model)?)
    }

    /// The tensors without a code in a view. Read at the first call.
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::Corrupted`], [`Error::Catalog`].
    pub fn tensor_voids(&self, view: &str) -> Result<&RoaringBitmap> {
        self.snapshot.voids(self.file(view, Kind::Tensor)?)
    }

    /// A model with all its sources, or `None` if there is no such id or it was removed. That its codes in all views are those
    /// that were put in with it is checked (from version 5 of the format on).
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`]; so for all questions below.
    pub fn model(&self, id: u32) -> Result<Option<ModelRow>> {
        if id >= self.model_count() {
            return Ok(None);
        }
        let removed = self.removed()?.contains(id);
        let model = self.catalog().coded_models(id..id.saturating_add(1))?.pop();
        if model.is_some() == removed {
            let (row, none) = (format!("a row {id}"), "none".to_owned());
            let (expected, got) = if removed { (none, row) } else { (row, none) };
            return Err(Error::corrupted(self.catalog().path(), 0, "table models", expected, got));
        }
        model.map(|model| self.proven(Kind::Model, id, model)).transpose()
    }

    /// One label of a model: the first recorded that still stands for it, else the last. For lists of matches.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn label(&self, id: u32) -> Result<Option<String>> {
        let label = self.catalog().label(id)?;
        if label.is_none() && id < self.model_count() && !self.removed()?.contains(id) {
            let what = format!("sources of model {id}");
            return Err(Error::corrupted(self.catalog().path(), 0, what, "at least one", "none"));
        }
        Ok(label)
    }

    /// All models in the order of their ids, in bounded memory.
    pub fn models(&self) -> Models<'_> {
        Models::new(self)
    }

    /// The model with these contents.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn model_by_content_digest(&self, digest: &[u8; 32]) -> Result<Option<u32>> {
        self.catalog().model_by_content_digest(digest)
    }

    /// The first source with this file digest.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn source_by_file_digest(&self, digest: &[u8; 32]) -> Result<Option<Source>> {
        self.catalog().source_by_file_digest(digest)
    }

    /// The current version of a label.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn source_by_label(&self, label: &str) -> Result<Option<Source>> {
        self.catalog().source_by_label(label)
    }

    /// All versions of a label, oldest first.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn versions(&self, label: &str) -> Result<Vec<Source>> {
        self.catalog().versions(label)
    }

    /// The tensors of a model; none if there is no such id. Their codes are checked as those of the model.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn tensors(&self, model_id: u32) -> Result<Vec<TensorRow>> {
        match self.model(model_id)? {
            Some(model) => {
                let tensors = self.catalog().coded_tensors(model.tensors)?;
                let proven = |tensor: Coded<TensorRow>| self.proven(Kind::Tensor, tensor.row.id, tensor);
                tensors.into_iter().map(proven).collect()
            }
            None => Ok(Vec::new()),
        }
    }

    /// A tensor by its code id; its codes are checked.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn tensor(&self, tensor_id: u32) -> Result<Option<TensorRow>> {
        let tensor = self.catalog().coded_tensors(tensor_id..tensor_id.saturating_add(1))?.pop();
        tensor.map(|tensor| self.proven(Kind::Tensor, tensor_id, tensor)).transpose()
    }

    /// The index segments of a view with their id ranges, in order of ids: their bytes, or why the file cannot be used
    /// (missing, too short, unreadable). They are disjoint and need not cover all; what they do not cover can be scanned.
    ///
    /// # Errors
    /// [`Error::UnknownView`].
    pub fn segments(&self, view: &str) -> Result<Vec<StoredSegment>> {
        let number = self.schema().view_number(view)?;
        let of_view = self.snapshot.segments.iter().filter(|(row, _)| row.view as usize == number);
        Ok(of_view.map(|(row, bytes)| (row.first_id..row.end_id, bytes.clone())).collect())
    }

    /// The file of one of these index segments.
    ///
    /// # Errors
    /// [`Error::UnknownView`].
    pub fn segment_path(&self, view: &str, ids: &Range<u32>) -> Result<Option<PathBuf>> {
        let number = self.schema().view_number(view)?;
        let mut rows = self.snapshot.segments.iter().map(|(row, _)| row);
        let row = rows.find(|row| row.view as usize == number && (row.first_id..row.end_id) == *ids);
        Ok(row.map(|row| segment::path(&self.dir, view, row)))
    }

    fn file(&self, view: &str, kind: Kind) -> Result<usize> {
        self.check_contents(kind.contents())?;
        Ok(file_number(self.schema().view_number(view)?, kind))
    }

    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.snapshot.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
