//! Owns the full check of a database against its checksums: all of it, whatever is wrong with other parts. It writes
//! nothing and may run beside a writer. [`verify`] opens what there is, however damaged; a reader checks its own snapshot.

mod files;
mod items;
mod labels;
mod report;
mod segments;
mod without_head;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::files::Handle;
use crate::catalog::Catalog;
use crate::catalog::head::Head;
use crate::catalog::rows::SegmentRow;
use crate::dir::{catalog_path, check_exists};
use crate::error::{Error, Result};
use crate::files::layout::Geometry;
use crate::published::Published;
use crate::reader::OpenOptions;
use crate::schema::Kind;
use crate::vfs::{OsVfs, Vfs};

pub(crate) use self::files::CodeFiles;
pub use self::report::{Affected, Damage, MAX_LABELS, VerifyReport};

/// How often the latest commit is looked at anew when a compaction removes its files meanwhile.
const ATTEMPTS: usize = 8;

/// Is told the bytes checked and those in all; `false` stops.
pub(crate) type VerifyProgress<'p> = &'p mut dyn FnMut(u64, u64) -> bool;

/// Checks the database at `dir`, also if it is too damaged to be opened: every committed byte of code files and segments,
/// every row of the catalog, and that all of these agree. Lists all damage, each with what cannot be trusted for it.
/// Time O(size of the database), memory bounded but for the list. `None` if `progress` stopped it. Labels of raw codes are
/// mapped, or read into memory; all else is read by pieces.
///
/// # Errors
/// None for damage. [`Error::NotADatabase`] if there is no catalog, [`Error::UnknownVersion`] if a
/// newer build wrote it, [`Error::Io`], [`Error::Catalog`].
pub fn verify(
    dir: &Path,
    options: OpenOptions,
    progress: VerifyProgress<'_>,
) -> Result<Option<VerifyReport>> {
    let vfs = OsVfs;
    let path = catalog_path(dir);
    check_exists(dir)?;
    let published = Published::read(&vfs, dir);
    let mut attempt = 1;
    loop {
        let catalog = match Catalog::open_read(&path) {
            Err(error) if error.is_damage() || matches!(error, Error::NotADatabase { .. }) => {
                return Ok(Some(without_head::report(&vfs, dir, None, error)));
            }
            opened => opened?,
        };
        let head = match catalog.head() {
            Err(error) => return Ok(Some(without_head::report(&vfs, dir, Some(&catalog), error))),
            Ok(head) => head,
        };
        let files = CodeFiles::by_name(&vfs, dir, &head);
        let moved = files.0.iter().any(|(_, file)| matches!(file, Handle::Missing(_)))
            && Head::newest(dir).is_ok_and(|newest| newest.upkeep.edition != head.upkeep.edition);
        if moved && attempt < ATTEMPTS {
            attempt += 1;
            continue;
        }
        let mut first = Vec::new();
        if let Err(error) = published.check(dir, &head) {
            first.push(Damage::from_error(error, &path));
        }
        let segments = catalog.segments(&head).unwrap_or_else(|error| {
            first.push(Damage::from_error(error, &path));
            Vec::new()
        });
        let catalog = Mutex::new(catalog);
        let (head, catalog) = (&head, &catalog);
        let verify = Verify { vfs: &vfs, dir, mmap: options.mmap, catalog, head, files, segments };
        let report = verify.run(progress)?;
        return Ok(report.map(|mut report| {
            first.append(&mut report.damages);
            VerifyReport { damages: first, ..report }
        }));
    }
}

/// Whether there is a newer commit than that of a head.
pub(crate) fn is_stale(dir: &Path, head: &Head) -> bool {
    Head::newest(dir).is_ok_and(|newest| newest.generation > head.generation)
}

/// What is to be checked: a database as of one commit.
pub(crate) struct Verify<'a> {
    pub(crate) vfs: &'a dyn Vfs,
    pub(crate) dir: &'a Path,
    /// Whether labels are mapped.
    pub(crate) mmap: bool,
    pub(crate) catalog: &'a Mutex<Catalog>,
    pub(crate) head: &'a Head,
    pub(crate) files: CodeFiles<'a>,
    pub(crate) segments: Vec<SegmentRow>,
}

impl Verify<'_> {
    /// Checks everything. `None` if `progress` stopped it.
    pub(crate) fn run(&self, progress: VerifyProgress<'_>) -> Result<Option<VerifyReport>> {
        let path = catalog_path(self.dir);
        let catalog_bytes =
            std::fs::metadata(&path).map_err(|e| Error::io("read the length of", &path, e))?.len();
        let number_bytes = |number: usize| {
            Geometry::new(self.head.file(number).words).len_bytes(self.head.tails[number].count)
        };
        let files: u64 = (0..self.head.tails.len()).map(number_bytes).sum();
        let all = catalog_bytes + files + self.segments.iter().map(|row| row.len_bytes).sum::<u64>();
        let mut going_on = true;
        let mut done = 0;
        let mut advance = |bytes: u64| {
            done += bytes;
            going_on = going_on && progress(done.min(all), all);
            going_on
        };
        let mut report = VerifyReport::default();
        self.catalog_rows(&mut report);
        let stopped = !advance(catalog_bytes)
            || !self.code_files(&mut report, &mut advance)
            || !self.items(&mut report, &mut advance)
            || !self.labels(&mut report, &mut advance)
            || !self.segments(&mut report, &mut advance);
        if stopped {
            return Ok(None);
        }
        self.tell_labels(&mut report);
        report.checked_bytes = done;
        Ok(Some(report))
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog_rows(&self, report: &mut VerifyReport) {
        let place = catalog_path(self.dir);
        let damages = &mut report.damages;
        self.catalog().verify(self.head, &mut |error, affected| {
            let affected = affected.map(|(kind, ids)| Affected { kind, ids });
            let damage = Damage { affected, ..Damage::from_error(error, &place) };
            // A source is read with its model and by itself.
            let is_told = |told: &Damage| {
                (&told.what, &told.expected, &told.got) == (&damage.what, &damage.expected, &damage.got)
            };
            if !damages.iter().rev().take(4096).any(is_told) {
                damages.push(damage);
            }
        });
    }
}

/// What records of a code file are to users; text of labels is nothing by itself.
fn affected(kind: Kind, ids: std::ops::Range<u32>) -> Option<Affected> {
    (kind != Kind::LabelText && !ids.is_empty()).then_some(Affected { kind, ids })
}
