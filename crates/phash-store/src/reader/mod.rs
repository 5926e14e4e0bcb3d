//! Owns [`Reader`]: a snapshot of a database and the questions that can be asked of it. A snapshot never changes;
//! `refresh` takes a newer one. Reading never writes, never waits for the writer and never makes it wait.

mod models;
mod snapshot;
mod verify;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use roaring::RoaringBitmap;

use crate::catalog::Catalog;
use crate::catalog::head::file_number;
use crate::error::{Error, Result};
use crate::files::labels::Labels;
use crate::files::view::CodeView;
use crate::records::{Info, ModelRow, Source, TensorRow};
use crate::schema::{Contents, Kind, Schema};
use crate::segment::SegmentBytes;
use crate::vfs::{OsVfs, Vfs};

pub use models::Models;
use snapshot::Snapshot;
pub use verify::{Damage, VerifyReport};

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
    snapshot: Snapshot,
    options: OpenOptions,
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
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

    /// Stored raw codes: code ids are `0..code_count()`. None in a database of models.
    pub fn code_count(&self) -> u32 {
        match self.contents() {
            Contents::Models => 0,
            Contents::Codes => self.snapshot.head.indexable(),
        }
    }

    /// The raw codes.
    ///
    /// # Errors
    /// [`Error::OtherContents`], [`Error::WidthMismatch`].
    pub fn raw_codes<const W: usize>(&self) -> Result<CodeView<W>> {
        self.check_contents(Contents::Codes)?;
        CodeView::new(&self.snapshot.files[file_number(0, Kind::Raw)])
    }

    /// The labels of the raw codes.
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

    /// Stored models: code ids are `0..model_count()`.
    pub fn model_count(&self) -> u32 {
        self.snapshot.head.models
    }

    /// Stored tensors: tensor code ids are `0..tensor_count()`.
    pub fn tensor_count(&self) -> u32 {
        self.snapshot.head.tensors
    }

    /// The models' codes in a view. Void ones are among them (all zero); leave out [`Reader::voids`].
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::WidthMismatch`], [`Error::OtherContents`].
    pub fn codes<const W: usize>(&self, view: &str) -> Result<CodeView<W>> {
        CodeView::new(&self.snapshot.files[self.file(view, Kind::Model)?])
    }

    /// The tensors' codes in a view. Void ones are among them; leave out [`Reader::tensor_voids`].
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

    /// A model with all its sources, or `None` if there is no such id.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`]; so for all questions below.
    pub fn model(&self, id: u32) -> Result<Option<ModelRow>> {
        if id >= self.model_count() {
            return Ok(None);
        }
        match self.catalog().models(id..id.saturating_add(1))?.pop() {
            Some(model) => Ok(Some(model)),
            None => {
                Err(Error::corrupted(self.catalog().path(), 0, "table models", format!("a row {id}"), "none"))
            }
        }
    }

    /// One label of a model: the first recorded that still stands for it, else the last. For lists of matches.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn label(&self, id: u32) -> Result<Option<String>> {
        self.catalog().label(id)
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

    /// The tensors of a model; none if there is no such id.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn tensors(&self, model_id: u32) -> Result<Vec<TensorRow>> {
        match self.model(model_id)? {
            Some(model) => self.catalog().tensors(model.tensors),
            None => Ok(Vec::new()),
        }
    }

    /// A tensor by its code id.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`].
    pub fn tensor(&self, tensor_id: u32) -> Result<Option<TensorRow>> {
        Ok(self.catalog().tensors(tensor_id..tensor_id.saturating_add(1))?.pop())
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

    /// Sizes and counts.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Catalog`], [`Error::Io`].
    pub fn info(&self) -> Result<Info> {
        let head = &self.snapshot.head;
        let mut void_models = Vec::with_capacity(head.schema.views.len());
        if self.contents() == Contents::Models {
            for view in 0..head.schema.views.len() {
                let voids = self.snapshot.voids(file_number(view, Kind::Model))?;
                void_models.push(u32::try_from(voids.len()).unwrap_or(u32::MAX));
            }
        }
        let (mut code_bytes, mut label_bytes) = (0, 0);
        for file in &self.snapshot.files {
            let label = matches!(file.header.kind, Kind::LabelPlace | Kind::LabelText);
            *(if label { &mut label_bytes } else { &mut code_bytes }) += file.len_bytes();
        }
        let path = crate::dir::catalog_path(&self.dir);
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let len = |path: &Path| std::fs::metadata(path).map(|meta| meta.len());
        let catalog_bytes = len(&path).map_err(|e| Error::io("read the length of", &path, e))?;
        Ok(Info {
            format_version: self.contents().format_version(),
            generation: head.generation,
            created_at_ms: head.created_at_ms,
            codes: self.code_count(),
            models: head.models,
            weak_models: head.weak_models,
            tensors: head.tensors,
            sources: head.sources,
            labels: head.labels,
            void_models,
            catalog_bytes: catalog_bytes + len(Path::new(&log)).unwrap_or(0),
            code_bytes,
            label_bytes,
            segments: u32::try_from(self.snapshot.segments.len()).unwrap_or(u32::MAX),
            segment_bytes: self.snapshot.segments.iter().map(|(row, _)| row.len_bytes).sum(),
        })
    }

    fn file(&self, view: &str, kind: Kind) -> Result<usize> {
        self.check_contents(kind.contents())?;
        Ok(file_number(self.schema().view_number(view)?, kind))
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.snapshot.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
