//! Owns [`Snapshot`]: one read transaction of the catalog, and the files as that transaction says they are.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use roaring::RoaringBitmap;

use crate::catalog::Catalog;
use crate::catalog::head::{Head, file_number};
use crate::catalog::id_sets::IdSet;
use crate::catalog::rows::SegmentRow;
use crate::dir::{catalog_path, check_exists};
use crate::error::{Error, Result};
use crate::files::labels::Labels;
use crate::files::view::CodeFile;
use crate::published::Published;
use crate::schema::{Contents, Kind};
use crate::segment::{self, SegmentBytes};
use crate::vfs::Vfs;

/// How often a snapshot is taken anew when the writer drops index segments or compacts while it is taken.
const ATTEMPTS: usize = 64;

/// An index segment's bytes, or why its file cannot be used.
pub(crate) type Segment = std::result::Result<SegmentBytes, Arc<Error>>;

/// A database as of one commit.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) head: Head,
    pub(crate) files: Vec<Arc<CodeFile>>,
    /// What the catalog names; a file that cannot be used costs speed, not answers.
    pub(crate) segments: Vec<(SegmentRow, Segment)>,
    voids: Vec<OnceLock<RoaringBitmap>>,
    /// Removed items, and removed tensors.
    removed: [OnceLock<RoaringBitmap>; 2],
    /// In a lock because an SQLite connection serves one thread at a time.
    pub(crate) catalog: Mutex<Catalog>,
}

impl Snapshot {
    /// Takes the latest snapshot; files that are the same in `old` are taken over from there.
    pub(super) fn take(vfs: &dyn Vfs, dir: &Path, mmap: bool, old: Option<&Self>) -> Result<Self> {
        check_exists(dir)?;
        let mut attempt = 1;
        let mut lacking = None;
        loop {
            let snapshot = match Self::take_once(vfs, dir, mmap, old) {
                Err((Some(edition), error))
                    if attempt < ATTEMPTS
                        && is_missing(&error)
                        && Head::newest(dir)?.upkeep.edition != edition =>
                {
                    // Compacted between reading the catalog and opening the file, which has another name now.
                    attempt += 1;
                    continue;
                }
                result => result.map_err(|(_, error)| error)?,
            };
            // A segment may be dropped between reading the catalog and opening the file; if no commit has come since, it is gone.
            let missing = |bytes: &Segment| bytes.as_ref().is_err_and(|error| is_missing(error));
            let generation = Some(snapshot.head.generation);
            if attempt == ATTEMPTS
                || lacking == generation
                || !snapshot.segments.iter().any(|(_, bytes)| missing(bytes))
            {
                return Ok(snapshot);
            }
            lacking = generation;
            attempt += 1;
        }
    }

    /// One attempt; an error comes with the edition whose files were looked for.
    fn take_once(
        vfs: &dyn Vfs,
        dir: &Path,
        mmap: bool,
        old: Option<&Self>,
    ) -> Result<Self, (Option<u32>, Error)> {
        let (catalog, head) = Self::open_catalog(vfs, dir).map_err(|error| (None, error))?;
        let edition = head.upkeep.edition;
        Self::of(vfs, dir, mmap, old, (catalog, head)).map_err(|error| (Some(edition), error))
    }

    fn open_catalog(vfs: &dyn Vfs, dir: &Path) -> Result<(Catalog, Head)> {
        // Before the catalog: what it tells is in any later snapshot.
        let published = Published::read(vfs, dir);
        let catalog = Catalog::open_read(&catalog_path(dir))?;
        let head = catalog.head()?;
        published.check(dir, &head)?;
        Ok((catalog, head))
    }

    fn of(
        vfs: &dyn Vfs,
        dir: &Path,
        mmap: bool,
        old: Option<&Self>,
        (catalog, head): (Catalog, Head),
    ) -> Result<Self> {
        let old = old.filter(|old| old.head.database_id == head.database_id);
        // First, as the writer may drop some of them with each commit.
        let mut segments = Vec::new();
        for row in catalog.segments(&head)? {
            let known = old.and_then(|old| old.segments.iter().find(|(known, _)| *known == row));
            let bytes = match known {
                Some((_, Ok(bytes))) => Ok(bytes.clone()),
                _ => {
                    let view = &head.schema.views[row.view as usize];
                    segment::open(vfs, &segment::path(dir, &view.name, &row), &row, mmap).map_err(Arc::new)
                }
            };
            segments.push((row, bytes));
        }
        let mut files = Vec::with_capacity(head.tails.len());
        for (number, &tail) in head.tails.iter().enumerate() {
            let path = dir.join(head.file(number).name());
            let known = old.and_then(|old| old.files.get(number));
            files.push(match known.filter(|file| file.tail == tail && file.path == path) {
                Some(file) => Arc::clone(file),
                None => Arc::new(CodeFile::open(vfs, &path, head.file_header(number), tail, mmap)?),
            });
        }
        let voids = head.tails.iter().map(|_| OnceLock::new()).collect();
        let removed = [OnceLock::new(), OnceLock::new()];
        Ok(Self { head, files, segments, voids, removed, catalog: Mutex::new(catalog) })
    }

    /// The labels of a database of raw codes.
    pub(super) fn labels(&self) -> Labels {
        let file = |kind| &self.files[file_number(0, kind)];
        Labels::new(file(Kind::LabelPlace), file(Kind::LabelText))
    }

    /// The void ids of a code file.
    pub(super) fn voids(&self, file: usize) -> Result<&RoaringBitmap> {
        if let Some(ids) = self.voids[file].get() {
            return Ok(ids);
        }
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = catalog.id_set(IdSet::Voids(file), self.head.tails[file].count)?;
        drop(catalog);
        Ok(self.voids[file].get_or_init(|| ids))
    }

    /// The removed ids of what the database holds.
    pub(super) fn removed(&self) -> Result<&RoaringBitmap> {
        let kind = match self.head.schema.contents {
            Contents::Models => Kind::Model,
            Contents::Codes => Kind::Raw,
        };
        self.removed_of(0, kind, self.head.indexable(), self.head.upkeep.removed)
    }

    /// The removed ids of tensors.
    pub(super) fn removed_tensors(&self) -> Result<&RoaringBitmap> {
        self.removed_of(1, Kind::Tensor, self.head.tensors, self.head.upkeep.removed_tensors)
    }

    fn removed_of(&self, at: usize, kind: Kind, end: u32, count: u32) -> Result<&RoaringBitmap> {
        if let Some(ids) = self.removed[at].get() {
            return Ok(ids);
        }
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = catalog.removed(kind, end, count)?;
        drop(catalog);
        Ok(self.removed[at].get_or_init(|| ids))
    }
}

/// Whether a file was not found.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
